"""Lists: objects (V1 and V2), uploads, parts, buckets.

What flows in: prefix, delimiter, marker and a maximum. What flows out: one page in UTF-8 byte order
and the marker of the next. A page costs as much as it shows, however many objects share a common
prefix. It never skips or repeats an entry between pages.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from . import xml
from .answer import Answer, xml_answer
from .clock import iso_time
from .cloud import Cloud
from .multipart import find_upload, shown, wants_url_encoding
from .records import Listed, Upload
from .request import Request, invalid

Entry = TypeVar("Entry", Listed, Upload)


class Page(NamedTuple):
    """Entries, common prefixes, and the last of either when there is more."""

    entries: list[Listed]
    prefixes: list[str]
    last: str | None


def count(request: Request, name: str, default: int, lowest: int = 1) -> int:
    """A maximum from the query.

    Raises:
        OssError: 400 InvalidArgument outside *lowest* to 1000.
    """
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdecimal() or not lowest <= int(text) <= 1000:
        raise invalid(name, text, f"must be {lowest} to 1000")
    return int(text)


def after(key: bytes) -> bytes:
    """The smallest key above *key*."""
    return key + b"\0"


def beyond(prefix: bytes) -> bytes | None:
    """The smallest key above every key that begins with *prefix*; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def page_of(
    fetch: Callable[[bytes, bytes | None, int], list[Listed]],
    *,
    prefix: str,
    delimiter: str,
    marker: str,
    limit: int,
) -> Page:
    """One page of objects strictly behind *marker*, names with a common prefix counted once.

    Args:
        fetch: objects with first <= key < end, at most so many.
    """
    first, end = prefix.encode(), beyond(prefix.encode())
    if marker.encode() >= first:
        first = after(marker.encode())
        skipped = _common(marker, prefix, delimiter)
        if skipped is not None and skipped == marker:
            first = beyond(skipped.encode()) or b"\xff" * 4
    entries: list[Listed] = []
    prefixes: list[str] = []
    last: str | None = None
    position: bytes | None = first
    while position is not None:
        batch = fetch(position, end, limit + 1 - len(entries) - len(prefixes))
        position = None
        for item in batch:
            if len(entries) + len(prefixes) == limit:
                return Page(entries, prefixes, last)
            common = _common(item.key, prefix, delimiter)
            if common is not None:
                prefixes.append(common)
                last, position = common, beyond(common.encode())
                break
            entries.append(item)
            last = item.key
    return Page(entries, prefixes, None)


def _common(key: str, prefix: str, delimiter: str) -> str | None:
    if not delimiter or not key.startswith(prefix):
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


def _object_nodes(cloud: Cloud, page: Page, encoded: bool, with_owner: bool) -> list[xml.Node]:
    nodes: list[xml.Node] = []
    for item in page.entries:
        children: list[xml.Node] = [
            ("Key", shown(item.key, encoded)),
            ("LastModified", iso_time(item.modified_s)),
            ("ETag", f'"{item.etag}"'),
            ("Type", item.kind),
            ("Size", item.size),
            ("StorageClass", item.storage_class),
        ]
        if with_owner:
            children.append(owner(cloud))
        nodes.append(("Contents", children))
    nodes += [("CommonPrefixes", [("Prefix", shown(name, encoded))]) for name in page.prefixes]
    return nodes


def owner(cloud: Cloud) -> xml.Node:
    """The Owner element of every bucket and object."""
    account = cloud.identities.account_id
    return ("Owner", [("ID", account), ("DisplayName", account)])


async def list_objects(cloud: Cloud, request: Request) -> Answer:
    """ListObjects (V1)."""
    bucket, query = cloud.bucket(request).name, request.query
    encoded = wants_url_encoding(request)
    limit = count(request, "max-keys", 100)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    marker = query.get("marker", "")
    page = page_of(
        lambda first, end, most: cloud.store.objects_from(bucket, first, end, most),
        prefix=prefix,
        delimiter=delimiter,
        marker=marker,
        limit=limit,
    )
    nodes: list[xml.Node] = [
        ("Name", bucket),
        ("Prefix", shown(prefix, encoded)),
        ("Marker", shown(marker, encoded)),
        ("MaxKeys", limit),
        ("Delimiter", shown(delimiter, encoded)),
    ]
    if encoded:
        nodes.append(("EncodingType", "url"))
    nodes.append(("IsTruncated", "true" if page.last is not None else "false"))
    if page.last is not None:
        nodes.append(("NextMarker", shown(page.last, encoded)))
    return xml_answer("ListBucketResult", nodes + _object_nodes(cloud, page, encoded, True))


