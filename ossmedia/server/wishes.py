"""What a request's body says, understood strictly.

In flow bytes of a body and the record of the device that signed it, out flows what a token shall
allow. Anything doubtful is refused with the field's name and its limit: an unknown name, a name
that stands twice, a wrong type, another device, a prefix or mode that the record does not hold.
"""

from __future__ import annotations

import json
from typing import Any

from ossmedia.policy import check_device_id, parse_modes, path_grant
from ossmedia.server.devices import Device
from ossmedia.server.problems import Problem
from ossmedia.server.tokens import Wish
from ossmedia.sts import LEAST_TTL_S

__all__ = ["enrolment_of", "read_object", "ttl_of", "wish_of"]

_LONGEST_CODE = 64


def read_object(body: bytes) -> dict[str, Any]:
    """The body's JSON object; an empty body counts as an empty one.

    Raises:
        Problem: malformed-json.
    """
    if not body:
        return {}
    try:
        data = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        detail = str(error) if type(error) is ValueError else "no JSON in UTF-8"
        raise Problem("malformed-json", detail[:200]) from None
    if not isinstance(data, dict):
        raise Problem("malformed-json", "the body must be an object")
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return data


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _known(data: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in data:
        if name not in names:
            raise Problem("unknown-field", f"{name[:60]!r}; known: {', '.join(names)}")


def wish_of(device: Device, data: dict[str, Any]) -> Wish:
    """What the token shall allow: the whole record, or a part of it that the body names.

    Raises:
        Problem: naming the field.
    """
    _known(data, ("device", "prefix", "modes", "ttl_s"))
    if data.get("device", device.id) != device.id:
        raise Problem("wrong-device", "device: must be the one that signed the request")
    if not data:
        return Wish(device.prefix, device.modes, device.ttl_s)
    return Wish(
        _prefix(device, data.get("prefix", device.prefix)),
        _modes(device, data.get("modes", list(device.modes))),
        ttl_of(device, data.get("ttl_s", device.ttl_s)),
    )


def _prefix(device: Device, value: object) -> str:
    if not isinstance(value, str):
        raise Problem("invalid-field", "prefix: must be a text")
    if value != device.prefix and not value.startswith(device.prefix + "/"):
        raise Problem("prefix-outside", f"prefix: must be {device.prefix!r} or below")
    try:
        return path_grant(value.removesuffix("/") + "/*", "w", "bucket").prefix
    except ValueError as error:
        raise Problem("prefix-outside", str(error)) from None


def _modes(device: Device, value: object) -> tuple[str, ...]:
    if not isinstance(value, str | list):
        raise Problem("invalid-field", "modes: must be letters of 'rwaml' or a list of names")
    try:
        wanted = parse_modes(value)
    except (TypeError, ValueError) as error:
        raise Problem("invalid-field", f"modes: {error}") from None
    if not wanted <= set(device.modes):
        raise Problem("mode-not-allowed", f"modes: must be of {', '.join(device.modes)}")
    return tuple(sorted(wanted))


def ttl_of(device: Device, value: object) -> int:
    """A life in seconds that the device's record allows.

    Raises:
        Problem: naming the limits.
    """
    number = isinstance(value, int) and not isinstance(value, bool)
    if not number or not LEAST_TTL_S <= value <= device.ttl_s:  # type: ignore[operator]
        text = f"ttl_s: must be a whole number {LEAST_TTL_S}-{device.ttl_s}"
        raise Problem("invalid-field", text)
    return int(value)  # type: ignore[call-overload, no-any-return]


def enrolment_of(data: dict[str, Any]) -> tuple[str, str]:
    """Device id and code.

    Raises:
        Problem: naming the field.
    """
    _known(data, ("device", "code"))
    code = data.get("code")
    if not isinstance(code, str) or not 1 <= len(code) <= _LONGEST_CODE or not code.isascii():
        raise Problem("invalid-field", "code: must be the code that the operator was given")
    try:
        return check_device_id(data.get("device", "")), code
    except (TypeError, ValueError) as error:
        raise Problem("invalid-field", f"device: {error}") from None
