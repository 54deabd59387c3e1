"""The spool on its own, without a bucket: what a writer may rely on, and what the status says."""

from __future__ import annotations

import array
import io
import os
import subprocess
import sys
import threading

import pytest

from ossmedia import ObjectTooLarge, Spool, SpoolBusy, SpoolError
from ossmedia.clock import Clock
from ossmedia.spool_reading import Cursor
from tests.spool_rig import check, data_files, lawful, pattern

DATA = pattern(300_000)


def held(spool: Spool, key: str) -> bytes:
    """What the spool holds of an object, read from its files."""
    for item in spool._shelf.all():
        if item.key == key:
            room = memoryview(bytearray(item.end))
            found = bytearray()
            cursor = Cursor(item.extent_at, item.position)
            limit = item.readable(1 << 40)
            while count := cursor.read(room, limit)[1]:
                found += room[:count]
            cursor.close()
            return bytes(found)
    raise KeyError(key)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.mark.parametrize("mode", ["wb", "xb", "ab"])
@pytest.mark.parametrize("step", [1, 22, 4097, 65_536, 70_001, 300_000])
def test_what_was_written_is_there_after_a_restart(folder, mode, step):
    size = min(300_000, step * 3000)
    with lawful(folder) as spool:
        with spool.open("cams", "a/key", mode) as f:
            for at in range(0, size, step):
                assert f.write(DATA[at : min(at + step, size)]) == min(step, size - at)
            assert f.tell() == size
            assert check(spool).open == 1
        assert f.result is None
        status = check(spool)
        assert (status.written, status.spooled, status.waiting) == (size, size, 1)
    with lawful(folder) as spool:
        assert held(spool, "a/key") == DATA[:size]
        assert check(spool).spooled == size
        assert spool.recovered == ()


def test_bytes_are_the_kernels_when_write_returns(folder):
    """Another process reads them although nothing was flushed, synced or closed."""
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(b"one frame")
        (path,) = data_files(folder)
        done = subprocess.run(["cat", path], capture_output=True, check=True)
        assert b"one frame" in done.stdout
        f.close()


def test_small_writes_share_a_block(folder):
    with lawful(folder, commit_interval=3600.0) as spool:
        with spool.open("cams", "k", "ab") as f:
            for _ in range(1000):
                f.write(b"x" * 60)
        assert check(spool).disk_bytes < 60_000 * 1.02


@pytest.mark.parametrize("mode", ["wb", "xb", "ab"])
def test_what_io_expects(folder, mode):
    with lawful(folder) as spool:
        f = spool.open("cams", "io", mode)
        assert isinstance(f, io.BufferedIOBase)
        assert (f.name, f.mode, f.closed) == ("io", mode, False)
        assert (f.writable(), f.readable(), f.seekable()) == (True, False, False)
        f.writelines([b"ab", memoryview(b"xcx")[1:2], array.array("H", [1, 2])])
        f.flush()
        assert f.tell() == 7
        for call in (f.read, f.fileno, f.detach, lambda: f.seek(0)):
            with pytest.raises(io.UnsupportedOperation):
                call()
        with pytest.raises(TypeError):
            f.write("text")
        with pytest.raises(BufferError, match="contiguous"):
            f.write(memoryview(b"abcdef")[::2])
        assert f.write(b"") == 0
        f.close()
        f.close()
        for call in (f.flush, f.tell, f.writable, f.sync, lambda: f.write(b"x")):
            with pytest.raises(ValueError, match="closed"):
                call()
        assert "io" in repr(f)
        assert check(spool).written == 7


def test_an_exception_forgets_a_clip_and_keeps_a_stream(folder):
    with lawful(folder) as spool:
        for mode, on_error in (("wb", None), ("xb", None), ("ab", "abort")):
            with pytest.raises(KeyError), spool.open("cams", mode, mode, on_error=on_error) as f:
                f.write(DATA)
                raise KeyError
        for mode, on_error in (("wb", "keep"), ("ab", None)):
            with pytest.raises(KeyError), spool.open("cams", mode, mode, on_error=on_error) as f:
                f.write(DATA)
                raise KeyError
        status = check(spool)
        assert (status.waiting, status.open) == (2, 0)
        assert (status.spooled, status.dropped) == (2 * len(DATA), 3 * len(DATA))
        assert [stone.reason for stone in spool.tombstones()] == ["aborted"] * 3
        f.abort()  # closed already
    with lawful(folder) as spool:
        assert check(spool).dropped == 3 * len(DATA)
        assert len(data_files(folder)) == 2


