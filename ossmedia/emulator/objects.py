"""Put, get, head and delete of objects.

What flows in: a request whose caller may do it. What flows out: an answer, and for a put a row that
appears at once and whole. What can be refused without the body is refused before the body is read.
It never changes an object under a reader: a get keeps the content it began with.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from . import callbacks
from .answer import Answer
from .attributes import check_key, check_traffic_limit, read_attributes, refuse_conditions
from .blobs import Spool
from .clock import http_time
from .cloud import Cloud
from .errors import OssError
from .records import Attributes, StoredObject
from .request import Request

_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def too_large(limit: int) -> OssError:
    """The refusal of a body that is longer than an object may be."""
    message = f"The object size must not exceed {limit} bytes."
    return OssError(400, "InvalidArgument", message)


def refuse_overwrite(cloud: Cloud, request: Request, bucket: str, key: str) -> None:
    """With x-oss-forbid-overwrite an existing object stays.

    Raises:
        OssError: 409 FileAlreadyExists.
    """
    if request.flag("x-oss-forbid-overwrite") and cloud.store.object(bucket, key) is not None:
        raise file_exists(key)


def file_exists(key: str) -> OssError:
    """409 FileAlreadyExists."""
    message = "The object you specified already exists and can not be overwritten."
    return OssError(409, "FileAlreadyExists", message, ec="0026-00000003", extra={"Key": key})


def wanted_md5(request: Request) -> bytes | None:
    """The announced Content-MD5, or None.

    Raises:
        OssError: 400 InvalidDigest when it is not base64 of 16 bytes.
    """
    text = request.header.get("content-md5")
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise OssError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    return digest


def md5_of(data: bytes) -> bytes:
    """The MD5 of a small body."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def check_md5(wanted: bytes | None, actual: bytes) -> None:
    """Compare a body's MD5 with the announced one.

    Raises:
        OssError: 400 InvalidDigest.
    """
    if wanted is not None and wanted != actual:
        raise OssError(
            400,
            "InvalidDigest",
            "The Content-MD5 you specified did not match what we received.",
            extra={
                "ClientComputedContentMd5": base64.b64encode(wanted).decode(),
                "ServerComputedContentMd5": base64.b64encode(actual).decode(),
            },
        )


async def put_object(cloud: Cloud, request: Request) -> Answer:
    """PutObject."""
    bucket, key = cloud.bucket(request).name, request.target_key()
    check_key(key, cloud.limits)
    refuse_conditions(request.header)
    check_traffic_limit(traffic_limit(request))
    attributes = read_attributes(request.header, cloud.limits)
    callback = callbacks.wanted(request)
    digest = wanted_md5(request)
    refuse_overwrite(cloud, request, bucket, key)
    limit = cloud.limits.max_object_size
    spool = await cloud.receive(request, limit, lambda: too_large(limit))
    try:
        check_md5(digest, spool.md5)
        cloud.existing_bucket(bucket)
        refuse_overwrite(cloud, request, bucket, key)
    except OssError:
        spool.drop()
        raise
    stored = store_body(cloud, bucket, key, spool, attributes)
    answer = Answer(200, [("ETag", f'"{stored.etag}"'), ("Content-MD5", stored.md5)])
    answer.set("x-oss-hash-crc64ecma", str(stored.crc))
    add_encryption(answer, stored)
    if callback is not None:
        return await callbacks.perform(cloud, request, callback, stored, answer)
    return answer


def store_body(
    cloud: Cloud, bucket: str, key: str, spool: Spool, attributes: Attributes
) -> StoredObject:
    """Make a received body the object under *key*, in one step."""
    content = spool.finish()
    stored = StoredObject(
        *(bucket, key, "Normal", content.size, content.crc, content.etag),
        *(cloud.clock.now(), attributes, content.segments),
        md5=base64.b64encode(content.md5).decode(),
    )
    with cloud.store.transaction():
        cloud.store.put_object(stored, cloud.store.object(bucket, key))
    return stored


