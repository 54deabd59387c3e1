"""RAM policies: may this caller do this?

What flows in: a caller whose signature held, the actions and resources its call needs, and the
facts conditions ask for. What flows out: allow, explicit deny or implicit deny. It never looks at
an ACL, and it substitutes nothing: ``${`` in a policy is just text.

Source: RAM, "Policy structure and syntax" and "Policy evaluation"; OSS, "RAM policies".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from .actions import ResourceKind, action_for
from .canonical import iso_seconds, parse_iso_time
from .identities import Caller
from .policy_grammar import parse_policy

__all__ = [
    "Evaluation",
    "ResourceKind",
    "action_for",
    "parse_policy",
    "request_context",
    "resource_name",
    "wildcard_match",
]

Verdict = Literal["allow", "explicit_deny", "implicit_deny"]
Context = Mapping[str, Sequence[str]]


def wildcard_match(pattern: str, text: str) -> bool:
    """Match ``*`` (any run, also empty) and ``?`` (one character); everything else stands for
    itself.

    Takes time proportional to the product of both lengths at most.
    """
    at = position = 0
    star = -1
    resume = 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[position]):
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(character == "*" for character in pattern[at:])


def resource_name(region: str, account: str, bucket: str, key: str | None = None) -> str:
    """``acs:oss:{region}:{account}:{bucket}`` or ``.../{key}``; bucket ``*`` for a service call."""
    name = bucket if key is None else f"{bucket}/{key}"
    return f"acs:oss:{region}:{account}:{name}"


def request_context(
    *,
    now: float,
    source_ip: str,
    secure: bool,
    user_agent: str = "",
    query: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """The facts that conditions can ask for.

    Args:
        now: unix seconds.
        source_ip: the client's address.
        secure: the request came over TLS.
        user_agent: the User-Agent header.
        query: the parameters of a list call, whose ``prefix`` and ``delimiter`` become oss:Prefix
            and oss:Delimiter.
    """
    context = {
        "acs:CurrentTime": [iso_seconds(now)],
        "acs:SourceIp": [source_ip],
        "acs:SecureTransport": ["true" if secure else "false"],
        "acs:UserAgent": [user_agent],
    }
    for name, key in (("prefix", "oss:Prefix"), ("delimiter", "oss:Delimiter")):
        if query is not None and name in query:
            context[key] = [query[name]]
    return context


class Evaluation:
    """The evaluation of requests against the policies of their caller."""

    __slots__ = ()

    def authorize(
        self, caller: Caller, requests: Iterable[tuple[str, str]], *, context: Context
    ) -> Verdict:
        """Decide about a call that needs several actions, all of which must be allowed.

        Args:
            caller: from the signature check.
            requests: pairs of action (``oss:PutObject``) and resource (:func:`resource_name`).
            context: condition keys and their values, see :func:`request_context`.

        Returns:
            ``allow``; ``explicit_deny``, which no ACL can lift: a matching Deny, or a session
            policy that does not allow; ``implicit_deny``: no policy spoke, so an ACL may.
        """
        verdicts = [
            self._decide(caller, action, resource, context) for action, resource in requests
        ]
        if "explicit_deny" in verdicts:
            return "explicit_deny"
        if "implicit_deny" in verdicts or not verdicts:
            return "implicit_deny"
        return "allow"

    def _decide(self, caller: Caller, action: str, resource: str, context: Context) -> Verdict:
        identity: tuple[dict[str, Any], ...] = ()
        if caller.session is not None and caller.role is not None:
            identity = caller.role.policies
        elif caller.kind in ("user", "service") and caller.key is not None:
            identity = caller.key.policies
        limit = caller.session.session_policy if caller.session is not None else None
        if limit is not None and evaluate([limit], action, resource, context) != "allow":
            return "explicit_deny"
        return evaluate(identity, action, resource, context)


def evaluate(
    policies: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context
) -> Verdict:
    """One set of policies by the basic rule: a matching Deny wins, else a matching Allow, else
    implicit deny.
    """
    verdict: Verdict = "implicit_deny"
    for policy in policies:
        for statement in policy["Statement"]:
            if _statement_matches(statement, action, resource, context):
                if statement["Effect"] == "Deny":
                    return "explicit_deny"
                verdict = "allow"
    return verdict


def _statement_matches(
    statement: Mapping[str, Any], action: str, resource: str, context: Context
) -> bool:
    if "Action" in statement:
        named = any(_action_matches(pattern, action) for pattern in _listed(statement["Action"]))
    else:
        named = not any(
            _action_matches(pattern, action) for pattern in _listed(statement["NotAction"])
        )
    return (
        named
        and any(resource_matches(pattern, resource) for pattern in _listed(statement["Resource"]))
        and _conditions_hold(statement.get("Condition", {}), context)
    )


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _action_matches(pattern: str, action: str) -> bool:
    return wildcard_match(pattern.lower(), action.lower())


def resource_matches(pattern: str, resource: str) -> bool:
    """Match piece by piece, so that no ``*`` for a region can swallow a bucket's name."""
    if pattern == "*":
        return True
    pieces, parts = pattern.split(":", 4), resource.split(":", 4)
    return len(pieces) == len(parts) and all(map(wildcard_match, pieces, parts))


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    return all(
        _condition_holds(operator, _listed(wanted), context.get(key, ()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, wanted: list[str], given: Sequence[str]) -> bool:
    """A positive operator needs one value to agree; a negated one needs all to differ, and holds
    for an absent key.
    """
    negated = operator in _NEGATED
    compare = _COMPARISONS[_NEGATED.get(operator, operator)]
    agrees = any(compare(actual, value) for actual in given for value in wanted)
    return agrees != negated


def _same_ignoring_case(actual: str, value: str) -> bool:
    return actual.casefold() == value.casefold()


def _like(actual: str, value: str) -> bool:
    return wildcard_match(value, actual)


def _in_network(actual: str, value: str) -> bool:
    try:
        address = ipaddress.ip_address(actual)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address in _network(value)


@lru_cache(maxsize=1024)
def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(value, strict=False)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def _time(text: str) -> Decimal | None:
    seconds = parse_iso_time(text)
    return None if seconds is None else Decimal(seconds)


_ORDERINGS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "Equals": lambda actual, value: actual == value,
    "LessThan": lambda actual, value: actual < value,
    "LessThanEquals": lambda actual, value: actual <= value,
    "GreaterThan": lambda actual, value: actual > value,
    "GreaterThanEquals": lambda actual, value: actual >= value,
}


def _ordered(
    parse: Callable[[str], Decimal | None], ordering: Callable[[Decimal, Decimal], bool]
) -> Callable[[str, str], bool]:
    def compare(actual: str, value: str) -> bool:
        left, right = parse(actual), parse(value)
        return left is not None and right is not None and ordering(left, right)

    return compare


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringEqualsIgnoreCase": _same_ignoring_case,
    "StringLike": _like,
    "Bool": _same_ignoring_case,
    "IpAddress": _in_network,
    **{f"Numeric{name}": _ordered(_number, ordering) for name, ordering in _ORDERINGS.items()},
    **{f"Date{name}": _ordered(_time, ordering) for name, ordering in _ORDERINGS.items()},
}

_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
