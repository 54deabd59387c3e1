"""The server's key: seals device secrets and cached tokens, and makes keys for other purposes.

In flow a key file and secrets, out flow sealed bytes (AES-256-GCM, each bound to the place it
belongs to, so that rows cannot be swapped). The key never leaves the object, and a key file that
others can read is refused. It never makes a key on its own: a new key for an old database would
lock every device out.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["Vault", "make_key_file"]

_KEY_SIZE = 32
_NONCE_SIZE = 12
_TAG_SIZE = 16


class Vault:
    """Seals and opens under the key of one file.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_key", "_sealer")

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_SIZE:
            raise ValueError(f"key_file: must hold {2 * _KEY_SIZE} hex digits")
        self._key = bytes(key)
        self._sealer = AESGCM(self.derive("seal"))

    @classmethod
    def from_file(cls, path: str | Path) -> Vault:
        """Reads a key file.

        Raises:
            ValueError: it is missing, readable by others, or holds something else.
        """
        try:
            with Path(path).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read(4 * _KEY_SIZE).decode("ascii").strip()
            if mode & 0o077:
                raise ValueError(f"key_file: {path} must be readable by its owner only (chmod 600)")
            return cls(bytes.fromhex(text))
        except FileNotFoundError:
            text = f"key_file: {path} does not exist; run: ossmedia db upgrade"
            raise ValueError(text) from None
        except UnicodeDecodeError:
            raise ValueError(f"key_file: {path} must hold {2 * _KEY_SIZE} hex digits") from None
        except ValueError as error:
            if str(error).startswith("key_file"):
                raise
            raise ValueError(f"key_file: {path} must hold {2 * _KEY_SIZE} hex digits") from None

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose; keys of different purposes tell nothing of each
        other."""
        return hmac.digest(self._key, b"ossmedia-1:" + purpose.encode(), "sha256")

    def seal(self, secret: bytes, place: str) -> bytes:
        """The secret, encrypted, for one place only."""
        nonce = os.urandom(_NONCE_SIZE)
        return nonce + self._sealer.encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """The secret again.

        Raises:
            ValueError: sealed under another key, for another place, or damaged.
        """
        if len(sealed) < _NONCE_SIZE + _TAG_SIZE:
            raise ValueError(f"{place}: what is sealed there is damaged")
        try:
            return self._sealer.decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], place.encode())
        except InvalidTag:
            raise ValueError(f"{place}: sealed under another server key, or damaged") from None

    def __repr__(self) -> str:
        return "Vault(***)"


def make_key_file(path: str | Path) -> None:
    """Writes a new key, readable by the owner only, and makes it last.

    Raises:
        FileExistsError: it is there already; it is never replaced.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, os.urandom(_KEY_SIZE).hex().encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
