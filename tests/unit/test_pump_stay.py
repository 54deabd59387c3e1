"""A worker that stays in C for more than one exchange, and a writer that waits there: nobody misses
a free block, a failure, a signal or the end."""

import os
import signal
import threading

import pytest

from ossmedia import Bucket, Credentials, Retry
from ossmedia._native import Store
from ossmedia._native_stream import APPEND, SENT, Stream
from ossmedia.clock import Clock
from ossmedia.pump import Pump

BLOCK = 102_400
LONG_MS = 600_000  # a test that waited so long would be killed
QUICK = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=1)


@pytest.fixture
def open_bucket(oss_emulator):
    made = []

    def one(**options):
        known = Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret)
        where = {"endpoint": oss_emulator.endpoint, "region": oss_emulator.region}
        made.append(
            Bucket(
                oss_emulator.buckets[0],
                credentials=known,
                block_size=BLOCK,
                retry=QUICK,
                **where,
                **options,
            )
        )
        return made[-1]

    oss_emulator.reset()
    yield one
    oss_emulator.clear_faults()
    for bucket in made:
        bucket.close()


@pytest.fixture
def full(oss_emulator):
    """A stream whose two blocks are given."""
    store = Store(
        endpoint=oss_emulator.endpoint,
        bucket=oss_emulator.buckets[0],
        region=oss_emulator.region,
        address=1,
    )
    store.set_credentials(Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret))
    stream = Stream(store, key="full", mode=APPEND, block_size=BLOCK, block_count=2)
    for _ in range(2):
        assert stream.take() is not None
        stream.give(BLOCK)
    assert stream.take() is None
    yield stream
    stream.close()
    store.close()


def test_the_wait_ends_with_a_free_block(full):
    waiting = threading.Thread(target=full.await_free, args=(LONG_MS,))
    waiting.start()
    while full.pump() == SENT:
        pass
    waiting.join()
    assert full.take() is not None


def test_close_waits_for_who_waits(full):
    waiting = threading.Thread(target=full.await_free, args=(LONG_MS,))
    waiting.start()
    full.abort()
    full.close()
    waiting.join()
    with pytest.raises(ValueError, match="closed"):
        full.await_free(LONG_MS)


def test_a_child_frees_a_stream_on_which_its_parent_waits(full):
    waiting = threading.Thread(target=full.await_free, args=(LONG_MS,))
    waiting.start()
    while not full._awaiting.locked():
        pass
    pid = os.fork()
    if pid == 0:
        full.close()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    full.abort()
    waiting.join()


def test_a_block_that_is_free_is_not_waited_for(open_bucket, oss_emulator):
    """While one exchange hangs, the block of the one before it is filled."""
    oss_emulator.fault(action="stall", operation="AppendObject", seconds=0.2, when="before")
    oss_emulator.fault(action="stall", operation="AppendObject", after=1, seconds=30, when="before")
    with open_bucket(io_timeout_s=1.5).open("stalled", "ab", blocks=2, linger_s=LONG_MS) as f:
        f.write(bytes(3 * BLOCK))
        assert f._pump.stored == BLOCK
        assert f._pump._failures.since == 0.0, "the next one hangs still"
        f.abort()


def test_a_signal_reaches_who_waits_for_a_block(open_bucket, oss_emulator):
    oss_emulator.fault(action="status", status=503, code="ServiceUnavailable", times=0)
    f = open_bucket().open("interrupted", "ab", blocks=2, linger_s=LONG_MS)
    waits = threading.Event()
    await_free = f._pump._stream.await_free

    def told(most_ms):
        waits.set()
        await_free(most_ms)

    f._pump._stream.await_free = told

    def interrupt():
        waits.wait()
        os.kill(os.getpid(), signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        f.write(bytes(8 * BLOCK))
    other.join()
    f.abort()


def test_failures_with_successes_between_are_not_in_a_row(open_bucket, oss_emulator):
    """However short the successes: the first failure of a row is the first after them."""

    class Hours(Clock):
        __slots__ = ("ahead",)

        def monotonic(self):
            return super().monotonic() + self.ahead

        def wait(self, condition, seconds):
            if seconds is not None:
                self.ahead += 0.6
            super().wait(condition, seconds)

    clock = Hours()
    clock.ahead = 0.0
    for after in (0, 2, 4):
        oss_emulator.fault(
            action="status",
            status=503,
            code="ServiceUnavailable",
            operation="AppendObject",
            after=after,
        )
    bucket = open_bucket(clock=clock)
    with bucket.open("flapping", "ab", blocks=8, linger_s=LONG_MS) as f:
        f._pump._start_workers = lambda: None  # all is there before the first worker begins
        f.write(bytes(7 * BLOCK))
        del f._pump._start_workers
    assert f.result.size == 7 * BLOCK
    assert clock.ahead > 1.7


def test_whoever_watches_hears_of_each_block(open_bucket):
    heard = []
    with open_bucket().open(
        "watched", "ab", blocks=8, progress=lambda stored, total: heard.append(stored)
    ) as f:
        f.write(bytes(5 * BLOCK + 1))
    assert heard == [BLOCK, 2 * BLOCK, 3 * BLOCK, 4 * BLOCK, 5 * BLOCK, 5 * BLOCK + 1]


def test_a_worker_stays(open_bucket, monkeypatch):
    """Blocks that are there go out without Python in between."""
    calls = []
    advance = Pump._advance
    monkeypatch.setattr(
        Pump, "_advance", lambda self, *told: (calls.append(told), advance(self, *told))
    )
    monkeypatch.setattr("ossmedia.pump.STAY_MS", LONG_MS)
    with open_bucket().open("stays", "ab", blocks=8, linger_s=LONG_MS) as f:
        f._pump._start_workers = lambda: None
        f.write(bytes(7 * BLOCK))
        del f._pump._start_workers
    assert f.result.size == 7 * BLOCK
    assert len(calls) == 1
