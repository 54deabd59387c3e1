"""The way of a device's request: it is read, judged, and only then understood.

In flow requests of devices, out flow answers. What a handler sees comes from a device whose
signature or certificate held; every answer to a sender whose signature held is signed in turn, the
refusals included.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ossmedia.clock import Clock
from ossmedia.device_auth import ANSWER_HEADER, Claim, new_nonce, sign_answer
from ossmedia.server.authentication import Attempt, Verdict
from ossmedia.server.batches import Batches, Busy
from ossmedia.server.bodies import read_body
from ossmedia.server.budget import OverBudget
from ossmedia.server.database import StoreUnavailable
from ossmedia.server.devices import Device
from ossmedia.server.problems import Problem, problem_response
from ossmedia.server.proxy_identity import CERTIFICATE
from ossmedia.server.tokens import DeviceChanged, StsUnavailable, TooManyTokens

__all__ = ["DeviceDoor", "Told", "json_response", "told_problem"]

Understand = Callable[[Request, Device, bytes], Awaitable[Response]]
_NO_STORE = {"cache-control": "no-store"}


def json_response(data: dict[str, Any], status: int = 200) -> Response:
    """An answer that nobody keeps. Even taken for HTML it would hold no element."""
    body = json.dumps(data).replace("<", "\\u003c").encode()
    return Response(body, status, _NO_STORE, media_type="application/json")


def told_problem(request: Request, error: Exception) -> Response:
    """The answer that tells a problem; its code goes into the access log."""
    assert isinstance(error, Problem)
    request.scope["ossmedia.seen"]["code"] = error.code
    return problem_response(error)


class DeviceDoor:
    """Where devices knock.

    Args:
        admission: judges.
        request_timeout_s: for a body to arrive.
        heard: told the id of each device that is admitted.
    """

    def __init__(
        self,
        admission: Batches[Attempt, Verdict],
        request_timeout_s: float,
        clock: Clock,
        heard: Callable[[str], None],
    ) -> None:
        self._admission = admission
        self._request_timeout_s = request_timeout_s
        self._clock = clock
        self._heard = heard

    def route(self, understand: Understand) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for devices. ``understand`` answers the request of an admitted device, with
        its record and its body, or raises a Problem."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, understand)

        return endpoint

    async def _answer(self, request: Request, understand: Understand) -> Response:
        body = await read_body(request, self._request_timeout_s)
        claim, attempt = _attempt(request, body)
        with Told():
            verdict = await self._admission.submit(attempt)
        if verdict.device is not None:
            request.scope["ossmedia.seen"]["device"] = verdict.device.id
        try:
            if verdict.code or verdict.device is None:
                raise self._refusal(verdict)
            self._heard(verdict.device.id)
            if request.scope["query_string"]:
                raise Problem("unknown-field", "the address must have no query")
            answer = await understand(request, verdict.device, body)
        except Problem as problem:
            answer = told_problem(request, problem)
        if verdict.secret:
            now, content = self._clock.now(), bytes(answer.body)
            signed = sign_answer(verdict.secret, claim, answer.status_code, now, content)
            answer.headers[ANSWER_HEADER] = signed
        return answer

    def _refusal(self, verdict: Verdict) -> Problem:
        if verdict.code == "clock-skew":
            time = int(self._clock.now())
            return Problem("clock-skew", more={"server_time": time, "challenge": verdict.challenge})
        retry = 60 if verdict.code == "too-many-requests" else None
        return Problem(verdict.code, retry_after_s=retry)


def _attempt(request: Request, body: bytes) -> tuple[Claim, Attempt]:
    """What is to be judged.

    Raises:
        Problem: unauthorized, the same as for an unknown device.
    """
    given = request.headers.getlist("authorization")
    scope = request.scope
    certificate: str = scope.get(CERTIFICATE, "")
    try:
        if certificate and not given:  # whether that is enough is for the authenticator
            claim = Claim(certificate, "", "", "", new_nonce())
        else:
            claim = Claim.parse(given[0] if len(given) == 1 else "")
    except ValueError:
        raise Problem("unauthorized") from None
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        raw += b"?" + scope["query_string"]
    target = scope.get("ossmedia.target", raw).decode("latin-1")
    host = request.headers.get("host", "")
    return claim, Attempt(claim, request.method, target, host, body, certificate)


class Told:
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
