"""Signing in and out, and who is behind a request of the page.

In flow requests with a cookie, out flow ``Person`` values and cookies. Over https the cookie is
bound to this host by its name; plain http serves a browser on the server's own machine only. A
request that changes something must come from this server's own page: its origin is this server, and
it repeats a token that no other page can read. A wrong name and a wrong password get the same
answer after the same work, and only so many of them.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ossmedia.server.bodies import read_body
from ossmedia.server.passwords import MOST_LENGTH
from ossmedia.server.people import LONGEST_NAME, People, Person
from ossmedia.server.problems import Problem
from ossmedia.server.sessions import Sessions, csrf_of
from ossmedia.server.tries import Tries
from ossmedia.server.wishes import read_object

__all__ = ["CSRF_HEADER", "SignIn"]

CSRF_HEADER = "x-ossmedia-csrf"
_COOKIE, _SECURE_COOKIE = "ossmedia", "__Host-ossmedia"
_READING = ("GET", "HEAD")
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
_HASHES = 2  # at once: each takes 32 MiB and a processor
_WAITING = 16  # for a hash; more are told to come again

T = TypeVar("T")


class SignIn:
    """The door for people.

    Args:
        life_s: of the cookie: the longest life of a session.
        timeout_s: for the body of a request.
    """

    def __init__(
        self, people: People, sessions: Sessions, tries: Tries, life_s: int, timeout_s: float
    ) -> None:
        self._people = people
        self._sessions = sessions
        self._tries = tries
        self._life_s = life_s
        self._timeout_s = timeout_s
        self._store = ThreadPoolExecutor(2, "ossmedia-people")
        self._hashes = ThreadPoolExecutor(_HASHES, "ossmedia-passwords")
        self._waiting = 0

    def routes(self) -> list[Route]:
        """The route of /v1/session."""
        return [Route("/v1/session", self._session, methods=["GET", "POST", "DELETE"])]

    def close(self) -> None:
        """Ends the threads; what they do now is done first."""
        self._store.shutdown()
        self._hashes.shutdown()

    async def person(self, request: Request) -> Person:
        """Who asks.

        Raises:
            Problem: signed-out; for a method that changes something also not-this-page, when the
                request is not from this server's own page.
        """
        token = _token(request)
        person = await self._in(self._store, self._sessions.person, token) if token else None
        if person is None:
            raise Problem("signed-out")
        request.scope["ossmedia.seen"]["person"] = person.name
        if request.method not in _READING:
            _check_origin(request)
            given = request.headers.get(CSRF_HEADER, "").encode("latin-1")
            if not hmac.compare_digest(given, csrf_of(token).encode()):
                raise Problem("not-this-page", f"{CSRF_HEADER}: must be the session's")
        return person

    async def _session(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._begin(request)
        if request.method == "DELETE":
            return await self._end(request)
        return await self._show(request)

    async def _begin(self, request: Request) -> Response:
        """POST /v1/session: signs in."""
        _check_origin(request)
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise Problem("unsupported-encoding", "content-type: must be application/json")
        name, password = _told(read_object(await read_body(request, self._timeout_s)))
        if not _allowed(request):
            raise Problem(
                "https-needed",
                "Over plain http people can sign in on the server's own machine only. Behind a "
                "proxy that speaks https, name the proxy in http.trusted_proxies.",
            )
        address = request.client.host if request.client else ""
        wait = await self._in(self._store, self._tries.take, name, address)
        if wait:
            raise Problem("too-many-sign-ins", retry_after_s=wait)
        person = await self._prove(name, password)
        token = ""
        if person is not None:
            before = _token(request)
            token = await self._in(self._store, self._sessions.begin, person, before)
        if person is None or not token:
            raise Problem("sign-in-refused")
        await self._in(self._store, self._tries.forget, name, address)
        request.scope["ossmedia.seen"]["person"] = person.name
        answer = _answer(person, token)
        _set_cookie(request, answer, token, self._life_s)
        return answer

    async def _prove(self, name: str, password: str) -> Person | None:
        if self._waiting >= _WAITING:
            raise Problem("busy", "sign-ins: too many at once", retry_after_s=2)
        self._waiting += 1
        try:
            return await self._in(self._hashes, self._people.prove, name, password)
        finally:
            self._waiting -= 1

    async def _show(self, request: Request) -> Response:
        """GET /v1/session: who is signed in, if anybody, and the token for changes."""
        try:
            person = await self.person(request)
        except Problem as problem:
            if problem.code != "signed-out":
                raise
            return _answer(None, "")
        return _answer(person, _token(request))

    async def _end(self, request: Request) -> Response:
        """DELETE /v1/session: signs out."""
        await self.person(request)
        await self._in(self._store, self._sessions.end, _token(request))
        answer = _answer(None, "")
        _set_cookie(request, answer, "", 0)
        return answer

    @staticmethod
    async def _in(pool: ThreadPoolExecutor, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call, *args)


def _told(data: dict[str, Any]) -> tuple[str, str]:
    """Name and password of a sign-in, as they were typed."""
    for field in data:
        if field not in ("name", "password"):
            raise Problem("unknown-field", f"{field[:60]!r}; known: name, password")
    name, password = data.get("name"), data.get("password")
    for field, value, most in (("name", name, LONGEST_NAME), ("password", password, MOST_LENGTH)):
        if not isinstance(value, str) or len(value) > most:
            raise Problem("invalid-field", f"{field}: must be a text of at most {most} characters")
    return str(name), str(password)


def _allowed(request: Request) -> bool:
    """Whether a password may be sent this way."""
    return request.url.scheme == "https" or request.url.hostname in _LOCAL


def _token(request: Request) -> str:
    secure = request.url.scheme == "https"
    return request.cookies.get(_SECURE_COOKIE if secure else _COOKIE, "")


def _check_origin(request: Request) -> None:
    """Refuses what another page's browser sends. A program that is no browser names no origin."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site != "same-origin" or request.headers.get("origin", own) != own:
        raise Problem("not-this-page", "origin: must be this server")


def _answer(person: Person | None, token: str) -> Response:
    data: dict[str, Any] = {"person": None, "csrf": ""}
    if person is not None:
        data = {"person": {"name": person.name, "admin": person.admin}, "csrf": csrf_of(token)}
    headers = {"cache-control": "no-store"}
    return Response(json.dumps(data).encode(), 200, headers, media_type="application/json")


def _set_cookie(request: Request, answer: Response, token: str, life_s: int) -> None:
    secure = request.url.scheme == "https"
    answer.set_cookie(
        _SECURE_COOKIE if secure else _COOKIE,
        token,
        max_age=life_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
