"""OSS signature version 1: HMAC-SHA1 over a text of headers and sub-resources.

What flows in: a request with ``Authorization: OSS ...`` or with OSSAccessKeyId, Expires and
Signature in its query. What flows out: the claim with the strings to sign that are accepted, or a
refusal. It never sees a secret except in :func:`sign`.

Source: OSS, "Include signatures in the Authorization header" and "Add signatures to URLs"; the
sub-resources are the union of the lists of the official SDKs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from .canonical import SignedRequest, encode_text, parse_http_date
from .claims import (
    Claim,
    access_denied,
    check_skew,
    invalid_argument,
    request_expired,
    security_token,
)

MISMATCH_EC = "0002-00000040"
URL_PARAMETERS = frozenset({"OSSAccessKeyId", "Expires", "Signature"})

# Signed by nearly all SDKs.
_SIGNED_BY_NEARLY_ALL = """
acl append bucketInfo callback callback-var continuation-token delete location objectMeta
partNumber position response-cache-control response-content-disposition
response-content-encoding response-content-language response-content-type response-expires
restore security-token sequential stat symlink tagging uploadId uploads versionId versioning
versions
"""
# Signed by oss2 and most older SDKs.
_SIGNED_BY_OLDER = """
asyncFetch cloudboxes cname comp cors encryption endTime img inventory inventoryId lifecycle
live logging metaQuery policy qos qosInfo referer regionList replication replicationLocation
replicationProgress requestPayment resourceGroup rtc startTime status style styleName
transferAcceleration udf udfApplication udfApplicationLog udfId udfImage udfImageDesc udfName
vod website withHashContext worm wormExtend wormId x-oss-ac-forward-allow x-oss-ac-source-ip
x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-async-process x-oss-enable-md5 x-oss-enable-sha1
x-oss-enable-sha256 x-oss-hash-ctx x-oss-md5-ctx x-oss-process x-oss-request-payer
x-oss-traffic-limit
"""
# Signed by one or two SDKs, mostly for newer features.
_SIGNED_BY_FEW = """
accessPoint accessPointPolicy bucketArchiveDirectRead group httpsConfig link objectInfo
policyStatus processConfiguration publicAccessBlock qosRequester redundancyTransition
requesterQosInfo resourcePool resourcePoolBuckets resourcePoolInfo responseHeader seal vip vpcip
x-oss-access-point-name x-oss-delete x-oss-dir x-oss-redundancy-transition-taskid x-oss-rename
x-oss-sign-origin-only x-oss-target-redundancy-type x-oss-write-get-object-response
userDefinedLogFieldsConfig overwriteConfig retention legalHold objectWorm cleanRestoredObject
dataPipeline
"""
SUB_RESOURCES = frozenset((_SIGNED_BY_NEARLY_ALL + _SIGNED_BY_OLDER + _SIGNED_BY_FEW).split())


def header_claim(
    request: SignedRequest, authorization: str, *, now: float, strict_query: bool = False
) -> Claim:
    """Read ``Authorization: OSS <id>:<signature>``.

    Raises:
        OssError: 400 InvalidArgument for a header without both parts, 403 for a date that is
            missing, unreadable or more than 15 minutes off.
    """
    access_key_id, colon, signature = authorization.removeprefix("OSS ").strip().partition(":")
    if not colon or not access_key_id or not signature:
        raise invalid_argument(
            "The Authorization header must be 'OSS <AccessKeyId>:<Signature>'.",
            "0002-00000065",
            name="Authorization",
        )
    date_text = request.header("x-oss-date")
    if date_text is None:
        date_text = request.header("date")
    instant = None if date_text is None else parse_http_date(date_text)
    check_skew(instant, now=now, date_text=date_text)
    token = security_token(request, "security-token")
    texts = strings_to_sign(request, date_text or "", strict_query=strict_query)
    return Claim(access_key_id, token, signature, texts, MISMATCH_EC)


def url_claim(request: SignedRequest, *, now: float, strict_query: bool = False) -> Claim:
    """Read OSSAccessKeyId, Expires (unix seconds) and Signature from the query.

    Raises:
        OssError: 403 AccessDenied when one is missing or the time is over, 400 InvalidArgument when
            Expires is no number.
    """
    access_key_id = request.parameter("OSSAccessKeyId")
    expires = request.parameter("Expires")
    signature = request.parameter("Signature")
    if not access_key_id or not expires or not signature:
        raise access_denied(
            "Query-string authentication requires the Signature, Expires and "
            "OSSAccessKeyId parameters."
        )
    if not re.fullmatch(r"[0-9]{1,18}", expires):
        raise invalid_argument(
            "Expires must be a unix time in seconds.",
            "0002-00000070",
            name="Expires",
            value=expires,
        )
    # The age is tested before the signature, so an old URL says that it is old whatever else is
    # wrong with it.
    if now > int(expires):
        raise request_expired(float(expires), now)
    token = security_token(request, "security-token")
    texts = strings_to_sign(request, expires, strict_query=strict_query)
    return Claim(access_key_id, token, signature, texts, MISMATCH_EC, in_url=True)


def strings_to_sign(
    request: SignedRequest, date_line: str, *, strict_query: bool = False
) -> tuple[bytes, ...]:
    """The accepted strings to sign, the documented one first.

    The others cover two habits of official SDKs: a path-style bucket call signed as ``/bucket``
    without the final slash, and ``x-oss-*`` query names outside the list left unsigned (the latter
    not when ``strict_query``).
    """
    resources = [canonical_resource(request)]
    bare_bucket = request.path_style and request.bucket is not None and request.key is None
    if bare_bucket:
        resources.append(canonical_resource(request, final_slash=False))
    if not strict_query and any(_is_unlisted(name) for name, _ in request.query()):
        resources.append(canonical_resource(request, unlisted=False))
        if bare_bucket:
            resources.append(canonical_resource(request, unlisted=False, final_slash=False))
    lines = [request.method]
    lines += [request.header(name) or "" for name in ("content-md5", "content-type")]
    head = "\n".join([*lines, date_line, ""]).encode("latin-1", "replace")
    return tuple(head + canonical_headers(request) + resource for resource in resources)


def canonical_headers(request: SignedRequest) -> bytes:
    """Every ``x-oss-*`` header as ``name:value`` and a line feed, sorted by name."""
    names = [name for name in request.header_names() if name.startswith("x-oss-")]
    return "".join(f"{name}:{request.header(name)}\n" for name in names).encode(
        "latin-1", "replace"
    )


def canonical_resource(
    request: SignedRequest, *, unlisted: bool = True, final_slash: bool = True
) -> bytes:
    """``/``, ``/bucket/`` or ``/bucket/key``, not percent-encoded, with the signed sub-resources.

    Args:
        request: the request.
        unlisted: sign ``x-oss-*`` query names that are on no SDK's list, too.
        final_slash: end a bucket's name with a slash.
    """
    resource = b"/"
    if request.bucket is not None:
        resource += encode_text(request.bucket)
        if request.key is not None:
            resource += b"/" + encode_text(request.key)
        elif final_slash:
            resource += b"/"
    entries = []
    for name, value in request.query():
        if name in SUB_RESOURCES or (unlisted and _is_unlisted(name)):
            text = encode_text(name)
            entries.append((text, text + b"=" + encode_text(value) if value else text))
    if not entries:
        return resource
    return resource + b"?" + b"&".join(entry for _, entry in sorted(entries))


def _is_unlisted(name: str) -> bool:
    return name.startswith("x-oss-") and name not in SUB_RESOURCES


def sign(secret: str, text: bytes) -> str:
    """Base64 of HMAC-SHA1 of the text."""
    return base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha1)).decode("ascii")
