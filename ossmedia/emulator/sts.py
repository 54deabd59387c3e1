"""STS: temporary credentials for a role.

What flows in: RPC requests to the service root. What flows out: the answers of AssumeRole and
GetCallerIdentity, or the documented refusals. It never hands out more than the role and the session
policy allow, and it never logs what it hands out.

Source: STS 2015-04-01, AssumeRole and GetCallerIdentity.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from . import rpc
from .canonical import iso_seconds
from .errors import RpcError
from .identities import MIN_SESSION_SECONDS, Caller, Identities, Role, is_role_arn
from .policies import Context, Evaluation, request_context
from .policy_grammar import parse_policy

VERSION = "2015-04-01"
DEFAULT_DURATION_SECONDS = 3600
MAX_POLICY_CHARACTERS = 2048

_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)

Answer = dict[str, Any]
Operation = Callable[[rpc.Call, Caller, Identities, float, Context], Answer]


def handle_rpc(
    method: str,
    raw_query: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    identities: Identities,
    now: float,
    nonces: rpc.Nonces,
    source_ip: str = "127.0.0.1",
    secure: bool = False,
    others: Mapping[tuple[str, str], Operation] = MappingProxyType({}),
) -> tuple[int, str, bytes]:
    """Answer one request to the service root.

    Args:
        method: upper case.
        raw_query: as on the wire, without the ``?``.
        headers, body: lower-case names and values; the whole body.
        identities: keys, roles and sessions; AssumeRole adds a session.
        now: unix seconds.
        nonces: signature nonces seen so far.
        source_ip: the client's address, for conditions in the caller's policies.
        secure: the request came over TLS.
        others: operations of another service at the same address, by version and action.

    Returns:
        HTTP status, content type and body; refusals are answers, too.
    """
    fields = list(headers)
    as_json = rpc.wants_json(raw_query, fields, body)
    request_id = str(uuid.uuid4()).upper()
    try:
        call = rpc.parse_call(method, raw_query, fields, body)
        operation = _operation(call, others)
        caller = rpc.authenticate(call, identities, now=now, nonces=nonces)
        context = request_context(now=now, source_ip=source_ip, secure=secure)
        content = {"RequestId": request_id, **operation(call, caller, identities, now, context)}
    except RpcError as error:
        content = _error(error, request_id, dict(fields).get("host", ""))
        return error.status, *rpc.render("Error", content, as_json=as_json)
    return 200, *rpc.render(f"{call.action}Response", content, as_json=as_json)


def _error(error: RpcError, request_id: str, host: str) -> Answer:
    return {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}",
    }


def _operation(call: rpc.Call, others: Mapping[tuple[str, str], Operation]) -> Operation:
    wanted = (call.version, call.action)
    operation = _OPERATIONS.get(wanted) or others.get(wanted)
    if operation is None:
        raise RpcError(
            404,
            "InvalidApi.NotFound",
            f"There is no operation {call.action!r} of version {call.version!r}.",
        )
    return operation


def _assume_role(
    call: rpc.Call, caller: Caller, identities: Identities, now: float, context: Context
) -> Answer:
    role_arn = _parameter(call, "RoleArn", is_role_arn)
    session_name = _parameter(call, "RoleSessionName", _SESSION_NAME.fullmatch)
    duration = _duration(call)
    session_policy = _session_policy(call)
    if "ExternalId" in call.parameters:
        _parameter(call, "ExternalId", _EXTERNAL_ID.fullmatch)
    role = _role_for(caller, role_arn, identities, context)
    if not MIN_SESSION_SECONDS <= duration <= role.max_session_duration:
        raise _bad_duration(role.max_session_duration)
    session = identities.issue_session(
        role, session_name, duration_seconds=duration, now=now, session_policy=session_policy
    )
    return {
        "AssumedRoleUser": {
            "Arn": f"{role.arn}/{session_name}",
            "AssumedRoleId": f"{_numeric_id(role.arn)}:{session_name}",
        },
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "AccessKeySecret": session.secret,
            "SecurityToken": session.token,
            "Expiration": iso_seconds(session.expires_at),
        },
    }


def _parameter(call: rpc.Call, name: str, is_valid: Callable[[str], object]) -> str:
    value = call.parameters.get(name, "")
    if not value:
        raise rpc.missing(name)
    if not is_valid(value):
        raise RpcError(400, f"InvalidParameter.{name}", f"The parameter {name} is wrongly formed.")
    return value


def _duration(call: rpc.Call) -> int:
    text = call.parameters.get("DurationSeconds", "")
    if not text:
        return DEFAULT_DURATION_SECONDS
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < MIN_SESSION_SECONDS:
        raise _bad_duration(DEFAULT_DURATION_SECONDS)
    return int(text)


def _bad_duration(maximum: int) -> RpcError:
    message = f"The Min/Max value of DurationSeconds is 15min/{maximum / 3600:g}hr."
    return RpcError(400, "InvalidParameter.DurationSeconds", message)


def _session_policy(call: rpc.Call) -> dict[str, Any] | None:
    # STS takes an empty text for no policy at all: the session then has everything the role has.
    text = call.parameters.get("Policy", "")
    if not text:
        return None
    if len(text) > MAX_POLICY_CHARACTERS:
        raise RpcError(
            400,
            "InvalidParameter.PolicySize",
            f"The size of Policy must be at most {MAX_POLICY_CHARACTERS} characters.",
        )
    try:
        return parse_policy(text)
    except ValueError as error:
        reason = str(error).encode("ascii", "backslashreplace").decode()
        raise RpcError(
            400,
            "InvalidParameter.PolicyGrammar",
            f"The parameter Policy has not passed grammar check: {reason}.",
        ) from None


def _role_for(caller: Caller, role_arn: str, identities: Identities, context: Context) -> Role:
    if caller.kind == "root":
        raise RpcError(403, "NoPermission", "Roles may not be assumed by root accounts.")
    role = identities.find_role(role_arn)
    if role is None:
        raise RpcError(404, "EntityNotExist.Role", f"The role does not exist: {role_arn}.")
    verdict = Evaluation().authorize(caller, [("sts:AssumeRole", role_arn)], context=context)
    if verdict != "allow":
        raise RpcError(
            403,
            "NoPermission",
            "You are not authorized to do this action. You should be authorized by RAM.",
        )
    return role


def _caller_identity(
    call: rpc.Call, caller: Caller, identities: Identities, now: float, context: Context
) -> Answer:
    del call, now, context
    account = identities.account_id
    if caller.session is not None:
        role_id = _numeric_id(caller.session.role_arn)
        name = caller.session.session_name
        return {
            "IdentityType": "AssumedRoleUser",
            "AccountId": account,
            "PrincipalId": f"{role_id}:{name}",
            "RoleId": role_id,
            "Arn": f"{caller.session.role_arn}/{name}",
        }
    if caller.kind == "root":
        return {
            "IdentityType": "Account",
            "AccountId": account,
            "PrincipalId": account,
            "UserId": account,
            "Arn": f"acs:ram::{account}:root",
        }
    user_id = _numeric_id(caller.access_key_id)
    return {
        "IdentityType": "RAMUser",
        "AccountId": account,
        "PrincipalId": user_id,
        "UserId": user_id,
        "Arn": f"acs:ram::{account}:user/{caller.access_key_id}",
    }


def _numeric_id(name: str) -> str:
    """A stable 18-digit number for a name."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return str(3 * 10**17 + digest % 10**17)


_OPERATIONS: dict[tuple[str, str], Operation] = {
    (VERSION, "AssumeRole"): _assume_role,
    (VERSION, "GetCallerIdentity"): _caller_identity,
}
