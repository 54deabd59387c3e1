"""Which RAM actions a call needs, and on which resource.

What flows in: method, key, decoded query and headers of a call. What flows out: pairs of an action
and the kind of resource it is checked on. It never looks at a policy and never finds out whether a
bucket or key exists.

Source: OSS, "RAM policies", table of API operations and the actions they need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

ResourceKind = Literal["object", "bucket", "service", "source", "keys"]
"""Where an action is checked: the object or bucket of the call, the whole service, the object named
by ``x-oss-copy-source``, or every key that the body of DeleteMultipleObjects lists."""

_VERBS = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete", "POST": "Post"}
# Sub-resources of a bucket whose actions are <Verb>Bucket<Name>.
_BUCKET_PROPERTIES = {
    "acl": "Acl",
    "cors": "Cors",
    "encryption": "Encryption",
    "inventory": "Inventory",
    "lifecycle": "Lifecycle",
    "logging": "Logging",
    "policy": "Policy",
    "referer": "Referer",
    "replication": "Replication",
    "requestPayment": "RequestPayment",
    "tagging": "Tagging",
    "transferAcceleration": "TransferAcceleration",
    "versioning": "Versioning",
    "website": "Website",
    "worm": "Worm",
    "location": "Location",
    "bucketInfo": "Info",
    "stat": "Stat",
}
_VERSIONED = {
    "oss:GetObject": "oss:GetObjectVersion",
    "oss:DeleteObject": "oss:DeleteObjectVersion",
    "oss:GetObjectAcl": "oss:GetObjectVersionAcl",
    "oss:PutObjectAcl": "oss:PutObjectVersionAcl",
    "oss:GetObjectTagging": "oss:GetObjectVersionTagging",
    "oss:PutObjectTagging": "oss:PutObjectVersionTagging",
    "oss:DeleteObjectTagging": "oss:DeleteObjectVersionTagging",
    "oss:RestoreObject": "oss:RestoreObjectVersion",
}


def action_for(
    method: str,
    key: str | None,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    service: bool = False,
) -> list[tuple[str, ResourceKind]]:
    """The actions a call needs; all of them must be allowed.

    Args:
        method: upper case.
        key: the object's key; None for a bucket or service call.
        query: decoded parameters; a name without value maps to ``""``.
        headers: lower-case names.
        service: the call has no bucket (ListBuckets).

    Returns:
        Pairs of action and :data:`ResourceKind`. PostObject is asked for as POST with the key of
        its form.
    """
    if service:
        return [("oss:ListBuckets", "service")]
    if key is None:
        return [_bucket_action(method, query)]
    needed: list[tuple[str, ResourceKind]] = []
    if (
        method == "PUT"
        and "x-oss-copy-source" in headers
        and not query.keys() & {"acl", "tagging", "symlink"}
    ):
        versioned = "?versionId=" in headers["x-oss-copy-source"]
        needed.append(("oss:GetObjectVersion" if versioned else "oss:GetObject", "source"))
    action = _object_action(method, query)
    if "versionId" in query:
        action = _VERSIONED.get(action, action)
    needed.append((action, "object"))
    if action == "oss:PutObject" and "x-oss-tagging" in headers and "partNumber" not in query:
        needed.append(("oss:PutObjectTagging", "object"))
    return needed


def _bucket_action(method: str, query: Mapping[str, str]) -> tuple[str, ResourceKind]:
    if method == "POST" and "delete" in query:
        return "oss:DeleteObject", "keys"
    if method == "GET" and "uploads" in query:
        return "oss:ListMultipartUploads", "bucket"
    if method == "GET" and "versions" in query:
        return "oss:ListObjectVersions", "bucket"
    for name, title in _BUCKET_PROPERTIES.items():
        if name in query:
            return f"oss:{_VERBS.get(method, method.title())}Bucket{title}", "bucket"
    if method == "GET":
        return "oss:ListObjects", "bucket"
    if method == "HEAD":
        return "oss:GetBucketInfo", "bucket"
    return f"oss:{_VERBS.get(method, method.title())}Bucket", "bucket"


def _object_action(method: str, query: Mapping[str, str]) -> str:
    verb = _VERBS.get(method, method.title())
    if method in ("GET", "HEAD", "PUT", "DELETE"):
        if "acl" in query:
            return f"oss:{verb}ObjectAcl"
        if "tagging" in query:
            return f"oss:{verb}ObjectTagging"
        if "uploadId" in query and method == "GET":
            return "oss:ListParts"
        if "uploadId" in query and method == "DELETE":
            return "oss:AbortMultipartUpload"
        return f"oss:{verb}Object"
    if method == "POST":
        return _post_action(query)
    return f"oss:{verb}Object"


def _post_action(query: Mapping[str, str]) -> str:
    if "restore" in query:
        return "oss:RestoreObject"
    process = query.get("x-oss-process", "")
    if process.startswith(("csv/", "json/")):
        return "oss:GetObject"
    if process:
        return "oss:PostProcessTask"
    return "oss:PutObject"
