"""vod_tickets.py: a camera that asks for tickets, against servers that are good, away, wrong or
hostile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from ossmedia import AppServerTickets, Credentials, Retry, UploadTicket, errors
from ossmedia.clock import Clock
from ossmedia.device_auth import ANSWER_HEADER, Claim, DeviceKey, sign_answer

KEY = DeviceKey.new()
NOW = 1_750_000_000.0
SECRET = "given-secret-canary"


class Standing(Clock):
    """Time stands; nobody waits."""

    __slots__ = ("slept",)

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return NOW

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def ticket(**changes: Any) -> UploadTicket:
    fields = {
        "media_id": "43q9fjdirjqw",
        "kind": "video",
        "endpoint": "https://oss-cn-shanghai.aliyuncs.com",
        "bucket": "outin-1",
        "key": "sv/a.mp4",
        "region": "cn-shanghai",
        "credentials": Credentials("STS.x", SECRET, "token-canary", NOW + 3600),
        **changes,
    }
    return UploadTicket(**fields, allowed_hosts=(fields["endpoint"], ".aliyuncs.com"))


class Server:
    """An application server by a script of answers, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Any] = [(200, {**ticket().to_json(), "device": "cam-1"})]
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.signed = True
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                peer.serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.asked.append((handler.path, json.loads(body)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:  # nothing is said
            handler.close_connection = True
            return
        status, data = answer
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        claim = Claim.parse(handler.headers["Authorization"])
        handler.send_response(status)
        if self.signed:
            signature = sign_answer(KEY.secret, claim, status, NOW, content)
            handler.send_header(ANSWER_HEADER, signature)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def tickets(server: Server) -> AppServerTickets:
    return made(server)


def made(server: Server, **options: Any) -> AppServerTickets:
    given = {"allow_insecure": True, "clock": Standing(), **options}
    return AppServerTickets(server.url, "cam-1", KEY.text(), **given)


def test_create_and_refresh(server: Server, tickets: AppServerTickets) -> None:
    first = tickets.create("At the gate", "gate.mp4", 5, tags=["a"], start=1.5)
    assert (first.media_id, first.key) == ("43q9fjdirjqw", "sv/a.mp4")
    path, wish = server.asked[0]
    assert path == "/v1/vod/uploads"
    assert len(wish.pop("client_token")) == 32
    assert wish == {
        "kind": "video",
        "title": "At the gate",
        "file_name": "gate.mp4",
        "size": 5,
        "tags": ["a"],
        "start": 1.5,
    }
    assert tickets.refresh(first) == tickets.refresh(first.media_id) == first
    assert server.asked[1:] == [("/v1/vod/uploads/43q9fjdirjqw/refresh", {})] * 2


def test_the_sts_way(server: Server, tickets: AppServerTickets) -> None:
    held = Credentials("STS.y", SECRET, "token-canary", NOW + 900)
    server.answers = [(200, {**held.to_json(), "device": "cam-1"})]
    assert tickets.token().access_key_id == "STS.y"
    tickets.token(ttl_s=900)
    assert server.asked == [("/v1/vod/credentials", {}), ("/v1/vod/credentials", {"ttl_s": 900})]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"title": ""}, "title: must not be empty"),
        ({"title": "x" * 129}, "title: must be at most 128 characters, not 129"),
        ({"title": 5}, "title: must be str, not int"),
        ({"file_name": "gate.exe"}, "file_name: must end with a video or audio format"),
        ({"file_name": "x" * 1025}, "file_name: must be at most 1024 characters"),
        ({"size": -1}, "size: must be 0-"),
        ({"size": 1.5}, "size: must be int, not float"),
        ({"kind": "film"}, "kind: must be one of"),
        ({"client_token": "x"}, "client_token: must be 6-64"),
        ({"kind": "image", "client_token": "abcdef"}, "client_token: only for videos"),
    ],
)
def test_nobody_is_asked(
    server: Server, tickets: AppServerTickets, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        tickets.create(**{"title": "t", "file_name": "a.mp4", **changes})
    assert str(caught.value).startswith(text)
    for wrong in ("", "a/b", "../../credentials", "x" * 129, 5):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            tickets.refresh(wrong)  # type: ignore[arg-type]
    assert server.asked == []


def answered(**changes: Any) -> tuple[int, dict[str, Any]]:
    data = {**ticket().to_json(), "device": "cam-1", **changes}
    return 200, {name: value for name, value in data.items() if value is not None}


ENDED = ticket(credentials=Credentials("STS.x", SECRET, "token-canary", NOW - 5)).to_json()
LOCAL = ticket(endpoint="http://127.0.0.1:9").to_json()

WRONG: dict[str, tuple[Any, str]] = {
    "another host (SSRF)": ((200, {**LOCAL, "device": "cam-1"}), "not among the allowed hosts"),
    "another device's": (answered(device="cam-2"), "is for another device"),
    "no device": (answered(device=None), "is for another device"),
    "no address": (answered(UploadAddress=None), "UploadAddress: missing"),
    "no base64": (answered(UploadAuth="%"), "UploadAuth: is no base64"),
    "no JSON": (answered(UploadAuth="eHl6"), "UploadAuth: is no base64 of JSON"),
    "two ids": (answered(ImageId="x"), "more than one of them"),
    "ended": ((200, {**ENDED, "device": "cam-1"}), "the ticket ended"),
    "a list": ((200, b"[]"), "is no JSON object"),
    "nothing": ((200, b""), "is no JSON object"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("call", ["create", "refresh"])
def test_answers_that_are_none(
    server: Server, tickets: AppServerTickets, name: str, call: str
) -> None:
    """One clear error, and none of the credentials in it."""
    server.answers = [WRONG[name][0]]
    tickets = made(server, retry=Retry(attempts=1))
    ask: Callable[[], Any] = (
        (lambda: tickets.create("t", "a.mp4")) if call == "create" else lambda: tickets.refresh("x")
    )
    with pytest.raises(errors.ProtocolError) as caught:
        ask()
    assert WRONG[name][1] in str(caught.value)
    assert "canary" not in str(caught.value)


def test_an_answer_that_is_not_signed(server: Server, tickets: AppServerTickets) -> None:
    server.signed = False
    with pytest.raises(errors.ProtocolError, match="not signed"):
        tickets.refresh("x")


def test_a_video_is_asked_for_until_it_is_there(server: Server) -> None:
    """With one client token, so that there is one medium in the end."""
    clock = Standing()
    good = server.answers[0]
    busy = (503, {"code": "over-budget", "title": "come again"})
    server.answers = [None, busy, None, good]
    assert made(server, clock=clock).create("t", "a.mp4").media_id == "43q9fjdirjqw"
    assert len({wish["client_token"] for _, wish in server.asked}) == 1
    assert len(server.asked) == 4
    assert len(clock.slept) == 3


def test_an_image_is_asked_for_once(server: Server) -> None:
    """A second request would make a second image."""
    server.answers = [None, server.answers[0]]
    with pytest.raises(errors.NetworkError):
        made(server).create("t", "a.png", kind="image")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid-field", errors.ServiceError),
        (403, "mode-not-allowed", errors.AccessDenied),
        (404, "not-found", errors.NotFound),
        (409, "client-token-used", errors.Conflict),
        (422, "vod-refused", errors.ServiceError),
        (503, "vod-unavailable", errors.Unavailable),
    ],
)
def test_refusals(server: Server, status: int, code: str, kind: type[Exception]) -> None:
    server.answers = [(status, {"code": code, "title": "why"})]
    tickets = made(server, retry=Retry(attempts=2))
    with pytest.raises(kind, match=code):
        tickets.create("t", "a.mp4")
    assert len(server.asked) == (2 if status == 503 else 1)


def test_it_gives_up(server: Server) -> None:
    server.answers = [None]
    with pytest.raises(errors.NetworkError):
        made(server, retry=Retry(attempts=3)).create("t", "a.mp4")
    assert len(server.asked) == 3


def test_a_camera_whose_clock_is_wrong(server: Server) -> None:
    """The ticket's end is judged by the server's time, which its signature proves."""

    class Ahead(Standing):
        __slots__ = ()

        def now(self) -> float:
            return NOW + 10 * 365 * 86_400

    assert made(server, clock=Ahead()).create("t", "a.mp4").credentials.expires_at == NOW + 3600


def test_nothing_shows_the_key(server: Server, tickets: AppServerTickets) -> None:
    assert KEY.text() not in repr(tickets)
    assert repr(tickets) == f"AppServerTickets({server.url!r}, 'cam-1')"


def test_it_needs_no_server_extra() -> None:
    """A camera asks with the standard library alone."""
    code = (
        "import sys; from ossmedia import AppServerTickets;"
        "heavy = {'aliyunsdkcore', 'starlette', 'sqlalchemy', 'oss2', 'requests'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
