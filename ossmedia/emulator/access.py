"""May this request happen?

What flows in: a request and the cloud. What flows out: nothing, or the documented refusal. Policies
are asked first, an explicit deny ends it; where no policy spoke, the ACL of object and bucket
decides. It never looks at content.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from . import signatures
from .cloud import Cloud
from .errors import OssError
from .policies import Evaluation, action_for, request_context, resource_name
from .request import Request, invalid

_READS = frozenset({"oss:GetObject", "oss:ListObjects"})
_WRITES = frozenset(
    {"oss:PutObject", "oss:DeleteObject", "oss:AbortMultipartUpload", "oss:ListParts"}
)
_LISTS = ("ListObjects", "ListObjectsV2", "ListMultipartUploads")
_EVALUATION = Evaluation()


def authenticate(cloud: Cloud, request: Request) -> None:
    """Verify the signature; afterwards ``request.caller`` says who sent it.

    Raises:
        OssError: as :func:`signatures.verify`.
    """
    request.caller = signatures.verify(
        request.signed(), cloud.identities, now=cloud.clock.now(), region=cloud.region
    )


def authorize(cloud: Cloud, request: Request) -> None:
    """Check every action a request needs, except those on keys that only its body names.

    Raises:
        OssError: 403 AccessDenied; 404 NoSuchBucket when an ACL had to be asked.
    """
    service = request.bucket is None
    needed = action_for(request.method, request.key, request.query, request.header, service=service)
    pairs: list[tuple[str, str, str | None]] = []
    for action, kind in needed:
        if kind == "source":
            pairs.append((action, *copy_source(request)))
        elif kind == "object":
            pairs.append((action, request.target_bucket(), request.key))
        elif kind == "bucket":
            pairs.append((action, request.target_bucket(), None))
        elif kind == "service":
            pairs.append((action, "*", None))
    demand(cloud, request, pairs)


def demand(cloud: Cloud, request: Request, pairs: Iterable[tuple[str, str, str | None]]) -> None:
    """Check actions, each given with its bucket and key.

    Raises:
        OssError: 403 AccessDenied.
    """
    context = request_context(
        now=cloud.clock.now(),
        source_ip=request.client_ip,
        secure=request.secure,
        user_agent=request.header.get("user-agent", ""),
        query=request.query if request.operation in _LISTS else None,
    )
    for action, bucket, key in pairs:
        resource = resource_name(cloud.region, cloud.identities.account_id, bucket, key)
        if bucket == cloud.store.hidden_bucket and not request.caller.of_service:
            raise _denied("The bucket you access does not belong to you.")
        if request.caller.kind == "root":
            continue
        verdict = _EVALUATION.authorize(request.caller, [(action, resource)], context=context)
        if verdict == "explicit_deny":
            raise _denied("Access denied by authorizer's policy.")
        if verdict == "implicit_deny":
            _ask_acl(cloud, request, action, bucket, key)


def _ask_acl(cloud: Cloud, request: Request, action: str, name: str, key: str | None) -> None:
    anonymous = request.caller.kind == "anonymous"
    if action not in _READS and action not in _WRITES:
        if anonymous:
            raise _denied("Anonymous access is forbidden for this operation.")
        raise _denied("Access denied by authorizer's policy.")
    bucket = cloud.store.bucket(name)
    stored = cloud.store.object(name, key) if bucket is not None and key is not None else None
    acl, owner = ("private", "bucket") if bucket is None else (bucket.acl, "bucket")
    if stored is not None and stored.attributes.acl != "default":
        acl, owner = stored.attributes.acl, "object"
    if acl == "public-read-write" or (acl == "public-read" and action in _READS):
        if action == "oss:ListObjects":
            cloud.guess("a readable bucket ACL lets others list the bucket")
        if anonymous:
            _refuse_overrides(request)
        return
    raise _denied(f"You have no right to access this object because of {owner} acl.")


def _refuse_overrides(request: Request) -> None:
    if any(name.startswith("response-") for name in request.query):
        raise OssError(
            400, "InvalidRequest", "Response headers cannot be set by an anonymous request."
        )


def _denied(message: str) -> OssError:
    return OssError(403, "AccessDenied", message, ec="0003-00000703")


def copy_source(request: Request) -> tuple[str, str]:
    """Bucket and key named by ``x-oss-copy-source``.

    Raises:
        OssError: 400 InvalidArgument when it is not ``/bucket/key``.
    """
    text = request.header.get("x-oss-copy-source", "")
    try:
        raw = unquote_to_bytes(text.partition("?versionId=")[0].encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise invalid("x-oss-copy-source", text, "must be UTF-8") from None
    bucket, slash, key = raw.removeprefix("/").partition("/")
    if not bucket or not slash or not key:
        raise invalid("x-oss-copy-source", text, "must be /bucket/key")
    return bucket, key
