"""How one value of the settings is checked.

In flow a key's name and what the file holds, out flows the value, or a ValueError that names the
key, the value and what is allowed. Nothing here knows a setting.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field
from ipaddress import ip_network
from typing import Any

__all__ = [
    "Check",
    "check_url",
    "flag",
    "networks",
    "number",
    "one_of",
    "origins",
    "setting",
    "text",
    "texts",
]

Check = Callable[[str, Any], Any]
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)


def number(low: float, high: float, kind: type) -> Check:
    """An int or float within limits."""

    def check(name: str, value: Any) -> Any:
        good = isinstance(value, int if kind is int else int | float)
        if not good or isinstance(value, bool):
            word = "a whole number" if kind is int else "a number"
            raise ValueError(f"{name}: must be {word} {low}-{high}, not {value!r}")
        if not low <= value <= high:
            raise ValueError(f"{name}: must be {low}-{high}, not {value!r}")
        return kind(value)

    return check


def text(name: str, value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be a text, not {value!r}")
    return value


def flag(name: str, value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: must be true or false, not {value!r}")
    return value


def texts(name: str, value: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name}: must be a list of texts, not {value!r}")
    return tuple(value)


def one_of(*known: str) -> Check:
    """One of a few words."""

    def check(name: str, value: Any) -> Any:
        if value not in known:
            raise ValueError(f"{name}: must be one of {', '.join(known)}, not {value!r}")
        return value

    return check


def networks(name: str, value: Any) -> tuple[str, ...]:
    """A list of addresses or networks."""
    for item in texts(name, value):
        try:
            ip_network(item)
        except ValueError as error:
            raise ValueError(f"{name}: must be addresses or networks; {error}") from None
    return tuple(value)


def origins(name: str, value: Any) -> tuple[str, ...]:
    """A list of scheme and host."""
    for item in texts(name, value):
        if not _ORIGIN.fullmatch(item):
            wanted = "must be origins like https://media.example.com"
            raise ValueError(f"{name}: {wanted}, not {item!r}")
    return tuple(value)


def check_url(name: str, value: str) -> None:
    """Raises ValueError for what is neither "" nor a URL with a path and nothing else."""
    good = re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)", value)
    if value and not good:
        raise ValueError(f"{name}: must be https://HOST/PATH, not {value[:200]!r}")


def setting(default: Any, check: Check, *, shown: bool = True) -> Any:
    """A field of a table; ``shown``: whether a repr may show it."""
    return field(default=default, metadata={"check": check}, repr=shown)
