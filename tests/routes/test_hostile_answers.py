"""A server that lies: whatever it answers, no operation claims a success it did not have, takes a
byte beyond what it asked for, or fails without saying why."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ossmedia import Bucket, Credentials, Retry, crc64, errors
from tests.routes.hostile_answers import ALL, CASES, OBJECT, Case, Right, right_answer, wire
from tests.routes.raw_server import RawServer, Request

DATA = b"footage " * 1000
FIRST, LAST = 100, 1099  # of the ranged read: a large one goes straight into the caller's memory
CANARY = 0xA5


def bucket_at(server: RawServer, **limits: float) -> Bucket:
    return bucket_to(server.port, **limits)


def bucket_to(port: int, **limits: float) -> Bucket:
    return Bucket(
        "cams",
        endpoint=f"http://127.0.0.1:{port}",
        region="cn-hangzhou",
        credentials=Credentials("LTAIkey", "secret"),
        retry=Retry(attempts=2, base_s=0.001, cap_s=0.002, give_up_after_s=0.02),
        **{"io_timeout_s": 5, "total_timeout_s": 20, **limits},
    )


def read_range(bucket: Bucket) -> bytes:
    """A read into the middle of the caller's memory, which is looked at behind the read's back."""
    memory = bytearray([CANARY]) * (LAST - FIRST + 1 + 512)
    try:
        with bucket.open("k", block_size=1) as file:
            file.seek(FIRST)
            with memoryview(memory) as view:
                count = file.readinto(view[256:-256])
    finally:
        assert set(memory[:256]) == set(memory[-256:]) == {CANARY}
    return bytes(memory[256 : 256 + count])


def append(bucket: Bucket) -> int:
    with bucket.open("k", "ab") as file:
        file.write(DATA)
    return file.result.size


OPERATIONS: dict[str, tuple[Callable[[Bucket], object], object]] = {
    "put": (lambda bucket: bucket.put("k", DATA).size, len(DATA)),
    "append": (append, len(DATA)),
    "get": (read_range, OBJECT[FIRST : LAST + 1]),
    "stat": (lambda bucket: bucket.stat("k").size, len(OBJECT)),
    "list": (lambda bucket: [row.key for row in bucket.list()], ["a"]),
}
# What a file asks for first is answered well: to read, how large the object is; to append, whether
# there is one.
ABSENT = Right("404 Not Found", [("x-oss-request-id", "1")], b"", length=False)


def answers(operation: str, make: Callable[[Right], object]) -> Callable[[Request], Iterator]:
    def answer(request: Request) -> Iterator[bytes | None]:
        right = right_answer(request)
        if request.method == "HEAD" and operation in ("get", "append"):
            yield wire(right if operation == "get" else ABSENT)
            yield None
        else:
            yield from make(right)

    return answer


def refusal(bucket: Bucket, operation: str) -> errors.OssMediaError:
    """The error that the operation ends in; a stream's is its cause."""
    with pytest.raises(errors.OssMediaError) as caught:
        OPERATIONS[operation][0](bucket)
    error = caught.value
    if isinstance(error, errors.StreamBroken):
        assert isinstance(error.__cause__, errors.OssMediaError)
        error = error.__cause__
    return error


@pytest.mark.parametrize("operation", sorted(ALL))
def test_the_right_answer(operation: str) -> None:
    """What every case below changes one thing of is taken."""
    with RawServer(answers(operation, lambda right: [wire(right)])) as server:
        with bucket_at(server) as bucket:
            call, result = OPERATIONS[operation]
            assert call(bucket) == result


HOSTILE = [
    pytest.param(operation, case, id=f"{operation}: {case.name}")
    for case in CASES
    for operation in sorted(case.to)
]


@pytest.mark.parametrize(("operation", "case"), HOSTILE)
def test_hostile(operation: str, case: Case) -> None:
    with RawServer(answers(operation, case.make)) as server:
        with bucket_at(server) as bucket:
            error = refusal(bucket, operation)
    assert type(error).__name__ == case.error
    assert re.search(case.says, str(error)), str(error)
    assert "secret" not in str(error)


