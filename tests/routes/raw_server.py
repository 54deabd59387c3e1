"""A server made of sockets alone, for answers that no HTTP library would send.

Each connection is read request by request, as the bytes came; a function says which bytes go back,
in which pieces. It writes down every line of every head, and never decides itself what is right.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable

__all__ = ["RawServer", "Request"]


class Request:
    """The head's lines as they came, and the body."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.lines = head.split(b"\r\n")[:-2]
        self.body = body
        self.method, self.target, _ = self.lines[0].decode("latin-1").split(" ", 2)

    def field(self, name: str) -> str:
        for line in self.lines[1:]:
            key, _, value = line.decode("latin-1").partition(":")
            if key.lower() == name:
                return value.strip()
        return ""


class RawServer:
    """Answers with bytes on 127.0.0.1; closes a connection after an answer unless told otherwise.

    Args:
        answer: the pieces of the answer; None in them ends it without closing the connection.
        tls: wraps each connection; the handshake's failure is counted.
        proxy: each connection begins with a CONNECT, which is granted: any host name leads here.
    """

    def __init__(
        self,
        answer: Callable[[Request], Iterable[bytes | None]],
        tls: ssl.SSLContext | None = None,
        *,
        proxy: bool = False,
    ) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.heads: list[bytes] = []  # whatever came, well-formed or not
        self.connections = 0
        self.refused = 0  # handshakes that the client broke off
        self._tls = tls
        self._proxy = proxy
        self._ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def __enter__(self) -> RawServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        # Closing alone does not wake an accept() or recv() under way.
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._proxy:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self._tls is not None:
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except (ssl.SSLError, ConnectionError):
                    self.refused += 1
                    return
                self._open.append(connection)
            while self._one(connection):
                pass
        except OSError:
            pass  # the client left
        finally:
            connection.close()

    @property
    def received(self) -> int:
        """Bytes of requests, inside TLS if there is TLS."""
        return sum(map(len, self.heads)) + sum(len(one.body) for one in self.requests)

    def _one(self, connection: socket.socket) -> bool:
        request = self._read(connection)
        if request is None:
            return False
        self.requests.append(request)
        for piece in self.answer(request):
            if piece is None:
                return True
            if self._ending.is_set():
                return False
            connection.sendall(piece)
        return False

    def _read(self, connection: socket.socket) -> Request | None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                if head:
                    self.heads.append(head)
                return None
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        head += b"\r\n\r\n"
        self.heads.append(head)
        request = Request(head, b"")
        length = int(request.field("content-length") or 0)
        while len(body) < length:
            more = connection.recv(1 << 20)
            if not more:
                return None
            body += more
        request.body = body
        return request

    def pause(self, seconds: float) -> None:
        """Waits inside an answer, but not for a test that has ended."""
        self._ending.wait(seconds)
