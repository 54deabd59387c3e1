"""The application: its routes, and the answers of those that are few.

In flow ASGI requests, out flow JSON answers. What a device is allowed comes from its record alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from ossmedia.errors import CredentialsError
from ossmedia.server.bodies import BODY_SIZE, read_body
from ossmedia.server.database import StoreUnavailable
from ossmedia.server.device_door import DeviceDoor, Told, json_response, told_problem
from ossmedia.server.devices import Device, EnrolmentRefused
from ossmedia.server.edge import Edge
from ossmedia.server.metrics import CONTENT_TYPE
from ossmedia.server.page import Page, security_headers
from ossmedia.server.parts import Parts
from ossmedia.server.problems import Problem
from ossmedia.server.proxy_identity import ProxyIdentity
from ossmedia.server.reports import Reports
from ossmedia.server.wishes import enrolment_of, read_object, wish_of

__all__ = ["BODY_SIZE", "AppServer"]

_READY_FOR_S = 1.0


class AppServer:
    """The ASGI application.

    Args:
        parts: what it works with; closed when the application's life ends.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._networks = [ip_network(text) for text in parts.settings.http.metrics_from]
        self._openapi = files("ossmedia.server").joinpath("openapi.json").read_bytes()
        self._ready: tuple[float, str] | None = None
        http = parts.settings.http
        heard = parts.sightings.heard
        door = DeviceDoor(parts.admission, http.request_timeout_s, parts.clock, heard)
        routes = [
            Route("/v1/credentials", door.route(self.credentials), methods=["POST"]),
            Route("/v1/enrolments", self.enrolments, methods=["POST"]),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
            Route("/v1/reports", door.route(Reports(parts.archive)), methods=["POST"]),
            *parts.callbacks.routes(),
            *(parts.vod.routes(door) if parts.vod is not None else ()),
            *parts.recordings_api().routes(),
            *parts.sign_in.routes(),
            *Page().routes(),
        ]
        router = Router(routes, lifespan=self._life, redirect_slashes=False)
        told = {HTTPException: _no_route, Problem: told_problem, StoreUnavailable: _no_store}
        inner = ExceptionMiddleware(router, told)
        paths = frozenset(route.path for route in routes)
        headers = security_headers(parts.settings)
        identity = ProxyIdentity(http, parts.clock)
        self._edge = Edge(inner, parts.metrics, paths, http.hosts, parts.clock, identity, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's life."""
        scope["app"] = self  # the router then raises what is not found, for a problem document
        await self._edge(scope, receive, send)

    @asynccontextmanager
    async def _life(self, _: Any) -> AsyncIterator[None]:
        self.parts.errands.start()
        yield
        if self.parts.cache is not None:
            await self.parts.cache.leave()
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Gives everything back; for those who mount the application elsewhere."""
        self.parts.close()

    # -- devices ---------------------------------------------------------------------------------

    async def credentials(self, _: Request, device: Device, body: bytes) -> Response:
        """POST /v1/credentials: a token for the device that signed the request."""
        wish = wish_of(device, read_object(body))
        with Told():
            token = await self.parts.tokens.get(device, wish)
        settings = self.parts.settings
        data = {
            **token.to_json(),
            "device": device.id,
            "key_prefix": wish.prefix + "/",
            "modes": list(wish.modes),
            "bucket": settings.oss.bucket,
            "endpoint": settings.oss.endpoint,
            "region": settings.oss.region,
        }
        callback = self.parts.callbacks.headers(device)
        if callback:
            data["callback"] = callback
        return json_response(data)

    async def enrolments(self, request: Request) -> Response:
        """POST /v1/enrolments: a device's first key for a one-time code."""
        body = await self._body(request)
        if self.parts.enrolments.take(0) < 0:
            raise Problem("busy", "enrolments: too many at once", retry_after_s=2)
        device, code = enrolment_of(read_object(body))
        run = asyncio.get_running_loop().run_in_executor
        try:
            with Told():
                key = await run(self.parts.store, self.parts.registry.enrol, device, code)
        except EnrolmentRefused:
            raise Problem("enrolment-refused") from None
        request.scope["ossmedia.seen"]["device"] = device
        return json_response({"device": device, "device_key": key})

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self.parts.settings.http.request_timeout_s)

    # -- operations ------------------------------------------------------------------------------

    async def healthz(self, _: Request) -> Response:
        """GET /healthz: the process lives."""
        return json_response({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """GET /readyz: 200 while tokens can be issued, 503 with the reason's kind otherwise."""
        now = self.parts.clock.monotonic()
        if self._ready is None or now >= self._ready[0]:
            self._ready = now + _READY_FOR_S, await self._hindrance()
        reason = self._ready[1]
        if reason:
            return json_response({"status": "not ready", "reason": reason}, 503)
        return json_response({"status": "ready"})

    async def _hindrance(self) -> str:
        run = asyncio.get_running_loop().run_in_executor
        try:
            return await run(self.parts.store, self.parts.hindrance)
        except CredentialsError:
            return "the server has no access key"
        except ValueError:
            return "the database must be upgraded"
        except StoreUnavailable:
            return "the database or the cache does not answer"

    async def metrics(self, request: Request) -> Response:
        """GET /metrics: Prometheus' text form, for the networks of the settings."""
        try:
            address = ip_address(request.client.host if request.client else "")
        except ValueError:
            raise Problem("forbidden") from None
        if not any(address in network for network in self._networks):
            raise Problem("forbidden")
        return Response(self.parts.metrics.text(), media_type=CONTENT_TYPE)

    async def openapi(self, _: Request) -> Response:
        """GET /openapi.json: this interface, described."""
        return Response(self._openapi, media_type="application/json")


def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "method-not-allowed" if error.status_code == 405 else "not-found"
    answer = told_problem(request, Problem(code))
    if error.headers:
        answer.headers.update(error.headers)
    return answer


def _no_store(request: Request, _: Exception) -> Response:
    return told_problem(request, Problem("store-unavailable", retry_after_s=2))
