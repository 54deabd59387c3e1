"""The edge of the application: every request passes here on its way in and out.

In flow ASGI requests, out flow answers, a line of JSON in the access log and a count. Requests with
a head too large, a packed body, a foreign host name or a proxy's headers from elsewhere are refused
here; an exception that nobody foresaw becomes a problem document without its text. The line never
holds a query, a header or a body, and what a client wrote stands in it escaped.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
import traceback
from collections.abc import Sequence
from typing import Any

from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.metrics import Metrics
from ossmedia.server.problems import Problem, problem_response
from ossmedia.server.proxy_identity import CERTIFICATE, ProxyIdentity

__all__ = ["ACCESS_LOG", "HEAD_SIZE", "Edge"]

ACCESS_LOG = "ossmedia.access"
HEAD_SIZE = 16 << 10  # bytes of names and values of a request's headers
_ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")
_LONGEST_PATH = 200
_FRAMES = 6

_access = logging.getLogger(ACCESS_LOG)
_log = logging.getLogger("ossmedia.server")


class Edge:
    """Wraps the application.

    Args:
        routes: paths that are counted under their own name; all others count as one.
        hosts: names this server answers to; none: any.
        identity: reads whose certificate a proxy has verified; None: nobody's.
        headers: that every answer carries.
    """

    def __init__(
        self,
        inner: ASGIApp,
        metrics: Metrics,
        routes: frozenset[str],
        hosts: tuple[str, ...] = (),
        clock: Clock = SYSTEM,
        identity: ProxyIdentity | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._inner = inner
        self._metrics = metrics
        self._routes = routes
        self._templates = [(compile_path(path)[0], path) for path in routes if "{" in path]
        self._hosts = frozenset(host.lower() for host in hosts)
        self._clock = clock
        self._identity = identity
        self._headers = [*headers, (b"x-content-type-options", b"nosniff")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        started = self._clock.monotonic()
        request_id = secrets.token_hex(8)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                headers.append((b"ossmedia-request-id", request_id.encode()))
                headers.extend(self._headers)
                if scope.get("scheme") == "https":
                    headers.append(_ONLY_HTTPS)
                message = {**message, "headers": headers}
            await send(message)

        seen = scope["ossmedia.seen"] = {}
        try:
            await self._answer(scope, receive, sending, seen)
        except Exception as error:
            seen["code"] = "internal"
            # Where, but not what: an exception's text may hold what no log may.
            where = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES:])
            _log.error("request %s failed: %s\n%s", request_id, type(error).__name__, where)
            if status:
                return
            await problem_response(Problem("internal"))(scope, receive, sending)
        finally:
            self._note(scope, request_id, status, self._clock.monotonic() - started)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, seen: dict[str, Any]
    ) -> None:
        try:
            self._check(scope)
        except Problem as problem:
            seen["code"] = problem.code
            await problem_response(problem)(scope, receive, send)
            return
        await self._inner(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        size = 0
        hosts = []
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"host":
                hosts.append(value)
            elif name == b"content-encoding" and value.lower() != b"identity":
                raise Problem("unsupported-encoding")
        if size > HEAD_SIZE:
            raise Problem("headers-too-large", f"headers: at most {HEAD_SIZE} bytes")
        if len(hosts) != 1:
            raise Problem("bad-request", "host: must stand in the head once")
        if self._hosts and hosts[0].decode("latin-1").lower() not in self._hosts:
            raise Problem("wrong-host")
        if self._identity is not None:
            scope[CERTIFICATE] = self._identity.find(scope)

    def _template_of(self, path: str) -> str:
        """The route of a path that has a part of the client's own in it."""
        found = (template for regex, template in self._templates if regex.match(path))
        return next(found, "other")

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        path: str = scope["path"]
        route = path if path in self._routes else self._template_of(path)
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        seen: dict[str, Any] = scope["ossmedia.seen"]
        if "code" in seen:
            self._metrics.problems.labels(seen["code"]).inc()
        if not _access.isEnabledFor(logging.INFO):
            return
        client = scope.get("client")
        now = self._clock.now()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        line = {
            "time": f"{moment}.{int(now % 1 * 1000):03d}Z",
            "request": request_id,
            "client": client[0] if client else "",
            "method": scope["method"],
            "path": path[:_LONGEST_PATH],
            "status": status,
            "ms": round(seconds * 1000, 1),
            **seen,
        }
        _access.info("%s", json.dumps(line))
