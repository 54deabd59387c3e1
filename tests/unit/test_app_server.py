"""app_server.py: a camera against application servers that are good, away, wrong or hostile."""

from __future__ import annotations

import json
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ossmedia import AppServerCredentials, errors
from ossmedia.app_server import enrol
from ossmedia.device_auth import ANSWER_HEADER, Claim, DeviceKey, sign_answer, verify_request

KEY = DeviceKey.new()
NOW = 1_750_000_000.0
TOLD = {
    "access_key_id": "STS.x",
    "access_key_secret": "given-secret-canary",
    "security_token": "given-token-canary",
    "expires_at": NOW + 3600,
    "refresh_after_s": 2700.0,
    "device": "cam-1",
    "key_prefix": "cams/cam-1/",
    "bucket": "cams",
    "endpoint": "https://oss-cn-hangzhou.aliyuncs.com",
    "region": "cn-hangzhou",
    "modes": ["w"],
}


class Clock:
    """A camera's clock; ``off`` seconds wrong."""

    def __init__(self, off: float = 0.0) -> None:
        self.off = off

    def now(self) -> float:
        return NOW + self.off

    def monotonic(self) -> float:
        return 0.0


class Peer:
    """An application server by a script of answers, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Callable[[Any], Any]] = [good]
        self.claims: list[Claim] = []
        self.targets: list[str] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer.targets.append(self.path)
                if "Authorization" in self.headers:
                    self.claim = Claim.parse(self.headers["Authorization"])
                    peer.claims.append(self.claim)
                    given = (self.claim, "POST", self.path, self.headers["Host"], self.payload)
                    assert verify_request(KEY.secret, *given)
                play = peer.answers.pop(0) if len(peer.answers) > 1 else peer.answers[0]
                play(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def answer(
    handler: Any, status: int, body: bytes, *, key: DeviceKey | None = KEY, **heads: str
) -> None:
    handler.send_response(status)
    if key is not None:
        signed = sign_answer(key.secret, handler.claim, status, NOW, body)
        handler.send_header(ANSWER_HEADER, signed)
    for name, value in heads.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def good(handler: Any) -> None:
    answer(handler, 200, json.dumps(TOLD).encode())


def refuses(status: int, code: str, **more: Any) -> Callable[[Any], None]:
    body = json.dumps({"code": code, "title": "no", "status": status, **more}).encode()
    heads = {"Retry_After": str(more["retry"])} if "retry" in more else {}
    return lambda handler: answer(handler, status, body, key=None, **heads)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.server.shutdown()
    made.server.server_close()


def provider(peer: Peer, **options: Any) -> AppServerCredentials:
    given = {"allow_insecure": True, "clock": Clock(), "timeout_s": 10, **options}
    return AppServerCredentials(given.pop("url", peer.url), "cam-1", KEY.text(), **given)


def test_it_gives_credentials(peer: Peer) -> None:
    ask = provider(peer)
    given = ask()
    assert given.access_key_id == "STS.x"
    assert given.expires_at == NOW + 3600
    assert given.refresh_after_s == 2700
    assert ask.place["key_prefix"] == "cams/cam-1/"
    assert ask.seconds_ahead == pytest.approx(0.5)
    assert peer.claims[0].time == str(int(NOW))
    assert peer.targets == ["/v1/credentials"]


def test_a_path_in_the_url_stands_first(peer: Peer) -> None:
    provider(peer, url=peer.url + "/cams/")()
    assert peer.targets == ["/cams/v1/credentials"]


@pytest.mark.parametrize("off", [-NOW, -1e6, 1e9])
def test_a_wrong_clock_costs_one_more_request_once(peer: Peer, off: float) -> None:
    peer.answers = [refuses(401, "clock-skew", challenge="c" * 64, server_time=5), good]
    ask = provider(peer, clock=Clock(off))
    ask()
    assert [c.challenge for c in peer.claims] == ["", "c" * 64]
    assert ask.seconds_ahead == pytest.approx(0.5 - off)
    ask()
    assert peer.claims[2].time == str(int(NOW))
    assert peer.claims[2].challenge == ""


def test_time_that_is_not_signed_is_not_believed(peer: Peer) -> None:
    peer.answers = [refuses(401, "clock-skew", challenge="c" * 64, server_time=5)]
    ask = provider(peer)
    with pytest.raises(errors.AccessDenied, match="clock-skew") as caught:
        ask()
    assert caught.value.retryable
    assert ask.seconds_ahead is None
    assert len(peer.claims) == 2  # one challenge is tried, not one after the other


def test_a_challenge_of_another_form_harms_nothing(peer: Peer) -> None:
    peer.answers = [refuses(401, "clock-skew", challenge={"a": "\r\nX: y"}), good]
    with pytest.raises(errors.OssMediaError):
        provider(peer)()


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        (401, "unauthorized", errors.AccessDenied, False),
        (401, "replayed", errors.AccessDenied, True),
        (403, "device-disabled", errors.AccessDenied, False),
        (429, "too-many-requests", errors.Unavailable, True),
        (503, "over-budget", errors.Unavailable, True),
        (500, "internal", errors.Unavailable, True),
        (404, "not-found", errors.NotFound, False),
        (301, "moved", errors.ServiceError, False),
    ],
)
def test_refusals(
    peer: Peer, status: int, code: str, kind: type[errors.ServiceError], retryable: bool
) -> None:
    peer.answers = [refuses(status, code, retry=7)]
    with pytest.raises(kind) as caught:
        provider(peer)()
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.retryable == retryable
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 20, "\u0661"])
def test_a_strange_retry_after_counts_as_none(peer: Peer, value: str) -> None:
    peer.answers = [refuses(503, "busy", retry=value.encode().decode("latin-1"))]
    with pytest.raises(errors.Unavailable) as caught:
        provider(peer)()
    assert caught.value.retry_after_s is None


def _told(**changed: Any) -> Callable[[Any], None]:
    body = json.dumps({**TOLD, **changed}).encode()
    return lambda handler: answer(handler, 200, body)


@pytest.mark.parametrize(
    "play",
    [
        lambda h: answer(h, 200, json.dumps(TOLD).encode(), key=None),
        lambda h: answer(h, 200, json.dumps(TOLD).encode(), key=DeviceKey.new()),
        _told(device="cam-2"),
        _told(access_key_id=""),
        _told(security_token=None),
        _told(expires_at="soon"),
        lambda h: answer(h, 200, b"[]"),
        lambda h: answer(h, 200, b"{"),
        lambda h: answer(h, 200, b" " * (300 << 10)),
        lambda h: h.wfile.write(b"NONSENSE\r\n\r\n"),
    ],
)
def test_answers_that_cannot_be_believed(peer: Peer, play: Callable[[Any], None]) -> None:
    peer.answers = [play]
    with pytest.raises(errors.ProtocolError) as caught:
        provider(peer)()
    assert "canary" not in str(caught.value)


def test_an_answer_that_ends_early(peer: Peer) -> None:
    def play(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
        handler.close_connection = True

    peer.answers = [play]
    with pytest.raises(errors.NetworkError):
        provider(peer)()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ask = AppServerCredentials(f"http://127.0.0.1:{port}", "cam-1", KEY.text(), allow_insecure=True)
    with pytest.raises(errors.NetworkError):
        ask()


def test_an_answer_that_drips_ends_in_time(peer: Peer) -> None:
    """One byte at a time, each in time for itself."""
    stop = threading.Event()

    def play(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.05):
            handler.wfile.write(b"X: y\r\n")
            handler.wfile.flush()

    peer.answers = [play]
    try:
        with pytest.raises(errors.RequestTimeout):
            provider(peer, timeout_s=0.4)()
    finally:
        stop.set()


def test_the_key_may_lie_in_a_file(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    ask = AppServerCredentials(peer.url, "cam-1", path, allow_insecure=True, clock=Clock())
    with pytest.raises(FileNotFoundError):
        ask()
    path.write_text("nonsense")
    with pytest.raises(ValueError, match="device_key"):
        ask()
    path.write_text(KEY.text() + "\n")
    assert ask().access_key_id == "STS.x"
    by_bytes = KEY.text().encode()
    ask = AppServerCredentials(peer.url, "cam-1", by_bytes, allow_insecure=True, clock=Clock())
    assert ask().access_key_id == "STS.x"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://x"}, "https://"),
        ({"url": "ftp://x"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://user:pw@x"}, "url"),
        ({"url": "https://x/?a=1"}, "url"),
        ({"device_id": "*"}, "device_id"),
        ({"device_key": "canary"}, "device_key"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], words: str) -> None:
    given = {"url": "https://x", "device_id": "cam-1", "device_key": KEY.text(), **change}
    with pytest.raises(ValueError, match=words) as caught:
        AppServerCredentials(**given)
    assert "canary" not in str(caught.value)


def test_its_repr_hides_the_key(peer: Peer) -> None:
    shown = repr(provider(peer))
    assert shown == f"AppServerCredentials({peer.url!r}, 'cam-1')"


def test_tls(peer: Peer, tmp_path: Path) -> None:
    """The named authority is trusted, no other, and no name but the certificate's."""
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make += ["-nodes", "-keyout", key, "-out", pem, "-days", "2", "-subj", "/CN=cams"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    plain = peer.server.socket
    peer.server.socket = context.wrap_socket(plain, server_side=True)
    url = f"https://127.0.0.1:{peer.server.server_port}"
    assert provider(peer, url=url, ca_file=pem)().access_key_id == "STS.x"
    with pytest.raises(errors.TlsError):
        provider(peer, url=url)()
    with pytest.raises(errors.TlsError):
        provider(peer, url=url.replace("127.0.0.1", "localhost"), ca_file=pem)()
    assert len(peer.claims) == 1


def test_enrol(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    told = json.dumps({"device": "cam-1", "device_key": KEY.text()}).encode()
    peer.answers = [refuses(403, "enrolment-refused"), lambda h: answer(h, 200, told, key=None)]
    with pytest.raises(errors.AccessDenied, match="enrolment-refused"):
        enrol(peer.url, "cam-1", "AAAA", path, allow_insecure=True)
    assert not path.exists()
    enrol(peer.url, "cam-1", "AAAA", path, allow_insecure=True)
    assert path.read_text() == KEY.text() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        enrol(peer.url, "cam-1", "AAAA", path, allow_insecure=True)
    assert peer.targets == ["/v1/enrolments"] * 2


def test_a_camera_pays_for_it_only_when_it_is_used() -> None:
    code = (
        "import sys; from ossmedia import Bucket, Credentials;"
        "heavy = {'ssl', 'http.client', 'hmac', 'json', 'ossmedia.app_server', 'ossmedia.server'};"
        "print(sorted(heavy & set(sys.modules)) if 'json' not in sys.modules else"
        " sorted((heavy - {'json'}) & set(sys.modules)));"
        "from ossmedia import AppServerCredentials; print('ossmedia.server' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split("\n")[:2] == ["[]", "False"]
