"""Passwords: made into a text that can be stored, and compared with one.

In flow passwords as people write them, out flow texts that hold scrypt's parameters, a salt and a
hash. Nothing here stores or logs; a comparison takes the same work and the same time whether it
holds or not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata
from dataclasses import dataclass

__all__ = [
    "LEAST_LENGTH",
    "MOST_LENGTH",
    "USUAL",
    "Cost",
    "check_password",
    "hash_password",
    "no_password",
]

LEAST_LENGTH, MOST_LENGTH = 12, 256  # characters
_SALT_SIZE, _HASH_SIZE = 16, 32
_NAME = "scrypt"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one comparison costs: ``n`` rounds (a power of two) on blocks of 128 * ``r`` bytes,
    ``p`` times over; it takes 128 * n * r bytes of memory.

    Source: RFC 7914.
    """

    n: int
    r: int
    p: int


USUAL = Cost(1 << 15, 8, 3)  # 32 MiB


def hash_password(password: str, cost: Cost = USUAL) -> str:
    """The text to store: "scrypt$n$r$p$salt$hash".

    Raises:
        TypeError, ValueError: the password is no text, is too short or too long.
    """
    if not isinstance(password, str):
        raise TypeError(f"password: must be str, not {type(password).__name__}")
    if not LEAST_LENGTH <= len(password) <= MOST_LENGTH:
        raise ValueError(f"password: must have {LEAST_LENGTH}-{MOST_LENGTH} characters")
    salt = os.urandom(_SALT_SIZE)
    made = _scrypt(password, salt, cost)
    numbers = f"{cost.n}${cost.r}${cost.p}"
    return f"{_NAME}${numbers}${_text(salt)}${_text(made)}"


def no_password(cost: Cost = USUAL) -> str:
    """A text to store that no password fits; comparing with it takes the usual work."""
    numbers = f"{cost.n}${cost.r}${cost.p}"
    return f"{_NAME}${numbers}${_text(os.urandom(_SALT_SIZE))}${_text(os.urandom(_HASH_SIZE))}"


def check_password(password: str, stored: str) -> bool:
    """Whether ``stored`` was made of this password.

    Raises:
        ValueError: ``stored`` is not a text of ``hash_password``.
    """
    try:
        name, n, r, p, salt, expected = stored.split("$")
        if name != _NAME:
            raise ValueError
        cost = Cost(int(n), int(r), int(p))
        made = _scrypt(password, base64.b64decode(salt, validate=True), cost)
        return hmac.compare_digest(made, base64.b64decode(expected, validate=True))
    except ValueError:
        raise ValueError("a stored password cannot be read") from None


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    # One person's keyboard writes an accent as one character, another's as two (RFC 8265).
    plain = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    room = 128 * cost.n * cost.r + 128 * cost.r * (cost.p + 2) + (1 << 20)
    return hashlib.scrypt(
        plain, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=room, dklen=_HASH_SIZE
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
