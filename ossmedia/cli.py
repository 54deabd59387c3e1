"""The command line: words in, an exit code out.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 credentials missing or refused, 4 not found. Secrets
never come from the command line, where every user of the machine can read them, but from the
environment.
"""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

DONE, FAILED, USAGE, CREDENTIALS, MISSING = 0, 1, 2, 3, 4
_URL = "oss://bucket/key"
_SERVER = {
    "serve": "run the application server",
    "device": "say who may upload: add, list, show, disable, enable, rotate-key, enrol-code",
    "user": "say who may sign in to the page: add, list, grant, revoke, passwd, remove",
    "page": "say from where the page may play HLS out of the bucket: allow-origin, origins",
    "recordings": "bring the index to the bucket, delete by age: reconcile, expire, lifecycle",
    "db": "make or change the application server's database: upgrade",
}


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON, one object a line")
    common.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    common.add_argument("-v", "--verbose", action="count", default=0, help="log; -vv: more")
    common.add_argument("--region", default="", help="else OSSMEDIA_REGION, else by the endpoint")
    common.add_argument("--ca-file", default="", help="PEM file of the authorities to trust")
    return common


def _endpoint() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--endpoint", default="", help="else OSSMEDIA_ENDPOINT, else by the region")
    where.add_argument("--path-style", action="store_true", help="the bucket stands in the path")
    return where


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ossmedia",
        description="Video into Alibaba Cloud OSS. Credentials come from OSS_ACCESS_KEY_ID, "
        "OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN, or ALIBABA_CLOUD_ACCESS_KEY_ID, "
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET and ALIBABA_CLOUD_SECURITY_TOKEN.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    both = [_common(), _endpoint()]
    put = commands.add_parser("put", parents=both, help="store a file, or standard input")
    put.add_argument("file", help="a file, or - for standard input")
    put.add_argument("url", help=f"{_URL}; a key that ends with / gets the file's name")
    put.add_argument(
        "--append", action="store_true", help="append; the object can be read while it grows"
    )
    put.add_argument("--no-overwrite", action="store_true", help="fail if the object exists")
    put.add_argument("--content-type", default="", help="else by the key's ending")
    _record(commands.add_parser("record", parents=both, help="record a camera as HLS"))
    for name, text in (
        ("cat", "print an object"),
        ("stat", "show what OSS says of an object"),
        ("rm", "delete an object"),
    ):
        commands.add_parser(name, parents=both, help=text).add_argument("url", help=_URL)
    ls = commands.add_parser("ls", parents=both, help="list objects")
    ls.add_argument("url", help="oss://bucket/prefix")
    ls.add_argument("-d", "--directory", action="store_true", help="one level, up to the next /")
    sign = commands.add_parser(
        "sign", parents=both, help="make a URL that works without credentials"
    )
    sign.add_argument("url", help=_URL)
    sign.add_argument("--method", default="GET", choices=("GET", "HEAD", "PUT", "POST", "DELETE"))
    sign.add_argument("--expires", type=int, default=3600, metavar="SECONDS", help="1-604800")
    _token(
        commands.add_parser("token", parents=[_common()], help="get temporary credentials from STS")
    )
    _vod(commands.add_parser("vod", help="upload into ApsaraVideo VOD"))
    _spool(commands.add_parser("spool", help="look after footage that waits on the disk"))
    commands.add_parser("emulator", add_help=False, help="run a local OSS, STS and VOD")
    for name, text in _SERVER.items():
        commands.add_parser(name, add_help=False, help=text)
    commands.add_parser("demo", add_help=False, help="see a camera's bytes reach a local OSS")
    return parser


def _record(record: argparse.ArgumentParser) -> None:
    record.add_argument("--hls", action="store_true", required=True, help="segments and a playlist")
    record.add_argument(
        "video", help="H.264 or H.265 without B-frames (Annex B): a file, or - for standard input"
    )
    record.add_argument("url", help="oss://bucket/prefix; the playlist is prefix/index.m3u8")
    record.add_argument("--mode", default="live", choices=("live", "vod", "event"))
    record.add_argument("--codec", default="h264", choices=("h264", "h265"))
    record.add_argument("--fps", type=float, default=25.0, help="pictures a second; 25")
    record.add_argument("--audio", default="", metavar="FILE", help="AAC as ADTS: a file or a pipe")
    record.add_argument("--segment-time", type=float, default=6.0, metavar="SECONDS", help="6")
    record.add_argument("--list-size", type=int, default=5, metavar="SEGMENTS", help="live: 5")


def _token(token: argparse.ArgumentParser) -> None:
    token.add_argument("--device", required=True, help="its id; names the session")
    token.add_argument("--mode", default="w", help="letters: r w a m(ultipart) l(ist)")
    token.add_argument("--bucket", required=True)
    token.add_argument("--role-arn", required=True)
    token.add_argument(
        "--ttl", type=int, default=900, metavar="SECONDS", help="900 to the role's maximum"
    )
    token.add_argument("--path", default="", help="prefix/* or one key; else cams/DEVICE/*")
    token.add_argument("--sts-endpoint", default="", help="else OSSMEDIA_STS_ENDPOINT")
    token.add_argument(
        "--allow-http", action="store_true", help="the token works without https, too"
    )


