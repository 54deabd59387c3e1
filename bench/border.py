"""What one ``write`` costs, next to the cheapest that Python has: ``io.BufferedWriter`` over a sink
of no cost, and next to a call into C for every write. Alone, and beside a thread that is busy with
Python code: then a call that gives up the GIL waits for it.

The writer is a real one, whose block is rewound before it is full, so that only ``write`` is timed;
the last cases send their blocks, and so count the hand-over, too.
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from itertools import repeat

import pytest

from bench.rounds import compare
from bench.sink import bucket
from ossmedia._core import ffi, lib

BLOCK = 1 << 20
SIZES = [16, 1024, 16 * 1024, 60 * 1024]
LIMITS = {16: 400_000, 1024: 300_000, 16 * 1024: 100_000, 60 * 1024: 30_000}  # writes in a round
CALLS = 5000  # each may cost microseconds beside a busy thread


class Nothing(io.RawIOBase):
    """Takes everything at once."""

    def writable(self):
        return True

    def write(self, data):
        return len(data)


@contextlib.contextmanager
def busy_thread(wanted):
    """A thread that never leaves the interpreter, as a camera's picture analysis would be."""
    going = threading.Event()
    ended = False

    def spin():
        count = 0
        going.set()
        while not ended:
            count += 1

    if not wanted:
        yield
        return
    thread = threading.Thread(target=spin)
    thread.start()
    going.wait()
    try:
        yield
    finally:
        ended = True
        thread.join()


def writes(write, data, count, rewind):
    """A round: blocks full of writes, up to `count`."""
    in_block = BLOCK // len(data)
    blocks = max(count // in_block, 1)
    for _ in range(blocks):
        rewind()
        for _ in repeat(None, in_block):
            write(data)
    return blocks * in_block


def calls(data, count):
    """A round of calls into C that only take the buffer: the least a write through cffi costs."""
    for _ in repeat(None, count):
        lib.om_crc64(0, ffi.from_buffer(data), 0)
    return count


@pytest.mark.parametrize("busy", [False, True], ids=["alone", "busy"])
@pytest.mark.parametrize("size", SIZES)
def test_write(benchmark, size, busy):
    data = bytes(size)
    count = LIMITS[size] // (1 if busy else 4)
    buffered = io.BufferedWriter(Nothing(), BLOCK)
    nowhere = bucket("http://127.0.0.1:1")
    writer = nowhere.open("frame", "wb", block_size=2 * BLOCK, blocks=2)
    writer.write(data)
    pump = writer._pump

    def rewind():
        pump.pos = 0

    with busy_thread(busy):
        compare(
            benchmark,
            f"write {size} B{' beside a busy thread' * busy}",
            lambda: writes(writer.write, data, count, rewind),
            {
                "BufferedWriter": lambda: writes(buffered.write, data, count, lambda: None),
                "a cffi call": lambda: calls(data, CALLS if busy else count),
            },
            clock=time.perf_counter,
            unit="ns",
        )
    writer.abort()
    nowhere.close()


@pytest.mark.parametrize("busy", [False, True], ids=["alone", "busy"])
def test_write_and_send(benchmark, sink, busy):
    """1 KiB writes into an object of 16 MiB: filling, hand-over, sending by two workers, close."""
    data = bytes(1024)
    count = 16 * 1024
    buffered = io.BufferedWriter(Nothing(), BLOCK)

    def send():
        with there.open("frames", "wb") as writer:
            for _ in repeat(None, count):
                writer.write(data)
        assert writer.result.size == count * len(data)
        return count

    def buffer():
        return writes(buffered.write, data, count, lambda: None)

    with bucket(sink.endpoint) as there, busy_thread(busy):
        compare(
            benchmark,
            f"write 1024 B and send{' beside a busy thread' * busy}",
            send,
            {"BufferedWriter": buffer},
            clock=time.perf_counter,
            unit="ns",
        )
