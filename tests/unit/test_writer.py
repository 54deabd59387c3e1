"""Writer: what io expects, what is refused, what an exception leaves behind."""

import array
import gc
import io
import mmap
import threading

import pytest

from ossmedia import Bucket, Credentials, Retry, _native_stream, crc64, errors
from ossmedia.clock import Clock
from ossmedia.gather import BUFFER

BLOCK = 102_400
QUICK = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=1)


@pytest.fixture
def bucket(oss_emulator):
    oss_emulator.reset()
    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret),
        retry=QUICK,
        block_size=BLOCK,
    ) as made:
        yield made
    oss_emulator.clear_faults()


def content(bucket, key):
    with bucket.open(key) as f:
        return f.read()


def uploads(cloud):
    """Multipart uploads that were begun and neither completed nor aborted."""
    did = cloud.counters()["requests"]
    return (
        did.get("InitiateMultipartUpload", 0)
        - did.get("CompleteMultipartUpload", 0)
        - did.get("AbortMultipartUpload", 0)
    )


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK])
def test_one_block_is_one_put(bucket, oss_emulator, size):
    data = bytes(size)
    with bucket.open("one", "wb") as f:
        assert f.write(data) == size
    assert content(bucket, "one") == data
    assert f.result.size == size
    assert f.result.crc64 == crc64(data)
    assert f.result.requests == 1
    assert oss_emulator.counters()["requests"]["PutObject"] == 1


@pytest.mark.parametrize("size", [BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 17])
def test_more_is_multipart(bucket, oss_emulator, size):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    with bucket.open("many", "wb", parallel=3) as f:
        for at in range(0, size, 7777):
            f.write(data[at : at + 7777])
    assert content(bucket, "many") == data
    assert bucket.stat("many").type == "Multipart"
    assert f.result.crc64 == crc64(data) == bucket.stat("many").crc64
    assert uploads(oss_emulator) == 0


@pytest.mark.parametrize(
    "data",
    [
        bytearray(b"abc"),
        memoryview(b"xabcx")[1:4],
        array.array("I", [1, 2, 3]),
        memoryview(array.array("H", [1, 2, 3, 4])),
        memoryview(bytes(12)).cast("B", (3, 4)),
    ],
    ids=["bytearray", "memoryview", "array", "typed view", "two dimensions"],
)
def test_any_contiguous_buffer(bucket, data):
    flat = bytes(memoryview(data).cast("B"))
    with bucket.open("buffer", "wb") as f:
        assert f.write(data) == len(flat)
    assert content(bucket, "buffer") == flat


def test_mmap(bucket):
    with mmap.mmap(-1, 5000) as memory:
        memory[:] = b"m" * 5000
        with bucket.open("mmap", "wb") as f:
            f.write(memory)
    assert content(bucket, "mmap") == b"m" * 5000


def test_refused_data(bucket):
    with bucket.open("bad", "ab") as f:
        with pytest.raises(TypeError, match="bytes-like"):
            f.write("text")
        with pytest.raises(TypeError):
            f.write(5)
        with pytest.raises(BufferError, match="contiguous"):
            f.write(memoryview(b"abcdef")[::2])
        f.write(b"good")
    assert content(bucket, "bad") == b"good"


def test_what_io_expects(bucket):
    f = bucket.open("io", "wb")
    assert isinstance(f, io.BufferedIOBase)
    assert (f.name, f.mode, f.closed) == ("io", "wb", False)
    assert (f.writable(), f.readable(), f.seekable()) == (True, False, False)
    f.writelines([b"ab", b"c"])
    assert f.tell() == 3
    for call in (f.read, f.fileno, f.detach, lambda: f.seek(0), lambda: f.readinto(bytearray(1))):
        with pytest.raises(io.UnsupportedOperation):
            call()
    f.close()
    f.close()
    assert f.closed
    for call in (f.flush, f.tell, f.writable, f.sync, lambda: f.write(b"x"), lambda: f.write(b"")):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert "io" in repr(f)


def test_flush_never_touches_the_network(bucket, oss_emulator):
    with bucket.open("flush", "ab", linger_s=3600) as f:
        for _ in range(90):
            f.write(b"frame")
            f.flush()
        assert oss_emulator.counters()["requests"].get("AppendObject", 0) == 0
    assert content(bucket, "flush") == b"frame" * 90


def test_sync_is_durable_and_readable_while_it_grows(bucket):
    with bucket.open("grow", "ab", linger_s=3600) as f:
        for count in range(1, 4):
            f.write(b"0123456789")
            f.sync(10)
            assert content(bucket, "grow") == b"0123456789" * count


def test_sync_of_a_whole_object_is_refused(bucket):
    with bucket.open("whole", "wb") as f, pytest.raises(io.UnsupportedOperation, match="close"):
        f.sync(1)


