"""The grammar of RAM policies.

What flows in: the JSON text of a policy (a session policy of AssumeRole, a policy attached to a
user or a role). What flows out: the parsed document, or a ``ValueError`` that names the offending
field. It never decides whether a request is allowed.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .canonical import parse_iso_time

STRING_OPERATORS = frozenset(
    {
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    }
)
_ORDERINGS = (
    "Equals",
    "NotEquals",
    "LessThan",
    "LessThanEquals",
    "GreaterThan",
    "GreaterThanEquals",
)
NUMERIC_OPERATORS = frozenset("Numeric" + name for name in _ORDERINGS)
DATE_OPERATORS = frozenset("Date" + name for name in _ORDERINGS)
BOOL_OPERATORS = frozenset({"Bool"})
ADDRESS_OPERATORS = frozenset({"IpAddress", "NotIpAddress"})

_ACTION = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_STATEMENT_FIELDS = frozenset({"Effect", "Action", "NotAction", "Resource", "Condition"})


def parse_policy(text: str) -> dict[str, Any]:
    """Parse a policy and check its grammar.

    Args:
        text: JSON, ``{"Version": "1", "Statement": [...]}``.

    Returns:
        The document as nested dictionaries and lists.

    Raises:
        ValueError: not JSON, or a field outside the grammar; the message names the field.

    Source: RAM, policy structure and grammar.
    """
    try:
        document = json.loads(text, object_pairs_hook=_object_without_repeats)
    except RecursionError:
        raise ValueError("the policy is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the policy is not JSON: {error.msg} at character {error.pos}") from None
    check_policy(document)
    policy: dict[str, Any] = document
    return policy


def check_policy(document: object) -> None:
    """Check the grammar of an already parsed policy.

    Raises:
        ValueError: a field outside the grammar; the message names the field.
    """
    policy = _as_object(document, "the policy")
    _refuse_unknown(policy, frozenset({"Version", "Statement"}), "the policy")
    if policy.get("Version") != "1":
        raise ValueError('Version must be the text "1"')
    statements = policy.get("Statement")
    if not isinstance(statements, list) or not statements:
        raise ValueError("Statement must be a list of at least one statement")
    for number, statement in enumerate(statements):
        _check_statement(statement, f"Statement[{number}]")


def _check_statement(document: object, where: str) -> None:
    statement = _as_object(document, where)
    _refuse_unknown(statement, _STATEMENT_FIELDS, where)
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f'{where}.Effect must be "Allow" or "Deny"')
    if ("Action" in statement) == ("NotAction" in statement):
        raise ValueError(f"{where} needs either Action or NotAction, and one only")
    field = "Action" if "Action" in statement else "NotAction"
    for action in _texts(statement[field], f"{where}.{field}"):
        if not _ACTION.fullmatch(action):
            raise ValueError(f'{where}.{field} holds {action!r}, not "*" or "service:Action"')
    if "Resource" not in statement:
        raise ValueError(f"{where}.Resource is missing")
    for resource in _texts(statement["Resource"], f"{where}.Resource"):
        if resource != "*" and (not resource.startswith("acs:") or resource.count(":") < 4):
            raise ValueError(
                f'{where}.Resource holds {resource!r}, not "*" or "acs:service:region:account:name"'
            )
    if "Condition" in statement:
        _check_condition(statement["Condition"], f"{where}.Condition")


def _check_condition(document: object, where: str) -> None:
    for operator, keys in _as_object(document, where).items():
        check_value = _VALUE_CHECKS.get(operator)
        if check_value is None:
            raise ValueError(f"{where} names the unknown operator {operator!r}")
        for key, values in _as_object(keys, f"{where}.{operator}").items():
            place = f"{where}.{operator}.{key}"
            if ":" not in key:
                raise ValueError(f'{place} is not a condition key such as "acs:SourceIp"')
            for value in _texts(values, place, empty_allowed=operator in STRING_OPERATORS):
                if not check_value(value):
                    raise ValueError(f"{place} holds {value!r}, which {operator} cannot compare")


def _is_text(value: str) -> bool:
    return isinstance(value, str)


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _is_time(value: str) -> bool:
    return parse_iso_time(value) is not None


def _is_bool(value: str) -> bool:
    return value.lower() in ("true", "false")


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


_VALUE_CHECKS: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(STRING_OPERATORS, _is_text),
    **dict.fromkeys(NUMERIC_OPERATORS, _is_number),
    **dict.fromkeys(DATE_OPERATORS, _is_time),
    **dict.fromkeys(BOOL_OPERATORS, _is_bool),
    **dict.fromkeys(ADDRESS_OPERATORS, _is_network),
}


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the policy names {name!r} twice in one object")
    return dict(pairs)


def _as_object(document: object, where: str) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise ValueError(f"{where} must be a JSON object")
    return document


def _refuse_unknown(document: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for name in document:
        if name not in known:
            raise ValueError(f"{where} holds the unknown field {name!r}")


def _texts(value: object, where: str, *, empty_allowed: bool = False) -> list[str]:
    values: list[Any] = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{where} must not be an empty list")
    for item in values:
        if not isinstance(item, str):
            raise ValueError(f"{where} must hold texts; numbers and booleans are quoted, too")
        if not item and not empty_allowed:
            raise ValueError(f"{where} must not hold an empty text")
    return values
