"""The gate of the OSS half of the local cloud: who sent this request, and does the signature hold?

What flows in: one request as it stood on the wire, the registry of identities and the time. What
flows out: the caller, or the refusal that OSS documents, in the order in which OSS checks. It never
decides what the caller may do and never logs a key, token or signature.
"""

from __future__ import annotations

import logging

from . import signatures_v1, signatures_v4
from .canonical import SignedRequest, same
from .claims import Claim, check_scope, invalid_argument, resolve_caller, signature_mismatch
from .identities import ANONYMOUS, Caller, Identities
from .post_form import check_post_policy, verify_post_form

__all__ = ["SignedRequest", "check_post_policy", "verify", "verify_post_form"]

_log = logging.getLogger("ossmedia.emulator")

_URL_V4 = frozenset({"x-oss-signature-version", "x-oss-credential", "x-oss-signature"})


def verify(
    request: SignedRequest,
    identities: Identities,
    *,
    now: float,
    region: str,
    product: str = "oss",
    strict_v1_query: bool = False,
) -> Caller:
    """Verify the signature of one request.

    Args:
        request: as it stood on the wire, with bucket and key resolved.
        identities: keys and sessions.
        now: unix seconds of the server's clock.
        region: the region a V4 scope must name, without ``oss-``.
        product: the product a V4 scope must name.
        strict_v1_query: V1: ``x-oss-*`` query names on no SDK's list must be signed, too.

    Returns:
        The caller; kind ``anonymous`` when the request is not signed at all.

    Raises:
        OssError: 400 InvalidArgument for a malformed signature, 403 for a time out of range,
            unknown credentials or a signature that does not match (with the server's StringToSign,
            and CanonicalRequest for V4).

    Source: OSS, signature versions 1 and 4; error pages of the group 0002.
    """
    claim = _read_claim(
        request, now=now, region=region, product=product, strict_v1_query=strict_v1_query
    )
    if claim is None:
        return ANONYMOUS
    caller = resolve_caller(identities, claim.access_key_id, claim.token, now=now)
    if claim.scope is not None and claim.claimed is not None:
        where = "x-oss-credential" if claim.in_url else "Authorization header"
        check_scope(claim.claimed, claim.scope, where=where)
    _check_signature(claim, caller)
    return caller


def _read_claim(
    request: SignedRequest, *, now: float, region: str, product: str, strict_v1_query: bool
) -> Claim | None:
    authorization = request.header("authorization")
    names = {name for name, _ in request.query()}
    if authorization is not None and names & (_URL_V4 | signatures_v1.URL_PARAMETERS):
        raise invalid_argument(
            "The request is signed in the Authorization header and in the URL; choose one.",
            name="Authorization",
        )
    if authorization is None:
        if names & _URL_V4:
            return signatures_v4.url_claim(request, now=now, region=region, product=product)
        if names & signatures_v1.URL_PARAMETERS:
            return signatures_v1.url_claim(request, now=now, strict_query=strict_v1_query)
        return None
    if authorization.startswith(signatures_v4.ALGORITHM + " "):
        return signatures_v4.header_claim(
            request, authorization, now=now, region=region, product=product
        )
    if authorization.startswith("OSS "):
        return signatures_v1.header_claim(
            request, authorization, now=now, strict_query=strict_v1_query
        )
    raise invalid_argument(
        f"The Authorization header must begin with 'OSS ' or '{signatures_v4.ALGORITHM} '.",
        "0002-00000061",
        name="Authorization",
    )


def _check_signature(claim: Claim, caller: Caller) -> None:
    matched = -1
    for number, text in enumerate(claim.texts):
        if claim.scope is None:
            expected = signatures_v1.sign(caller.secret, text)
        else:
            expected = signatures_v4.sign(caller.secret, claim.scope, text)
        if same(expected, claim.signature) and matched < 0:
            matched = number
    # The day of the credential stands outside the signed text, so it is compared by itself.
    if matched < 0 or claim.claimed != claim.scope:
        raise signature_mismatch(
            claim.access_key_id,
            claim.signature,
            claim.texts[0],
            claim.mismatch_ec,
            claim.canonical_request,
        )
    if matched > 0:
        _log.warning(
            "accepted the signature of another canonical form than the documented one (number %d)",
            matched,
        )
