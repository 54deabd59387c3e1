"""The keys with which OSS signs its callbacks.

In flow a key's URL, a signature and what was signed, out flows whether it holds. A callback names
the key's URL itself, so the URL is an attacker's word: a key is fetched from the one host of the
settings, over https, without redirect or proxy, with a bound on size, time and number; nothing is
connected to for any other URL. A local cloud's address may stand in the settings instead.

Source: OSS, "Callback": RSA PKCS#1 v1.5 with MD5; x-oss-pub-key-url.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections import OrderedDict
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ossmedia.clock import SYSTEM, Clock

__all__ = ["CallbackKeys", "KeyUnavailable"]

TIMEOUT_S = 5.0
MOST_SIZE = 64 << 10
LIFE_S = 86_400.0
FAILED_S = 60.0
_KEPT = 16
_FETCHES, _PER_S = 10, 60.0
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,5}")


class KeyUnavailable(Exception):
    """The key cannot be had: its URL is foreign, or its host did not give it."""


class CallbackKeys:
    """Keys of one source.

    Args:
        source: what a key's URL begins with, "https://gosspublic.alicdn.com/"; http there stands
            for https in callbacks, as OSS writes both.
    """

    def __init__(self, source: str, clock: Clock = SYSTEM) -> None:
        self._source = source
        self._clock = clock
        self._keys: OrderedDict[str, tuple[float, rsa.RSAPublicKey | None]] = OrderedDict()
        self._fetched: list[float] = []
        self._lock = threading.Lock()

    def signed(self, url: bytes, signature: bytes, text: bytes) -> bool:
        """Whether a text is signed with the key at a URL.

        Raises:
            KeyUnavailable: the URL is not of this source, or the key was not given.
        """
        key = self._key(self.checked(url))
        try:
            key.verify(signature, text, padding.PKCS1v15(), hashes.MD5())  # noqa: S303 - OSS's
        except (InvalidSignature, ValueError):
            return False
        return True

    def checked(self, url: bytes) -> str:
        """The URL to fetch, for one that is of this source.

        Raises:
            KeyUnavailable: any other.
        """
        try:
            text = url.decode("ascii")
        except UnicodeDecodeError:
            text = ""
        source = self._source
        if source.startswith("https://") and text.startswith("http://"):
            text = "https://" + text.removeprefix("http://")
        if not source or not text.startswith(source):
            raise KeyUnavailable
        if not _NAME.fullmatch(text.removeprefix(source)):
            raise KeyUnavailable
        return text

    def _key(self, url: str) -> rsa.RSAPublicKey:
        with self._lock:  # one fetch at a time, for all that wait for the same
            now = self._clock.monotonic()
            held = self._keys.get(url)
            if held is None or now >= held[0]:
                held = self._fetch(url, now)
                self._keys[url] = held
                self._keys.move_to_end(url)
                if len(self._keys) > _KEPT:
                    self._keys.popitem(last=False)
            if held[1] is None:
                raise KeyUnavailable
            return held[1]

    def _fetch(self, url: str, now: float) -> tuple[float, rsa.RSAPublicKey | None]:
        self._fetched = [at for at in self._fetched if now - at < _PER_S]
        if len(self._fetched) >= _FETCHES:
            raise KeyUnavailable
        self._fetched.append(now)
        try:
            key = load_pem_public_key(_get(url))
        except (OSError, HTTPException, ValueError):
            return now + FAILED_S, None
        if not isinstance(key, rsa.RSAPublicKey):
            return now + FAILED_S, None
        return now + LIFE_S, key


def _get(url: str) -> bytes:
    """The document at a URL.

    Raises:
        OSError, HTTPException: no answer in time. ValueError: another answer than a short document.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    else:
        connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.connect()
        alarm = threading.Timer(TIMEOUT_S, _end, [connection.sock])
        alarm.daemon = True
        alarm.start()
        try:
            connection.request("GET", parts.path, headers={"Accept-Encoding": "identity"})
            response = connection.getresponse()
            content = response.read(MOST_SIZE + 1)
            if response.status != 200 or len(content) > MOST_SIZE or response.length:
                raise ValueError("no key")
            return content
        finally:
            alarm.cancel()
    finally:
        connection.close()


def _end(connection: socket.socket) -> None:
    """The socket's own timeout is for one read; a host that drips must end, too."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
