"""The RSA key with which the cloud signs its callbacks.

What flows in: nothing; the key is made at first use and lives as long as the process. What flows
out: the two headers of a callback, and the public key for its receiver. The private key leaves the
process nowhere.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
except ImportError:
    SIGNED = False
else:
    SIGNED = True
"""Whether callbacks are signed: the package ``cryptography`` is installed."""


class CallbackKey:
    """A key pair for callbacks.

    Args:
        url: where receivers fetch the public key; the service uses an address of its own domain,
            so a receiver must be told to trust this one.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._private: RSAPrivateKey | None = None

    def _key(self) -> RSAPrivateKey:
        if self._private is None:
            self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._private

    def public_pem(self) -> bytes:
        """The public key as PEM."""
        return (
            self._key()
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def headers(self, decoded_path: str, body: bytes) -> dict[str, str]:
        """``authorization`` and ``x-oss-pub-key-url`` of a callback.

        Args:
            decoded_path: the path percent-decoded, the query as sent.

        Source: OSS, "Callback", signature: RSA PKCS#1 v1.5 with MD5 over path, line feed, body.
        """
        signed = decoded_path.encode() + b"\n" + body
        signature = self._key().sign(signed, padding.PKCS1v15(), hashes.MD5())  # noqa: S303 - what the service signs with
        return {
            "authorization": base64.b64encode(signature).decode(),
            "x-oss-pub-key-url": base64.b64encode(self.url.encode()).decode(),
        }