def _to_token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _from_token(token: str) -> str:
    padded = token + "=" * (-len(token) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise invalid("continuation-token", token, "is not one this service gave") from None


async def list_objects_v2(cloud: Cloud, request: Request) -> Answer:
    """ListObjectsV2."""
    bucket, query = cloud.bucket(request).name, request.query
    encoded = wants_url_encoding(request)
    limit = count(request, "max-keys", 100)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    start, token = query.get("start-after", ""), query.get("continuation-token", "")
    page = page_of(
        lambda first, end, most: cloud.store.objects_from(bucket, first, end, most),
        prefix=prefix,
        delimiter=delimiter,
        marker=_from_token(token) if token else start,
        limit=limit,
    )
    nodes: list[xml.Node] = [
        ("Name", bucket),
        ("Prefix", shown(prefix, encoded)),
        ("StartAfter", shown(start, encoded)),
        ("MaxKeys", limit),
        ("Delimiter", shown(delimiter, encoded)),
    ]
    if encoded:
        nodes.append(("EncodingType", "url"))
    if token:
        nodes.append(("ContinuationToken", token))
    nodes.append(("IsTruncated", "true" if page.last is not None else "false"))
    if page.last is not None:
        nodes.append(("NextContinuationToken", _to_token(page.last)))
    nodes.append(("KeyCount", len(page.entries) + len(page.prefixes)))
    with_owner = query.get("fetch-owner") == "true"
    return xml_answer("ListBucketResult", nodes + _object_nodes(cloud, page, encoded, with_owner))


def _uploads_page(
    cloud: Cloud, request: Request, bucket: str, limit: int
) -> tuple[list[Upload], list[str], tuple[str, str] | None]:
    query = request.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker = query.get("key-marker", "")
    id_marker = query.get("upload-id-marker", "") if key_marker else ""
    first, end = prefix.encode(), beyond(prefix.encode())
    after_id = ""
    if key_marker.encode() >= first:
        first, after_id = key_marker.encode(), id_marker or "\U0010ffff"
        if delimiter and _common(key_marker, prefix, delimiter) == key_marker:
            first, after_id = beyond(first) or b"\xff" * 4, ""
    found: list[Upload] = []
    prefixes: list[str] = []
    last: tuple[str, str] | None = None
    position: bytes | None = first
    while position is not None:
        most = limit + 1 - len(found) - len(prefixes)
        batch = cloud.store.uploads_from(bucket, position, after_id, end, most)
        position = None
        for upload in batch:
            if len(found) + len(prefixes) == limit:
                return found, prefixes, last
            common = _common(upload.key, prefix, delimiter)
            if common is not None:
                prefixes.append(common)
                last, position, after_id = (common, ""), beyond(common.encode()), ""
                break
            found.append(upload)
            last = (upload.key, upload.id)
    return found, prefixes, None


async def list_multipart_uploads(cloud: Cloud, request: Request) -> Answer:
    """ListMultipartUploads."""
    bucket, query = cloud.bucket(request).name, request.query
    encoded = wants_url_encoding(request)
    limit = count(request, "max-uploads", 1000)
    found, prefixes, last = _uploads_page(cloud, request, bucket, limit)
    following = last or ("", "")
    nodes: list[xml.Node] = [("Bucket", bucket)]
    if encoded:
        nodes.append(("EncodingType", "url"))
    nodes += [
        ("KeyMarker", shown(query.get("key-marker", ""), encoded)),
        ("UploadIdMarker", query.get("upload-id-marker", "")),
        ("NextKeyMarker", shown(following[0], encoded)),
        ("NextUploadIdMarker", following[1]),
        ("Delimiter", shown(query.get("delimiter", ""), encoded)),
        ("Prefix", shown(query.get("prefix", ""), encoded)),
        ("MaxUploads", limit),
        ("IsTruncated", "true" if last is not None else "false"),
    ]
    for upload in found:
        children: list[xml.Node] = [
            ("Key", shown(upload.key, encoded)),
            ("UploadId", upload.id),
            ("StorageClass", upload.attributes.storage_class),
            ("Initiated", iso_time(upload.initiated_s)),
        ]
        nodes.append(("Upload", children))
    nodes += [("CommonPrefixes", [("Prefix", shown(name, encoded))]) for name in prefixes]
    return xml_answer("ListMultipartUploadsResult", nodes)


async def list_parts(cloud: Cloud, request: Request) -> Answer:
    """ListParts."""
    upload = find_upload(cloud, request)
    encoded = wants_url_encoding(request)
    limit = count(request, "max-parts", 1000)
    text = request.query.get("part-number-marker", "") or "0"
    if not text.isascii() or not text.isdecimal():
        raise invalid("part-number-marker", text, "must be a number from 0")
    marker = min(int(text), cloud.limits.max_parts)
    parts = cloud.store.parts(upload.id, marker, limit + 1)
    truncated, parts = len(parts) > limit, parts[:limit]
    nodes: list[xml.Node] = [
        ("Bucket", upload.bucket),
        ("Key", shown(upload.key, encoded)),
        ("UploadId", upload.id),
        ("StorageClass", upload.attributes.storage_class),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", parts[-1].number if parts else ""),
        ("MaxParts", limit),
        ("IsTruncated", "true" if truncated else "false"),
    ]
    if encoded:
        nodes.insert(0, ("EncodingType", "url"))
    for part in parts:
        children: list[xml.Node] = [
            ("PartNumber", part.number),
            ("LastModified", iso_time(part.modified_s)),
            ("ETag", f'"{part.etag}"'),
            ("HashCrc64ecma", str(part.crc)),
            ("Size", part.size),
        ]
        nodes.append(("Part", children))
    return xml_answer("ListPartsResult", nodes)
