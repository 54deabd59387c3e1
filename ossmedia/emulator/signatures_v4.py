"""OSS signature version 4: HMAC-SHA256 over a canonical request, bound to a day, a region and a
product.

What flows in: a request with ``Authorization: OSS4-HMAC-SHA256 ...`` or with the
``x-oss-signature`` family in its query. What flows out: the claim with the strings to sign that are
accepted, or a refusal. It never sees a secret except in :func:`sign`.

Source: OSS, "Signature version 4", header and URL form, and the error pages 0002-00000202 to
0002-00000232.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple

from .canonical import (
    MAX_SKEW_SECONDS,
    SignedRequest,
    day_of,
    encode_text,
    parse_basic_time,
    parse_http_date,
    parse_query,
    percent_encode,
)
from .claims import (
    Claim,
    Scope,
    access_denied,
    check_skew,
    invalid_argument,
    request_expired,
    security_token,
    too_skewed,
)

ALGORITHM = "OSS4-HMAC-SHA256"
TERMINATOR = "aliyun_v4_request"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MISMATCH_EC = "0002-00000201"
MAX_EXPIRES_SECONDS = 604800


class CredentialCodes(NamedTuple):
    """The extended codes for a bad credential, which differ between header, URL and form."""

    missing: str
    day: str
    form: str


HEADER_CODES = CredentialCodes("0002-00000205", "0002-00000212", "0002-00000213")
URL_CODES = CredentialCodes("0002-00000217", "0002-00000223", "0002-00000224")


def header_claim(
    request: SignedRequest, authorization: str, *, now: float, region: str, product: str
) -> Claim:
    """Read ``Authorization: OSS4-HMAC-SHA256 Credential=...,AdditionalHeaders=...,Signature=...``,
    parts in any order.

    Raises:
        OssError: 400 InvalidArgument for a malformed header or a signed payload, 403 for a date
            that is missing, unreadable or more than 15 minutes off.
    """
    parts = _authorization_parts(authorization)
    if not parts.get("Signature"):
        raise invalid_argument(
            "The Authorization header holds no Signature.", "0002-00000065", name="Authorization"
        )
    access_key_id, claimed = parse_credential(
        parts.get("Credential"), HEADER_CODES, where="Authorization"
    )
    _check_payload(request, required=True)
    date_text = request.header("x-oss-date")
    if date_text is None:
        date_text = request.header("date")
    instant = None
    if date_text is not None:
        # The form of Date is accepted because clients are known that send nothing else; the text is
        # signed unchanged.
        instant = parse_basic_time(date_text)
        instant = parse_http_date(date_text) if instant is None else instant
    scope = Scope(day_of(check_skew(instant, now=now, date_text=date_text)), region, product)
    token = security_token(request, "x-oss-security-token")
    canonical = canonical_requests(
        request, additional_headers(request, parts.get("AdditionalHeaders", ""))
    )
    texts = tuple(string_to_sign(date_text or "", scope, text) for text in canonical)
    return Claim(
        access_key_id, token, parts["Signature"], texts, MISMATCH_EC, claimed, scope, canonical[0]
    )


def url_claim(request: SignedRequest, *, now: float, region: str, product: str) -> Claim:
    """Read the ``x-oss-signature`` family from the query.

    It is good from 15 minutes before x-oss-date to x-oss-expires seconds after it.

    Raises:
        OssError: 400 InvalidArgument for a missing or malformed parameter, 403 AccessDenied for an
            unreadable date or when the time is over, 403 RequestTimeTooSkewed when it has not come
            yet.
    """
    if request.parameter("x-oss-signature-version") != ALGORITHM:
        raise invalid_argument(
            f"x-oss-signature-version must be {ALGORITHM}.",
            "0002-00000066",
            name="x-oss-signature-version",
        )
    expires = _expires(request.parameter("x-oss-expires"))
    access_key_id, claimed = parse_credential(
        request.parameter("x-oss-credential"), URL_CODES, where="x-oss-credential"
    )
    signature = request.parameter("x-oss-signature")
    if not signature:
        raise invalid_argument(
            "x-oss-signature is missing.", "0002-00000219", name="x-oss-signature"
        )
    _check_payload(request, required=False)
    date_text = request.parameter("x-oss-date") or ""
    scope = Scope(day_of(_check_age(date_text, expires, now)), region, product)
    token = security_token(request, "x-oss-security-token")
    named = request.parameter("x-oss-additional-headers") or ""
    canonical = canonical_requests(request, additional_headers(request, named))
    texts = tuple(string_to_sign(date_text, scope, text) for text in canonical)
    claim = Claim(access_key_id, token, signature, texts, MISMATCH_EC, claimed, scope, canonical[0])
    return claim._replace(in_url=True)


def _check_age(date_text: str, expires: int, now: float) -> float:
    """The instant of x-oss-date; refused before the signature is looked at, whatever it is."""
    instant = parse_basic_time(date_text)
    if instant is None:
        raise access_denied(f"x-oss-date must be of the form 20231216T162057Z, not {date_text!r}.")
    if now < instant - MAX_SKEW_SECONDS:
        raise too_skewed(instant, now)
    if now > instant + expires:
        raise request_expired(instant + expires, now)
    return instant


def _expires(text: str | None) -> int:
    if text is None:
        raise invalid_argument("x-oss-expires is missing.", "0002-00000215", name="x-oss-expires")
    if not text:
        raise invalid_argument("x-oss-expires is empty.", "0002-00000216", name="x-oss-expires")
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_EXPIRES_SECONDS:
        raise invalid_argument(
            f"x-oss-expires must be 1 to {MAX_EXPIRES_SECONDS} seconds.",
            "0002-00000232",
            name="x-oss-expires",
            value=text,
        )
    return int(text)


def _authorization_parts(authorization: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for piece in authorization.removeprefix(ALGORITHM).split(","):
        name, equals, value = piece.strip().partition("=")
        if (
            not equals
            or name not in ("Credential", "AdditionalHeaders", "Signature")
            or name in parts
        ):
            raise invalid_argument(
                "The Authorization header must hold Credential, Signature and, if any, "
                "AdditionalHeaders.",
                "0002-00000202",
                name="Authorization",
            )
        parts[name] = value
    return parts


def parse_credential(text: str | None, codes: CredentialCodes, *, where: str) -> tuple[str, Scope]:
    """Split ``<id>/<day>/<region>/<product>/aliyun_v4_request``.

    Raises:
        OssError: 400 InvalidArgument with the extended code of what is wrong.
    """
    if not text:
        raise invalid_argument("The credential is missing.", codes.missing, name=where)
    pieces = text.split("/")
    if len(pieces) != 5 or not all(pieces) or pieces[4] != TERMINATOR:
        raise invalid_argument(
            f"The credential must be <AccessKeyId>/<day>/<region>/<product>/{TERMINATOR}.",
            codes.form,
            name=where,
        )
    if not re.fullmatch(r"[0-9]{8}", pieces[1]):
        raise invalid_argument(
            "The day of the credential must be of the form 20231216.", codes.day, name=where
        )
    return pieces[0], Scope(pieces[1], pieces[2], pieces[3])


def _check_payload(request: SignedRequest, *, required: bool) -> None:
    payload = request.header("x-oss-content-sha256")
    if payload == UNSIGNED_PAYLOAD or (payload is None and not required):
        return
    raise invalid_argument(
        f"x-oss-content-sha256 must be {UNSIGNED_PAYLOAD}.",
        "0002-00000214",
        name="x-oss-content-sha256",
        value=payload or "",
    )


def additional_headers(request: SignedRequest, named: str) -> list[str]:
    """The additionally signed header names: lower case, sorted, without those that are absent or
    signed anyway.
    """
    present = set(request.header_names())
    names = {name.strip().lower() for name in named.split(";")}
    return sorted(name for name in names if name in present and not _always_signed(name))


def _always_signed(name: str) -> bool:
    return name in ("content-type", "content-md5") or name.startswith("x-oss-")


def canonical_requests(request: SignedRequest, additional: list[str]) -> list[bytes]:
    """The accepted canonical requests, the documented one first; a path-style bucket call may lack
    the final slash.
    """
    uris = [_canonical_uri(request)]
    if request.path_style and request.bucket is not None and request.key is None:
        uris.append(uris[0].removesuffix(b"/"))
    headers = "".join(
        f"{name}:{request.header(name)}\n"
        for name in request.header_names()
        if _always_signed(name) or name in additional
    ).encode("latin-1", "replace")
    rest = [
        canonical_query(request),
        headers,
        ";".join(additional).encode("latin-1"),
        UNSIGNED_PAYLOAD.encode(),
    ]
    method = request.method.encode("ascii", "replace")
    return [b"\n".join([method, uri, *rest]) for uri in uris]


def _canonical_uri(request: SignedRequest) -> bytes:
    path = "/"
    if request.bucket is not None:
        path += f"{request.bucket}/{request.key or ''}"
    return percent_encode(encode_text(path), keep_slash=True)


def canonical_query(request: SignedRequest) -> bytes:
    """All query parameters but ``x-oss-signature``, encoded anew and sorted; an empty value leaves
    the name alone.
    """
    pairs = sorted(
        (percent_encode(name), percent_encode(value or b""))
        for name, value in parse_query(request.raw_query)
        if name != b"x-oss-signature"
    )
    return b"&".join(name + b"=" + value if value else name for name, value in pairs)


def string_to_sign(date_text: str, scope: Scope, canonical: bytes) -> bytes:
    """Algorithm, date, scope and digest of the canonical request, one a line."""
    digest = hashlib.sha256(canonical).hexdigest()
    return f"{ALGORITHM}\n{date_text}\n{scope.text()}\n{digest}".encode("latin-1", "replace")


def signing_key(secret: str, scope: Scope) -> bytes:
    """The key that signs on one day in one region for one product."""
    key = b"aliyun_v4" + secret.encode()
    for piece in (scope.day, scope.region, scope.product, TERMINATOR):
        key = hmac.digest(key, encode_text(piece), hashlib.sha256)
    return key


def sign(secret: str, scope: Scope, text: bytes) -> str:
    """Lower-case hex of HMAC-SHA256 of the text under the day's key."""
    return hmac.digest(signing_key(secret, scope), text, hashlib.sha256).hex()
