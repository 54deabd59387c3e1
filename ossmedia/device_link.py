"""A device's connection to the application server: signed requests, verified answers.

In flow paths and documents, out flow the documents that the server answers, as one whose signature
held, or exceptions. One connection serves one request; two requests are made when the device's
clock is wrong. It never follows a redirect, uses no proxy, and speaks plain http only when told to.
The key reaches no message and no repr.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Timer
from urllib.parse import urlsplit

from ossmedia.clock import SYSTEM
from ossmedia.device_auth import (
    ANSWER_HEADER,
    Claim,
    DeviceKey,
    new_nonce,
    sign_request,
    verify_answer,
)
from ossmedia.errors import (
    NetworkError,
    OssMediaError,
    ProtocolError,
    RequestTimeout,
    TlsError,
    service_error,
)
from ossmedia.policy import check_device_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ossmedia.clock import Clock

__all__ = ["DeviceLink", "Server"]

ANSWER_SIZE = 256 << 10
_BY_TIME = ("challenge-invalid", "clock-skew", "replayed")  # a new request may be good


class DeviceLink:
    """One device and its application server.

    Args:
        url: "https://cams.example.com"; a path in it stands before the server's own.
        device_id: as it was registered.
        device_key: "omdk_..." as text or bytes, or the path (``os.PathLike``) of a file that holds
            it and is read at each call, so that a key can be changed without a restart. None: the
            certificate is enough for this server.
        ca_file: PEM file of the authorities to trust; None: those of the system.
        cert_file: PEM file of the device's own certificate, with those between it and its
            authority; read at each call.
        cert_key_file: PEM file of the certificate's key, not encrypted; None: it is in
            ``cert_file``.
        timeout_s: for connecting, and for the exchange after that.
        allow_insecure: speak http if the url says so: the token can then be read on the way.
        clock: see ``ossmedia.clock.Clock``.

    Attributes:
        seconds_ahead: how far the server's clock is ahead of this machine's, as a signed answer
            told; None before the first.

    Raises:
        TypeError, ValueError: naming the argument and its limit, never the key.
    """

    __slots__ = ("_clock", "_device_id", "_key", "_path", "_server", "seconds_ahead")

    def __init__(
        self,
        url: str,
        device_id: str,
        device_key: str | bytes | os.PathLike[str] | None = None,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        cert_file: str | os.PathLike[str] | None = None,
        cert_key_file: str | os.PathLike[str] | None = None,
        timeout_s: float = 20.0,
        allow_insecure: bool = False,
        clock: Clock = SYSTEM,
    ) -> None:
        self._server = Server(url, ca_file, timeout_s, allow_insecure)
        self._server.present(cert_file, cert_key_file)
        if device_key is None and cert_file is None:
            raise ValueError("device_key, cert_file: one of them must be given, or both")
        self._device_id = check_device_id(device_id)
        self._key: DeviceKey | None = None
        self._path = ""
        if isinstance(device_key, os.PathLike):
            self._path = os.fspath(device_key)
        elif device_key is not None:
            self._key = _key_of(device_key)
        self._clock = clock
        self.seconds_ahead: float | None = None

    def ask(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """What the server answers to a document that the device posts to one of its paths.

        Raises:
            Unavailable: the server asks to come again; ``retry_after_s`` says when.
            AccessDenied: the server does not know this device or key, or it is disabled.
            ServiceError: another refusal; ``code`` is the problem document's.
            NetworkError, RequestTimeout, TlsError: no answer.
            ProtocolError: an answer that cannot be read, or is not signed with the device's key.
            OSError, ValueError: a file cannot be read, or holds no key or certificate.
        """
        body = json.dumps(document).encode()
        key = self._key or (_read_key(self._path) if self._path else None)
        answer = self._ask(key, path, body, "")
        if key and answer.status == 401 and answer.word("code") == "clock-skew":
            answer = self._ask(key, path, body, str(answer.word("challenge"))[:64])
        if answer.status != 200:
            raise answer.error()
        if key and not answer.signed:
            raise ProtocolError("the application server's answer is not signed with this key")
        data = answer.json()
        if data.get("device") != self._device_id:
            raise ProtocolError("the application server's answer is for another device")
        return data

    def _ask(self, key: DeviceKey | None, path: str, body: bytes, challenge: str) -> _Answer:
        """One request, signed if there is a key; learns the server's time from a signed answer."""
        server = self._server
        target = server.target(path)
        if key is None:
            return server.post(target, body, {})
        sent_at = self._clock.monotonic()
        when = str(max(0, int(self._clock.now() + (self.seconds_ahead or 0.0))))
        claim = Claim(self._device_id, key.id, when, challenge, new_nonce())
        claim = sign_request(key, claim, "POST", target, server.host, body)
        answer = server.post(target, body, {"Authorization": claim.header()})
        time = verify_answer(key.secret, claim, answer.status, answer.signature, answer.body)
        if time is not None:
            answer.signed = True
            passed = self._clock.monotonic() - sent_at
            self.seconds_ahead = time + 0.5 + passed / 2 - self._clock.now()
        return answer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._server.url!r}, {self._device_id!r})"


def _key_of(text: str | bytes) -> DeviceKey:
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str):
        raise TypeError(f"device_key: must be str, bytes or a path, not {type(text).__name__}")
    return DeviceKey.parse(text.strip())


def _read_key(path: str) -> DeviceKey:
    with open(path, "rb") as file:
        return _key_of(file.read(256))


