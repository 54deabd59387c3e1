"""One request as it arrived.

What flows in: the connection's scope with the raw request target, headers in order, and the stream
of body pieces. What flows out: bucket, key, decoded parameters, and a body that is read at most
once, in pieces, against its announced length. It never collects a whole object in memory and never
lets a server library decode the target first.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from .addressing import Addressing
from .canonical import SignedRequest, parse_query
from .errors import OssError
from .identities import ANONYMOUS, Caller

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):
    """The client closed the connection before its body was complete; nobody is left to answer."""


class Body:
    """The body of one request.

    Args:
        length: announced bytes, None for a chunked body.
        timeout_s: seconds without a byte until 400 RequestTimeout.
    """

    def __init__(self, receive: Receive, length: int | None, timeout_s: float) -> None:
        self._receive = receive
        self._timeout_s = timeout_s
        self.length = length
        self.received = 0
        self.complete = False
        self.stalled = False
        self.watch: Callable[[int], Awaitable[None]] | None = None

    async def pieces(self, limit: int, refusal: Callable[[], OssError]) -> AsyncIterator[bytes]:
        """The body piece by piece.

        Args:
            limit: bytes after which *refusal* is raised, also when no length was announced.

        Raises:
            OssError: *refusal*, or 400 RequestTimeout when the client sends nothing for too long.
            ClientGone: the connection closed before the announced end.
        """
        if self.length is not None and self.length > limit:
            raise refusal()
        while not self.complete:
            piece = await self._next()
            if self.received > limit:
                raise refusal()
            if self.watch is not None:
                await self.watch(self.received)
            if piece:
                yield piece

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_s):
                message = await self._receive()
        except TimeoutError:
            self.stalled = True
            text = "Your socket connection to the server was not read from or written to in time."
            raise OssError(400, "RequestTimeout", text) from None
        if message["type"] != "http.request":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        self.received += len(piece)
        self.complete = not message.get("more_body", False)
        return piece

    async def skip(self) -> None:
        """Read one piece and throw it away."""
        await self._next()

    async def read(self, limit: int, refusal: Callable[[], OssError]) -> bytes:
        """The whole of a small body, such as an XML document."""
        return b"".join([piece async for piece in self.pieces(limit, refusal)])


class Request:
    """A parsed request.

    Attributes:
        headers: lower-case name and latin-1 value, in order, duplicates kept.
        header: the first value of each name.
        query: decoded, the first of each name; a name without value maps to "".
        caller: who sent it, once the signature was verified.
        operation: its documented name, once known.
        problem: why bucket and key could not be made out, to be raised where a refusal belongs.
        id: the request id, 24 hex digits.
    """

    __slots__ = (
        *("scope", "method", "raw_path", "raw_query", "headers", "header", "query", "bucket"),
        *("key", "path_style", "body", "caller", "operation", "id", "host", "started", "problem"),
    )

    def __init__(
        self, scope: Scope, receive: Receive, addressing: Addressing, timeout_s: float
    ) -> None:
        self.scope = scope
        self.id = secrets.token_hex(12).upper()
        self.started = asyncio.get_running_loop().time()
        self.method: str = scope["method"]
        self.operation = ""
        self.caller: Caller = ANONYMOUS
        self.headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        self.header: dict[str, str] = {}
        for name, value in self.headers:
            self.header.setdefault(name, value)
        target: str = scope["ossmedia.target"].decode("latin-1")
        self.raw_path, self.raw_query, self.host = _split_target(target, self.header)
        self.query: dict[str, str] = {}
        for raw_name, raw_value in parse_query(self.raw_query):
            text = (raw_value or b"").decode("utf-8", "surrogateescape")
            self.query.setdefault(raw_name.decode("utf-8", "surrogateescape"), text)
        self.body = Body(receive, _announced(self.header), timeout_s)
        self.bucket: str | None = None
        self.key: str | None = None
        self.path_style = True
        self.problem: OssError | None = None
        try:
            self._locate(addressing)
        except OssError as error:
            self.problem = error

    def _locate(self, addressing: Addressing) -> None:
        address = addressing.resolve(self.host, self.raw_path)
        self.bucket, self.path_style = address.bucket, address.path_style
        if address.raw_key is not None:
            self.key = _decode_key(address.raw_key)

    @property
    def has_body(self) -> bool:
        """Whether the client announced a body, of known length or chunked."""
        return bool(self.body.length) or (self.body.length is None and self.chunked)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks of unknown total."""
        return "transfer-encoding" in self.header

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends its body."""
        return self.header.get("expect", "").lower() == "100-continue"

    @property
    def client_ip(self) -> str:
        """The address the connection came from."""
        client = self.scope.get("client")
        return client[0] if client else "127.0.0.1"

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return bool(self.scope["scheme"] == "https")

    def target_bucket(self) -> str:
        """The bucket of a bucket or object call."""
        if self.bucket is None:
            raise OssError(400, "InvalidBucketName", "The request names no bucket.")
        return self.bucket

    def target_key(self) -> str:
        """The key of an object call."""
        if self.key is None:
            raise OssError(400, "InvalidObjectName", "The request names no object.")
        return self.key

    def signed(self) -> SignedRequest:
        """The form that the signature check wants."""
        return SignedRequest(
            *(self.method, self.bucket, self.key, self.path_style, self.raw_path),
            *(self.raw_query, self.headers),
        )

    def flag(self, name: str) -> bool:
        """A header that is ``true`` or ``false``, absent counting as false.

        Raises:
            OssError: 400 InvalidArgument for another value.
        """
        value = self.header.get(name, "false").lower()
        if value not in ("true", "false"):
            raise invalid(name, self.header[name], "must be true or false")
        return value == "true"


def invalid(name: str, value: str, reason: str) -> OssError:
    """400 InvalidArgument that names the argument."""
    extra = {"ArgumentName": name, "ArgumentValue": value}
    return OssError(400, "InvalidArgument", f"{name} {reason}.", extra=extra)


def _split_target(target: str, header: dict[str, str]) -> tuple[str, str, str]:
    host = header.get("host", "")
    if not target.startswith("/") and "://" in target:
        authority, slash, path = target.partition("://")[2].partition("/")
        target, host = slash + path or "/", authority
    raw_path, _, raw_query = target.partition("#")[0].partition("?")
    return raw_path or "/", raw_query, host


def _announced(header: dict[str, str]) -> int | None:
    if "transfer-encoding" in header:
        return None
    text = header.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _decode_key(raw_key: str) -> str:
    try:
        return unquote_to_bytes(raw_key.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise OssError(400, "InvalidObjectName", "The object name must be UTF-8.") from None
