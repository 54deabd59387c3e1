"""app.py, edge.py, wire.py: what each route answers, and what the server does not put up with."""

from __future__ import annotations

import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ossmedia.device_auth import verify_answer
from ossmedia.errors import Unavailable
from ossmedia.server import create_app
from ossmedia.server.app import BODY_SIZE
from ossmedia.server.problems import CODES, Problem
from ossmedia.server.wire import LimitedProtocol
from tests.unit.server.rig import Camera, World, send


def raw(url: str, data: bytes) -> bytes:
    """Bytes there, bytes back, until the server closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


# -- what a body may say


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{", "malformed-json", ""),
        (b"[]", "malformed-json", "object"),
        (b"7", "malformed-json", "object"),
        (b"\xff", "malformed-json", "UTF-8"),
        (b'{"a":NaN}', "malformed-json", "NaN"),
        (b'{"ttl_s":900,"ttl_s":3600}', "malformed-json", "twice"),
        (b"[" * 60_000, "malformed-json", ""),
        (b'{"x":1}', "unknown-field", "'x'"),
        (b'{"device":"cam-2"}', "wrong-device", "device"),
        (b'{"device":1}', "wrong-device", "device"),
        (b'{"prefix":"cams"}', "prefix-outside", "cams/cam-1"),
        (b'{"prefix":"cams/cam-10"}', "prefix-outside", "cams/cam-1"),
        (b'{"prefix":"cams/cam-1/../cam-2"}', "prefix-outside", ".."),
        (b'{"prefix":"cams/cam-1/*"}', "prefix-outside", "'*'"),
        (b'{"prefix":"cams/cam-1/"}', "", ""),
        (b'{"prefix":7}', "invalid-field", "prefix"),
        (b'{"modes":"l"}', "mode-not-allowed", "modes"),
        (b'{"modes":"x"}', "invalid-field", "modes"),
        (b'{"modes":""}', "invalid-field", "modes"),
        (b'{"modes":[1]}', "invalid-field", "modes"),
        (b'{"modes":7}', "invalid-field", "modes"),
        (b'{"ttl_s":899}', "invalid-field", "900-3600"),
        (b'{"ttl_s":3601}', "invalid-field", "900-3600"),
        (b'{"ttl_s":900.0}', "invalid-field", "ttl_s"),
        (b'{"ttl_s":true}', "invalid-field", "ttl_s"),
        (b'{"ttl_s":"900"}', "invalid-field", "ttl_s"),
        (b"", "", ""),
    ],
)
def test_bodies(world: World, camera: Camera, body: bytes, code: str, field: str) -> None:
    answer = camera.ask(body)
    if not code:
        assert answer.status == 200
        return
    assert answer.code == code
    assert answer.status == CODES[code][0]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:ossmedia:problem:{code}"
    assert field in answer.json.get("detail", "")
    assert world.mint.asked == []


def test_a_part_of_the_record_can_be_asked_for(world: World, camera: Camera) -> None:
    body = b'{"device":"cam-1","prefix":"cams/cam-1/clips","modes":"w","ttl_s":900}'
    told = camera.ask(body).json
    assert (told["key_prefix"], told["modes"]) == ("cams/cam-1/clips/", ["w"])
    wish = world.mint.asked[0][1]
    assert (wish.prefix, wish.modes, wish.ttl_s) == ("cams/cam-1/clips", ("w",), 900)


def test_refusals_of_a_known_device_are_signed(camera: Camera) -> None:
    claim = camera.claim(body=b"{")
    answer = camera.send(claim.header(), b"{")
    header = answer.headers["ossmedia-answer"]
    assert verify_answer(camera.key.secret, claim, 400, header, answer.body)
    assert "ossmedia-answer" not in camera.send("x").headers


def test_sts_away(world: World, camera: Camera) -> None:
    world.mint.error = Unavailable("x", status=503, code="ServiceUnavailable")
    answer = camera.ask()
    assert (answer.status, answer.code) == (503, "sts-unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json["retry_after_s"] == int(answer.headers["retry-after"])


def test_the_database_away(world: World, camera: Camera) -> None:
    """Nothing can be said: nothing is accepted, nothing is told of why."""
    running = world._open[0]
    (world.folder / "server.db").rename(world.folder / "gone.db")
    running.parts.database.engine.dispose()
    answer = camera.ask()
    assert (answer.status, answer.code) == (503, "store-unavailable")
    assert "retry-after" in answer.headers
    assert b"sqlite" not in answer.body.lower()
    ready = send(camera.url, "GET", "/readyz")
    assert ready.status == 503
    assert world.mint.asked == []


# -- enrolment


def test_enrolment(world: World, url: str) -> None:
    registry = world.registry()
    registry.add("cam-1", key=False)
    body = json.dumps({"device": "cam-1", "code": registry.enrol_code("cam-1")}).encode()
    answer = send(url, "POST", "/v1/enrolments", body)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert Camera(url, "cam-1", answer.json["device_key"], world.time).ask().status == 200
    world.time.seconds += 1
    again = send(url, "POST", "/v1/enrolments", body)
    assert (again.status, again.code) == (403, "enrolment-refused")
    world.time.seconds += 1
    nobody = send(url, "POST", "/v1/enrolments", body.replace(b"cam-1", b"nobody"))
    assert nobody.body == again.body


def test_enrolments_are_rare(url: str) -> None:
    """Time stands still: five a second, whoever asks."""
    body = b'{"device":"cam-1","code":"AAAA-AAAA-AAAA-AAAA"}'
    statuses = [send(url, "POST", "/v1/enrolments", body).status for _ in range(8)]
    assert statuses.count(403) <= 5
    assert statuses[-1] == 503


@pytest.mark.parametrize(
    "body", [b"{}", b'{"device":"*","code":"A"}', b'{"device":"cam-1","code":7}', b'{"a":1}']
)
def test_wrong_enrolments(url: str, body: bytes) -> None:
    assert send(url, "POST", "/v1/enrolments", body).status == 400


# -- operations


def test_health_and_readiness(
    world: World, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(camera.url, "GET", "/healthz").json == {"status": "ok"}
    assert send(camera.url, "GET", "/readyz").json == {"status": "ready"}
    world.mint.error = Unavailable("x", status=503)
    camera.ask()
    world.time.seconds += 2
    assert send(camera.url, "GET", "/readyz").status == 503
    world.mint.error = None
    world.time.seconds += 10
    assert send(camera.url, "GET", "/readyz").status == 200


def test_not_ready_without_an_access_key(world: World) -> None:
    """With STS itself behind it, a server without its own key can issue nothing."""
    from ossmedia.server.parts import Parts
    from ossmedia.server.serve import Running

    parts = Parts(world.settings(), clock=world.time, environ={})
    with Running(parts) as running:
        answer = send(running.url, "GET", "/readyz")
        assert (answer.status, answer.json["reason"]) == (503, "the server has no access key")


def test_metrics(world: World, camera: Camera) -> None:
    camera.ask()
    camera.ask()
    camera.send("x")
    send(camera.url, "GET", "/nowhere/canary")
    text = send(camera.url, "GET", "/metrics").body.decode()
    assert 'ossmedia_requests_total{route="/v1/credentials",status="200"} 2.0' in text
    assert 'ossmedia_problems_total{code="unauthorized"} 1.0' in text
    assert 'ossmedia_requests_total{route="other",status="404"} 1.0' in text
    assert 'ossmedia_tokens_total{source="issued"} 1.0' in text
    assert 'ossmedia_tokens_total{source="cache"} 1.0' in text
    assert "ossmedia_tokens_held 1.0" in text
    assert "canary" not in text


def test_metrics_are_for_named_networks(world: World) -> None:
    world.tables["http"] = {"metrics_from": ["10.0.0.0/8"]}
    url = world.start().url
    spoofed = {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}
    assert send(url, "GET", "/metrics", headers=spoofed).status == 403


def test_a_trusted_proxy_names_the_client(world: World) -> None:
    world.tables["http"] = {"metrics_from": ["10.0.0.0/8"], "trusted_proxies": ["127.0.0.1/32"]}
    url = world.start().url
    assert send(url, "GET", "/metrics", headers={"X-Forwarded-For": "10.0.0.1"}).status == 200
    assert send(url, "GET", "/metrics", headers={"X-Forwarded-For": "11.0.0.1"}).status == 403


def test_the_interface_is_described_as_it_is(url: str) -> None:
    told = send(url, "GET", "/openapi.json").json
    for path, methods in told["paths"].items():
        for method in methods:
            answer = send(url, method.upper(), path, b"")
            assert str(answer.status) in methods[method]["responses"], (path, answer)
    assert set(told["paths"]) == {
        *("/v1/credentials", "/v1/enrolments", "/healthz", "/readyz", "/metrics"),
        *("/openapi.json", "/v1/session", "/", "/v1/reports", "/v1/callbacks/oss"),
        *("/v1/cameras", "/v1/days", "/v1/timeline", "/v1/recordings", "/v1/recordings/{id}"),
        *("/v1/recordings/{id}/url", "/v1/recordings/{id}/keep"),
        "/v1/playlists/{camera}/{stream}.m3u8",
        *("/v1/vod/uploads", "/v1/vod/uploads/{id}/refresh", "/v1/vod/credentials"),
        "/v1/callbacks/vod",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/page", 404),
        ("GET", "/v1/credentials", 405),
        ("POST", "/healthz", 405),
        ("GET", "/healthz/", 404),
        ("GET", "/../etc/passwd", 404),
    ],
)
def test_no_such_route(url: str, method: str, path: str, status: int) -> None:
    answer = send(url, method, path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (status == 405) == ("allow" in answer.headers)


def test_the_access_log(world: World, camera: Camera, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ossmedia.access")
    camera.ask()
    raw(camera.url, b'GET /%0d%0a%1b[31mx"?canary HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    lines = [r.getMessage() for r in caplog.records if r.name == "ossmedia.access"]
    for line in lines:
        assert "\n" not in line
        assert "\x1b" not in line
        assert "canary" not in line
    first, second = map(json.loads, lines)
    assert first["device"] == "cam-1"
    assert (first["status"], first["method"], first["path"]) == (200, "POST", "/v1/credentials")
    assert first["time"] == "2025-06-15T15:06:40.000Z"
    assert first["client"] == "127.0.0.1"
    assert second["path"] == '/\r\n\x1b[31mx"'
    assert second["code"] == "not-found"


# -- limits


@pytest.mark.parametrize("size", [BODY_SIZE, BODY_SIZE + 1, 10 * BODY_SIZE, 30 * BODY_SIZE])
def test_large_bodies(camera: Camera, size: int) -> None:
    host = camera.url.removeprefix("http://")
    head = f"POST /v1/credentials HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    if size > 1 << 20:  # refused by its announced length, before it is sent
        answer = raw(camera.url, f"{head}Content-Length: {size}\r\n\r\n".encode() + b" " * 100)
        assert b" 413 " in answer.split(b"\r\n")[0]
        return
    answer = send(camera.url, "POST", "/v1/credentials", b" " * size).status
    assert answer == (401 if size <= BODY_SIZE else 413)


def test_a_chunked_body_is_bounded_too(camera: Camera) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    head = b"POST /v1/credentials HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
    answer = raw(camera.url, head + b"Connection: close\r\n\r\n" + chunk * 3 + b"0\r\n\r\n")
    assert b" 413 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"a" * (17 << 10) + b"\r\n",
        b"".join(b"X%d: a\r\n" % number for number in range(5000)),
        b"X: " + b"a" * (40 << 10),  # and never an end
    ],
    ids=["one", "many", "endless"],
)
def test_large_heads(url: str, head: bytes) -> None:
    answer = raw(url, b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + head + b"\r\n")
    assert b" 431 " in answer.split(b"\r\n")[0]


def test_slow_heads_and_bodies_end(world: World) -> None:
    world.tables["http"] = {"request_timeout_s": 1}
    url = world.start().url
    body = b"POST /v1/credentials HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n{"
    with ThreadPoolExecutor(3) as pool:
        for answer in pool.map(lambda data: raw(url, data), (b"POST /v1/cred", b"", body)):
            assert b" 408 " in answer.split(b"\r\n")[0]


def test_a_connection_serves_many_requests(camera: Camera) -> None:
    """The timer of the head starts anew for each, and ends with each."""
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\n"
    answer = raw(camera.url, (request + b"\r\n") * 20 + request + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 21


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(world: World) -> None:
    """Head and body are two writes: with Nagle's algorithm the second would wait some 40 ms."""
    running = world.start()
    flags = []
    original = LimitedProtocol.connection_made

    def connection_made(self: Any, transport: Any) -> None:
        original(self, transport)
        connection = transport.get_extra_info("socket")
        flags.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LimitedProtocol, "connection_made", connection_made)
        send(running.url, "GET", "/healthz")
    assert flags == [1]


