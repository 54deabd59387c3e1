"""The wire under the application: uvicorn's HTTP protocol, taught to fail as a cloud does.

What flows in: bytes of connections. What flows out: scopes with the raw target and a handle on the
connection, answers, and on demand a closed or reset connection. An answer given while the client
still sends is followed by a lingering close, because closing a socket with unread bytes would reset
it and destroy the answer on its way. It knows nothing of OSS.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .answer import Answer, refusal
from .blobs import Blobs
from .errors import OssError
from .request import Request

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LINGER_S = 10.0
"""How long a client may go on sending after it was answered early."""

LINGER_BODY_SIZE = 64 * 1024
"""A refused body up to this length is read to its end, and the connection stays open."""


GATHER_SIZE = 64 * 1024
"""Written bytes that are gathered before they go to the socket at once."""


class _Lingering:
    """A transport that sends head and body of an answer together, and whose close waits for a
    client that is still sending.
    """

    def __init__(self, transport: asyncio.Transport, protocol: CloudProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._gathered: list[bytes] = []
        self._gathered_size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Gather small writes until the loop gets control back; larger ones go on at once. What
        comes after the close goes nowhere.
        """
        if self.waiting:
            return
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered.append(data)
        self._gathered_size += len(data)
        if self._gathered_size >= GATHER_SIZE:
            self.flush()

    def flush(self) -> None:
        """Hand over what was gathered."""
        if self._gathered:
            data = b"".join(self._gathered)
            self._gathered, self._gathered_size = [], 0
            self._transport.write(data)

    def abort(self) -> None:
        """Close at once; what was gathered is lost."""
        self._gathered = []
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._timer is not None or self._transport.is_closing()

    @property
    def waiting(self) -> bool:
        """The answer is out, and the client still sends."""
        return self._timer is not None

    def close(self) -> None:
        if self.is_closing():
            self.finish()
            return
        self.flush()
        if not self._protocol.still_receiving():
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        self._timer = self._loop.call_later(LINGER_S, self._transport.abort)

    def finish(self) -> None:
        """The client is done: end the lingering now."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()


class CloudProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with the raw target and the connection in the scope.

    Attributes:
        requests: how many requests came on this connection.
    """

    lingering: _Lingering
    body_ended = True
    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wrap the transport before the protocol sees it."""
        self.lingering = _Lingering(cast(asyncio.Transport, transport), self)
        super().connection_made(cast(asyncio.Transport, self.lingering))
        # The OSS C SDK announces a length and sends chunks; Debian's httptools cannot be lenient.
        if hasattr(self.parser, "set_dangerous_leniencies"):
            self.parser.set_dangerous_leniencies(
                lenient_chunked_length=True, lenient_data_after_close=True
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer of a lingering close."""
        self.lingering.finish()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; after an early answer it only looks for the end of the body."""
        if self.parser is None:
            return
        super().data_received(data)
        if self.lingering.waiting and not self.still_receiving():
            self.lingering.finish()

    def on_headers_complete(self) -> None:
        """Keep the target as it stood on the wire; the decoded forms of the scope are unused."""
        scope = cast(MutableMapping[str, Any], self.scope)
        scope["ossmedia.target"] = self.url
        scope["ossmedia.protocol"] = self
        self.url = b"/"
        self.body_ended = False
        self.requests += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is whole, also when its answer went out before."""
        self.body_ended = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; after an early answer there is nothing left to say."""
        if self.lingering.waiting:
            self.lingering.finish()
            return
        request_id = secrets.token_hex(12).upper()
        body = refusal(None, request_id, OssError(400, "BadRequest", msg)).body
        head = (
            "HTTP/1.1 400 Bad Request\r\nServer: AliyunOSS\r\nConnection: close\r\n"
            f"x-oss-request-id: {request_id}\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.body_ended = False
        self.lingering.write(head.encode() + body)
        self.lingering.close()

    def still_receiving(self) -> bool:
        """Whether the client has not yet sent all of its request."""
        return not self.body_ended

    def last_words(self, data: bytes) -> None:
        """Send raw bytes of an answer that will not be completed."""
        self.lingering.write(data)
        self.lingering.flush()

    def drop(self, *, reset: bool = False) -> None:
        """Close the connection without an answer, with FIN or with RST."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if reset:
            connection = self.lingering.get_extra_info("socket")
            if connection is not None:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.lingering.abort()
        else:
            self.lingering.flush()
            self.lingering.finish()


def protocol_of(request_scope: MutableMapping[str, Any]) -> CloudProtocol:
    """The connection a request came on."""
    return cast(CloudProtocol, request_scope["ossmedia.protocol"])


async def settle_body(request: Request, answer: Answer) -> None:
    """Before an answer goes out: read the rest of a short body, or say that the connection ends."""
    protocol = protocol_of(request.scope)
    if not protocol.still_receiving():
        return
    length = request.body.length
    short = length is not None and length <= LINGER_BODY_SIZE
    if short and not (request.expects_continue or answer.close or request.body.stalled):
        try:
            async with asyncio.timeout(1.0):
                while not request.body.complete:
                    await request.body.skip()
            return
        except TimeoutError:
            pass
    answer.close = True


async def send_answer(send: Send, request: Request, answer: Answer, blobs: Blobs) -> None:
    """Put *answer* on the wire; content goes from disk piece by piece."""
    stored = answer.segments is not None
    headers = list(answer.headers)
    if answer.status not in (204, 304) and answer.get("Content-Length") is None:
        headers.append(("Content-Length", str(answer.length if stored else len(answer.body))))
    headers.append(("Connection", "close" if answer.close else "keep-alive"))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    silent = request.method == "HEAD"
    if answer.segments and not silent:
        for piece in blobs.read(answer.segments, answer.start, answer.length):
            if protocol_of(request.scope).cycle.disconnected:
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    body = b"" if silent or stored else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": False})
