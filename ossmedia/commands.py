"""What each command of the command line does, given its parsed arguments.

In flow arguments, files and the terminal, out flow objects, lines and exit codes. Credentials come
from the environment only; nothing secret is printed but by ``sign`` and ``token``, whose purpose it
is.
"""

from __future__ import annotations

import json
import os
import sys

from ossmedia.address import parse_url
from ossmedia.bucket import Bucket
from ossmedia.credentials import EnvironmentCredentials
from ossmedia.terminal import Progress, StopKey, printable, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from io import BufferedIOBase
    from typing import Any, Literal

    from ossmedia.model import ObjectStat, Receipt
    from ossmedia.spool import Spool

__all__ = ["cat", "ls", "put", "record", "rm", "sign", "spool", "stat", "token", "vod"]

_PIECE = 64 << 10
# What the system's table gets wrong (.ts is a translation file there) or does not know.
_TYPES = {
    ".h264": "video/h264",
    ".h265": "video/h265",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mkv": "video/x-matroska",
    ".mp4": "video/mp4",
    ".ts": "video/mp2t",
}


def bucket_of(args: Namespace, name: str, spool: Spool | None = None) -> Bucket:
    """The bucket that the common options and the environment describe."""
    return Bucket(
        name,
        endpoint=args.endpoint or os.environ.get("OSSMEDIA_ENDPOINT", ""),
        region=args.region or os.environ.get("OSSMEDIA_REGION", ""),
        credentials=EnvironmentCredentials(),
        ca_file=args.ca_file,
        path_style=args.path_style,
        spool=spool,
    )


def _object(url: str) -> tuple[str, str]:
    bucket, key = parse_url(url)
    if not key:
        raise ValueError(f"{url}: the key is missing")
    return bucket, key


def put(args: Namespace) -> int:
    """A file, or what comes on standard input, into an object."""
    if args.append and args.no_overwrite:
        raise ValueError("--append and --no-overwrite: only one of them")
    bucket, key = parse_url(args.url)
    if not key or key.endswith("/"):
        if args.file == "-":
            raise ValueError(f"{args.url}: the key is missing")
        key += os.path.basename(args.file)
    content_type = args.content_type or _content_type(key)
    with bucket_of(args, bucket) as store:
        if args.file != "-" and not args.append:
            with Progress(args, key) as progress:
                receipt = store.upload(
                    args.file,
                    key,
                    progress=progress.callback,
                    overwrite=not args.no_overwrite,
                    content_type=content_type,
                )
            assert receipt is not None  # this bucket has no spool
            return _stored(args, bucket, receipt)
        mode: Literal["ab", "xb", "wb"] = (
            "ab" if args.append else "xb" if args.no_overwrite else "wb"
        )
        source = os.dup(sys.stdin.fileno()) if args.file == "-" else _open(args.file)
        try:
            with store.open(key, mode, content_type=content_type) as writer:
                stopped = _pour(source, writer, args.append)
        finally:
            os.close(source)
        if stopped and not args.quiet:
            print("interrupted: what was read is stored", file=sys.stderr)
        assert writer.result is not None
        return _stored(args, bucket, writer.result)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _pour(source: int, writer: BufferedIOBase, append: bool) -> bool:
    """Copies a descriptor until its end. With ``append``, Ctrl-C is an end, too: then True."""
    room = memoryview(bytearray(_PIECE))
    with StopKey(append) as key:
        while key.wait(source) and (count := os.readv(source, [room])):
            writer.write(room[:count])
    return key.pressed


def _content_type(key: str) -> str:
    from mimetypes import guess_type

    ending = os.path.splitext(key)[1].lower()
    return _TYPES.get(ending) or guess_type(key)[0] or ""


def _stored(args: Namespace, bucket: str, receipt: Receipt) -> int:
    if args.json:
        print(json.dumps(receipt.to_json()))
    elif not args.quiet:
        print(
            f"oss://{bucket}/{printable(receipt.key)}: {receipt.size} bytes, CRC-64 {receipt.crc64}"
        )
        for part in receipt.generations[1:]:
            print(f"  from byte {part.start} on in oss://{bucket}/{printable(part.key)}")
    return 0


