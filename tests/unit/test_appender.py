"""Appends without a buffer: stored when ``write`` returns, settled or given up after failures."""

import array
import gc
import io
import os
import subprocess
import sys
import threading

import pytest

from ossmedia import Bucket, Credentials, Retry, Spool, crc64, errors
from ossmedia.appender import Appender
from ossmedia.clock import Clock
from tests.routes.stream_model import session

QUICK = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=1)
BUSY = {"action": "status", "status": 503, "code": "ServiceUnavailable"}


def opened(cloud, **options):
    owner = Credentials(cloud.access_key_id, cloud.access_key_secret)
    return Bucket(
        cloud.buckets[0],
        endpoint=cloud.endpoint,
        region=cloud.region,
        **{"credentials": owner, "retry": QUICK, **options},
    )


@pytest.fixture
def bucket(oss_emulator):
    oss_emulator.reset()
    with opened(oss_emulator) as made:
        yield made
    oss_emulator.clear_faults()


def content(bucket, key):
    with bucket.open(key) as f:
        return f.read()


def appends(cloud):
    return cloud.counters()["requests"].get("AppendObject", 0)


def test_each_write_is_stored_when_it_returns(bucket, oss_emulator):
    with bucket.open("live", "ab", buffering=0, content_type="video/mp2t") as f:
        for number, size in enumerate([1, 300_000, 0, 2_500_000, 7], 1):
            before = f.tell()
            assert f.write(bytes([number]) * size) == size
            assert f.tell() == before + size == bucket.stat("live").size
    held = content(bucket, "live")
    assert f.result.size == len(held) == 2_800_008
    assert f.result.crc64 == crc64(held) == bucket.stat("live").crc64
    assert appends(oss_emulator) == 4, "one request a write, none for nothing"
    assert f.result.requests == 5, "and a HEAD at the beginning"
    assert bucket.stat("live").content_type == "video/mp2t"
    assert bucket.stat("live").type == "Appendable"


@pytest.mark.parametrize(
    "data",
    [
        bytearray(b"abc"),
        memoryview(b"xabcx")[1:4],
        array.array("I", [1, 2, 3]),
        memoryview(bytearray(200_000)),
    ],
    ids=["bytearray", "slice", "array", "large"],
)
def test_any_contiguous_buffer(bucket, data):
    flat = bytes(memoryview(data).cast("B"))
    with bucket.open("buffer", "ab", buffering=0) as f:
        assert f.write(data) == len(flat)
    assert content(bucket, "buffer") == flat


def test_refused_data(bucket):
    with bucket.open("bad", "ab", buffering=0) as f:
        for data in ("text", 5, memoryview(b"abcdef")[::2]):
            with pytest.raises(TypeError, match="data: must be contiguous"):
                f.write(data)
        f.write(b"good")
    assert content(bucket, "bad") == b"good"


def test_goes_on_behind_what_is_there(bucket):
    for piece in (b"one", b"two"):
        with bucket.open("grows", "ab", buffering=0) as f:
            f.write(piece)
    assert content(bucket, "grows") == b"onetwo"
    assert f.result.size == 3
    assert f.result.generations[0].base == 3


def test_nothing_written_creates_the_object(bucket):
    f = bucket.open("empty", "ab", buffering=0)
    f.close()
    f.close()
    assert bucket.stat("empty").size == f.result.size == 0


def test_small_writes_behind_io(bucket, oss_emulator):
    raw = bucket.open("small", "ab", buffering=0)
    with io.BufferedWriter(raw, 1000) as f:
        for number in range(500):
            f.write(bytes([number % 251]) * 10)
    assert content(bucket, "small") == b"".join(bytes([n % 251]) * 10 for n in range(500))
    assert appends(oss_emulator) == 5
    assert raw.result.size == 5000


def test_what_io_expects(bucket):
    f = bucket.open("io", "ab", buffering=0)
    assert isinstance(f, io.RawIOBase)
    assert (f.name, f.mode, f.closed) == ("io", "ab", False)
    assert (f.writable(), f.readable(), f.seekable()) == (True, False, False)
    for call in (f.read, f.fileno, lambda: f.seek(0), lambda: f.truncate(0)):
        with pytest.raises(io.UnsupportedOperation):
            call()
    assert "open" in repr(f)
    f.close()
    assert f.closed
    for call in (f.flush, f.tell, f.writable, lambda: f.write(b"x"), lambda: f.write(b"")):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert "closed" in repr(f)


