"""AppendObject: the object that grows.

What flows in: a position and bytes. What flows out: the next position and the CRC-64 of the whole
object. Type and position are checked before the body is read, so that a wrong position costs the
client nothing, and again when the body is complete: of two appends to one position exactly one
wins. A failed append leaves the object as it was, to the byte.
"""

from __future__ import annotations

import hashlib

from . import crc64
from .answer import Answer
from .attributes import check_key, check_traffic_limit, read_attributes, refuse_conditions
from .blobs import Segment, Spool
from .clock import http_time
from .cloud import Cloud, no_such_key
from .errors import OssError
from .objects import check_md5, file_exists, traffic_limit, wanted_md5
from .records import Attributes, StoredObject
from .request import Request, invalid


def _position(request: Request) -> int:
    text = request.query.get("position")
    if text is None:
        message = "Missing argument: position."
        extra = {"ArgumentName": "position"}
        raise OssError(400, "MissingArgument", message, ec="0016-00000501", extra=extra)
    if not text.isascii() or not text.isdecimal():
        raise invalid("position", text, "must be a number from 0")
    return int(text)


def _check_appendable(stored: StoredObject | None, key: str, position: int) -> None:
    length = 0 if stored is None else stored.size
    following = {"x-oss-next-append-position": str(length)}
    if stored is not None and stored.kind != "Appendable":
        message = "The object is not appendable"
        raise OssError(409, "ObjectNotAppendable", message, extra={"Key": key})
    if stored is not None and stored.sealed_s:
        message = "The object is sealed."
        raise OssError(409, "ObjectNotAppendable", message, extra={"Key": key}, headers=following)
    if position != length:
        raise OssError(
            409,
            "PositionNotEqualToLength",
            "Position is not equal to file length",
            ec="0026-00000016",
            extra={"Key": key},
            headers=following,
        )


async def append_object(cloud: Cloud, request: Request) -> Answer:
    """AppendObject."""
    bucket, key = cloud.bucket(request).name, request.target_key()
    check_key(key, cloud.limits)
    refuse_conditions(request.header)
    check_traffic_limit(traffic_limit(request))
    position = _position(request)
    attributes = read_attributes(request.header, cloud.limits)
    digest = wanted_md5(request)
    limit = cloud.limits.max_append_size - position

    def beyond() -> OssError:
        message = f"An appended object must not exceed {cloud.limits.max_append_size} bytes."
        return OssError(400, "InvalidArgument", message)

    stored = cloud.store.object(bucket, key)
    _check_appendable(stored, key, position)
    if stored is not None and request.flag("x-oss-forbid-overwrite"):
        raise file_exists(key)
    if position > cloud.limits.max_append_size:
        raise beyond()
    spool = await cloud.receive(request, limit, beyond)
    try:
        check_md5(digest, spool.md5)
        cloud.existing_bucket(bucket)
        stored = cloud.store.object(bucket, key)
        _check_appendable(stored, key, position)
    except OssError:
        spool.drop()
        raise
    return _answer(_commit(cloud, bucket, key, stored, spool, attributes))


def _commit(
    cloud: Cloud,
    bucket: str,
    key: str,
    stored: StoredObject | None,
    spool: Spool,
    attributes: Attributes,
) -> StoredObject:
    grown = stored or StoredObject(
        *(bucket, key, "Appendable", 0, 0, "", cloud.clock.now(), attributes)
    )
    added = _extend(cloud, grown, spool)
    grown.crc = crc64.combine(grown.crc, spool.crc, spool.size)
    grown.size += spool.size
    grown.modified_s = cloud.clock.now()
    digest = hashlib.md5(f"{bucket}/{key} {grown.size} {grown.crc}".encode(), usedforsecurity=False)
    grown.etag = digest.hexdigest()[:24].upper() + "00000000"
    with cloud.store.transaction():
        if stored is None:
            cloud.store.put_object(grown, None)
        else:
            cloud.store.use(added)
            cloud.store.grow_object(grown)
    return grown


def _extend(cloud: Cloud, grown: StoredObject, spool: Spool) -> tuple[Segment, ...]:
    """Put the new bytes behind the old ones: a short body into the last file, a long one is a file
    of its own. Returns the segments of files that are new.
    """
    memory = spool.memory
    last = grown.segments[-1] if grown.segments else None
    if last is not None and last.blob and memory:
        cloud.store.blobs.write_at(last.blob, last.offset + last.length, memory)
        spool.drop()
        longer = last._replace(length=last.length + len(memory))
        grown.segments = (*grown.segments[:-1], longer)
        return ()
    if last is not None and cloud.store.blobs.discard:
        grown.segments = (last._replace(length=last.length + spool.size),)
        return ()
    added = spool.finish().segments
    grown.segments += added
    return added


def _answer(grown: StoredObject) -> Answer:
    answer = Answer(200, [("ETag", f'"{grown.etag}"')])
    answer.set("x-oss-hash-crc64ecma", str(grown.crc))
    answer.set("x-oss-next-append-position", str(grown.size))
    return answer


async def seal_append_object(cloud: Cloud, request: Request) -> Answer:
    """SealAppendObject: no more appends after this."""
    stored = cloud.store.object(cloud.bucket(request).name, request.target_key())
    if stored is None:
        raise no_such_key(request.target_key())
    position = _position(request)
    if not stored.sealed_s:
        _check_appendable(stored, stored.key, position)
        stored.sealed_s = cloud.clock.now()
        with cloud.store.transaction():
            cloud.store.grow_object(stored)
    cloud.guess("SealAppendObject needs oss:PutObject and sealing twice is no error")
    return Answer(200, [("x-oss-sealed-time", http_time(stored.sealed_s))])
