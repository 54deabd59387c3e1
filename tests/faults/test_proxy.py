"""proxy.py: each order does what it says, to the byte, and to no other exchange."""

from __future__ import annotations

import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.faults.proxy import FaultProxy

ANSWER = b"stored: "


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was given, and remembers it."""

    protocol_version = "HTTP/1.1"
    got: list[bytes]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(body)
        if self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (ANSWER, body):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER + body)))
        self.end_headers()
        self.wfile.write(ANSWER + body)

    def log_message(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.server.resets += 1


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as made:
        made.daemon_threads = True
        made.got, made.resets = [], 0
        Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def proxy(server):
    server.got.clear()
    server.resets = 0
    with FaultProxy(f"127.0.0.1:{server.server_port}", seed=1) as made:
        yield made


class Client:
    """A socket that says how it ended: "reset", "closed" or "open"."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)

    def put(self, path: str = "/x", body: bytes = b"hello") -> None:
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def read(self, until: bytes = b"") -> tuple[bytes, str]:
        data = b""
        try:
            while not until or until not in data:
                piece = self.socket.recv(65_536)
                if not piece:
                    return data, "closed"
                data += piece
        except ConnectionResetError:
            return data, "reset"
        except TimeoutError:
            return data, "open"
        return data, "open"


def is_refused(proxy: FaultProxy) -> bool:
    """A new connection is reset: while it connects, sends or reads."""
    try:
        other = Client(proxy)
    except ConnectionResetError:
        return True
    with other.socket:
        try:
            other.put()
            return other.read() == (b"", "reset")
        except ConnectionError:
            return True


@pytest.fixture
def client(proxy):
    made = Client(proxy)
    yield made
    made.socket.close()


