"""Tampering with a signed request: each kind is refused, and the same camera unbent is served."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from ossmedia.device_auth import Claim
from tests.unit.server.rig import Answer, Camera, World, send

Bend = Callable[[Camera], Answer]


def _flip(text: str, place: int) -> str:
    old = text[place]
    return text[:place] + ("0" if old != "0" else "1") + text[place + 1 :]


def _header(change: Callable[[str], str]) -> Bend:
    return lambda camera: camera.send(change(camera.claim().header()))


def _signed(body: bytes = b"{}", sent: bytes = b"{}", **signed: Any) -> Bend:
    """Signed over one thing, sent as another."""
    return lambda camera: camera.send(camera.claim(body=body, **signed).header(), sent)


def _sent(method: str = "POST", target: str = "/v1/credentials", **heads: str) -> Bend:
    def bend(camera: Camera) -> Answer:
        given = {"Authorization": camera.claim().header(), **heads}
        return send(camera.url, method, target, b"{}", given)

    return bend


def _claims(**fields: str) -> Bend:
    """The signature stays, one field of the header changes."""

    def bend(camera: Camera) -> Answer:
        good = camera.claim()
        names = ("device", "key", "time", "challenge", "nonce", "signature")
        given = {name: getattr(good, name) for name in names} | fields
        return camera.send(Claim(**given).header())

    return bend


def _raw(change: Callable[[bytes], bytes]) -> Bend:
    """The bytes of a good request, changed on the wire."""

    def bend(camera: Camera) -> Answer:
        host, port = camera.url.removeprefix("http://").split(":")
        head = (
            f"POST /v1/credentials HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: {camera.claim().header()}\r\nContent-Length: 2\r\n"
            "Connection: close\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), 20) as connection:
            connection.sendall(change(head.encode() + b"{}"))
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return Answer(int(answer.split(b" ", 2)[1]), {}, answer)

    return bend


def _double(name: bytes, value: bytes) -> Bend:
    return _raw(
        lambda data: data.replace(
            b"\r\nConnection", b"\r\n" + name + b": " + value + b"\r\nConnection"
        )
    )


TAMPERINGS: dict[str, Bend] = {
    # -- method, path, query, host
    **{f"signed as {m}": _signed(method=m) for m in ("GET", "PUT", "DELETE", "post", "")},
    **{f"sent as {m}": _sent(method=m) for m in ("GET", "PUT", "DELETE", "PATCH")},
    **{
        f"signed for {path!r}": _signed(target=path)
        for path in (
            "/v1/credentials/",
            "/V1/credentials",
            "//v1/credentials",
            "/v1/./credentials",
            "/v1/%63redentials",
            "/v1/credentials?",
            "/v1/credentials?ttl_s=900",
            "/v1/enrolments",
            "",
        )
        if path != "/v1/credentials?"  # an empty query is no query
    },
    **{
        f"sent to {path!r}": _sent(target=path)
        for path in (
            "/v1/credentials/",
            "//v1/credentials",
            "/v1/./credentials",
            "/v1/x/../credentials",
            "/v1/%63redentials",
            "/v1/credentials?a=1",
            "/v1/credentials?device=cam-2",
            "/v1/credentials%3fa=1",
            "/v1/credentials;a=1",
        )
    },
    "query in another order": lambda camera: send(
        camera.url,
        "POST",
        "/v1/credentials?b=2&a=1",
        b"{}",
        {"Authorization": camera.claim(target="/v1/credentials?a=1&b=2").header()},
    ),
    "signed for another host": _signed(host="evil.example"),
    "signed for another port": _signed(host="127.0.0.1:1"),
    "sent to another host": _sent(Host="evil.example"),
    "host twice": _double(b"Host", b"evil.example"),
    "absolute target": _raw(lambda d: d.replace(b"POST /", b"POST http://evil.example/")),
    "fragment": _raw(lambda d: d.replace(b"credentials HTTP", b"credentials#x HTTP")),
    # -- body
    "other body": _signed(sent=b'{"ttl_s": 900}'),
    "body with a blank": _signed(sent=b"{ }"),
    "no body": _signed(sent=b""),
    "signed without body": _signed(body=b""),
    "body cut": _raw(lambda d: d.replace(b"Content-Length: 2", b"Content-Length: 1")),
    "length twice": _double(b"Content-Length", b"3"),
    "length and chunked": _double(b"Transfer-Encoding", b"chunked"),
    # -- the header's fields
    "other device": _claims(device="cam-2"),
    "device in capitals": _claims(device="CAM-1"),
    "unknown device": _claims(device="nobody"),
    "other key": _claims(key="00000000"),
    "time a second later": _claims(time="1750000001"),
    "time with a zero": _claims(time="01750000000"),
    "time turned into a challenge": _claims(time="", challenge="A" * 64),
    "other nonce": _claims(nonce="0" * 32),
    "empty signature": _header(lambda h: h[: h.index("signature=") + 10]),
    "zero signature": _claims(signature="0" * 64),
    **{f"signature bit {n}": _header(lambda h, n=n: _flip(h, len(h) - n)) for n in (1, 32, 64)},
    "signature in capitals": _header(
        lambda h: h[: h.index("signature=") + 10] + h[h.index("signature=") + 10 :].upper() + "A"
    ),
    "scheme in small letters": _header(lambda h: h.replace("OSSMEDIA1", "ossmedia1")),
    "older scheme": _header(lambda h: h.replace("OSSMEDIA1", "OSSMEDIA0")),
    "answer's scheme": _header(lambda h: h.replace("SHA256 ", "SHA256-ANSWER ")),
    "basic": _header(lambda h: "Basic Y2FtLTE6eA=="),
    "bearer": _header(lambda h: "Bearer " + h[-64:]),
    "none": _header(lambda h: ""),
    "fields in another order": _header(
        lambda h: h.replace("device=cam-1, ", "").replace("nonce=", "device=cam-1, nonce=")
    ),
    "field twice": _header(lambda h: h.replace("device=cam-1", "device=cam-1, device=cam-2")),
    "header twice": _raw(
        lambda d: d.replace(b"\r\nContent-L", b"\r\nAuthorization: Basic eA==\r\nContent-L")
    ),
    "header folded": _raw(lambda d: d.replace(b", nonce", b",\r\n nonce")),
    "header with NUL": _raw(lambda d: d.replace(b", nonce", b",\0nonce")),
    "bare LF": _raw(
        lambda d: d.replace(b"\r\nContent-L", b"\nX: y\nContent-L", 1).replace(b"{}", b"{")
    ),
}


def test_there_are_sixty_kinds() -> None:
    assert len(TAMPERINGS) >= 60


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_tampering(world: World, camera: Camera, kind: str) -> None:
    answer = TAMPERINGS[kind](camera)
    assert 400 <= answer.status < 500, answer
    assert b"canary" not in answer.body
    assert world.mint.asked == []
    assert camera.ask().status == 200  # the same camera, not bent, is served