def record(args: Namespace) -> int:
    """Elementary streams into segments and a playlist of HLS."""
    from ossmedia.hls_commands import record_hls

    bucket, prefix = _object(args.url)
    with bucket_of(args, bucket) as store:
        return record_hls(args, store, prefix)


def cat(args: Namespace) -> int:
    """An object's bytes to standard output."""
    bucket, key = _object(args.url)
    with bucket_of(args, bucket) as store, store.open(key, "rb") as source:
        out = sys.stdout.buffer
        while data := source.read1(1 << 20):
            out.write(data)
        out.flush()
    return 0


def ls(args: Namespace) -> int:
    """The objects below a prefix, one line each."""
    bucket, prefix = parse_url(args.url)
    with bucket_of(args, bucket) as store:
        for row in store.list(prefix, "/" if args.directory else None):
            if args.json:
                print(json.dumps(row.to_json()))
            elif row.type == "Prefix":
                print(f"{'':>15} {'':20} {'':10} {printable(row.key)}")
            else:
                print(
                    f"{row.size:>15} {stamp(row.modified_at):20} {row.type:10} {printable(row.key)}"
                )
    return 0


def stat(args: Namespace) -> int:
    """What OSS says of one object."""
    bucket, key = _object(args.url)
    with bucket_of(args, bucket) as store:
        row = store.stat(key)
    if args.json:
        print(json.dumps(row.to_json()))
    else:
        for name, value in _fields(row):
            print(f"{name + ':':22}{printable(str(value))}")
    return 0


def _fields(row: ObjectStat) -> list[tuple[str, Any]]:
    fields = row.to_json()
    fields["modified_at"] = stamp(row.modified_at)
    metadata = fields.pop("metadata")
    rows = [(name, value) for name, value in fields.items() if value not in (None, "")]
    return rows + [(f"metadata {name}", value) for name, value in metadata.items()]


def rm(args: Namespace) -> int:
    """Deletes one object; no error if there is none."""
    bucket, key = _object(args.url)
    with bucket_of(args, bucket) as store:
        store.delete(key)
    return 0


def sign(args: Namespace) -> int:
    """A URL that works without credentials for a while."""
    bucket, key = _object(args.url)
    with bucket_of(args, bucket) as store:
        url = store.presign(key, args.method, args.expires)
    print(
        json.dumps({"url": url, "method": args.method, "expires_s": args.expires})
        if args.json
        else url
    )
    return 0


def token(args: Namespace) -> int:
    """Temporary credentials for one device, as JSON or as lines for a shell."""
    from shlex import quote

    from ossmedia.policy import device_prefix
    from ossmedia.sts import ENDPOINT, TokenIssuer

    endpoint = args.sts_endpoint or os.environ.get("OSSMEDIA_STS_ENDPOINT", "") or ENDPOINT
    issuer = TokenIssuer(
        args.role_arn,
        args.bucket,
        credentials=EnvironmentCredentials(),
        endpoint=endpoint,
        region=args.region or os.environ.get("OSSMEDIA_REGION", "") or "cn-hangzhou",
        ca_file=args.ca_file,
        secure_transport=not args.allow_http,
        max_ttl_s=max(args.ttl, 3600),
    )
    path = args.path or device_prefix(args.device) + "/*"
    given = issuer.get_token(path, args.mode, args.ttl, device=args.device)
    if args.json:
        print(json.dumps(given.to_json()))
        return 0
    for name, value in (
        ("OSS_ACCESS_KEY_ID", given.access_key_id),
        ("OSS_ACCESS_KEY_SECRET", given.access_key_secret),
        ("OSS_SESSION_TOKEN", given.security_token),
    ):
        print(f"export {name}={quote(value)}")
    return 0


def spool(args: Namespace) -> int:
    """Footage that waits on the disk."""
    from ossmedia import spool_commands

    if args.action == "drain":
        return spool_commands.drain(args, bucket_of)
    code: int = getattr(spool_commands, args.action)(args)
    return code


def vod(args: Namespace) -> int:
    """Uploads into ApsaraVideo VOD."""
    from ossmedia import vod_commands

    code: int = getattr(vod_commands, args.action)(args)
    return code
