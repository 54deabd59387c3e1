"""Buckets: make, remove, describe, list; ACL and lifecycle; and deleting many objects at once.

What flows in: a request on a bucket or on the service. What flows out: the documented XML. A
lifecycle document is kept and given back; nothing here ever expires an object by itself.
"""

from __future__ import annotations

from . import objects, xml
from .access import demand
from .answer import Answer, xml_answer
from .attributes import check_bucket_name, check_key, read_acl, read_storage_class
from .clock import iso_time
from .cloud import Cloud
from .errors import OssError
from .listing import count, owner
from .multipart import shown, wants_url_encoding
from .objects import check_md5, wanted_md5
from .records import BUCKET_ACLS, Bucket
from .request import Request


async def _document(cloud: Cloud, request: Request) -> bytes:
    largest = cloud.limits.max_document_bytes
    return await request.body.read(largest, lambda: xml.malformed(f"more than {largest} bytes"))


def create(
    cloud: Cloud,
    name: str,
    *,
    acl: str = "private",
    storage_class: str = "Standard",
    redundancy: str = "LRS",
) -> Bucket:
    """Make a bucket; the owner's own one with equal settings may be made again.

    Raises:
        OssError: 400 InvalidBucketName or TooManyBuckets, 409 BucketAlreadyExists.
    """
    check_bucket_name(name)
    old = cloud.store.bucket(name)
    created_s = cloud.clock.now() if old is None else old.created_s
    new = Bucket(name, created_s, acl, storage_class, redundancy)
    if old is not None:
        new.lifecycle, new.cors = old.lifecycle, old.cors
        if (old.storage_class, old.redundancy) != (new.storage_class, new.redundancy):
            message = "The requested bucket name is not available."
            extra = {"BucketName": name}
            raise OssError(409, "BucketAlreadyExists", message, ec="0015-00000104", extra=extra)
    elif len(cloud.store.buckets("", "", cloud.limits.max_buckets)) >= cloud.limits.max_buckets:
        message = "You have attempted to create more buckets than allowed."
        raise OssError(400, "TooManyBuckets", message)
    with cloud.store.transaction():
        cloud.store.put_bucket(new)
    return new


async def put_bucket(cloud: Cloud, request: Request) -> Answer:
    """PutBucket."""
    name = request.target_bucket()
    check_bucket_name(name)
    old = cloud.store.bucket(name)
    text = request.header.get("x-oss-acl")
    acl = read_acl(text, "x-oss-acl", BUCKET_ACLS) if text else old.acl if old else "private"
    fields = {"storage_class": "Standard", "redundancy": "LRS"}
    body = await _document(cloud, request)
    if body.strip():
        tree = xml.parse(body, "CreateBucketConfiguration")
        fields["storage_class"] = read_storage_class(
            xml.text_of(tree, "StorageClass") or "Standard"
        )
        fields["redundancy"] = xml.text_of(tree, "DataRedundancyType") or "LRS"
    create(cloud, name, acl=acl, **fields)
    return Answer(200, [("Location", f"/{name}")])


async def delete_bucket(cloud: Cloud, request: Request) -> Answer:
    """DeleteBucket."""
    name = cloud.bucket(request).name
    objects_left, _, uploads_left = cloud.store.bucket_sums(name)
    if objects_left or uploads_left:
        message = "The bucket you tried to delete is not empty."
        extra = {"BucketName": name}
        raise OssError(409, "BucketNotEmpty", message, ec="0015-00000301", extra=extra)
    with cloud.store.transaction():
        cloud.store.delete_bucket(name)
    return Answer(204)


async def head_bucket(cloud: Cloud, request: Request) -> Answer:
    """HEAD of a bucket: whether it exists."""
    cloud.bucket(request)
    return Answer(200)


def _own_endpoint(cloud: Cloud) -> str:
    return cloud.endpoint.partition("://")[2]


async def get_bucket_info(cloud: Cloud, request: Request) -> Answer:
    """GetBucketInfo. Both endpoints are this cloud's own: clients follow them."""
    bucket = cloud.bucket(request)
    nodes: list[xml.Node] = [
        ("Name", bucket.name),
        ("Location", f"oss-{cloud.region}"),
        ("CreationDate", iso_time(bucket.created_s)),
        ("ExtranetEndpoint", _own_endpoint(cloud)),
        ("IntranetEndpoint", _own_endpoint(cloud)),
        ("StorageClass", bucket.storage_class),
        ("DataRedundancyType", bucket.redundancy),
        owner(cloud),
        ("AccessControlList", [("Grant", bucket.acl)]),
    ]
    return xml_answer("BucketInfo", [("Bucket", nodes)])


async def get_bucket_location(cloud: Cloud, request: Request) -> Answer:
    """GetBucketLocation."""
    cloud.bucket(request)
    return xml_answer_text("LocationConstraint", f"oss-{cloud.region}")