def test_many_threads_share_one_writer(folder):
    with lawful(folder, commit_interval=0.001) as spool:
        f = spool.open("cams", "shared", "ab")

        def write(letter: bytes) -> None:
            for _ in range(200):
                f.write(letter * 100)
                check(spool)

        threads = [threading.Thread(target=write, args=(bytes([65 + n]),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        f.close()
        found = held(spool, "shared")
    records = [found[at : at + 100] for at in range(0, len(found), 100)]
    assert len(records) == 800
    assert all(record == record[:1] * 100 for record in records), "records stay whole"


def test_files_roll(folder):
    with lawful(folder, file_size=65_536) as spool:
        with spool.open("cams", "long", "ab") as f:
            for at in range(0, len(DATA), 10_000):
                f.write(DATA[at : at + 10_000])
        assert 4 <= len(data_files(folder)) <= 6
        assert held(spool, "long") == DATA
    with lawful(folder) as spool:
        assert held(spool, "long") == DATA


def test_a_write_longer_than_a_block_and_a_file(folder):
    data = pattern(5 << 20)
    with lawful(folder, file_size=2 << 20) as spool:
        with spool.open("cams", "big", "wb") as f:
            assert f.write(data) == len(data)
        assert held(spool, "big") == data


def test_sync_and_commit_are_durable_calls(folder, monkeypatch):
    synced: list[str] = []
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr("os.fdatasync", fdatasync)
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "a", "wb")
        g = spool.open("cams", "b", "ab")
        f.write(b"1")
        g.write(b"2")
        assert synced == []
        f.sync(10)
        assert len(set(synced)) == 2
        synced.clear()
        spool.commit(10)
        assert synced == [], "nothing is new"
        g.write(b"3")
        spool.commit(10)
        assert len(synced) == 1
        f.close()
        g.close()


def test_put_is_one_object(folder):
    with lawful(folder) as spool:
        assert spool.put("cams", "empty", b"") is None
        spool.put("cams", "one", memoryview(DATA), headers="content-type: video/mp2t\n")
        assert check(spool).waiting == 2
    with lawful(folder) as spool:
        assert held(spool, "one") == DATA
        assert held(spool, "empty") == b""
        (item,) = [item for item in spool._shelf.all() if item.key == "one"]
        assert item.headers == "content-type: video/mp2t\n"


def test_a_newer_playlist_supersedes(folder):
    with lawful(folder) as spool:
        for number in range(4):
            spool.put("cams", "index.m3u8", b"list" * (number + 1), replaceable=True)
            spool.put("cams", f"{number}.ts", b"segment")
        spool.put("cams", "kept", b"1")
        spool.put("cams", "kept", b"2", replaceable=True)
        assert held(spool, "index.m3u8") == b"list" * 4
        status = check(spool)
        assert (status.waiting, status.dropped) == (7, 4 + 8 + 12)
        (stone,) = spool.tombstones()
        assert (stone.reason, stone.key, stone.last) == ("superseded", "index.m3u8", 24)


def test_what_waits_can_be_read(folder):
    with lawful(folder) as spool:
        assert spool.pending("cams", "k") is None
        spool.put("cams", "k", b"old")
        spool.put("cams", "k", DATA, headers="content-type: text/plain\n")
        spool.put("clips", "k", b"elsewhere")
        f = spool.open("cams", "k", "wb")
        f.write(b"not closed")
        assert spool.pending("cams", "k") == (DATA, "content-type: text/plain\n")
        f.abort()
        path = data_files(folder)[1]
        raw = bytearray(path.read_bytes())
        raw[1000] ^= 1
        path.write_bytes(raw)
        assert spool.pending("cams", "k") is None


def test_numbers_rise_over_restarts_whatever_the_clock(folder):
    class Clock1970(Clock):
        def now(self) -> float:
            return 5.0

    seen = []
    for _ in range(3):
        with lawful(folder, clock=Clock1970()) as spool:
            f = spool.open("cams", "k", "wb")
            seen.append(f._item.id)
            f.abort()
    assert seen == [1, 2, 3]


# What is refused, before anything is written


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        ({"max_bytes": 1000}, ValueError, "max_bytes"),
        ({"max_bytes": 1e9}, TypeError, "max_bytes"),
        ({"min_free": -1}, ValueError, "min_free"),
        ({"policy": "drop"}, ValueError, "policy"),
        ({"order": "random"}, ValueError, "order"),
        ({"commit_interval": 0}, ValueError, "commit_interval"),
        ({"commit_interval": "1"}, TypeError, "commit_interval"),
        ({"unfinished": "keep"}, ValueError, "unfinished"),
        ({"file_size": 1}, ValueError, "file_size"),
    ],
)
def test_bad_options_are_named(folder, options, error, field):
    with pytest.raises(error, match=f"^{field}: "):
        Spool(folder, **options)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"block_size": 100}, "block_size"),
        ({"linger_s": -1}, "linger_s"),
        ({"on_error": "shrug"}, "on_error"),
        ({"on_full": "explode"}, "on_full"),
        ({"append_limit": 6 << 30}, "append_limit"),
    ],
)
def test_bad_options_of_a_writer_are_named(folder, options, field):
    with lawful(folder) as spool:
        with pytest.raises(ValueError, match=f"^{field}: "):
            spool.open("cams", "k", "ab", **options)
        with pytest.raises(ValueError, match=r"^mode: "):
            spool.open("cams", "k", "rb")


