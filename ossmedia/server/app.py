"""The application: routes, and the one way from a request to an answer.

In flow ASGI requests, out flow JSON answers. A device's request is read, judged, and only then
understood; what it is allowed comes from its record alone. Every answer to a sender whose signature
held is signed in turn.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from ossmedia.device_auth import ANSWER_HEADER, Claim, sign_answer
from ossmedia.errors import CredentialsError
from ossmedia.server.authentication import Attempt, Verdict
from ossmedia.server.batches import Busy
from ossmedia.server.budget import OverBudget
from ossmedia.server.database import StoreUnavailable
from ossmedia.server.devices import EnrolmentRefused
from ossmedia.server.edge import Edge
from ossmedia.server.metrics import CONTENT_TYPE
from ossmedia.server.parts import Parts
from ossmedia.server.problems import Problem, problem_response
from ossmedia.server.tokens import DeviceChanged, StsUnavailable, TooManyTokens
from ossmedia.server.wishes import enrolment_of, read_object, wish_of

__all__ = ["BODY_SIZE", "AppServer"]

BODY_SIZE = 64 << 10
_DRAIN_SIZE = 1 << 20  # a refused body up to this length is read, so that its sender sees why
_READY_FOR_S = 1.0
_NO_STORE = {"cache-control": "no-store"}


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
        routes = [
            Route("/v1/credentials", self.credentials, methods=["POST"]),
            Route("/v1/enrolments", self.enrolments, methods=["POST"]),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
        ]
        router = Router(routes, lifespan=self._life, redirect_slashes=False)
        inner = ExceptionMiddleware(router, {HTTPException: _no_route, Problem: _problem})
        paths = frozenset(route.path for route in routes)
        http = parts.settings.http
        self._edge = Edge(inner, parts.metrics, paths, http.hosts, parts.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's life."""
        scope["app"] = self  # the router then raises what is not found, for a problem document
        await self._edge(scope, receive, send)

    @asynccontextmanager
    async def _life(self, _: Any) -> AsyncIterator[None]:
        yield
        if self.parts.cache is not None:
            await self.parts.cache.leave()
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Gives everything back; for those who mount the application elsewhere."""
        self.parts.close()

    # -- devices ---------------------------------------------------------------------------------

    async def credentials(self, request: Request) -> Response:
        """POST /v1/credentials: a token for the device that signed the request."""
        body = await self._body(request)
        claim, attempt = _attempt(request, body)
        with _Told():
            verdict = await self.parts.admission.submit(attempt)
        seen = request.scope["ossmedia.seen"]
        if verdict.device is not None:
            seen["device"] = verdict.device.id
        try:
            answer = await self._token(request, verdict, body)
        except Problem as problem:
            answer = _problem(request, problem)
        if verdict.device is not None:
            now = self.parts.clock.now()
            signed = sign_answer(verdict.secret, claim, answer.status_code, now, bytes(answer.body))
            answer.headers[ANSWER_HEADER] = signed
        return answer

    async def _token(self, request: Request, verdict: Verdict, body: bytes) -> Response:
        device = verdict.device
        if verdict.code or device is None:
            raise self._refusal(verdict)
        if request.scope["query_string"]:
            raise Problem("unknown-field", "the address must have no query")
        wish = wish_of(device, read_object(body))
        with _Told():
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
        return _json(data)

    def _refusal(self, verdict: Verdict) -> Problem:
        if verdict.code == "clock-skew":
            time = int(self.parts.clock.now())
            return Problem("clock-skew", more={"server_time": time, "challenge": verdict.challenge})
        retry = 60 if verdict.code == "too-many-requests" else None
        return Problem(verdict.code, retry_after_s=retry)

    async def enrolments(self, request: Request) -> Response:
        """POST /v1/enrolments: a device's first key for a one-time code."""
        body = await self._body(request)
        if self.parts.enrolments.take(0) < 0:
            raise Problem("busy", "enrolments: too many at once", retry_after_s=2)
        device, code = enrolment_of(read_object(body))
        run = asyncio.get_running_loop().run_in_executor
        try:
            with _Told():
                key = await run(self.parts.store, self.parts.registry.enrol, device, code)
        except EnrolmentRefused:
            raise Problem("enrolment-refused") from None
        request.scope["ossmedia.seen"]["device"] = device
        return _json({"device": device, "device_key": key})

    async def _body(self, request: Request) -> bytes:
        """The whole body.

        Raises:
            Problem: body-too-large, request-timeout.
        """
        size, pieces = 0, []
        announced = request.headers.get("content-length", "0")
        long = len(announced) > 9 or int(announced) > _DRAIN_SIZE
        try:
            async with asyncio.timeout(self.parts.settings.http.request_timeout_s):
                async for piece in request.stream():
                    size += len(piece)
                    if long or size > _DRAIN_SIZE:
                        break
                    if size <= BODY_SIZE:
                        pieces.append(piece)
        except TimeoutError:
            raise Problem("request-timeout", close=True) from None
        except ClientDisconnect:
            raise Problem("bad-request", "the body ended early") from None
        if size > BODY_SIZE or long:
            text = f"body: at most {BODY_SIZE} bytes"
            raise Problem("body-too-large", text, close=long or size > _DRAIN_SIZE)
        return b"".join(pieces)

    # -- operations ------------------------------------------------------------------------------

    async def healthz(self, _: Request) -> Response:
        """GET /healthz: the process lives."""
        return _json({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """GET /readyz: 200 while tokens can be issued, 503 with the reason's kind otherwise."""
        now = self.parts.clock.monotonic()
        if self._ready is None or now >= self._ready[0]:
            self._ready = now + _READY_FOR_S, await self._hindrance()
        reason = self._ready[1]
        if reason:
            return _json({"status": "not ready", "reason": reason}, 503)
        return _json({"status": "ready"})

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


def _attempt(request: Request, body: bytes) -> tuple[Claim, Attempt]:
    """What is to be judged.

    Raises:
        Problem: unauthorized, the same as for an unknown device.
    """
    given = request.headers.getlist("authorization")
    try:
        claim = Claim.parse(given[0] if len(given) == 1 else "")
    except ValueError:
        raise Problem("unauthorized") from None
    scope = request.scope
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        raw += b"?" + scope["query_string"]
    target = scope.get("ossmedia.target", raw).decode("latin-1")
    host = request.headers.get("host", "")
    return claim, Attempt(claim, request.method, target, host, body)


def _json(data: dict[str, Any], status: int = 200) -> Response:
    body = json.dumps(data).encode()
    return Response(body, status, _NO_STORE, media_type="application/json")


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    request.scope["ossmedia.seen"]["code"] = error.code
    return problem_response(error)


def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "method-not-allowed" if error.status_code == 405 else "not-found"
    answer = _problem(request, Problem(code))
    if error.headers:
        answer.headers.update(error.headers)
    return answer


class _Told:
    """Turns what the parts raise into problems."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, StoreUnavailable):
            raise Problem("store-unavailable", retry_after_s=2) from None
        if isinstance(error, Busy):
            raise Problem("busy", retry_after_s=1) from None
        if isinstance(error, OverBudget):
            raise Problem("over-budget", retry_after_s=error.retry_after_s) from None
        if isinstance(error, StsUnavailable | TooManyTokens):
            code = "sts-unavailable" if isinstance(error, StsUnavailable) else "too-many-tokens"
            raise Problem(code, retry_after_s=error.retry_after_s) from None
        if isinstance(error, DeviceChanged):
            raise Problem("busy", "the device was changed just now", retry_after_s=1) from None
