"""How a camera and the application server sign what they say to each other.

In flow a device's key, a request or an answer, out flow texts to sign, the Authorization header and
its parts. Camera and server use the same functions. It is pure but for the making of keys and
nonces, keeps no state, and never decides whether a time is good or a nonce new: the server does.

A request is signed over ten lines: the scheme's name, method, path as sent, query with its pairs
sorted, host, device id, key id, time or challenge, nonce, SHA-256 of the body. An answer is signed
with the same secret over the name of the answer's scheme, device id, key id, the request's nonce,
status, the server's time, SHA-256 of the body; so a camera without a clock gets a time it can
trust.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re

from ossmedia.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "ANSWER_HEADER",
    "CHALLENGE_S",
    "SCHEME",
    "WINDOW_S",
    "Claim",
    "DeviceKey",
    "new_nonce",
    "parse_answer",
    "sign_answer",
    "sign_request",
    "verify_answer",
    "verify_request",
]

SCHEME = "OSSMEDIA1-HMAC-SHA256"
ANSWER_SCHEME = "OSSMEDIA1-HMAC-SHA256-ANSWER"
ANSWER_HEADER = "ossmedia-answer"
WINDOW_S = 300  # seconds that a camera's time may be off, either way
CHALLENGE_S = 60  # seconds that a challenge may be used, once
CHALLENGE_LENGTH = 64  # characters
SECRET_SIZE = 32  # bytes

_KEY = re.compile(r"omdk_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_HEADER = re.compile(
    SCHEME + r" device=([A-Za-z0-9][A-Za-z0-9_-]{0,62}), key=([0-9a-f]{8}), "
    r"(?:time=([0-9]{1,12})|challenge=([A-Za-z0-9_-]{64})), "
    r"nonce=([0-9a-f]{32}), signature=([0-9a-f]{64})"
)
_ANSWER = re.compile(r"time=([0-9]{1,12}), signature=([0-9a-f]{64})")


class DeviceKey(Value):
    """One secret of one device: its id of 8 hex digits and 32 bytes. Its repr hides the secret."""

    __slots__ = ("id", "secret")
    _hidden = frozenset({"secret"})
    id: str
    secret: bytes

    def __init__(self, id: str, secret: bytes) -> None:
        self._set(id=id, secret=secret)

    @classmethod
    def new(cls) -> Self:
        """A key that nobody can guess."""
        return cls(os.urandom(4).hex(), os.urandom(SECRET_SIZE))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the form that is handed to a camera, ``omdk_<id>_<secret>``.

        Raises:
            TypeError, ValueError: any other form (the text is not repeated).
        """
        if not isinstance(text, str):
            raise TypeError(f"device_key: must be str, not {type(text).__name__}")
        found = _KEY.fullmatch(text)
        secret = base64.urlsafe_b64decode(found[2] + "=") if found else b""
        if found is None or _base64(secret) != found[2]:
            raise ValueError("device_key: must have the form omdk_<8 hex digits>_<43 characters>")
        return cls(found[1], secret)

    def text(self) -> str:
        """The form that is handed to a camera. A secret: never for a log."""
        return f"omdk_{self.id}_{_base64(self.secret)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Claim(Value):
    """What a request says of its sender: device id, key id, time (whole seconds since 1970, as
    text) or a challenge, nonce (32 hex digits), signature."""

    __slots__ = ("device", "key", "time", "challenge", "nonce", "signature")
    device: str
    key: str
    time: str
    challenge: str
    nonce: str
    signature: str

    def __init__(
        self, device: str, key: str, time: str, challenge: str, nonce: str, signature: str = ""
    ) -> None:
        self._set(
            device=device,
            key=key,
            time=time,
            challenge=challenge,
            nonce=nonce,
            signature=signature,
        )

    @classmethod
    def parse(cls, header: str) -> Self:
        """From the value of an Authorization header, in the one form that ``header`` writes.

        Raises:
            ValueError: any other form.
        """
        found = _HEADER.fullmatch(header)
        if found is None:
            raise ValueError(f"authorization: must have the form {SCHEME} device=..., ...")
        return cls(found[1], found[2], found[3] or "", found[4] or "", found[5], found[6])

    def header(self) -> str:
        """The value of the Authorization header."""
        when = f"challenge={self.challenge}" if self.challenge else f"time={self.time}"
        return (
            f"{SCHEME} device={self.device}, key={self.key}, {when}, nonce={self.nonce}, "
            f"signature={self.signature}"
        )


def new_nonce() -> str:
    """128 bits from the kernel as 32 hex digits; forks and wrong clocks change nothing."""
    return os.urandom(16).hex()


def _mac(secret: bytes, lines: tuple[str, ...]) -> str:
    return hmac.digest(secret, "\n".join(lines).encode("utf-8", "surrogateescape"), "sha256").hex()


def _request_mac(
    secret: bytes, claim: Claim, method: str, target: str, host: str, body: bytes
) -> str:
    path, _, query = target.partition("?")
    when = f"challenge={claim.challenge}" if claim.challenge else f"time={claim.time}"
    return _mac(
        secret,
        (
            SCHEME,
            method,
            path,
            "&".join(sorted(query.split("&"))),
            host.lower(),
            claim.device,
            claim.key,
            when,
            claim.nonce,
            hashlib.sha256(body).hexdigest(),
        ),
    )


def sign_request(
    key: DeviceKey, claim: Claim, method: str, target: str, host: str, body: bytes
) -> Claim:
    """The claim with its signature.

    Args:
        target: path and query as they stand in the request line.
        host: as in the Host header, with the port if that has one.
    """
    signature = _request_mac(key.secret, claim, method, target, host, body)
    return Claim(claim.device, claim.key, claim.time, claim.challenge, claim.nonce, signature)


def verify_request(
    secret: bytes, claim: Claim, method: str, target: str, host: str, body: bytes
) -> bool:
    """Whether the claim's signature is that of this request; takes the same time for every wrong
    one."""
    expected = _request_mac(secret, claim, method, target, host, body)
    return hmac.compare_digest(expected, claim.signature)


def _answer_mac(secret: bytes, claim: Claim, status: int, time: str, body: bytes) -> str:
    digest = hashlib.sha256(body).hexdigest()
    return _mac(
        secret,
        (ANSWER_SCHEME, claim.device, claim.key, claim.nonce, str(status), time, digest),
    )


def sign_answer(secret: bytes, claim: Claim, status: int, now: float, body: bytes) -> str:
    """The value of the ``ossmedia-answer`` header: the server's time and the answer's signature."""
    time = str(int(now))
    return f"time={time}, signature={_answer_mac(secret, claim, status, time, body)}"


def parse_answer(header: str) -> tuple[str, str]:
    """Time and signature from an ``ossmedia-answer`` header.

    Raises:
        ValueError: any other form.
    """
    found = _ANSWER.fullmatch(header)
    if found is None:
        raise ValueError("ossmedia-answer: must have the form time=..., signature=...")
    return found[1], found[2]


def verify_answer(secret: bytes, claim: Claim, status: int, header: str, body: bytes) -> int | None:
    """The server's time in seconds since 1970, if the header is its signature of this answer to
    this request; else None."""
    try:
        time, signature = parse_answer(header)
    except ValueError:
        return None
    expected = _answer_mac(secret, claim, status, time, body)
    return int(time) if hmac.compare_digest(expected, signature) else None