@pytest.mark.parametrize(
    ("mode", "options", "text"),
    [
        ("wb", {"buffering": 0}, "buffering: 0 is for mode"),
        ("xb", {"buffering": 0}, "buffering: 0 is for mode"),
        ("ab", {"buffering": 1}, "buffering: must be 0"),
        ("ab", {"buffering": False}, "buffering: must be 0"),
        ("ab", {"buffering": 0, "on_full": "explode"}, "on_full"),
        ("ab", {"buffering": 0, "append_limit": 6 << 30}, "append_limit"),
    ],
)
def test_refused_options(bucket, mode, options, text):
    with pytest.raises(ValueError, match=text):
        bucket.open("options", mode, **options)
    with pytest.raises(TypeError, match="block_size"):
        bucket.open("options", "ab", buffering=0, block_size=1 << 20)


def test_not_with_a_spool(oss_emulator, tmp_path):
    with (
        Spool(tmp_path, min_free=0) as spool,
        opened(oss_emulator, spool=spool) as bucket,
        pytest.raises(ValueError, match="buffering: 0 cannot be had with a spool"),
    ):
        bucket.open("options", "ab", buffering=0)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "drop", "when": "after"},
        {"action": "drop", "when": "before"},
        {"action": "reset", "body_bytes": 1000},
        {"action": "wrong_crc"},
        {**BUSY, "times": 2},
        {**BUSY, "when": "after"},
    ],
    ids=lambda fault: f"{fault['action']} {fault.get('when', '')}",
)
def test_a_failure_is_settled(bucket, oss_emulator, fault):
    with bucket.open("settled", "ab", buffering=0) as f:
        f.write(b"first ")
        oss_emulator.fault(**fault, operation="AppendObject")
        data = bytearray(b"second" * 50_000)
        f.write(data)
        data += b"!"  # nothing holds on to the caller's memory
        f.write(b" third")
    assert content(bucket, "settled") == b"first " + b"second" * 50_000 + b" third"


def test_giving_up(bucket, oss_emulator):
    f = bucket.open("broken", "ab", buffering=0)
    f.write(b"kept")
    oss_emulator.fault("status", status=403, code="AccessDenied", key="broken", times=0)
    data = bytearray(b"lost")
    with pytest.raises(errors.StreamBroken, match="broken: gave up") as caught:
        f.write(data)
    assert isinstance(caught.value.__cause__, PermissionError)
    data += b"!"
    oss_emulator.clear_faults()
    with pytest.raises(errors.StreamBroken):
        f.write(b"more")
    f.close()
    assert f.result is None
    assert content(bucket, "broken") == b"kept"


def test_an_empty_object_that_cannot_be_made(bucket, oss_emulator):
    oss_emulator.fault("status", status=403, code="AccessDenied", key="none", times=0)
    f = bucket.open("none", "ab", buffering=0)
    with pytest.raises(errors.StreamBroken):
        f.close()
    assert f.closed
    f.close()


class Interrupted(Clock):
    """Somebody presses Ctrl-C while it waits."""

    __slots__ = ()

    def sleep(self, seconds):
        raise KeyboardInterrupt


def test_an_interrupt_between_two_tries(oss_emulator):
    oss_emulator.reset()
    with opened(oss_emulator, clock=Interrupted()) as bucket:
        f = bucket.open("stopped", "ab", buffering=0)
        f.write(b"kept")
        oss_emulator.fault(**BUSY, operation="AppendObject")
        with pytest.raises(KeyboardInterrupt):
            f.write(b"lost")
        with pytest.raises(errors.StreamBroken, match="KeyboardInterrupt"):
            f.write(b"lost")
        f.close()
        assert content(bucket, "stopped") == b"kept"
    oss_emulator.clear_faults()


def test_giving_up_after_a_time(oss_emulator):
    class Late(Clock):
        __slots__ = ("ahead",)

        def monotonic(self):
            return super().monotonic() + self.ahead

        def sleep(self, seconds):
            self.ahead += 0.4

    clock = Late()
    clock.ahead = 0.0
    oss_emulator.reset()
    with opened(oss_emulator, clock=clock) as bucket:
        oss_emulator.fault(**BUSY, times=0)
        f = bucket.open("late", "ab", buffering=0)
        with pytest.raises(errors.StreamBroken):
            f.write(b"x")
        assert 1.0 <= clock.ahead < 2.0
        f.close()
    oss_emulator.clear_faults()