def test_sync_that_takes_too_long(bucket, oss_emulator):
    oss_emulator.fault(action="status", status=503, code="ServiceUnavailable", key="slow", times=0)
    f = bucket.open("slow", "ab")
    f.write(b"x")
    with pytest.raises(TimeoutError):
        f.sync(0.01)
    oss_emulator.clear_faults()
    f.close()
    assert content(bucket, "slow") == b"x"


def test_append_goes_on_from_what_is_there(bucket):
    for part in (b"one,", b"two,", b"three"):
        with bucket.open("log", "ab") as f:
            f.write(part)
    assert content(bucket, "log") == b"one,two,three"
    assert f.result.size == 5
    assert f.result.generations[0].base == 8


def test_append_creates_an_empty_object(bucket):
    bucket.open("nothing", "ab").close()
    assert bucket.stat("nothing").size == 0
    bucket.open("nothing", "ab").close()
    with bucket.open("nothing", "ab") as f:
        f.write(b"x")
    assert content(bucket, "nothing") == b"x"


def test_append_to_a_normal_object_is_refused(bucket):
    with bucket.open("normal", "wb") as f:
        f.write(b"mine")
    f = bucket.open("normal", "ab")
    f.write(b"x")
    with pytest.raises(errors.StreamBroken) as caught:
        f.close()
    assert isinstance(caught.value, BrokenPipeError)
    assert caught.value.__cause__.code == "ObjectNotAppendable"
    assert content(bucket, "normal") == b"mine"


@pytest.mark.parametrize("size", [10, 2 * BLOCK])
def test_xb_never_overwrites(bucket, size):
    with bucket.open("once", "xb") as f:
        f.write(bytes(size))
    with pytest.raises(errors.StreamBroken) as caught, bucket.open("once", "xb") as f:
        f.write(b"\1" * size)
    assert isinstance(caught.value.__cause__, FileExistsError)
    assert content(bucket, "once") == bytes(size)


@pytest.mark.parametrize("size", [10, 3 * BLOCK])
def test_an_exception_leaves_nothing(bucket, oss_emulator, size):
    with pytest.raises(KeyError), bucket.open("half", "wb") as f:
        f.write(bytes(size))
        raise KeyError
    assert f.closed
    assert f.result is None
    with pytest.raises(FileNotFoundError):
        bucket.stat("half")
    assert uploads(oss_emulator) == 0


def test_an_exception_keeps_what_was_appended(bucket):
    with pytest.raises(KeyError), bucket.open("kept", "ab") as f:
        f.write(b"evidence")
        raise KeyError
    assert content(bucket, "kept") == b"evidence"


def test_on_error_turns_it_round(bucket):
    with pytest.raises(KeyError), bucket.open("keep-it", "wb", on_error="keep") as f:
        f.write(b"evidence")
        raise KeyError
    assert content(bucket, "keep-it") == b"evidence"
    with pytest.raises(KeyError):
        with bucket.open("drop-it", "ab", on_error="abort", linger_s=3600) as f:
            f.write(b"noise")
            raise KeyError
    with pytest.raises(FileNotFoundError):
        bucket.stat("drop-it")


def test_full_blocks_and_a_timeout(bucket, oss_emulator):
    oss_emulator.fault(action="status", status=503, code="ServiceUnavailable", key="full", times=0)
    f = bucket.open("full", "wb", blocks=2, write_timeout_s=0.01)
    with pytest.raises(BlockingIOError) as caught:
        f.write(bytes(3 * BLOCK))
    assert caught.value.characters_written == 2 * BLOCK + BUFFER
    oss_emulator.clear_faults()
    f._raw.timeout_s = None
    f.write(b"rest")
    f.close()
    assert content(bucket, "full") == bytes(2 * BLOCK + BUFFER) + b"rest"


def test_giving_up_breaks_the_stream(bucket, oss_emulator):
    oss_emulator.fault(action="status", status=403, code="AccessDenied", key="denied", times=0)
    f = bucket.open("denied", "wb")
    with pytest.raises(errors.StreamBroken) as caught:
        for _ in range(1000):
            f.write(bytes(BLOCK))
    assert isinstance(caught.value.__cause__, PermissionError)
    with pytest.raises(BrokenPipeError):
        f.close()
    assert f.closed
    f.close()


def test_too_many_parts_is_said_early(bucket, monkeypatch):
    monkeypatch.setattr("ossmedia.pump.PARTS_MAX", 3)
    with bucket.open("long", "wb") as f:
        f.write(bytes(3 * BLOCK - 1))
        with pytest.raises(errors.ObjectTooLarge, match="block_size"):
            for _ in range(BUFFER + 1):
                f.write(b"x")
        f.abort()
    with pytest.raises(errors.ObjectTooLarge):
        with bucket.open("long", "wb") as f:
            f.write(bytes(3 * BLOCK))
            f.write(b"x")
    with pytest.raises(FileNotFoundError):
        bucket.stat("long")