def test_too_many_connections(world: World) -> None:
    world.tables["http"] = {"connections": 16}
    url = world.start().url
    host, port = url.removeprefix("http://").split(":")
    open_ones = [socket.create_connection((host, int(port)), 20) for _ in range(40)]
    ended = 0
    for connection in open_ones[::-1]:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    for connection in open_ones:
        try:
            ended += connection.recv(100) == b""
        except ConnectionResetError:
            ended += 1
        connection.close()
    assert ended == 24


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", b"400"),
        (
            b"GET /healthz HTTP/1.0\r\nHost: h\r\nContent-Encoding: gzip\r\n\r\n",
            b"415",
        ),
    ],
)
def test_what_is_no_request(url: str, data: bytes, status: bytes) -> None:
    answer = raw(url, data)
    assert answer.split(b" ", 2)[1] == status
    assert b"application/problem+json" in answer


def test_foreign_names(world: World) -> None:
    world.tables["http"] = {"hosts": ["cams.example.com"]}
    url = world.start().url
    assert send(url, "GET", "/healthz").code == "wrong-host"
    assert send(url, "GET", "/healthz", headers={"Host": "Cams.Example.com"}).status == 200


def test_every_code_has_a_document() -> None:
    for code, (status, title) in CODES.items():
        data = json.loads(Problem(code, "d", retry_after_s=3).body())
        assert (data["code"], data["status"], data["title"]) == (code, status, title)


def test_it_can_be_mounted(world: World) -> None:
    """In another application, under a path, without its own life: signatures are over the whole
    path."""
    import asyncio

    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = create_app(world.settings())
    app.parts.tokens._issue = world.mint
    for part in (app.parts, app.parts.admission._work.__self__):
        vars(part).update({"clock": world.time, "_clock": world.time})
    app.parts.tokens._clock = world.time
    outer = Starlette(routes=[Mount("/cams", app)])
    camera = world.camera("http://h")
    claim = camera.claim(target="/cams/v1/credentials", host="h")
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def remember(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/cams/v1/credentials",
        "raw_path": b"/cams/v1/credentials",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"h"), (b"authorization", claim.header().encode())],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(outer(scope, receive, remember))
    assert sent[0]["status"] == 200
    app.close()