class _Answer:
    """Status, body and what the head said; ``signed`` is set by who has checked it."""

    __slots__ = ("body", "retry_after", "signature", "signed", "status")

    def __init__(self, response: HTTPResponse, body: bytes) -> None:
        self.status = response.status
        self.body = body
        self.signature = response.headers.get(ANSWER_HEADER, "")
        self.retry_after = response.headers.get("Retry-After", "")
        self.signed = False

    def json(self) -> dict[str, Any]:
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise ProtocolError("the application server's answer is no JSON object")
        return data

    def word(self, name: str) -> object:
        """One member of the document; "" if there is none, or no document."""
        try:
            return self.json().get(name, "")
        except ProtocolError:
            return ""

    def error(self) -> OssMediaError:
        """The exception for a refusal."""
        code, title, detail = (str(self.word(name))[:300] for name in ("code", "title", "detail"))
        after = self.retry_after
        failure = service_error(
            self.status,
            code or "BadErrorResponse",
            ": ".join(text for text in (title, detail) if text) or "the application server refused",
            retry_after_s=float(after) if after.isdigit() and len(after) < 7 else None,
        )
        if code in _BY_TIME:
            failure.retryable = True
        return failure


class Server:
    """Where the server is, and how to reach it: one connection for one request."""

    def __init__(
        self,
        url: str,
        ca_file: str | os.PathLike[str] | None,
        timeout_s: float,
        allow_insecure: bool,
    ) -> None:
        if not isinstance(url, str):
            raise TypeError(f"url: must be str, not {type(url).__name__}")
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("url: must be https://HOST")
        if parts.scheme == "http" and not allow_insecure:
            raise ValueError("url: must begin with https:// (or say allow_insecure=True)")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("url: only a host, a port and a path")
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
            raise TypeError("timeout_s: must be seconds as int or float")
        if not 0 < timeout_s <= 600:
            raise ValueError(f"timeout_s: must be above 0 and at most 600, not {timeout_s}")
        self.url, self.host = url, parts.netloc
        self._name, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._timeout_s = float(timeout_s)
        self._tls = parts.scheme == "https"
        self._ca_file = None if ca_file is None else os.fspath(ca_file)
        self._certificate: tuple[str, str | None] | None = None
        self._context: ssl.SSLContext | None = None

    def present(
        self, cert_file: str | os.PathLike[str] | None, key_file: str | os.PathLike[str] | None
    ) -> None:
        """Shows a client certificate from now on."""
        if cert_file is None:
            if key_file is not None:
                raise ValueError("cert_key_file: needs cert_file")
            return
        if not self._tls:
            raise ValueError("cert_file: needs a url with https://")
        self._certificate = os.fspath(cert_file), None if key_file is None else os.fspath(key_file)

    def target(self, path: str) -> str:
        """The request line's target for one of the server's paths."""
        return self._base + path

    def post(self, target: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        """One request and its whole answer, within the time allowed."""
        connection = self._connection()
        alarm = response = None
        given = {"Host": self.host, "Content-Type": "application/json", **headers}
        try:
            connection.connect()
            # The socket's own timeout is for one read; a peer that drips must end, too.
            alarm = _Alarm(connection.sock, self._timeout_s)
            connection.request("POST", target, body, given)
            response = connection.getresponse()
            answer = _Answer(response, self._read(response))
            if not alarm.rang:  # else its end of the connection looks like the answer's
                return answer
            failure = self._failure(TimeoutError(), True)
        except OssMediaError:
            raise
        except (OSError, HTTPException) as error:
            # Raised below: as its context, the library's exception would hold the socket open.
            failure = self._failure(error, alarm is not None and alarm.rang)
        finally:
            if alarm is not None:
                alarm.cancel()
            if response is not None:
                response.close()
            connection.close()
        raise failure

    def _failure(self, error: Exception, late: bool) -> OssMediaError:
        if late or isinstance(error, TimeoutError):
            return RequestTimeout(f"{self.url}: no answer in time", maybe_done=True)
        if isinstance(error, ssl.SSLError):
            return TlsError(f"{self.url}: {error.reason or 'TLS failed'}")
        if isinstance(error, OSError):
            return NetworkError(f"{self.url}: {error.strerror or 'no answer'}")
        name = type(error).__name__
        return ProtocolError(f"{self.url}: an answer that is no HTTP ({name})")

    def _connection(self) -> HTTPConnection:
        if not self._tls:
            return HTTPConnection(self._name, self._port, timeout=self._timeout_s)
        if self._context is None or self._certificate:
            self._context = ssl.create_default_context(cafile=self._ca_file)
        if self._certificate:
            try:
                self._context.load_cert_chain(*self._certificate, password="")  # it asks nobody
            except OSError as error:
                text = f"cert_file, cert_key_file: {error.strerror or 'no certificate and its key'}"
                raise ValueError(text) from None
        return HTTPSConnection(
            self._name, self._port, timeout=self._timeout_s, context=self._context
        )

    def _read(self, response: HTTPResponse) -> bytes:
        body = response.read(ANSWER_SIZE + 1)
        if len(body) > ANSWER_SIZE:
            raise ProtocolError(f"{self.url}: an answer of more than {ANSWER_SIZE} bytes")
        if response.length:
            raise NetworkError(f"{self.url}: the answer ended early")
        return body


class _Alarm(Timer):
    """Ends a connection after so many seconds, unless it is cancelled before."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        super().__init__(seconds, self._ring)
        self.daemon = True
        self.rang = False
        self._connection = connection
        self.start()

    def _ring(self) -> None:
        self.rang = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