def test_append_limit_rolls(bucket):
    data = bytes(range(250)) * 2000
    with bucket.open("roll", "ab", append_limit=2 * BLOCK) as f:
        f.write(data)
    keys = [part.key for part in f.result.generations]
    assert keys == ["roll", "roll~g2", "roll~g3"]
    assert b"".join(content(bucket, key) for key in keys) == data
    assert f.result.crc64 == crc64(data)


def test_append_limit_raises(bucket):
    with pytest.raises(errors.ObjectTooLarge):
        with bucket.open("limit", "ab", append_limit=3 * BLOCK, on_full="raise") as f:
            for _ in range(10):
                f.write(bytes(BLOCK))
    assert bucket.stat("limit").size <= 3 * BLOCK


def test_progress_is_told_and_may_fail(bucket):
    seen = []

    def progress(done, total):
        seen.append((done, total))
        raise RuntimeError("not your problem")

    with bucket.open("told", "wb", progress=progress, total=3 * BLOCK) as f:
        f.write(bytes(3 * BLOCK))
    assert seen == sorted(seen)
    assert seen[-1] == (3 * BLOCK, 3 * BLOCK)


def test_dropped_unclosed(bucket, oss_emulator):
    before = oss_emulator.counters()["requests"]
    f = bucket.open("dropped", "wb")
    f.write(b"lost")
    with pytest.warns(ResourceWarning, match="unclosed"):
        del f
        gc.collect()
    assert oss_emulator.counters()["requests"] == before


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_collected_after_what_it_writes_through(bucket, monkeypatch, mode):
    """The collector finishes a cycle's objects in any order: the core's memory may go first."""
    real, aborted = _native_stream.lib, []

    class Noted:
        def __getattr__(self, name):
            return getattr(real, name)

        def om_stream_abort(self, handle):
            aborted.append(handle)

    monkeypatch.setattr(_native_stream, "lib", Noted())
    held = [bucket.open("cycle", mode, linger_s=3600)]
    held[0].write(b"lost")
    stream, handle = held[0]._pump._stream, held[0]._pump._stream._handle
    gc.collect()  # puts what is known by name before what is not
    held[0].__dict__["itself"] = held[0]
    held[0]._lingering.stop()
    held[0]._lingering.join()
    del stream, handle
    held.clear()
    with pytest.warns(ResourceWarning, match="unclosed"):
        gc.collect()
    assert not aborted, "nothing is called that was freed"


def test_many_threads_share_one_writer(bucket):
    with bucket.open("shared", "ab") as f:

        def write(letter):
            for _ in range(200):
                f.write(letter * 100)

        threads = [threading.Thread(target=write, args=(bytes([65 + n]),)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    held = content(bucket, "shared")
    records = [held[at : at + 100] for at in range(0, len(held), 100)]
    assert len(records) == 1600
    assert all(record == record[:1] * 100 for record in records), "records stay whole"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"block_size": 100}, "block_size"),
        ({"blocks": 1}, "block"),
        ({"parallel": 0}, "parallel"),
        ({"linger_s": -1}, "linger_s"),
        ({"on_error": "shrug"}, "on_error"),
        ({"on_full": "explode"}, "on_full"),
        ({"append_limit": 6 << 30}, "append_limit"),
    ],
)
def test_refused_options(bucket, options, field):
    with pytest.raises(ValueError, match=field):
        bucket.open("options", "ab", **options)


def test_giving_up_counts_from_the_first_failure(oss_emulator):
    """A stream that was idle for an hour has not failed for an hour."""

    class Late(Clock):
        __slots__ = ("ahead",)

        def monotonic(self):
            return super().monotonic() + self.ahead

    clock = Late()
    clock.ahead = 0.0
    oss_emulator.reset()
    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret),
        retry=QUICK,
        clock=clock,
    ) as late:
        f = late.open("idle", "ab")
        f.write(b"a")
        f.sync(10)
        clock.ahead = 3600.0
        oss_emulator.fault(action="drop", key="idle", times=2)
        f.write(b"b")
        f.close()
    assert f.result.size == 2


def test_appends_that_always_fail_are_given_up(bucket, oss_emulator):
    """Asking OSS in between succeeds each time; that is no progress and hides no failure."""
    oss_emulator.fault(action="reset", operation="AppendObject", body_bytes=10, times=0)
    f = bucket.open("never", "ab")
    f.write(bytes(1000))
    with pytest.raises(errors.StreamBroken):
        f.close()
    with pytest.raises(FileNotFoundError):
        bucket.stat("never")
