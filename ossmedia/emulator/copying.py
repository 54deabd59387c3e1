"""CopyObject and UploadPartCopy.

What flows in: the name of a source and conditions on it. What flows out: a new object or part that
shares the source's content files; no byte is copied. An appendable object is no source, except for
itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re

from . import crc64
from .access import copy_source
from .answer import Answer, xml_answer
from .attributes import check_key, check_traffic_limit, read_attributes
from .blobs import cut
from .clock import iso_time
from .cloud import Cloud, no_such_key
from .errors import OssError
from .multipart import check_sequence, find_upload, part_number
from .objects import (
    add_encryption,
    check_conditions,
    refuse_discarded,
    refuse_overwrite,
    too_large,
    traffic_limit,
)
from .records import Part, StoredObject
from .request import Request, invalid

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


def _source(cloud: Cloud, request: Request) -> StoredObject:
    bucket, key = copy_source(request)
    stored = cloud.store.object(cloud.existing_bucket(bucket).name, key)
    if stored is None:
        raise no_such_key(key)
    check_conditions(stored, request.header, "x-oss-copy-source-")
    return stored


def _refuse_appendable(cloud: Cloud, source: StoredObject) -> None:
    if source.kind == "Appendable":
        cloud.guess("an appendable object as the source of a copy is 400 OperationNotSupported")
        message = "The operation is not supported for this resource: an appendable object."
        raise OssError(
            400, "OperationNotSupported", message, ec="0016-00000702", extra={"Key": source.key}
        )


def _directive(request: Request, name: str) -> str:
    text = request.header.get(name, "COPY").upper()
    if text not in ("COPY", "REPLACE"):
        raise invalid(name, request.header[name], "must be COPY or REPLACE")
    return text


async def copy_object(cloud: Cloud, request: Request) -> Answer:
    """CopyObject."""
    bucket, key = cloud.bucket(request).name, request.target_key()
    check_key(key, cloud.limits)
    check_traffic_limit(traffic_limit(request))
    source = _source(cloud, request)
    refuse_overwrite(cloud, request, bucket, key)
    itself = (source.bucket, source.key) == (bucket, key)
    if not itself:
        _refuse_appendable(cloud, source)
    if source.size > cloud.limits.max_copy_size:
        raise too_large(cloud.limits.max_copy_size)
    attributes = read_attributes(request.header, cloud.limits)
    if _directive(request, "x-oss-metadata-directive") == "COPY" and not itself:
        attributes.content_type = source.attributes.content_type
        attributes.headers = dict(source.attributes.headers)
    if _directive(request, "x-oss-tagging-directive") == "COPY":
        attributes.tags = dict(source.attributes.tags)
    if "x-oss-storage-class" not in request.header:
        attributes.storage_class = source.attributes.storage_class
    stored = StoredObject(
        *(bucket, key, source.kind if itself else "Normal", source.size, source.crc, source.etag),
        *(cloud.clock.now(), attributes, source.segments, source.md5, source.symlink_target),
    )
    with cloud.store.transaction():
        old = cloud.store.object(bucket, key)
        cloud.store.put_object(stored, old, keep_content=itself)
    nodes = [("ETag", f'"{stored.etag}"'), ("LastModified", iso_time(stored.modified_s))]
    answer = xml_answer("CopyObjectResult", nodes)
    answer.set("ETag", f'"{stored.etag}"')
    answer.set("x-oss-hash-crc64ecma", str(stored.crc))
    add_encryption(answer, stored)
    return answer


async def upload_part_copy(cloud: Cloud, request: Request) -> Answer:
    """UploadPartCopy: a part from a range of another object."""
    number = part_number(cloud, request)
    upload = find_upload(cloud, request)
    check_sequence(cloud, upload, number)
    source = _source(cloud, request)
    _refuse_appendable(cloud, source)
    first, last = _source_range(request, source.size)
    length = last - first + 1
    if length > cloud.limits.max_part_size:
        raise too_large(cloud.limits.max_part_size)
    segments = tuple(cut(source.segments, first, length))
    crc, etag = await _sums(cloud, source, first, length)
    find_upload(cloud, request)
    part = Part(upload.id, number, length, crc, etag, cloud.clock.now(), segments)
    with cloud.store.transaction():
        cloud.store.put_part(part)
    nodes = [("LastModified", iso_time(part.modified_s)), ("ETag", f'"{part.etag}"')]
    answer = xml_answer("CopyPartResult", nodes)
    answer.set("ETag", f'"{part.etag}"')
    return answer


def _source_range(request: Request, size: int) -> tuple[int, int]:
    text = request.header.get("x-oss-copy-source-range")
    if text is None:
        return 0, size - 1
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise invalid("x-oss-copy-source-range", text, "must be bytes=first-last")
    first, last = int(match.group(1)), int(match.group(2))
    if not first <= last < size:
        raise invalid("x-oss-copy-source-range", text, f"must lie within the {size} bytes")
    return first, last


async def _sums(cloud: Cloud, source: StoredObject, first: int, length: int) -> tuple[int, str]:
    """CRC-64 and ETag of a range, which nobody knows without reading it."""
    refuse_discarded(source)
    crc, digest = 0, hashlib.md5(usedforsecurity=False)
    cloud.store.blobs.pin(source.segments)
    try:
        for piece in cloud.store.blobs.read(source.segments, first, length):
            crc = crc64.update(crc, piece)
            digest.update(piece)
            await asyncio.sleep(0)
    finally:
        cloud.store.blobs.unpin(source.segments)
    return crc, digest.hexdigest().upper()