def test_a_token_that_ends(oss_emulator):
    """It is renewed once, and no byte is lost over it."""
    oss_emulator.reset()
    given = []

    def renew():
        given.append(1)
        return session(oss_emulator, f"token-{len(given)}")

    with opened(oss_emulator, credentials=renew) as bucket:
        with bucket.open("token", "ab", buffering=0) as f:
            f.write(b"before ")
            oss_emulator.fault("expire", operation="AppendObject")
            f.write(b"after")
        assert content(bucket, "token") == b"before after"
    assert len(given) == 2
    oss_emulator.clear_faults()


def test_the_limit_of_an_object(bucket):
    data = bytes(range(250)) * 4
    with bucket.open("roll", "ab", buffering=0, append_limit=2500) as f:
        for _ in range(6):
            f.write(data)
    keys = [part.key for part in f.result.generations]
    assert keys == ["roll", "roll~g2", "roll~g3"]
    assert b"".join(content(bucket, key) for key in keys) == data * 6
    assert f.result.crc64 == crc64(data * 6)
    with bucket.open("limit", "ab", buffering=0, append_limit=2500, on_full="raise") as f:
        f.write(data)
        with pytest.raises(errors.ObjectTooLarge, match="2501 bytes"):
            f.write(bytes(2501))
        f.write(data)  # nothing of the refused one was sent
        with pytest.raises(errors.ObjectTooLarge):
            f.write(data)
    assert content(bucket, "limit") == data * 2


def test_foreign_bytes_are_not_built_on(bucket):
    with bucket.open("shared", "ab", buffering=0) as f:
        f.write(b"ours")
        with bucket.open("shared", "ab", buffering=0) as other:
            other.write(b"theirs")
        f.write(b"again")
    assert content(bucket, "shared") == b"ourstheirs"
    assert content(bucket, "shared~g2") == b"again"
    assert [part.key for part in f.result.generations] == ["shared", "shared~g2"]


def test_threads_take_turns(bucket):
    with bucket.open("turns", "ab", buffering=0) as f:
        threads = [
            threading.Thread(target=lambda n=n: [f.write(bytes([65 + n]) * 100) for _ in range(20)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    held = content(bucket, "turns")
    assert len(held) == 8000
    assert all(held[at : at + 100] == held[at : at + 1] * 100 for at in range(0, 8000, 100))


def test_dropped_unclosed(bucket, oss_emulator):
    f = bucket.open("dropped", "ab", buffering=0)
    f.write(b"stored")
    before = oss_emulator.counters()["requests"]
    with pytest.warns(ResourceWarning, match="unclosed <ossmedia.Appender 'dropped'"):
        del f
        gc.collect()
    assert oss_emulator.counters()["requests"] == before
    assert content(bucket, "dropped") == b"stored"


def test_left_open_at_the_end_of_a_process(oss_emulator):
    """Said once, without a traceback, however far the interpreter has taken itself apart."""
    program = (
        "import sys\nfrom ossmedia import Bucket, Credentials\n"
        "bucket = Bucket(sys.argv[1], endpoint=sys.argv[2], region='cn-hangzhou',"
        " credentials=Credentials(*sys.argv[3:]))\n"
        "f = bucket.open('left', 'ab', buffering=0)\nf.write(b'stored')\n"
    )
    owner = oss_emulator.access_key_id, oss_emulator.access_key_secret
    for left in ("", "sys.modules['left'] = f\n", "import builtins; builtins.left = f; del f\n"):
        words = [sys.executable, "-W", "default", "-c", program + left]
        words += [oss_emulator.buckets[0], oss_emulator.endpoint, *owner]
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
        assert "Exception ignored" not in done.stderr
        assert "Traceback" not in done.stderr


def test_a_child_is_refused(bucket):
    f = bucket.open("forked", "ab", buffering=0)
    f.write(b"parent's")
    pid = os.fork()
    if pid == 0:
        refused = 0
        for call in (lambda: f.write(b"child's"), f.close):
            try:
                call()
            except ValueError as error:
                refused += "fork" in str(error)
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    f.close()
    assert content(bucket, "forked") == b"parent's"


def test_it_takes_no_memory_and_no_thread(bucket):
    before = threading.active_count()
    with bucket.open("plain", "ab", buffering=0) as f:
        assert isinstance(f, Appender)
        f.write(b"x")
        assert threading.active_count() == before