def drip(server: RawServer, data: bytes, pause_s: float) -> Iterator[bytes]:
    """Byte by byte; after the last one, nothing, and the connection stays open."""
    for at in range(len(data)):
        yield data[at : at + 1]
        server.pause(pause_s)
    server.pause(60)


def slow(operation: str, how: Callable[[RawServer, Right], object]) -> RawServer:
    servers: list[RawServer] = []
    server = RawServer(answers(operation, lambda right: how(servers[0], right)))
    servers.append(server)
    return server


@pytest.mark.parametrize("operation", sorted(ALL))
@pytest.mark.parametrize("part", ["head", "body", "100s"])
def test_slow_loris(operation: str, part: str) -> None:
    """Each byte comes in time, the answer never: the whole exchange has a deadline, too."""

    def how(server: RawServer, right: Right) -> Iterator[bytes]:
        if part == "100s":
            yield from drip(server, b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0.001)
        if part == "body":
            right.length = False
            right.fields.append(("Transfer-Encoding", "chunked"))
            right.body = b"1000\r\n" + b"x" * 4096
        yield from drip(server, wire(right), 0.005)

    if part == "body" and operation == "stat":
        part = "head"  # HEAD's answer has no body
    with slow(operation, how) as server:
        with bucket_at(server, io_timeout_s=5, total_timeout_s=0.15) as bucket:
            error = refusal(bucket, operation)
    assert type(error) is errors.RequestTimeout
    assert "longer than its limit" in str(error)


@pytest.mark.parametrize("operation", sorted(ALL))
@pytest.mark.parametrize("said", [0, 30], ids=["nothing", "half a head"])
def test_silence(operation: str, said: int) -> None:
    def how(server: RawServer, right: Right) -> Iterator[bytes]:
        yield wire(right)[:said]
        server.pause(60)

    with slow(operation, how) as server:
        with bucket_at(server, io_timeout_s=0.05, total_timeout_s=20) as bucket:
            error = refusal(bucket, operation)
    assert type(error) is errors.RequestTimeout


@pytest.mark.parametrize("operation", sorted(ALL))
def test_a_second_answer_behind_the_first(operation: str) -> None:
    """It is nobody's: the next request goes out on another connection and gets its own."""
    smuggled = Right("200 OK", [("ETag", '"smuggled"'), ("x-oss-request-id", "smuggled")], b"s")

    def answer(request: Request) -> Iterator[bytes | None]:
        right = right_answer(request)
        if operation == "append" and request.method == "HEAD":
            right = ABSENT
        yield wire(right) + wire(smuggled)
        yield None

    with RawServer(answer) as server:
        with bucket_at(server) as bucket:
            call, result = OPERATIONS[operation]
            assert [call(bucket) for _ in range(3)] == [result] * 3
        assert server.connections == len(server.requests)


@contextlib.contextmanager
def early_server(data: bytes) -> Iterator[int]:
    """Answers as soon as a head's first bytes came, and reads no further."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                left = 1 << 20  # then it hangs up on whoever goes on sending
                while left > 0 and (piece := connection.recv(65_536)):
                    left -= len(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "301 Moved Permanently"])
def test_an_answer_before_the_request_is_sent(status: str) -> None:
    """A refusal in the middle of a body is one; a success is none, whatever CRC-64 it shows."""
    data = bytes(32 << 20)
    fields = [("x-oss-hash-crc64ecma", str(crc64(data))), ("Location", "http://127.0.0.1:9/")]
    right = wire(Right(status, [*fields, ("Connection", "close")], b""))
    with early_server(right) as port:
        bucket = bucket_to(port)
        with bucket, pytest.raises(errors.OssMediaError) as caught:
            bucket.put("k", data)
    if status.startswith("200"):
        assert type(caught.value) is errors.ProtocolError
        assert "before the request was sent whole" in str(caught.value)
    else:
        assert isinstance(caught.value, errors.ServiceError)
        assert str(caught.value.status) == status[:3]
