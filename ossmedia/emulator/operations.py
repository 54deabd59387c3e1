"""The name of the operation that a request asks for.

What flows in: method, level (service, bucket, object), query names and two headers. What flows out:
the operation's documented name, as counters, faults and handlers use it. It checks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from .errors import OssError

Table = dict[str, tuple[tuple[str, str], ...]]

# For each method: (sub-resource, operation), the first whose sub-resource is in the query counts.
_OBJECT: Table = {
    "GET": (
        ("acl", "GetObjectAcl"),
        ("tagging", "GetObjectTagging"),
        ("symlink", "GetSymlink"),
        ("uploadId", "ListParts"),
        ("", "GetObject"),
    ),
    "HEAD": (("objectMeta", "GetObjectMeta"), ("", "HeadObject")),
    "PUT": (
        ("acl", "PutObjectAcl"),
        ("tagging", "PutObjectTagging"),
        ("symlink", "PutSymlink"),
        ("partNumber", "UploadPart"),
        ("uploadId", "UploadPart"),
        ("", "PutObject"),
    ),
    "POST": (
        ("append", "AppendObject"),
        ("seal", "SealAppendObject"),
        ("uploads", "InitiateMultipartUpload"),
        ("uploadId", "CompleteMultipartUpload"),
        ("restore", "RestoreObject"),
    ),
    "DELETE": (
        ("uploadId", "AbortMultipartUpload"),
        ("tagging", "DeleteObjectTagging"),
        ("", "DeleteObject"),
    ),
}
_BUCKET: Table = {
    "GET": (
        ("acl", "GetBucketAcl"),
        ("bucketInfo", "GetBucketInfo"),
        ("location", "GetBucketLocation"),
        ("stat", "GetBucketStat"),
        ("lifecycle", "GetBucketLifecycle"),
        ("cors", "GetBucketCors"),
        ("versioning", "GetBucketVersioning"),
        ("uploads", "ListMultipartUploads"),
        ("", "ListObjects"),
    ),
    "HEAD": (("", "HeadBucket"),),
    "PUT": (
        ("acl", "PutBucketAcl"),
        ("lifecycle", "PutBucketLifecycle"),
        ("cors", "PutBucketCors"),
        ("", "PutBucket"),
    ),
    "POST": (("delete", "DeleteMultipleObjects"), ("", "PostObject")),
    "DELETE": (
        ("lifecycle", "DeleteBucketLifecycle"),
        ("cors", "DeleteBucketCors"),
        ("", "DeleteBucket"),
    ),
}
_SERVICE: Table = {"GET": (("", "ListBuckets"),)}

# Sub-resources of the service that this cloud does not have; without this list a request for one
# would be taken for a plain one.
_ABSENT = frozenset(
    (
        "asyncFetch",
        "cname",
        "comp",
        "encryption",
        "img",
        "inventory",
        "legalHold",
        "live",
        "logging",
        "metaQuery",
        "objectWorm",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "qos",
        "qosInfo",
        "qosRequester",
        "referer",
        "replication",
        "requestPayment",
        "requesterQosInfo",
        "resourceGroup",
        "retention",
        "rtc",
        "style",
        "transferAcceleration",
        "udf",
        "versions",
        "vod",
        "website",
        "worm",
        "wormExtend",
        "x-oss-async-process",
        "x-oss-process",
        "x-oss-rename",
        "accessPoint",
        "accessPointPolicy",
        "bucketArchiveDirectRead",
        "cleanRestoredObject",
        "httpsConfig",
        "overwriteConfig",
        "userDefinedLogFieldsConfig",
        "resourcePool",
        "responseHeader",
    )
)
OPERATIONS = frozenset(
    [name for table in (_OBJECT, _BUCKET, _SERVICE) for rows in table.values() for _, name in rows]
    + ["CopyObject", "UploadPartCopy", "ListObjectsV2", "OptionObject", "Rpc"]
)


def name_of(
    method: str,
    bucket: str | None,
    key: str | None,
    query: Mapping[str, str],
    headers: Mapping[str, str],
) -> str:
    """The operation of a request.

    Raises:
        OssError: 405 MethodNotAllowed, or 400 NotImplemented for a sub-resource this cloud lacks.
    """
    if method == "OPTIONS" and bucket is not None:
        return "OptionObject"
    level = _OBJECT if key is not None else _BUCKET if bucket is not None else _SERVICE
    for subresource, name in level.get(method, ()):
        if subresource and subresource not in query:
            continue
        if not subresource and not _ABSENT.isdisjoint(query):
            break
        return _variant(name, query, headers)
    absent = sorted(_ABSENT.intersection(query))
    if absent:
        message = "A header or query you provided implies functionality that is not implemented."
        raise OssError(400, "NotImplemented", message, extra={"Header": absent[0]})
    kind = "OBJECT" if key is not None else "BUCKET" if bucket is not None else "SERVICE"
    raise OssError(
        405,
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        ec="0003-00000016",
        extra={"Method": method, "ResourceType": kind},
    )


def _variant(name: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    if name == "ListObjects" and query.get("list-type") == "2":
        return "ListObjectsV2"
    if "x-oss-copy-source" in headers:
        return {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}.get(name, name)
    return name