def test_more_than_oss_takes_is_refused(folder):
    with lawful(folder) as spool:
        f = spool.open("cams", "k", "wb", block_size=102_400)
        f._item.end = 102_400 * 10_000 - 1  # as if so much had been written
        f._item.dropped = f._item.end
        with pytest.raises(ObjectTooLarge, match="block_size"):
            f.write(b"ab")
        f.abort()
        g = spool.open("cams", "g", "ab", append_limit=10, on_full="raise")
        g.write(b"0123456789")
        with pytest.raises(ObjectTooLarge, match="10 bytes"):
            g.write(b"x")
        g.close()


def test_a_closed_spool(folder):
    spool = Spool(folder, min_free=0)
    f = spool.open("cams", "k", "ab")
    f.write(b"kept")
    spool.close()
    spool.close()
    for call in (
        lambda: f.write(b"x"),
        lambda: spool.open("cams", "k", "ab"),
        lambda: spool.put("cams", "k", b""),
        spool.status,
        spool.commit,
        spool.drain,
        spool.receipts,
        spool.tombstones,
        spool.__enter__,
    ):
        with pytest.raises(ValueError, match="the spool is closed"):
            call()
    f._closed = True
    with lawful(folder) as spool:
        assert held(spool, "k") == b"kept"
        assert spool.recovered == ("k: was not closed; its 4 bytes will be delivered",)


def test_one_owner(folder):
    with lawful(folder):
        with pytest.raises(SpoolBusy, match=f"process {os.getpid()} owns"):
            Spool(folder)
    with lawful(folder):
        pass


OTHER = """
import sys, time
from ossmedia import Spool
spool = Spool(sys.argv[1], min_free=0)
print("mine", flush=True)
time.sleep(60)
"""


def test_the_lock_goes_with_its_process(folder):
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(SpoolBusy, match=f"process {other.pid} owns"):
            Spool(folder)
        other.kill()
        other.wait()
    with lawful(folder):
        pass


# The child stands still, with its copies of all descriptors, until the parent has used the folder
# again.
FORK = """
import os, sys
ready, go = os.pipe()
os.register_at_fork(after_in_child=lambda: os.read(ready, 1))
from ossmedia import Spool
spool = Spool(sys.argv[1], min_free=0)
f = spool.open("cams", "k", "ab")
f.write(b"parent")
child = os.fork()
if child == 0:
    for call in (lambda: f.write(b"child"), spool.status, f.close):
        try:
            call()
        except ValueError as error:
            assert "not to its children" in str(error), error
        else:
            os._exit(1)
    spool.close()
    os._exit(0)
f.close()
assert spool.status().balance == 0
spool.close()
Spool(sys.argv[1]).close()  # although the child lives
os.write(go, b"x")
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_child_after_fork_has_no_part_in_it(folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, str(folder)],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("what", ["parent missing", "a file"])
def test_a_folder_that_cannot_be_used(tmp_path, what):
    folder = tmp_path / "x" / "spool"
    if what != "parent missing":
        folder.parent.mkdir()
    if what == "a file":
        folder.write_bytes(b"")
    with pytest.raises(SpoolError, match=f"^dir: {folder}: "):
        Spool(folder)


def test_dropped_unclosed(folder):
    with lawful(folder) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(b"x")
        with pytest.warns(ResourceWarning, match="unclosed"):
            del f
        assert check(spool).spooled == 1
    with lawful(folder) as spool:
        assert held(spool, "k") == b"x"


def test_an_interpreter_that_ends_with_an_open_writer_says_nothing(tmp_path):
    script = "import sys; from ossmedia import Spool; spool = Spool(sys.argv[1], min_free=0)\n"
    script += "file = spool.open('cams', 'k', 'ab'); file.write(b'frame')"
    command = [sys.executable, "-c", script, str(tmp_path / "spool")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with lawful(tmp_path / "spool") as spool:
        assert held(spool, "k") == b"frame"
