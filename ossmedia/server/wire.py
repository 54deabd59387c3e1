"""The wire under the application: uvicorn's HTTP protocol with limits on time, size and number.

In flow bytes of connections, out flow ASGI scopes. A head that does not arrive in time, or is too
large, ends its connection; so does a connection above the number allowed. The target of a request
is handed on as it stood on the wire, because signatures are over it; so is the connection's own
address, which no header changes.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ossmedia.server.edge import HEAD_SIZE
from ossmedia.server.problems import Problem
from ossmedia.server.proxy_identity import PEER

__all__ = ["protocol"]

_HEAD_ROOM = HEAD_SIZE + (8 << 10)  # the request line and separators, too


class LimitedProtocol(HttpToolsProtocol):
    """One connection. ``head_timeout_s`` and ``most`` (connections) are set by ``protocol``."""

    head_timeout_s = 10.0
    most = 4096
    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _head = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuses what is too many; a new connection must send a head in time."""
        self.access_log = False  # the application has its own, without queries
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > self.most:
            self.transport.abort()
            return
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the timer."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser and counts the head."""
        if self.parser is None or self.transport.is_closing():
            return
        idle = self.cycle is None or (self.cycle.response_complete and not self._in_head)
        if idle and self._timer is None:
            self._begin_head()
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > _HEAD_ROOM and not self.transport.is_closing():
                self._refuse(Problem("headers-too-large", f"headers: at most {HEAD_SIZE} bytes"))

    def on_message_begin(self) -> None:
        """A request starts."""
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there: the application takes over."""
        self._end_head()
        if not self.url.startswith(b"/") or b"#" in self.url:
            self._refuse(Problem("bad-request", "the target must be a path"))
            return
        scope = cast(dict[str, Any], self.scope)
        scope["ossmedia.target"] = self.url
        scope[PEER] = self.client[0] if self.client else ""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hands on a piece of a body, unless its head was refused."""
        if self.cycle is not None and not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Hands on the end of a request, unless its head was refused."""
        if self.cycle is not None and not self.transport.is_closing():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        self._refuse(Problem("bad-request", msg))

    def _begin_head(self) -> None:
        self._in_head, self._head = True, 0
        self._timer = self.loop.call_later(self.head_timeout_s, self._too_late)

    def _end_head(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._refuse(Problem("request-timeout"))

    def _refuse(self, problem: Problem) -> None:
        body = problem.body()
        head = (
            f"HTTP/1.1 {problem.status} Refused\r\nconnection: close\r\n"
            f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._end_head()
        self.transport.write(head.encode() + body)
        self.transport.close()


def protocol(head_timeout_s: float, connections: int) -> type[Any]:
    """The protocol with these limits, for uvicorn's configuration."""
    limits = {"head_timeout_s": head_timeout_s, "most": connections}
    return type("Protocol", (LimitedProtocol,), limits)
