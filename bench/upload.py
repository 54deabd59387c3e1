"""CPU time of the client per request and per object, next to the peers' clients in the same rounds:
signed V4 with a token, CRC-64 checked, one kept-alive connection over 127.0.0.1."""

from __future__ import annotations

import functools

import pytest

from bench.peers.sdk import installed
from bench.rounds import compare
from bench.sink import bucket
from ossmedia import crc64

MIB = 1 << 20


@pytest.fixture(scope="module")
def peers(sink):
    """Those that are installed."""
    found = installed(sink.endpoint)
    if not found:
        pytest.skip("neither oss2 nor alibabacloud-oss-v2 is installed")
    return found


@pytest.fixture
def store(sink):
    """A store of the C core."""
    made = sink.store()
    yield made
    made.close()


def repeated(count, function, *arguments):
    """A case that does something `count` times."""

    def run():
        for _ in range(count):
            function(*arguments)
        return count

    return run


@pytest.mark.parametrize(
    ("size", "own_count", "peer_count"),
    [(1024, 1500, 60), (64 * 1024, 1000, 50), (16 * MIB, 10, 2)],
    ids=["1 KiB", "64 KiB", "16 MiB"],
)
def test_put(benchmark, store, peers, size, own_count, peer_count):
    data = bytes(range(256)) * (size // 256)
    expected = crc64(data)

    def put():
        answer = store.exchange("PUT", "put/own", body=data)
        assert answer.crc64 == answer.sent_crc64 == expected

    compare(
        benchmark,
        f"PUT of {size} B",
        repeated(own_count, put),
        {n: repeated(peer_count, peer.put, f"put/{n}", data) for n, peer in peers.items()},
    )


class Growing:
    """An object that grows by the same bytes."""

    def __init__(self, append, key, data):
        self._append = append
        self._key = key
        self._data = data
        self._position = 0

    def grow(self):
        self._position = self._append(self._key, self._position, self._data)


def test_append(benchmark, store, peers):
    data = bytes(range(256)) * 1024

    def append(key, position, data):
        answer = store.exchange("POST", key, f"append&position={position}", body=data)
        assert answer.next_position == position + len(data)
        return answer.next_position

    own = Growing(append, "append/own", data)
    others = {n: Growing(peer.append, f"append/{n}", data) for n, peer in peers.items()}
    compare(
        benchmark,
        "append of 256 KiB",
        repeated(400, own.grow),
        {n: repeated(30, other.grow) for n, other in others.items()},
    )


def test_multipart(benchmark, sink, peers):
    """16 MiB in parts of 1 MiB: a writer with two workers; the peers part by part."""
    data = bytes(range(256)) * (16 * MIB // 256)
    frames = [data[at : at + 22 * 1024] for at in range(0, len(data), 22 * 1024)]
    expected = crc64(data)
    with bucket(sink.endpoint) as there:

        def write():
            with there.open("parts/own", "wb", block_size=MIB) as writer:
                for frame in frames:
                    writer.write(frame)
            assert writer.result.crc64 == expected

        compare(
            benchmark,
            "16 MiB in parts of 1 MiB (own: from frames of 22 KiB)",
            repeated(8, write),
            {
                name: repeated(1, functools.partial(peer.parts_of, f"parts/{name}", data, MIB))
                for name, peer in peers.items()
            },
            unit="ms CPU",
        )