def _spool(spool: argparse.ArgumentParser) -> None:
    actions = spool.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("status", "show what was written, stored, spooled and dropped, and what waits"),
        ("verify", "read every byte and compare its CRC-64"),
        ("export", "copy what is not stored into files"),
    ):
        action = actions.add_parser(name, parents=[_common()], help=text)
        action.add_argument("dir", metavar="DIR", help="the spool's directory")
        if name == "export":
            action.add_argument("out", metavar="OUT", help="a directory; made if it is not there")
    both = [_common(), _endpoint()]
    drain = actions.add_parser("drain", parents=both, help="send what waits, then end")
    drain.add_argument("dir", metavar="DIR", help="the spool's directory")
    drain.add_argument(
        "--timeout", type=float, default=None, metavar="SECONDS", help="else as long as it takes"
    )


def _vod(vod: argparse.ArgumentParser) -> None:
    actions = vod.add_subparsers(dest="action", metavar="ACTION", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--vod-endpoint", default="", help="else OSSMEDIA_VOD_ENDPOINT, else VOD's")
    where.add_argument(
        "--endpoint", default="", help="where tickets may lead besides Alibaba Cloud, as a URL"
    )
    both = [_common(), where]
    upload = actions.add_parser("upload", parents=both, help="upload a video or audio file")
    upload.add_argument("file")
    upload.add_argument("--title", default="", help="at most 128 characters; else the file's name")
    upload.add_argument("--description", default="")
    upload.add_argument("--tag", action="append", default=[], help="may be given 16 times")
    upload.add_argument("--reference-id", default="", help="an id of your own, 6-64 characters")
    upload.add_argument(
        "--checkpoint", default="", metavar="FILE", help="go on later where this was killed"
    )
    who = upload.add_mutually_exclusive_group()
    who.add_argument("--server", default="", metavar="URL", help="ask an application server")
    who.add_argument(
        "--access-key-env",
        action="store_true",
        help="ask VOD with OSS_ACCESS_KEY_ID and ..._SECRET; so it is without --server, too",
    )
    upload.add_argument("--device", default="", metavar="ID", help="with --server")
    upload.add_argument("--device-key", default="", metavar="FILE", help="with --server")
    upload.add_argument(
        "--allow-http", action="store_true", help="with --server: it need not be https"
    )
    refresh = actions.add_parser(
        "refresh", parents=both, help="print a new ticket for a video; it is a secret"
    )
    refresh.add_argument("video_id", metavar="VIDEO_ID")
    info = actions.add_parser("info", parents=both, help="show what VOD says of a video")
    info.add_argument("video_id", metavar="VIDEO_ID")
    info.add_argument("--play", action="store_true", help="with URLs to watch it")


def _verbosity(level: int) -> None:
    import logging

    logging.basicConfig(
        stream=sys.stderr, format="%(levelname)s %(message)s", level=logging.WARNING
    )
    logging.getLogger("ossmedia").setLevel(logging.DEBUG if level > 1 else logging.INFO)


def _exit_code(error: BaseException) -> int:
    from ossmedia.errors import AccessDenied, CredentialsError, OssMediaError, StreamBroken

    if isinstance(error, StreamBroken) and isinstance(error.__cause__, OssMediaError):
        error = error.__cause__
    if isinstance(error, AccessDenied | CredentialsError):
        return CREDENTIALS
    if isinstance(error, FileNotFoundError):
        return MISSING
    if isinstance(error, ValueError | TypeError):
        return USAGE
    return FAILED


def _text(error: BaseException) -> str:
    causes = [str(error) or type(error).__name__]
    while error.__cause__ is not None:
        error = error.__cause__
        causes.append(str(error) or type(error).__name__)
    return ": ".join(causes)


def _run(args: argparse.Namespace) -> int:
    from ossmedia import commands
    from ossmedia.terminal import error_line

    if args.verbose:
        _verbosity(args.verbose)
    try:
        code: int = getattr(commands, args.command)(args)
        sys.stdout.flush()
    except BrokenPipeError as error:
        from ossmedia.errors import OssMediaError

        if not isinstance(error, OssMediaError):  # whoever read our output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        print(error_line(_text(error)), file=sys.stderr)
        return _exit_code(error)
    except (OSError, ValueError, TypeError, ImportError) as error:
        print(error_line(_text(error)), file=sys.stderr)
        return _exit_code(error)
    except KeyboardInterrupt:
        print(error_line("interrupted; nothing more is stored"), file=sys.stderr)
        return FAILED
    return code


def _server(words: list[str]) -> int:
    """The application server's commands."""
    from ossmedia.terminal import error_line

    try:
        from ossmedia.server.commands import main as server
    except ImportError as error:
        text = f"{words[0]}: needs more (no module {error.name}): pip install 'ossmedia[server]'"
        print(error_line(text), file=sys.stderr)
        return FAILED
    return server(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code. Raises SystemExit(2) for wrong usage, as argparse
    does."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["emulator"]:
        from ossmedia.emulator.__main__ import main as emulator

        return int(emulator(words[1:]) or 0)
    if words[:1] == ["demo"]:
        from ossmedia.demo import main as demo

        return int(demo(words[1:]) or 0)
    if words and words[0] in _SERVER:
        return _server(words)
    parser = _parser()
    args = parser.parse_args(words)
    if args.version:
        from ossmedia import __version__

        print(__version__)
        return DONE
    if args.command is None:
        parser.print_usage(sys.stderr)
        return USAGE
    return _run(args)
