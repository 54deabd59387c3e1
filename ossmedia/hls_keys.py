"""AES-128 of whole HLS segments, with keys from a provider of the application's.

In flow a segment's bytes and a key, out flow the encrypted bytes in the same memory and what a
playlist says of them. It never writes a key anywhere.

Source: RFC 8216, 4.3.2.4 (EXT-X-KEY) and 5.2; RFC 5652, 6.3 (padding).
"""

from __future__ import annotations

import os

from ossmedia.errors import MediaError
from ossmedia.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    KeyProvider = Callable[[int, float], "SegmentKey"]

__all__ = ["SegmentCipher", "SegmentKey"]

_PIECE = 64 << 10  # bytes encrypted at once, a multiple of the cipher's 16
_MOST = 2000  # characters of the id and the URI: they become metadata


class SegmentKey(Value):
    """A key of AES-128 and where players get it.

    Args:
        id: names it for the application, e.g. "2026-11-23/7"; stands in the segment's metadata.
        key: 16 bytes; never shown by repr.
        uri: what the playlist says; players must be allowed to read it, nobody else.

    Raises:
        TypeError, ValueError: naming the field and its limit, never the key.
    """

    __slots__ = ("id", "key", "uri")
    _hidden = frozenset({"key"})
    id: str
    key: bytes
    uri: str

    def __init__(self, id: str, key: bytes, uri: str) -> None:
        if not isinstance(key, bytes):
            raise TypeError(f"key: must be bytes, not {type(key).__name__}")
        if len(key) != 16:
            raise ValueError(f"key: must be 16 bytes, not {len(key)}")
        for name, text in (("id", id), ("uri", uri)):
            if not isinstance(text, str):
                raise TypeError(f"{name}: must be str, not {type(text).__name__}")
            if not 1 <= len(text) <= _MOST or not text.isascii() or not text.isprintable():
                raise ValueError(f"{name}: must be 1-{_MOST} characters of printable ASCII")
            if '"' in text or text != text.strip():
                raise ValueError(f"{name}: must hold no quote, and no blank at its ends")
        self._set(id=id, key=key, uri=uri)


class SegmentCipher:
    """Encrypts segments.

    Args:
        provider: called with (sequence, start in seconds since 1970 UTC) before each segment is
            stored; returns its ``SegmentKey``, which may be the one before.

    Raises:
        ImportError: the package cryptography is missing.
    """

    def __init__(self, provider: KeyProvider) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        except ImportError:
            raise ImportError(
                "key_provider: AES-128 needs the package cryptography: pip install cryptography"
            ) from None
        self._provider = provider
        self._cipher: Any = lambda key, iv: Cipher(algorithms.AES128(key), modes.CBC(iv))

    def encrypt(self, data: bytearray, sequence: int, start: float) -> tuple[str, dict[str, str]]:
        """Encrypts in place, padded to a multiple of 16 bytes.

        Returns:
            The attributes of EXT-X-KEY, and the object's metadata.

        Raises:
            MediaError: the provider failed; ``__cause__`` says how.
        """
        try:
            key = self._provider(sequence, start)
        except Exception as error:
            text = f"key_provider: raised {type(error).__name__}"
            raise MediaError(text, retryable=True) from error
        if not isinstance(key, SegmentKey):
            raise MediaError(f"key_provider: must return SegmentKey, not {type(key).__name__}")
        iv = os.urandom(16)
        encryptor = self._cipher(key.key, iv).encryptor()
        padding = 16 - len(data) % 16
        data += bytes([padding]) * padding
        with memoryview(data) as view:
            for at in range(0, len(view), _PIECE):
                view[at : at + _PIECE] = encryptor.update(view[at : at + _PIECE])
        encryptor.finalize()
        tag = f'METHOD=AES-128,URI="{key.uri}",IV=0x{iv.hex()}'
        return tag, {
            "ossmedia-key-id": key.id,
            "ossmedia-key-uri": key.uri,
            "ossmedia-iv": iv.hex(),
        }
