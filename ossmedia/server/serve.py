"""A running application server: a port, a thread or a process, a graceful end.

In flow settings, out flow a listening server and its log. It ends after what is being answered was
answered; it raises the limit of open files to what its connections need.
"""

from __future__ import annotations

import gc
import json
import logging
import resource
import signal
import socket
import sys
import threading
from types import TracebackType

import uvicorn

from ossmedia.server.app import AppServer
from ossmedia.server.edge import ACCESS_LOG
from ossmedia.server.parts import Parts
from ossmedia.server.settings import Settings
from ossmedia.server.wire import protocol

__all__ = ["Running", "run"]

_OTHER_FILES = 256


class _Server(uvicorn.Server):
    """uvicorn, saying when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.tell = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.tell and self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            print(json.dumps({"listening": f"{host}:{port}"}), flush=True)
        self.ready.set()


def _server(application: AppServer, settings: Settings) -> _Server:
    http = settings.http
    config = uvicorn.Config(
        application,
        http=protocol(http.request_timeout_s, http.connections),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=bool(http.trusted_proxies),
        forwarded_allow_ips=list(http.trusted_proxies),
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=http.stop_timeout_s,
        ssl_certfile=http.tls_cert or None,
        ssl_keyfile=http.tls_key or None,
        backlog=2048,
    )
    return _Server(config)


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.http.host, settings.http.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise OSError(f"http.host, http.port: cannot listen on {host}:{port}: {error}") from None
    return listener


class Running:
    """An application server in a thread of this process; a context manager.

    Args:
        parts: with settings whose port may be 0 for any free one.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        settings = parts.settings
        self._listener = _listen(settings)
        host, port = self._listener.getsockname()[:2]
        scheme = "https" if settings.http.tls_cert else "http"
        self.url = f"{scheme}://{host}:{port}"
        self._server = _server(AppServer(parts), settings)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="ossmedia-server", daemon=True
        )

    def __enter__(self) -> Running:
        self._thread.start()
        if not self._server.ready.wait(30):
            raise OSError(f"the server did not start on {self.url} within 30 s")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. One line of JSON on standard output says where, when it is
    ready; the access log goes to standard error.

    Raises:
        OSError: the port cannot be had.
        ValueError: settings that do not fit the database or the key file.
        StoreUnavailable: the database does not answer.
    """
    parts = Parts(settings)
    try:
        listener = _listen(settings)
    except OSError:
        parts.close()
        raise
    _log_to_stderr()
    _raise_file_limit(settings.http.connections + _OTHER_FILES)
    server = _server(AppServer(parts), settings)
    server.tell = True
    # uvicorn takes the signals while it serves and repeats them at its end: then they are ours.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # What was imported stays: looking through its 100,000 objects stops the server for 50 ms.
    gc.collect()
    gc.freeze()
    server.run([listener])


def _log_to_stderr() -> None:
    plain = logging.StreamHandler(sys.stderr)
    plain.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.getLogger().addHandler(plain)
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(message)s"))
    access = logging.getLogger(ACCESS_LOG)
    access.setLevel(logging.INFO)
    access.propagate = False
    access.addHandler(lines)


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
