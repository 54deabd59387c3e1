"""The form upload (PostObject): its signature and its policy document.

What flows in: the fields of a multipart form, names in lower case, before the file. What flows out:
the caller and the parsed policy, or the refusal that OSS documents. It never reads the file and
never looks at headers or the URL, which this operation does not sign.

Source: OSS, "PostObject", appendix on policy and signature; error pages of the group 0002-000007xx
and 0006-00000228.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from . import signatures_v1, signatures_v4
from .canonical import MAX_SKEW_SECONDS, day_of, encode_text, parse_basic_time, parse_iso_time, same
from .claims import (
    Scope,
    access_denied,
    check_scope,
    invalid_argument,
    resolve_caller,
    signature_mismatch,
)
from .errors import OssError
from .identities import ANONYMOUS, Caller, Identities
from .signatures_v4 import CredentialCodes

MISMATCH_EC = "0002-00000705"
FORM_CODES = CredentialCodes("0002-00000710", "0002-00000709", "0002-00000710")
MAX_AGE_SECONDS = 7 * 86400

_V1_FIELDS = ("ossaccesskeyid", "policy", "signature")
_V4_FIELDS = ("x-oss-signature-version", "x-oss-credential", "x-oss-signature")
# Fields of a V4 form that its policy has to name, so that they cannot be exchanged.
_V4_POLICY_FIELDS = (
    "x-oss-signature-version",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-security-token",
)
_MATCHES = ("eq", "starts-with", "in", "not-in")


def verify_post_form(
    fields: Mapping[str, str],
    *,
    bucket: str,
    identities: Identities,
    now: float,
    region: str,
    product: str = "oss",
) -> tuple[Caller, dict[str, Any] | None]:
    """Verify the signature of a form.

    Args:
        fields: the form's fields before the file; names in lower case, values as sent.
        bucket: the bucket the form was posted to.
        identities: keys and sessions.
        now: unix seconds.
        region: the region a V4 scope must name.
        product: the product a V4 scope must name.

    Returns:
        The caller and the parsed policy; anonymous and None for a form without policy and
        signature. The policy's conditions are still to be checked with :func:`check_post_policy`,
        when the file's size is known.

    Raises:
        OssError: 400 InvalidArgument or InvalidPolicyDocument, 403 for credentials, signature or a
            V4 field that the policy does not name.
    """
    if any(name in fields for name in _V4_FIELDS):
        caller = _verify_v4(fields, identities, now, region, product)
        policy = parse_post_policy(fields["policy"])
        _check_v4_fields_named(policy, fields, bucket)
        return caller, policy
    if any(name in fields for name in _V1_FIELDS):
        caller = _verify_v1(fields, identities, now)
        return caller, parse_post_policy(fields["policy"])
    return ANONYMOUS, None


def _signed_fields(fields: Mapping[str, str], signature_name: str) -> tuple[str, str]:
    if "policy" not in fields:
        raise invalid_argument("The form holds no policy.", "0002-00000702", name="policy")
    if signature_name not in fields:
        raise invalid_argument("The form holds no signature.", "0002-00000703", name=signature_name)
    if not fields[signature_name]:
        raise invalid_argument(
            "The signature of the form is empty.", "0002-00000704", name=signature_name
        )
    return fields["policy"], fields[signature_name]


def _verify_v1(fields: Mapping[str, str], identities: Identities, now: float) -> Caller:
    policy, signature = _signed_fields(fields, "signature")
    access_key_id = fields.get("ossaccesskeyid", "")
    if not access_key_id:
        raise invalid_argument("The form holds no OSSAccessKeyId.", name="OSSAccessKeyId")
    caller = resolve_caller(identities, access_key_id, fields.get("x-oss-security-token"), now=now)
    text = encode_text(policy)
    if not same(signatures_v1.sign(caller.secret, text), signature):
        raise signature_mismatch(access_key_id, signature, text, MISMATCH_EC)
    return caller


def _verify_v4(
    fields: Mapping[str, str], identities: Identities, now: float, region: str, product: str
) -> Caller:
    if fields.get("x-oss-signature-version") != signatures_v4.ALGORITHM:
        raise invalid_argument(
            f"x-oss-signature-version must be {signatures_v4.ALGORITHM}.",
            "0002-00000066",
            name="x-oss-signature-version",
        )
    policy, signature = _signed_fields(fields, "x-oss-signature")
    access_key_id, claimed = signatures_v4.parse_credential(
        fields.get("x-oss-credential"), FORM_CODES, where="x-oss-credential"
    )
    instant = parse_basic_time(fields.get("x-oss-date", ""))
    if instant is None or not now - MAX_AGE_SECONDS <= instant <= now + MAX_SKEW_SECONDS:
        raise invalid_argument(
            "x-oss-date must be of the form 20231216T162057Z, at most 7 days old and at most "
            "15 minutes ahead.",
            FORM_CODES.day,
            name="x-oss-date",
        )
    if claimed.day != day_of(instant):
        raise invalid_argument(
            "The day of x-oss-credential must be the day of x-oss-date.",
            FORM_CODES.day,
            name="x-oss-credential",
        )
    caller = resolve_caller(identities, access_key_id, fields.get("x-oss-security-token"), now=now)
    scope = Scope(claimed.day, region, product)
    check_scope(claimed, scope, where="x-oss-credential")
    text = encode_text(policy)
    if not same(signatures_v4.sign(caller.secret, scope, text), signature):
        raise signature_mismatch(access_key_id, signature, text, MISMATCH_EC)
    return caller


def _check_v4_fields_named(
    policy: Mapping[str, Any], fields: Mapping[str, str], bucket: str
) -> None:
    for name in _V4_POLICY_FIELDS:
        if name not in fields:
            continue
        conditions = [
            c for c in _conditions(policy) if c[0] in _MATCHES and _field_name(c[1]) == name
        ]
        if not conditions:
            raise access_denied(
                f"Invalid according to Policy: Extra input fields: {name}", "0006-00000228"
            )
        for condition in conditions:
            _check_condition(condition, fields, bucket, 0)


def parse_post_policy(text: str) -> dict[str, Any]:
    """Decode the base64 JSON of a form's policy field, with the escape ``\\$`` that its texts may
    hold.

    Raises:
        OssError: 400 InvalidPolicyDocument.
    """
    try:
        document = json.loads(_plain_dollars(base64.b64decode(text, validate=True).decode("utf-8")))
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError):
        raise _bad_policy("The policy must be base64 of a JSON object.") from None
    if not isinstance(document, dict):
        raise _bad_policy("The policy must be base64 of a JSON object.")
    expiration = document.get("expiration")
    if not isinstance(expiration, str) or parse_iso_time(expiration) is None:
        raise _bad_policy(
            "The policy's expiration must be a time such as 2014-12-01T12:00:00.000Z."
        )
    if not isinstance(document.get("conditions"), list):
        raise _bad_policy("The policy's conditions must be a list.")
    policy: dict[str, Any] = document
    _conditions(policy)
    return policy


def _bad_policy(message: str) -> OssError:
    return OssError(400, "InvalidPolicyDocument", f"Invalid Policy: {message}")


def _plain_dollars(text: str) -> str:
    r"""JSON without the escape ``\$``, which JSON itself does not know; an escaped backslash stays
    in one piece."""
    return re.sub(
        r"\\(.)",
        lambda match: "$" if match.group(1) == "$" else match.group(0),
        text,
        flags=re.DOTALL,
    )


def _conditions(policy: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The conditions as (operation, field or minimum, value or maximum)."""
    conditions: list[tuple[str, Any, Any]] = []
    for entry in policy["conditions"]:
        if isinstance(entry, dict):
            conditions += [("eq", f"${name}", value) for name, value in entry.items()]
        elif isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str):
            conditions.append((entry[0], entry[1], entry[2]))
        else:
            raise _bad_policy("A condition must be an object or a list of three.")
    for operation, left, right in conditions:
        if not _is_well_formed(operation, left, right):
            raise _bad_policy(f"The condition {json.dumps(operation)} is not well formed.")
    return conditions


