"""The RPC transport of STS and VOD: parameters, signatures (RPC 1.0 and ACS3), answers.

What flows in: a request to the service root. What flows out: the call with its parameters and, once
:func:`authenticate` agrees, its caller; and the JSON or XML of an answer. It never knows an
operation of its own, and it never logs a parameter.

Source: Alibaba Cloud, "RPC mechanism" (signature version 1.0) and "V3 version request body and
signature".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

from . import xml
from .canonical import MAX_SKEW_SECONDS, encode_text, parse_iso_time, percent_encode, same, show
from .errors import RpcError
from .identities import Caller, CredentialsRefused, Identities, RefusalReason

ACS3 = "ACS3-HMAC-SHA256"
MAX_PARAMETERS = 1000

_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_REFUSALS: dict[RefusalReason, tuple[int, str, str]] = {
    "unknown_key": (404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."),
    "disabled_key": (400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."),
    "token_missing": (400, "MissingSecurityToken", "SecurityToken is mandatory for this action."),
    "token_invalid": (
        400,
        "InvalidSecurityToken.Malformed",
        "Specified SecurityToken is malformed.",
    ),
    "token_mismatch": (
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
        "Specified SecurityToken mismatch with the AccessKey.",
    ),
    "token_expired": (400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."),
}


class Call(NamedTuple):
    """One RPC call, parsed and not yet authenticated.

    Fields:
        style: which signature it carries.
        action, version: which operation it asks for.
        parameters: everything else that was sent, the first of a repeated name.
        access_key_id, token, nonce, timestamp, signature: as claimed.
        string_to_sign: what the signature must be made of.
    """

    style: Literal["RPC1", "ACS3"]
    action: str
    version: str
    parameters: dict[str, str]
    access_key_id: str
    token: str | None
    nonce: str
    timestamp: str
    signature: str
    string_to_sign: bytes

    def __repr__(self) -> str:
        return f"Call({self.style} {self.action} {self.version} by {self.access_key_id!r})"


class Nonces:
    """The signature nonces of the last half hour, which covers every timestamp that is still
    accepted.

    Safe to use from several threads.
    """

    WINDOW_SECONDS = 2 * MAX_SKEW_SECONDS

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[tuple[str, str], float] = {}
        self._purged_at = 0.0

    def use(self, access_key_id: str, nonce: str, *, now: float) -> bool:
        """Remember a nonce; False when this key used it before."""
        with self._lock:
            if abs(now - self._purged_at) > MAX_SKEW_SECONDS:
                fresh = now - self.WINDOW_SECONDS
                self._seen = {entry: seen for entry, seen in self._seen.items() if seen >= fresh}
                self._purged_at = now
            if (access_key_id, nonce) in self._seen:
                return False
            self._seen[access_key_id, nonce] = now
            return True

    def __len__(self) -> int:
        with self._lock:
            return len(self._seen)


def parse_call(
    method: str, raw_query: str, headers: Iterable[tuple[str, str]], body: bytes
) -> Call:
    """Read a call in either style.

    Args:
        method: ``GET`` or ``POST``.
        raw_query: as on the wire, without the ``?``.
        headers: lower-case names and values.
        body: the form of a POST; another content type is left alone.

    Raises:
        RpcError: 400 for another method, text that is not UTF-8, or a missing parameter of the
            transport.
    """
    fields = {name: value.strip(" \t") for name, value in headers}
    if method not in ("GET", "POST"):
        raise RpcError(
            400, "UnsupportedHTTPMethod", f"The method must be GET or POST, not {method}."
        )
    query = _form_pairs(raw_query)
    form_sent = (
        fields.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
    )
    form = _form_pairs(show(body)) if form_sent else []
    # The old core SDKs send x-acs-action along with a signature of RPC 1.0, so it decides nothing.
    signed_in_parameters = any(name == "Signature" for name, _ in query + form)
    if _is_acs3(fields) or ("x-acs-action" in fields and not signed_in_parameters):
        return _acs3_call(method, query, form, fields, body)
    return _rpc1_call(method, query + form)


def _is_acs3(fields: Mapping[str, str]) -> bool:
    return fields.get("authorization", "").startswith("ACS3")


def _form_pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise RpcError(
            400,
            "InvalidParameter",
            f"The parameters must be form-encoded UTF-8, {MAX_PARAMETERS} at most.",
        ) from None


def _first_of_each(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in pairs:
        parameters.setdefault(name, value)
    return parameters


def _rpc1_call(method: str, pairs: list[tuple[str, str]]) -> Call:
    parameters = _first_of_each(pairs)
    for name, value in (("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")):
        if parameters.get(name, value) != value:
            raise RpcError(400, f"InvalidParameter.{name}", f"{name} must be {value}.")
    return Call(
        style="RPC1",
        action=_required(parameters, "Action"),
        version=_required(parameters, "Version"),
        parameters=parameters,
        access_key_id=parameters.get("AccessKeyId", ""),
        token=parameters.get("SecurityToken"),
        nonce=parameters.get("SignatureNonce", ""),
        timestamp=parameters.get("Timestamp", ""),
        signature=parameters.get("Signature", ""),
        string_to_sign=rpc1_string_to_sign(method, pairs),
    )


def _required(parameters: Mapping[str, str], name: str, *, shown: str = "") -> str:
    value = parameters.get(name, "")
    if not value:
        raise missing(shown or name)
    return value


def missing(name: str) -> RpcError:
    """400 ``Missing<name>``."""
    return RpcError(400, f"Missing{name}", f"{name} is mandatory for this action.")


def rpc1_string_to_sign(method: str, pairs: Iterable[tuple[str, str]]) -> bytes:
    """``METHOD&%2F&`` and the sorted parameters but ``Signature``, encoded twice."""
    encoded = b"&".join(
        name + b"=" + value for name, value in _encoded(pairs) if name != b"Signature"
    )
    return method.encode() + b"&%2F&" + percent_encode(encoded)


def _encoded(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return sorted(
        (percent_encode(encode_text(name)), percent_encode(encode_text(value)))
        for name, value in pairs
    )


def _acs3_call(
    method: str,
    query: list[tuple[str, str]],
    form: list[tuple[str, str]],
    fields: dict[str, str],
    body: bytes,
) -> Call:
    authorization = fields.get("authorization", "")
    if not authorization.startswith(ACS3 + " "):
        raise RpcError(
            400, "IncompleteSignature", f"The Authorization header must begin with '{ACS3} '."
        )
    parts = dict(
        piece.strip().partition("=")[::2] for piece in authorization[len(ACS3) :].split(",")
    )
    signed = sorted({name for name in parts.get("SignedHeaders", "").lower().split(";") if name})
    unsigned = _must_be_signed(fields, body) - set(signed)
    if unsigned or not set(signed) <= fields.keys():
        named = ", ".join(sorted(unsigned)) or "only headers that were sent"
        raise RpcError(400, "IncompleteSignature", f"SignedHeaders must name {named}.")
    return Call(
        style="ACS3",
        action=fields["x-acs-action"],
        version=_required(fields, "x-acs-version", shown="Version"),
        parameters=_first_of_each(query + form),
        access_key_id=parts.get("Credential", ""),
        token=fields.get("x-acs-security-token"),
        nonce=fields.get("x-acs-signature-nonce", ""),
        timestamp=fields.get("x-acs-date", ""),
        signature=parts.get("Signature", ""),
        string_to_sign=acs3_string_to_sign(method, query, fields, signed, body),
    )


def _must_be_signed(fields: Mapping[str, str], body: bytes) -> set[str]:
    names = {name for name in fields if name.startswith("x-acs-")}
    names |= {"host", "x-acs-content-sha256"}
    if body and "content-type" in fields:
        names.add("content-type")
    return names


def acs3_string_to_sign(
    method: str,
    query: Iterable[tuple[str, str]],
    fields: Mapping[str, str],
    signed: list[str],
    body: bytes,
) -> bytes:
    """The canonical request's digest; the body's is the server's own, not the header's."""
    lines = [
        method.encode(),
        b"/",
        b"&".join(name + b"=" + value for name, value in _encoded(query)),
        "".join(f"{name}:{fields[name]}\n" for name in signed).encode("latin-1", "replace"),
        ";".join(signed).encode("latin-1", "replace"),
        hashlib.sha256(body).hexdigest().encode(),
    ]
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
    return f"{ACS3}\n{digest}".encode()


def sign(call: Call, secret: str) -> str:
    """The signature this call must carry if it was signed with this secret."""
    if call.style == "RPC1":
        digest = hmac.digest(f"{secret}&".encode(), call.string_to_sign, hashlib.sha1)
        return base64.b64encode(digest).decode("ascii")
    return hmac.digest(secret.encode(), call.string_to_sign, hashlib.sha256).hex()


def _check_claims(call: Call, now: float) -> None:
    for name, value in (
        ("AccessKeyId", call.access_key_id),
        ("Timestamp", call.timestamp),
        ("SignatureNonce", call.nonce),
        ("Signature", call.signature),
    ):
        if not value:
            raise missing(name)
    instant = parse_iso_time(call.timestamp) if _TIMESTAMP.fullmatch(call.timestamp) else None
    if instant is None:
        raise RpcError(
            400,
            "InvalidTimeStamp.Format",
            "Specified time stamp is not of the form 2024-05-31T17:08:37Z.",
        )
    if abs(now - instant) > MAX_SKEW_SECONDS:
        raise RpcError(
            400, "InvalidTimeStamp.Expired", "Specified time stamp is more than 15 minutes off."
        )


def authenticate(call: Call, identities: Identities, *, now: float, nonces: Nonces) -> Caller:
    """Find the caller of a call; checks timestamp, credentials, signature, nonce in this order.

    Args:
        call: from :func:`parse_call`.
        identities: keys and sessions.
        now: unix seconds.
        nonces: the nonces seen so far; the call's is added when everything else holds.

    Raises:
        RpcError: 400 or 404 with the documented code.
    """
    _check_claims(call, now)
    try:
        caller = identities.resolve(call.access_key_id, call.token, now=now)
    except CredentialsRefused as refused:
        raise RpcError(*_REFUSALS[refused.reason]) from None
    if not same(sign(call, caller.secret), call.signature):
        # The official core SDK splits this message at its colon to tell a wrong secret from a wrong
        # text.
        raise RpcError(
            400,
            "SignatureDoesNotMatch",
            "Specified signature is not matched with our calculation. "
            f"server string to sign is:{show(call.string_to_sign)}",
        )
    if not nonces.use(call.access_key_id, call.nonce, now=now):
        raise RpcError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
    return caller


def wants_json(raw_query: str, headers: Iterable[tuple[str, str]], body: bytes) -> bool:
    """Whether the answer is JSON: by the parameter ``Format``, else by ``Accept``, else by the
    style.

    RPC 1.0 answers XML when nothing is said, ACS3 answers JSON.
    """
    fields = dict(headers)
    for text in (raw_query, show(body)):
        found = re.search(r"(?:^|&)Format=([^&]*)", text)
        if found:
            return found.group(1).upper() == "JSON"
    accept = fields.get("accept", "").lower()
    if "json" in accept or "xml" in accept:
        return "json" in accept
    return _is_acs3(fields)


def render(name: str, content: Mapping[str, Any], *, as_json: bool) -> tuple[str, bytes]:
    """Content type and body of an answer; ``name`` is the root element in XML."""
    if as_json:
        return "application/json;charset=utf-8", json.dumps(content, ensure_ascii=False).encode()
    return "text/xml;charset=utf-8", xml.document(name, _nodes(content))


def _nodes(content: Mapping[str, Any]) -> list[xml.Node]:
    nodes: list[xml.Node] = []
    for name, value in content.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                nodes.append((name, _nodes(item)))
            else:
                nodes.append((name, str(item).lower() if isinstance(item, bool) else str(item)))
    return nodes
