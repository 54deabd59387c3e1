"""What a signed request claims, and the checks that both signature versions share.

What flows in: pieces of a request that a version's parser has read. What flows out: a claim ready
to be compared, or the documented refusal. It never compares a signature.
"""

from __future__ import annotations

from typing import NamedTuple

from .canonical import MAX_SKEW_SECONDS, SignedRequest, encode_text, iso_millis, show
from .errors import OssError
from .identities import Caller, CredentialsRefused, Identities, RefusalReason

_REFUSALS: dict[RefusalReason, tuple[str, str, str]] = {
    "unknown_key": (
        "InvalidAccessKeyId",
        "The OSS Access Key Id you provided does not exist in our records.",
        "0002-00000902",
    ),
    "disabled_key": (
        "InvalidAccessKeyId",
        "The OSS Access Key Id you provided is disabled.",
        "0002-00000902",
    ),
    "token_missing": (
        "InvalidAccessKeyId",
        "The OSS Access Key Id you provided is temporary and needs its security token.",
        "0002-00000902",
    ),
    "token_invalid": ("InvalidSecurityToken", "The security token you provided is invalid.", ""),
    "token_mismatch": (
        "AccessKeyIdAndSecurityTokenNotMatch",
        "The access key id and the security token you provided do not belong together.",
        "",
    ),
    "token_expired": ("SecurityTokenExpired", "The security token you provided has expired.", ""),
}


class Scope(NamedTuple):
    """The scope of a V4 signature: the day, region and product it is good for."""

    day: str
    region: str
    product: str

    def text(self) -> str:
        """``20231216/cn-hangzhou/oss/aliyun_v4_request``."""
        return f"{self.day}/{self.region}/{self.product}/aliyun_v4_request"


class Claim(NamedTuple):
    """A parsed signature, before anything secret is known.

    Fields:
        access_key_id: the key it names.
        token: the security token sent with it, or None.
        signature: as sent.
        texts: the strings to sign that are accepted, the documented one first.
        mismatch_ec: extended code of SignatureDoesNotMatch.
        claimed: V4: the scope written by the client; None for V1.
        scope: V4: the scope this server expects; None for V1.
        canonical_request: V4: what the documented text was made from.
        in_url: the signature stood in the query.
    """

    access_key_id: str
    token: str | None
    signature: str
    texts: tuple[bytes, ...]
    mismatch_ec: str
    claimed: Scope | None = None
    scope: Scope | None = None
    canonical_request: bytes = b""
    in_url: bool = False

    def __repr__(self) -> str:
        return f"Claim({self.access_key_id!r}, scope={self.scope!r}, in_url={self.in_url})"


def invalid_argument(message: str, ec: str = "", *, name: str = "", value: str = "") -> OssError:
    """400 InvalidArgument, naming the argument where there is one."""
    extra = {"ArgumentName": name, "ArgumentValue": _plain(value)} if name else None
    return OssError(400, "InvalidArgument", message, ec=ec, extra=extra)


def _plain(text: str) -> str:
    """Text for an error body; what was no UTF-8 on the wire becomes the replacement character."""
    return show(encode_text(text))


def access_denied(message: str, ec: str = "") -> OssError:
    """403 AccessDenied."""
    return OssError(403, "AccessDenied", message, ec=ec)


def check_skew(instant: float | None, *, now: float, date_text: str | None) -> float:
    """The instant of a header-signed request, no more than 15 minutes off the server's clock.

    Raises:
        OssError: 403 AccessDenied without a readable date, 403 RequestTimeTooSkewed when it is too
            far off.
    """
    if instant is None:
        problem = "a valid date" if date_text is None else f"a valid date, not {date_text!r}"
        raise access_denied(f"OSS authentication requires {problem} in Date or x-oss-date.")
    if abs(now - instant) > MAX_SKEW_SECONDS:
        raise too_skewed(instant, now)
    return instant


def too_skewed(instant: float, now: float) -> OssError:
    """403 RequestTimeTooSkewed with both clocks in the body."""
    return OssError(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        ec="0002-00000504",
        extra={
            "MaxAllowedSkewMilliseconds": str(MAX_SKEW_SECONDS * 1000),
            "RequestTime": iso_millis(instant),
            "ServerTime": iso_millis(now),
        },
    )


def request_expired(expired_at: float, now: float) -> OssError:
    """403 AccessDenied of a signed URL whose time is over."""
    return OssError(
        403,
        "AccessDenied",
        "Request has expired.",
        extra={"Expires": iso_millis(expired_at), "ServerTime": iso_millis(now)},
    )


def security_token(request: SignedRequest, query_name: str) -> str | None:
    """The token of the header ``x-oss-security-token`` or of the named query parameter.

    Raises:
        OssError: 400 InvalidArgument when both are there.
    """
    in_header = request.header("x-oss-security-token")
    in_query = request.parameter(query_name)
    if in_header is not None and in_query is not None:
        raise invalid_argument(
            "The security token is given in the header and in the query; only one is allowed.",
            name=query_name,
        )
    return in_query if in_header is None else in_header


def resolve_caller(
    identities: Identities, access_key_id: str, token: str | None, *, now: float
) -> Caller:
    """The caller behind a key id and token.

    Raises:
        OssError: 403 with the code that OSS documents for what is wrong with them.
    """
    try:
        return identities.resolve(access_key_id, token, now=now)
    except CredentialsRefused as refused:
        code, message, ec = _REFUSALS[refused.reason]
        extra = {"OSSAccessKeyId": _plain(access_key_id)} if code == "InvalidAccessKeyId" else None
        raise OssError(403, code, message, ec=ec, extra=extra) from None


def check_scope(claimed: Scope, expected: Scope, *, where: str) -> None:
    """Refuse a scope of another region or product with 400 InvalidArgument; a wrong day is a wrong
    signature.
    """
    if claimed.region != expected.region:
        raise invalid_argument(f"Invalid signing region in {where}.", "0002-00000226")
    if claimed.product != expected.product:
        raise invalid_argument(f"Invalid signing product in {where}.", "0002-00000227")


def signature_mismatch(
    access_key_id: str, provided: str, text: bytes, ec: str, canonical_request: bytes = b""
) -> OssError:
    """403 SignatureDoesNotMatch with what the server signed, the most useful aid there is for a
    client's author.
    """
    extra = {
        "OSSAccessKeyId": _plain(access_key_id),
        "SignatureProvided": _plain(provided),
        "StringToSign": show(text),
        "StringToSignBytes": "".join(f"{byte:02X} " for byte in text),
    }
    if canonical_request:
        extra["CanonicalRequest"] = show(canonical_request)
    return OssError(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        ec=ec,
        extra=extra,
    )
