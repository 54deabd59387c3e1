"""What an object has besides content: ACL, tags, a symlink's target, the state of an archive.

What flows in: a request on a sub-resource of an object. What flows out: the documented answer. The
content is never touched.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from . import xml
from .answer import Answer, xml_answer
from .attributes import check_key, checked_tags, read_acl, read_attributes
from .clock import http_time
from .cloud import Cloud
from .errors import OssError
from .listing import owner
from .objects import md5_of, refuse_overwrite
from .records import StoredObject
from .request import Request, invalid


def _save(cloud: Cloud, stored: StoredObject) -> None:
    with cloud.store.transaction():
        cloud.store.put_object(stored, stored, keep_content=True)


async def get_object_acl(cloud: Cloud, request: Request) -> Answer:
    """GetObjectAcl."""
    stored = cloud.object(request)
    nodes = [owner(cloud), ("AccessControlList", [("Grant", stored.attributes.acl)])]
    return xml_answer("AccessControlPolicy", nodes)


async def put_object_acl(cloud: Cloud, request: Request) -> Answer:
    """PutObjectAcl."""
    stored = cloud.object(request)
    stored.attributes.acl = read_acl(request.header.get("x-oss-object-acl", ""), "x-oss-object-acl")
    _save(cloud, stored)
    return Answer(200)


async def get_object_tagging(cloud: Cloud, request: Request) -> Answer:
    """GetObjectTagging."""
    tags = cloud.object(request).attributes.tags
    shown: list[xml.Node] = [
        ("Tag", [("Key", key), ("Value", value)]) for key, value in tags.items()
    ]
    return xml_answer("Tagging", [("TagSet", shown)])


async def put_object_tagging(cloud: Cloud, request: Request) -> Answer:
    """PutObjectTagging."""
    cloud.object(request)
    largest = cloud.limits.max_document_bytes
    body = await request.body.read(largest, lambda: xml.malformed(f"more than {largest} bytes"))
    tags = xml.parse(body, "Tagging").find("TagSet")
    if tags is None:
        raise xml.malformed("a Tagging needs a TagSet")
    pairs = [
        (xml.text_of(tag, "Key") or "", xml.text_of(tag, "Value") or "")
        for tag in tags.findall("Tag")
    ]
    stored = cloud.object(request)
    stored.attributes.tags = checked_tags(pairs)
    _save(cloud, stored)
    return Answer(200)


async def delete_object_tagging(cloud: Cloud, request: Request) -> Answer:
    """DeleteObjectTagging."""
    stored = cloud.object(request)
    stored.attributes.tags = {}
    _save(cloud, stored)
    return Answer(204)


async def put_symlink(cloud: Cloud, request: Request) -> Answer:
    """PutSymlink. The target need not exist."""
    bucket, key = cloud.bucket(request).name, request.target_key()
    check_key(key, cloud.limits)
    text = request.header.get("x-oss-symlink-target", "")
    try:
        target = unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise invalid("x-oss-symlink-target", text, "must be UTF-8") from None
    check_key(target, cloud.limits)
    refuse_overwrite(cloud, request, bucket, key)
    attributes = read_attributes(request.header, cloud.limits)
    etag = md5_of(target.encode()).hex().upper()
    stored = StoredObject(
        *(bucket, key, "Symlink", 0, 0, etag, cloud.clock.now(), attributes),
        symlink_target=target,
    )
    with cloud.store.transaction():
        cloud.store.put_object(stored, cloud.store.object(bucket, key))
    return Answer(200, [("ETag", f'"{etag}"')])


async def get_symlink(cloud: Cloud, request: Request) -> Answer:
    """GetSymlink."""
    stored = cloud.object(request)
    if stored.kind != "Symlink":
        cloud.guess("GetSymlink of another object is 400 NotSymlink")
        message = "The object is not a symlink."
        raise OssError(400, "NotSymlink", message, extra={"Key": stored.key})
    return Answer(
        200,
        [
            ("x-oss-symlink-target", quote(stored.symlink_target, safe="/~")),
            ("ETag", f'"{stored.etag}"'),
            ("Last-Modified", http_time(stored.modified_s)),
        ],
    )


async def restore_object(cloud: Cloud, request: Request) -> Answer:
    """RestoreObject: 202 the first time for an archived object, then 200; readable at once."""
    largest = cloud.limits.max_document_bytes
    await request.body.read(largest, lambda: xml.malformed(f"more than {largest} bytes"))
    stored = cloud.object(request)
    if stored.attributes.restored:
        return Answer(200)
    if stored.attributes.storage_class not in ("Archive", "ColdArchive", "DeepColdArchive"):
        message = "The operation is not supported for this resource."
        raise OssError(400, "OperationNotSupported", message, ec="0016-00000702")
    stored.attributes.restored = True
    _save(cloud, stored)
    return Answer(202)