def traffic_limit(request: Request) -> str | None:
    """The traffic limit of a request, in its header or its query."""
    return request.header.get("x-oss-traffic-limit", request.query.get("x-oss-traffic-limit"))


def add_encryption(answer: Answer, stored: StoredObject) -> None:
    """Echo the server-side encryption headers."""
    for name, value in stored.attributes.encryption.items():
        answer.set(name, value)


async def get_object(cloud: Cloud, request: Request) -> Answer:
    """GetObject, whole or one range."""
    check_traffic_limit(traffic_limit(request))
    named = cloud.object(request)
    stored = _resolve_symlink(cloud, named)
    _refuse_archived(stored)
    check_conditions(stored, request.header)
    refuse_discarded(stored)
    first, last = 0, stored.size - 1
    chosen = _chosen_range(request, stored.size)
    answer = Answer(200 if chosen is None else 206)
    if chosen is not None:
        first, last = chosen
        answer.set("Content-Range", f"bytes {first}-{last}/{stored.size}")
    answer.headers += _object_headers(stored)
    if named.kind == "Symlink":
        answer.set("x-oss-object-type", "Symlink")
    for parameter, name in _OVERRIDES.items():
        if parameter in request.query:
            answer.set(name, request.query[parameter])
    answer.segments, answer.start, answer.length = stored.segments, first, last - first + 1
    return answer


async def head_object(cloud: Cloud, request: Request) -> Answer:
    """HeadObject."""
    named = cloud.object(request)
    stored = _resolve_symlink(cloud, named)
    check_conditions(stored, request.header)
    answer = Answer(200, _object_headers(stored))
    if named.kind == "Symlink":
        answer.set("x-oss-object-type", "Symlink")
    answer.set("Content-Length", str(stored.size))
    return answer


async def get_object_meta(cloud: Cloud, request: Request) -> Answer:
    """GetObjectMeta: the few headers that need no more than the index."""
    stored = cloud.object(request)
    return Answer(
        200,
        [
            ("ETag", f'"{stored.etag}"'),
            ("Last-Modified", http_time(stored.modified_s)),
            ("x-oss-hash-crc64ecma", str(stored.crc)),
            ("Content-Length", str(stored.size)),
        ],
    )


async def delete_object(cloud: Cloud, request: Request) -> Answer:
    """DeleteObject: 204 also when there is nothing to delete."""
    bucket, key = cloud.bucket(request).name, request.target_key()
    check_key(key, cloud.limits)
    delete(cloud, bucket, [key])
    return Answer(204)


def delete(cloud: Cloud, bucket: str, keys: list[str]) -> None:
    """Remove objects together; keys without an object are no error."""
    with cloud.store.transaction():
        for key in keys:
            stored = cloud.store.object(bucket, key)
            if stored is not None:
                cloud.store.delete_object(stored)


def _resolve_symlink(cloud: Cloud, stored: StoredObject) -> StoredObject:
    if stored.kind != "Symlink":
        return stored
    target = cloud.store.object(stored.bucket, stored.symlink_target)
    if target is None:
        message = "The symlink target object does not exist."
        raise OssError(404, "SymlinkTargetNotExist", message, extra={"Key": stored.key})
    if target.kind == "Symlink":
        message = "The symlink target object is a symlink."
        raise OssError(400, "InvalidTargetType", message, extra={"Key": stored.key})
    return target


def refuse_discarded(stored: StoredObject) -> None:
    """In ledger mode there is no content to read.

    Raises:
        OssError: 501 NotImplemented.
    """
    if any(not segment.blob for segment in stored.segments):
        message = "The content was discarded: this cloud keeps lengths and checksums only."
        raise OssError(501, "NotImplemented", message)


def _refuse_archived(stored: StoredObject) -> None:
    archived = stored.attributes.storage_class in ("Archive", "ColdArchive", "DeepColdArchive")
    if archived and not stored.attributes.restored:
        message = "The operation is not valid for the object's state."
        raise OssError(403, "InvalidObjectState", message, extra={"Key": stored.key})


