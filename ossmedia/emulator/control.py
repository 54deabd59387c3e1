"""The control API: a test's hand on the cloud, below ``/-/control/`` of the same port.

What flows in: JSON over HTTP, from this machine only. What flows out: counters, rules, the clock;
and changes of them. It gives away no secret, and what it changes is the cloud's behaviour, never an
object (``reset`` empties the cloud altogether).

``GET counters``, ``POST counters/reset``; ``GET|POST|DELETE faults``; ``GET|POST clock``
``{"offset_s": 900}``; ``GET|POST limits`` ``{"max_append_size": 1048576}``; ``POST addressing``
``{"cnames": {...}, "forbid_second_level": true}``; ``GET|POST vod`` ``{"ticket_s": 3,
"callback_url": "http://...", "callback_key": "..."}``; ``POST reset``.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .callback_key import SIGNED
from .cloud import Cloud
from .faults import ACTIONS, Counters, Rule
from .vod import Vod

Endpoint = Callable[[Request], Awaitable[Response]]
MAX_BODY = 1024 * 1024


class Control:
    """The endpoints of the control API.

    Args:
        reset: empties the cloud and makes its first buckets again.
        vod: whose settings may be changed.
    """

    def __init__(self, cloud: Cloud, reset: Callable[[], None], vod: Vod) -> None:
        self._cloud = cloud
        self._reset = reset
        self._vod = vod

    def application(self) -> Starlette:
        """The ASGI application."""
        root = "/-/control"
        routes = [
            Route(f"{root}/counters", self._local(self.counters), methods=["GET"]),
            Route(f"{root}/counters/reset", self._local(self.reset_counters), methods=["POST"]),
            Route(f"{root}/faults", self._local(self.faults), methods=["GET", "POST", "DELETE"]),
            Route(f"{root}/clock", self._local(self.clock), methods=["GET", "POST"]),
            Route(f"{root}/limits", self._local(self.limits), methods=["GET", "POST"]),
            Route(f"{root}/addressing", self._local(self.addressing), methods=["POST"]),
            Route(f"{root}/vod", self._local(self.vod), methods=["GET", "POST"]),
            Route(f"{root}/reset", self._local(self.reset), methods=["POST"]),
            Route("/-/callback_pub_key.pem", self.public_key, methods=["GET"]),
        ]
        return Starlette(routes=routes)

    def _local(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            client = request.client.host if request.client is not None else ""
            if not _is_this_machine(client):
                return _error(403, "the control API answers this machine only")
            try:
                return await endpoint(request)
            except (ValueError, TypeError) as error:
                return _error(400, str(error))

        return guarded

    async def counters(self, _request: Request) -> Response:
        """Requests per operation, answers per status, bytes both ways."""
        guesses = sorted(self._cloud.guesses)
        return JSONResponse({**self._cloud.counters.to_json(), "guesses": guesses})

    async def reset_counters(self, _request: Request) -> Response:
        """Count from zero."""
        self._cloud.counters = Counters()
        return JSONResponse({})

    async def faults(self, request: Request) -> Response:
        """The rules in force; POST adds one rule or a list of them, DELETE forgets them."""
        faults = self._cloud.faults
        if request.method == "DELETE":
            faults.clear()
        if request.method == "POST":
            given = await _json(request)
            rules = [Rule.from_json(_object(item)) for item in _listed(given)]
            ids = [faults.add(rule) for rule in rules]
            return JSONResponse({"ids": ids})
        return JSONResponse({"rules": faults.to_json(), "actions": ACTIONS})

    async def clock(self, request: Request) -> Response:
        """The cloud's time; POST sets its distance from the machine's."""
        if request.method == "POST":
            offset = _object(await _json(request)).get("offset_s")
            if isinstance(offset, bool) or not isinstance(offset, int | float):
                raise ValueError(f"offset_s must be a number of seconds, got {offset!r}")
            self._cloud.clock.offset_s = float(offset)
        clock = self._cloud.clock
        return JSONResponse({"offset_s": clock.offset_s, "now": clock.now()})

    async def limits(self, request: Request) -> Response:
        """The limits; POST lowers some."""
        if request.method == "POST":
            self._cloud.limits.change(_object(await _json(request)))
        return JSONResponse(asdict(self._cloud.limits))

    async def addressing(self, request: Request) -> Response:
        """CNAMEs, and whether path style is refused as the public service does."""
        values = _object(await _json(request))
        unknown = set(values) - {"cnames", "forbid_second_level"}
        if unknown:
            raise ValueError(f"unknown field {min(unknown)!r}")
        cnames = _object(values.get("cnames", self._cloud.addressing.cnames))
        if not all(isinstance(bucket, str) for bucket in cnames.values()):
            raise ValueError("cnames must map a domain to a bucket")
        forbid = values.get("forbid_second_level", self._cloud.addressing.forbid_second_level)
        if not isinstance(forbid, bool):
            raise ValueError("forbid_second_level must be true or false")
        self._cloud.addressing.cnames = {name.lower(): text for name, text in cnames.items()}
        self._cloud.addressing.forbid_second_level = forbid
        return JSONResponse({})

    async def vod(self, request: Request) -> Response:
        """What a VOD user sets in the console; of the callback's key only whether there is one."""
        if request.method == "POST":
            self._vod.change(_object(await _json(request)))
        return JSONResponse(self._vod.settings.shown())

    async def reset(self, _request: Request) -> Response:
        """An empty cloud with its first buckets, no faults, the right time, all limits."""
        self._reset()
        return JSONResponse({})

    async def public_key(self, _request: Request) -> Response:
        """The key that callbacks are signed with; 404 when they are not signed."""
        if not SIGNED or self._cloud.callback_key is None:
            return _error(404, "callbacks are not signed: the package cryptography is missing")
        return Response(self._cloud.callback_key.public_pem(), media_type="application/x-pem-file")


def _is_this_machine(client: str) -> bool:
    try:
        return ipaddress.ip_address(client.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)


async def _json(request: Request) -> Any:
    body = await request.body()
    if len(body) > MAX_BODY:
        raise ValueError(f"the body may hold {MAX_BODY} bytes")
    return json.loads(body)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a JSON object is wanted")
    return value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