def wait_for(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_passes_everything_on(proxy, server, client):
    for path in ("/x", "/chunked", "/x"):
        client.put(path, b"abc")
        data, state = client.read(b"abc")
        assert ANSWER in data
        assert state == "open"
        if path == "/chunked":
            assert client.read(b"0\r\n\r\n")[1] == "open" if b"0\r\n\r\n" not in data else True
    assert server.got == [b"abc"] * 3
    assert [(seen.line, seen.status) for seen in proxy.exchanges] == [
        ("PUT /x", 200),
        ("PUT /chunked", 200),
        ("PUT /x", 200),
    ]


@pytest.mark.parametrize(("action", "end"), [("reset", "reset"), ("cut", "closed")])
def test_ends_after_so_many_bytes_of_the_answer(proxy, server, client, action, end):
    proxy.fault(action, at=20)
    client.put()
    data, state = client.read()
    # A reset may overtake bytes that were not read yet; a close never does.
    assert (len(data), state) == (20, end) if action == "cut" else state == end
    assert server.got == [b"hello"]


def test_reset_in_the_request(proxy, server, client):
    fault = proxy.fault("reset", match="PUT /x", side="request", at=60)
    client.put(body=b"h" * 500)
    assert client.read() == (b"", "reset")
    assert fault.hits == 1
    wait_for(lambda: server.resets == 1)
    assert server.got == []


def test_half_close(proxy, client):
    proxy.fault("half_close", at=10)
    client.put()
    data, state = client.read()
    assert (len(data), state) == (10, "closed")
    client.socket.sendall(b"still taken")  # the other direction stands


def test_stall_and_heal(proxy, client):
    proxy.fault("stall", at=12)
    client.put()
    client.socket.settimeout(0.2)
    data, state = client.read()
    assert (len(data), state) == (12, "open")
    proxy.clear()
    client.socket.settimeout(10)
    assert client.read() == (b"", "reset")


def test_unread_closes_the_window(proxy, client):
    proxy.fault("unread", side="request", at=100)
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.put(body=bytes(16 << 20))


def test_flip_turns_one_bit(proxy, server, client):
    head = len(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    proxy.fault("flip", side="request", at=head + 1)
    client.put()
    data, _ = client.read(b"llo")
    assert server.got == [bytes([ord("h"), ord("e") ^ 0x10]) + b"llo"]
    assert data.endswith(b"hullo")


@pytest.mark.parametrize(
    ("action", "fields"),
    [("delay", {"seconds": 0.05}), ("rate", {"rate": 2000}), ("drip", {"seconds": 0.001})],
)
def test_slow_ways_change_no_byte(proxy, server, client, action, fields):
    started = time.monotonic()
    proxy.fault(action, side="request", **fields)
    client.put(body=b"x" * 100)
    data, _ = client.read(b"x" * 100)
    assert server.got == [b"x" * 100]
    assert data.endswith(ANSWER + b"x" * 100)
    assert time.monotonic() - started >= 0.04  # at least what was ordered


@pytest.mark.parametrize(("hard", "end"), [(False, "closed"), (True, "reset")])
def test_swallow(proxy, server, client, hard, end):
    proxy.fault("swallow", hard=hard)
    client.put()
    assert client.read() == (b"", end)
    assert server.got == [b"hello"]


@pytest.mark.parametrize("sees", ["first", "second"])
def test_twice_at_once(proxy, server, client, sees):
    proxy.fault("twice", sees=sees)
    client.put()
    assert client.read(b"hello")[0].endswith(b"hello")
    assert server.got == [b"hello"] * 2


def test_twice_behind_the_next_one(proxy, server, client):
    proxy.fault("twice", match="PUT /late", late=True)
    client.put("/late", b"first")
    client.read(b"first")
    client.put("/other", b"no match")
    client.read(b"no match")
    assert server.got == [b"first", b"no match"]
    client.put("/late", b"second")
    client.read(b"second")
    wait_for(lambda: len(server.got) == 4)
    assert server.got[2:] == [b"second", b"first"]


def test_blackhole_refuse_and_heal(proxy, server, client):
    proxy.blackhole()
    client.socket.settimeout(0.2)
    client.put()
    assert client.read() == (b"", "open")
    proxy.heal()
    client.socket.settimeout(10)
    assert client.read(b"hello")[0].endswith(b"hello")
    proxy.refuse()
    assert is_refused(proxy)
    client.put()
    assert client.read() == (b"", "reset")
    proxy.heal()
    again = Client(proxy)
    again.put()
    assert again.read(b"hello")[0].endswith(b"hello")
    again.socket.close()


def test_only_the_ordered_ones(proxy, server):
    fault = proxy.fault("cut", match="PUT /b", after=1, times=1)
    for path, end in (("/a", b"hello"), ("/b", b"hello"), ("/b", b""), ("/b", b"hello")):
        client = Client(proxy)
        client.put(path)
        assert client.read(b"hello")[0].endswith(end)
        client.socket.close()
    assert (fault.seen, fault.hits) == (2, 1)


def test_chance_is_the_seeds(server):
    hits = []
    for _ in range(2):
        with FaultProxy(f"127.0.0.1:{server.server_port}", seed=5) as proxy:
            fault = proxy.fault("cut", times=0, chance=0.5)
            hit = []
            for _ in range(12):
                client = Client(proxy)
                client.put()
                client.read(b"hello")
                hit.append(fault.hits)
                client.socket.close()
            hits.append(hit)
    assert hits[0] == hits[1]
    assert 0 < hits[0][-1] < 12


def test_raw_counts_bytes_of_the_connection(server):
    with FaultProxy(f"127.0.0.1:{server.server_port}", raw=True) as proxy:
        proxy.fault("reset", side="answer", at=5)
        client = Client(proxy)
        client.put()
        assert client.read()[1] == "reset"
        assert server.got[-1] == b"hello"
        client.socket.close()


def test_an_order_that_makes_no_sense(proxy):
    with pytest.raises(ValueError, match=r"^action must be one of"):
        proxy.fault("explode")
    with pytest.raises(ValueError, match=r"^no such side"):
        proxy.fault("cut", side="both")