def check_conditions(stored: StoredObject, headers: Mapping[str, str], prefix: str = "") -> None:
    """The If-* headers of a read, or with a *prefix* those of a copy's source.

    Raises:
        OssError: 412 PreconditionFailed or 304.
    """
    modified = int(stored.modified_s)
    failed = ""
    if not _etag_matches(headers.get(prefix + "if-match"), stored.etag, absent=True):
        failed = "If-Match"
    since = _moment(headers.get(prefix + "if-unmodified-since"))
    if since is not None and modified > since:
        failed = "If-Unmodified-Since"
    if failed:
        message = "At least one of the pre-conditions you specified did not hold."
        raise OssError(412, "PreconditionFailed", message, extra={"Condition": failed})
    since = _moment(headers.get(prefix + "if-modified-since"))
    if _etag_matches(headers.get(prefix + "if-none-match"), stored.etag, absent=False):
        raise _not_modified(stored)
    if since is not None and modified <= since and prefix + "if-none-match" not in headers:
        raise _not_modified(stored)


def _not_modified(stored: StoredObject) -> OssError:
    headers = {"ETag": f'"{stored.etag}"', "Last-Modified": http_time(stored.modified_s)}
    return OssError(304, "NotModified", "Not Modified", headers=headers)


def _etag_matches(text: str | None, etag: str, *, absent: bool) -> bool:
    if text is None:
        return absent
    tags = [tag.strip().strip('"') for tag in text.split(",")]
    return "*" in tags or etag in tags


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _chosen_range(request: Request, size: int) -> tuple[int, int] | None:
    """First and last byte of a valid Range, None for the whole object.

    An invalid range is no range, unless ``x-oss-range-behavior: standard`` asks for 416.
    """
    text = request.header.get("range")
    if text is None:
        return None
    standard = request.header.get("x-oss-range-behavior", "").lower() == "standard"
    match = _RANGE.fullmatch(text.strip())
    chosen = _span(match.group(1), match.group(2), size, standard) if match is not None else None
    if chosen is None and standard and match is not None:
        raise OssError(
            416,
            "InvalidRange",
            "The requested range cannot be satisfied.",
            ec="0016-00000817",
            extra={"ActualObjectSize": str(size), "RangeRequested": text},
            headers={"Content-Range": f"bytes */{size}"},
        )
    return chosen


def _span(first: str, last: str, size: int, standard: bool) -> tuple[int, int] | None:
    if not first:
        suffix = int(last or 0)
        if suffix == 0 or size == 0 or (suffix > size and not standard):
            return None
        return max(0, size - suffix), size - 1
    begin, end = int(first), int(last) if last else size - 1
    if end >= size and standard:
        end = size - 1
    return (begin, end) if begin <= end < size else None


def _object_headers(stored: StoredObject) -> list[tuple[str, str]]:
    attributes = stored.attributes
    headers = [
        ("Content-Type", attributes.content_type),
        ("Last-Modified", http_time(stored.modified_s)),
        ("ETag", f'"{stored.etag}"'),
        ("Accept-Ranges", "bytes"),
        ("x-oss-object-type", stored.kind),
        ("x-oss-storage-class", attributes.storage_class),
        ("x-oss-hash-crc64ecma", str(stored.crc)),
    ]
    if stored.kind == "Appendable":
        headers.append(("x-oss-next-append-position", str(stored.size)))
    if stored.sealed_s:
        headers.append(("x-oss-sealed-time", http_time(stored.sealed_s)))
    if stored.md5:
        headers.append(("Content-MD5", stored.md5))
    if attributes.restored:
        headers.append(("x-oss-restore", 'ongoing-request="false"'))
    if attributes.tags:
        headers.append(("x-oss-tagging-count", str(len(attributes.tags))))
    headers += attributes.encryption.items()
    headers += attributes.headers.items()
    return headers