def xml_answer_text(root: str, text: str) -> Answer:
    """200 with a document of one element."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{xml.escape(text)}</{root}>'
    return Answer(200, [("Content-Type", "application/xml")], body.encode())


async def get_bucket_stat(cloud: Cloud, request: Request) -> Answer:
    """GetBucketStat."""
    objects_held, size, uploads = cloud.store.bucket_sums(cloud.bucket(request).name)
    nodes: list[xml.Node] = [
        ("Storage", size),
        ("ObjectCount", objects_held),
        ("MultipartUploadCount", uploads),
    ]
    return xml_answer("BucketStat", nodes)


async def get_bucket_versioning(cloud: Cloud, request: Request) -> Answer:
    """GetBucketVersioning: versioning is never on here."""
    cloud.bucket(request)
    return xml_answer("VersioningConfiguration", [])


async def get_bucket_acl(cloud: Cloud, request: Request) -> Answer:
    """GetBucketAcl."""
    bucket = cloud.bucket(request)
    nodes = [owner(cloud), ("AccessControlList", [("Grant", bucket.acl)])]
    return xml_answer("AccessControlPolicy", nodes)


async def put_bucket_acl(cloud: Cloud, request: Request) -> Answer:
    """PutBucketAcl."""
    bucket = cloud.bucket(request)
    bucket.acl = read_acl(request.header.get("x-oss-acl", ""), "x-oss-acl", BUCKET_ACLS)
    with cloud.store.transaction():
        cloud.store.put_bucket(bucket)
    return Answer(200)


async def put_bucket_lifecycle(cloud: Cloud, request: Request) -> Answer:
    """PutBucketLifecycle: checked for its shape, kept as it is."""
    cloud.bucket(request)
    body = await _document(cloud, request)
    rules = xml.parse(body, "LifecycleConfiguration").findall("Rule")
    if not rules:
        raise xml.malformed("a lifecycle configuration needs a Rule")
    for rule in rules:
        if xml.text_of(rule, "Status") not in ("Enabled", "Disabled"):
            raise xml.malformed("the Status of a Rule must be Enabled or Disabled")
    bucket = cloud.bucket(request)
    bucket.lifecycle = body
    with cloud.store.transaction():
        cloud.store.put_bucket(bucket)
    return Answer(200)


async def get_bucket_lifecycle(cloud: Cloud, request: Request) -> Answer:
    """GetBucketLifecycle."""
    bucket = cloud.bucket(request)
    if bucket.lifecycle is None:
        message = "No Row found in Lifecycle Table."
        extra = {"BucketName": bucket.name}
        raise OssError(404, "NoSuchLifecycle", message, extra=extra)
    return Answer(200, [("Content-Type", "application/xml")], bucket.lifecycle)


async def delete_bucket_lifecycle(cloud: Cloud, request: Request) -> Answer:
    """DeleteBucketLifecycle: 204 also without one."""
    bucket = cloud.bucket(request)
    bucket.lifecycle = None
    with cloud.store.transaction():
        cloud.store.put_bucket(bucket)
    return Answer(204)


async def list_buckets(cloud: Cloud, request: Request) -> Answer:
    """ListBuckets."""
    limit = count(request, "max-keys", 100)
    prefix, marker = request.query.get("prefix", ""), request.query.get("marker", "")
    found = cloud.store.buckets(prefix, marker, limit + 1)
    truncated, found = len(found) > limit, found[:limit]
    nodes: list[xml.Node] = [("Prefix", prefix), ("Marker", marker), ("MaxKeys", limit)]
    nodes.append(("IsTruncated", "true" if truncated else "false"))
    if truncated:
        nodes.append(("NextMarker", found[-1].name))
    shown_buckets: list[xml.Node] = []
    for bucket in found:
        children: list[xml.Node] = [
            ("Name", bucket.name),
            ("CreationDate", iso_time(bucket.created_s)),
            ("Location", f"oss-{cloud.region}"),
            ("Region", cloud.region),
            ("StorageClass", bucket.storage_class),
            ("ExtranetEndpoint", _own_endpoint(cloud)),
            ("IntranetEndpoint", _own_endpoint(cloud)),
        ]
        shown_buckets.append(("Bucket", children))
    nodes += [owner(cloud), ("Buckets", shown_buckets)]
    return xml_answer("ListAllMyBucketsResult", nodes)


async def delete_multiple_objects(cloud: Cloud, request: Request) -> Answer:
    """DeleteMultipleObjects: all keys, or none when one may not be deleted."""
    bucket = cloud.bucket(request).name
    encoded = wants_url_encoding(request) or request.header.get("encoding-type") == "url"
    if request.header.get("content-md5") is None:
        message = "Missing argument: Content-MD5."
        extra = {"ArgumentName": "Content-MD5"}
        raise OssError(400, "MissingArgument", message, extra=extra)
    digest = _delete_digest(request)
    body = await _document(cloud, request)
    check_md5(digest, objects.md5_of(body))
    tree = xml.parse(body, "Delete")
    keys = [xml.text_of(element, "Key") or "" for element in tree.findall("Object")]
    if not 1 <= len(keys) <= cloud.limits.max_delete_keys:
        raise xml.malformed(f"1 to {cloud.limits.max_delete_keys} objects are allowed")
    for key in keys:
        check_key(key, cloud.limits)
    cloud.guess("DeleteMultipleObjects deletes nothing when one of its keys is not allowed")
    demand(cloud, request, [("oss:DeleteObject", bucket, key) for key in keys])
    cloud.existing_bucket(bucket)
    objects.delete(cloud, bucket, keys)
    if (xml.text_of(tree, "Quiet") or "false").strip().lower() == "true":
        return Answer(200)
    nodes: list[xml.Node] = [("EncodingType", "url")] if encoded else []
    nodes += [("Deleted", [("Key", shown(key, encoded))]) for key in keys]
    return xml_answer("DeleteResult", nodes)


def _delete_digest(request: Request) -> bytes | None:
    """The announced MD5. The OSS C SDK sends one of 20 bytes here, and the service takes it."""
    text = request.header.get("content-md5", "")
    return None if len(text) == 28 else wanted_md5(request)
