"""Multipart uploads: initiate, parts, complete, abort.

What flows in: parts in any order and number. What flows out: one object that appears at once when
the upload completes; its content is the list of the parts' files, nothing is copied. Until then
nothing is visible, and after it the upload's id means nothing.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from xml.etree import ElementTree

from . import callbacks, crc64, xml
from .answer import Answer, xml_answer
from .attributes import check_key, check_traffic_limit, read_attributes, refuse_conditions
from .cloud import Cloud
from .errors import OssError
from .objects import (
    add_encryption,
    check_md5,
    refuse_overwrite,
    too_large,
    traffic_limit,
    wanted_md5,
)
from .records import Part, StoredObject, Upload
from .request import Request, invalid


def wants_url_encoding(request: Request) -> bool:
    """Whether names in the answer are to be percent-encoded.

    Raises:
        OssError: 400 InvalidArgument for an encoding other than ``url``.
    """
    kind = request.query.get("encoding-type", "")
    if kind not in ("", "url"):
        raise invalid("encoding-type", kind, "must be url")
    return kind == "url"


def shown(text: str, encoded: bool) -> str:
    """A name as the answer shows it."""
    return xml.url_text(text) if encoded else text


async def initiate(cloud: Cloud, request: Request) -> Answer:
    """InitiateMultipartUpload."""
    bucket, key = cloud.bucket(request).name, request.target_key()
    check_key(key, cloud.limits)
    refuse_conditions(request.header)
    encoded = wants_url_encoding(request)
    attributes = read_attributes(request.header, cloud.limits)
    refuse_overwrite(cloud, request, bucket, key)
    sequential = "sequential" in request.query
    if sequential and cloud.store.object(bucket, key) is not None:
        message = "The object already exists; a sequential upload cannot replace it."
        raise OssError(400, "ObjectAlreadyExists", message, extra={"Key": key})
    upload = Upload(
        *(secrets.token_hex(16).upper(), bucket, key, cloud.clock.now(), attributes, sequential)
    )
    with cloud.store.transaction():
        cloud.store.put_upload(upload)
    nodes: list[xml.Node] = [
        ("Bucket", bucket),
        ("Key", shown(key, encoded)),
        ("UploadId", upload.id),
    ]
    if encoded:
        nodes.insert(0, ("EncodingType", "url"))
    answer = xml_answer("InitiateMultipartUploadResult", nodes)
    for name, value in attributes.encryption.items():
        answer.set(name, value)
    return answer


def find_upload(cloud: Cloud, request: Request) -> Upload:
    """The upload that a request names, which must be of this very bucket and key.

    Raises:
        OssError: 404 NoSuchBucket or NoSuchUpload.
    """
    bucket, upload_id = cloud.bucket(request).name, request.query.get("uploadId", "")
    upload = cloud.store.upload(upload_id)
    if upload is None or (upload.bucket, upload.key) != (bucket, request.target_key()):
        message = (
            "The specified upload does not exist. The upload ID may be invalid, or the upload may "
            "have been aborted or completed."
        )
        extra = {"UploadId": upload_id}
        raise OssError(404, "NoSuchUpload", message, ec="0042-00000002", extra=extra)
    return upload


def part_number(cloud: Cloud, request: Request) -> int:
    """The part number of a request.

    Raises:
        OssError: 400 InvalidArgument outside 1 to 10000.
    """
    text = request.query.get("partNumber", "")
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= cloud.limits.max_parts:
        raise invalid("partNumber", text, f"must be 1 to {cloud.limits.max_parts}")
    return int(text)


def check_sequence(cloud: Cloud, upload: Upload, number: int) -> None:
    """Parts of a sequential upload come in order; the last one may come again.

    Raises:
        OssError: 400 PartNotSequential.
    """
    if upload.sequential:
        parts = cloud.store.parts(upload.id)
        newest = parts[-1].number if parts else 0
        if number not in (newest, newest + 1) or number == 0:
            message = f"The part number must be {newest + 1} in this sequential upload."
            raise OssError(400, "PartNotSequential", message)


async def upload_part(cloud: Cloud, request: Request) -> Answer:
    """UploadPart."""
    number = part_number(cloud, request)
    check_traffic_limit(traffic_limit(request))
    upload = find_upload(cloud, request)
    if "x-oss-server-side-encryption" in request.header:
        text = request.header["x-oss-server-side-encryption"]
        raise invalid("x-oss-server-side-encryption", text, "is not allowed for a part")
    check_sequence(cloud, upload, number)
    digest = wanted_md5(request)
    limit = cloud.limits.max_part_size
    spool = await cloud.receive(request, limit, lambda: too_large(limit))
    try:
        check_md5(digest, spool.md5)
        find_upload(cloud, request)
        check_sequence(cloud, upload, number)
    except OssError:
        spool.drop()
        raise
    content = spool.finish()
    part = Part(
        *(upload.id, number, content.size, content.crc, content.etag),
        *(cloud.clock.now(), content.segments),
    )
    with cloud.store.transaction():
        cloud.store.put_part(part)
    answer = Answer(200, [("ETag", f'"{part.etag}"')])
    answer.set("Content-MD5", base64.b64encode(content.md5).decode())
    answer.set("x-oss-hash-crc64ecma", str(part.crc))
    return answer


async def abort(cloud: Cloud, request: Request) -> Answer:
    """AbortMultipartUpload: the parts are gone."""
    upload = find_upload(cloud, request)
    with cloud.store.transaction():
        cloud.store.delete_upload(upload.id)
    return Answer(204)


async def complete(cloud: Cloud, request: Request) -> Answer:
    """CompleteMultipartUpload."""
    upload = find_upload(cloud, request)
    encoded = wants_url_encoding(request)
    callback = callbacks.wanted(request)
    refuse_overwrite(cloud, request, upload.bucket, upload.key)
    largest = cloud.limits.max_document_bytes
    body = await request.body.read(largest, lambda: xml.malformed(f"more than {largest} bytes"))
    upload = find_upload(cloud, request)
    refuse_overwrite(cloud, request, upload.bucket, upload.key)
    parts = _chosen_parts(cloud, request, upload, body)
    stored = _assemble(cloud, request, upload, parts)
    nodes: list[xml.Node] = [
        ("Location", f"http://{request.host}/{xml.url_text(upload.key)}"),
        ("Bucket", upload.bucket),
        ("Key", shown(upload.key, encoded)),
        ("ETag", f'"{stored.etag}"'),
    ]
    if encoded:
        nodes.insert(0, ("EncodingType", "url"))
    answer = xml_answer("CompleteMultipartUploadResult", nodes)
    answer.set("ETag", f'"{stored.etag}"')
    answer.set("x-oss-hash-crc64ecma", str(stored.crc))
    add_encryption(answer, stored)
    if callback is not None:
        return await callbacks.perform(cloud, request, callback, stored, answer)
    return answer


def _chosen_parts(cloud: Cloud, request: Request, upload: Upload, body: bytes) -> list[Part]:
    uploaded = cloud.store.parts(upload.id)
    everything = request.header.get("x-oss-complete-all")
    if everything is not None:
        if everything.lower() != "yes":
            raise invalid("x-oss-complete-all", everything, "must be yes")
        if body.strip():
            raise invalid("x-oss-complete-all", everything, "does not go with a body")
        return uploaded
    by_number = {part.number: part for part in uploaded}
    chosen: list[Part] = []
    for element in xml.parse(body, "CompleteMultipartUpload").findall("Part"):
        number, etag = _named_part(element)
        if chosen and number <= chosen[-1].number:
            message = "The list of parts was not in ascending order."
            raise OssError(400, "InvalidPartOrder", message)
        part = by_number.get(number)
        if part is None or part.etag != etag.upper():
            message = (
                "One or more of the specified parts could not be found or the specified entity tag "
                "might not have matched the part's entity tag."
            )
            extra = {"PartNumber": str(number), "UploadId": upload.id}
            raise OssError(400, "InvalidPart", message, extra=extra)
        chosen.append(part)
    return chosen


def _named_part(element: ElementTree.Element) -> tuple[int, str]:
    number, etag = xml.text_of(element, "PartNumber"), xml.text_of(element, "ETag")
    if number is None or not number.strip().isdecimal() or etag is None:
        raise xml.malformed("a Part needs PartNumber and ETag")
    return int(number), etag.strip().strip('"')


def _assemble(cloud: Cloud, request: Request, upload: Upload, parts: list[Part]) -> StoredObject:
    for part in parts[:-1]:
        if part.size < cloud.limits.min_part_size:
            message = "Your proposed upload smaller than the minimum allowed size."
            extra = {
                "PartNumber": str(part.number),
                "MinSizeAllowed": str(cloud.limits.min_part_size),
            }
            raise OssError(400, "EntityTooSmall", message, extra=extra)
    crc, size, joined = 0, 0, hashlib.md5(usedforsecurity=False)
    for part in parts:
        crc, size = crc64.combine(crc, part.crc, part.size), size + part.size
        joined.update(bytes.fromhex(part.etag))
    acl = request.header.get("x-oss-object-acl")
    if acl is not None:
        upload.attributes.acl = read_attributes({"x-oss-object-acl": acl}, cloud.limits).acl
    stored = StoredObject(
        *(upload.bucket, upload.key, "Multipart", size, crc),
        *(f"{joined.hexdigest().upper()}-{len(parts)}", cloud.clock.now(), upload.attributes),
        tuple(segment for part in parts for segment in part.segments),
    )
    with cloud.store.transaction():
        cloud.store.put_object(stored, cloud.store.object(upload.bucket, upload.key))
        cloud.store.delete_upload(upload.id)
    return stored
