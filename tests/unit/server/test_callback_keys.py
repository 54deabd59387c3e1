"""The keys of callbacks: fetched from one host only, whatever a callback names."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ossmedia.server import callback_keys
from ossmedia.server.callback_keys import CallbackKeys, KeyUnavailable
from tests.unit.server.rig import Time

OSS = "https://gosspublic.alicdn.com/"
GOOD = "callback_pub_key_v1.pem"

FOREIGN = [
    "",
    "gosspublic.alicdn.com/k.pem",
    "//gosspublic.alicdn.com/k.pem",
    "https://gosspublicXalicdn.com/k.pem",
    "https://gosspublic-alicdn.com/k.pem",
    "https://gosspublic.alicdn.com.evil.example/k.pem",
    "https://evil.example/gosspublic.alicdn.com/k.pem",
    "https://evil.example/?https://gosspublic.alicdn.com/k.pem",
    "https://evil.example/#https://gosspublic.alicdn.com/k.pem",
    "https://gosspublic.alicdn.com@evil.example/k.pem",
    "https://gosspublic.alicdn.com:80@evil.example/k.pem",
    "https://gosspublic.alicdn.com:443/k.pem",
    "https://gosspublic.alicdn.com:22/k.pem",
    "https://gosspublic.alicdn.com./k.pem",
    "https://GOSSPUBLIC.ALICDN.COM/k.pem",
    "HTTPS://gosspublic.alicdn.com/k.pem",
    "https://gosspublic\uff0ealicdn.com/k.pem",
    "https://gosspublic\u3002alicdn.com/k.pem",
    "https://\u0261osspublic.alicdn.com/k.pem",
    "https://a.gosspublic.alicdn.com/k.pem",
    "https://alicdn.com/k.pem",
    "https://127.0.0.1/k.pem",
    "https://[::1]/k.pem",
    "https://[::ffff:127.0.0.1]/k.pem",
    "https://2130706433/k.pem",
    "https://0x7f.1/k.pem",
    "https://169.254.169.254/latest/meta-data",
    "https://100.100.100.200/latest/meta-data",
    "https://localhost/k.pem",
    "file:///etc/passwd",
    "ftp://gosspublic.alicdn.com/k.pem",
    "gopher://127.0.0.1:6379/_INFO",
    "data:text/plain,x",
    "https://gosspublic.alicdn.com",
    "https://gosspublic.alicdn.com/",
    "https://gosspublic.alicdn.com/../k.pem",
    "https://gosspublic.alicdn.com/a/../../k.pem",
    "https://gosspublic.alicdn.com/%2e%2e/k.pem",
    "https://gosspublic.alicdn.com/k.pem?x=1",
    "https://gosspublic.alicdn.com/k.pem#x",
    "https://gosspublic.alicdn.com\\@evil.example/k.pem",
    "https://gosspublic.alicdn.com/k.pem\r\nHost: evil.example",
    "https://gosspublic.alicdn.com/k\0.pem",
    " https://gosspublic.alicdn.com/k.pem",
    "https:/gosspublic.alicdn.com/k.pem",
    "https:///gosspublic.alicdn.com/k.pem",
    "http://evil.example/k.pem",
    "https://gosspublic.alicdn.com/" + "k" * 200,
]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every name that is looked up and every address that is connected to; none is reached."""
    seen: list[Any] = []

    def refuse(*args: Any, **_: Any) -> Any:
        seen.append(args)
        raise OSError("no connection in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: refuse(address))
    return seen


def test_there_are_as_many_as_promised() -> None:
    assert len(set(FOREIGN)) >= 40


@pytest.mark.parametrize("url", FOREIGN)
def test_nothing_is_connected_to_for_a_foreign_url(connections: list[Any], url: str) -> None:
    keys = CallbackKeys(OSS, Time())
    with pytest.raises(KeyUnavailable):
        keys.signed(url.encode("utf-8", "surrogatepass"), b"x", b"x")
    assert connections == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_exact_host_is_asked_over_https(connections: list[Any], scheme: str) -> None:
    with pytest.raises(KeyUnavailable):
        CallbackKeys(OSS, Time()).signed(f"{scheme}{OSS[5:]}{GOOD}".encode(), b"x", b"x")
    assert [args[:2] for args in connections] == [("gosspublic.alicdn.com", 443)]


def test_without_a_source_no_key_is_good(connections: list[Any]) -> None:
    with pytest.raises(KeyUnavailable):
        CallbackKeys("", Time()).signed(f"{OSS}{GOOD}".encode(), b"x", b"x")
    assert connections == []


class KeyHost:
    """A host of keys, as a test wants it to answer."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[socket.socket], None] = lambda _: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.source = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            peer, _ = self._listener.accept()
            with peer:
                if self._ended.is_set():
                    return
                self.asked += 1
                with suppress(OSError):
                    peer.recv(65536)
                    self.answer(peer)

    def give(self, body: bytes, status: str = "200 OK", more: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
        self.answer = lambda peer: peer.sendall(head + body)

    def close(self) -> None:
        self._ended.set()
        with socket.create_connection(self._listener.getsockname()):
            self._thread.join()
        self._listener.close()


@pytest.fixture
def host() -> Iterator[KeyHost]:
    made = KeyHost()
    yield made
    made.close()


def pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    made: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return made


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign(private: rsa.RSAPrivateKey, text: bytes) -> bytes:
    return private.sign(text, padding.PKCS1v15(), hashes.MD5())


def test_a_good_signature_and_wrong_ones(host: KeyHost, private: rsa.RSAPrivateKey) -> None:
    host.give(pem(private))
    keys, url = CallbackKeys(host.source, Time()), f"{host.source}{GOOD}".encode()
    signature = sign(private, b"/path\nbody")
    assert keys.signed(url, signature, b"/path\nbody")
    assert not keys.signed(url, signature, b"/path\nBody")
    assert not keys.signed(url, signature[:-1], b"/path\nbody")
    assert not keys.signed(url, b"", b"/path\nbody")
    sha256 = private.sign(b"/path\nbody", padding.PKCS1v15(), hashes.SHA256())
    assert not keys.signed(url, sha256, b"/path\nbody")


def test_a_key_is_fetched_once_a_day(host: KeyHost, private: rsa.RSAPrivateKey) -> None:
    host.give(pem(private))
    time = Time()
    keys, url = CallbackKeys(host.source, time), f"{host.source}{GOOD}".encode()
    for _ in range(5):
        assert keys.signed(url, sign(private, b"x"), b"x")
    assert host.asked == 1
    time.sleep(callback_keys.LIFE_S)
    assert keys.signed(url, sign(private, b"x"), b"x")
    assert host.asked == 2


def test_a_key_that_cannot_be_had_is_not_asked_for_again_at_once(host: KeyHost) -> None:
    host.give(b"no", "503 Busy")
    time = Time()
    keys, url = CallbackKeys(host.source, time), f"{host.source}{GOOD}".encode()
    for _ in range(5):
        with pytest.raises(KeyUnavailable):
            keys.signed(url, b"x", b"x")
    assert host.asked == 1
    time.sleep(callback_keys.FAILED_S)
    with pytest.raises(KeyUnavailable):
        keys.signed(url, b"x", b"x")
    assert host.asked == 2


def test_many_names_cause_few_fetches(host: KeyHost) -> None:
    host.give(b"no key")
    keys = CallbackKeys(host.source, Time())
    for number in range(100):
        with pytest.raises(KeyUnavailable):
            keys.signed(f"{host.source}{number}.pem".encode(), b"x", b"x")
    assert host.asked == 10


def test_answers_that_are_no_key(host: KeyHost, private: rsa.RSAPrivateKey) -> None:
    trap = KeyHost()
    trap.give(pem(private))
    elliptic = pem(ec.generate_private_key(ec.SECP256R1()))
    cases: list[tuple[bytes, str, str]] = [
        (b"", "200 OK", ""),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "200 OK", ""),
        (elliptic, "200 OK", ""),
        (pem(private), "404 Not Found", ""),
        (b"", "302 Found", f"Location: {trap.source}{GOOD}\r\n"),
        (b"", "307 Moved", f"Location: {trap.source}{GOOD}\r\n"),
        (pem(private) + b"\n" * (callback_keys.MOST_SIZE + 1), "200 OK", ""),
    ]
    for number, (body, status, more) in enumerate(cases):
        host.give(body, status, more)
        keys = CallbackKeys(host.source, Time())
        with pytest.raises(KeyUnavailable):
            keys.signed(f"{host.source}{number}.pem".encode(), sign(private, b"x"), b"x")
        assert host.asked == number + 1
    assert trap.asked == 0, "no redirect is followed"
    trap.close()


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_host_that_drips_is_left(
    host: KeyHost, private: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """One byte at a time, each in time: the whole has a limit."""
    monkeypatch.setattr(callback_keys, "TIMEOUT_S", 0.3)
    stop = threading.Event()
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"

    def drip(peer: socket.socket) -> None:
        if part == "body":
            peer.sendall(text + b"\r\n")
        else:
            peer.sendall(text)
        while not stop.wait(0.02):
            peer.sendall(b"x")

    host.answer = drip
    with pytest.raises(KeyUnavailable):
        CallbackKeys(host.source, Time()).signed(f"{host.source}{GOOD}".encode(), b"x", b"x")
    stop.set()


def test_the_key_that_oss_publishes_can_be_read(host: KeyHost) -> None:
    """512 bits: it is older than today's least size. Source: OSS, "Callback"."""
    modulus = (
        "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs"
        "C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ=="
    )
    assert len(base64.b64decode(modulus)) == 94
    text = f"-----BEGIN PUBLIC KEY-----\n{modulus[:64]}\n{modulus[64:]}\n-----END PUBLIC KEY-----"
    host.give(text.encode())
    keys = CallbackKeys(host.source, Time())
    assert not keys.signed(f"{host.source}{GOOD}".encode(), b"\1" * 64, b"x"), "read, and refused"