def _is_well_formed(operation: str, left: object, right: object) -> bool:
    if operation == "content-length-range":
        numbers = [isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (left, right)]
        return all(numbers)
    if not isinstance(left, str) or not left.startswith("$"):
        return False
    if operation in ("in", "not-in"):
        return isinstance(right, list) and all(isinstance(item, str) for item in right)
    return operation in ("eq", "starts-with") and isinstance(right, str)


def _field_name(left: str) -> str:
    return left.removeprefix("$").lower()


def check_post_policy(
    policy: Mapping[str, Any], fields: Mapping[str, str], *, bucket: str, size: int, now: float
) -> None:
    """Check a form against its policy.

    Args:
        policy: from :func:`verify_post_form`.
        fields: names in lower case; ``key`` as sent, before ``${filename}`` is replaced.
        bucket: the bucket the form was posted to.
        size: bytes of the file.
        now: unix seconds.

    Raises:
        OssError: 403 AccessDenied when the policy expired or a condition is not met, 400
            EntityTooSmall or EntityTooLarge for a size outside ``content-length-range``.
    """
    expiration = parse_iso_time(policy["expiration"])
    if expiration is None or now > expiration:
        raise access_denied("Invalid according to Policy: Policy expired.")
    for condition in _conditions(policy):
        _check_condition(condition, fields, bucket, size)


def _check_condition(
    condition: tuple[str, Any, Any], fields: Mapping[str, str], bucket: str, size: int
) -> None:
    operation, left, right = condition
    if operation == "content-length-range":
        _check_size(size, left, right)
        return
    name = _field_name(left)
    value = bucket if name == "bucket" else fields.get(name)
    if operation == "eq":
        met = value == right
    elif operation == "starts-with":
        met = (value or "").startswith(right)
    elif operation == "in":
        met = value in right
    else:
        met = value not in right
    if not met:
        shown = json.dumps([operation, left, right])
        raise access_denied(f"Invalid according to Policy: Policy Condition failed: {shown}")


def _check_size(size: int, minimum: int, maximum: int) -> None:
    if size < minimum:
        raise OssError(
            400,
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size.",
            extra={"ProposedSize": str(size), "MinSizeAllowed": str(minimum)},
        )
    if size > maximum:
        raise OssError(
            400,
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size.",
            extra={"ProposedSize": str(size), "MaxSizeAllowed": str(maximum)},
        )
