"""A disk that dies under a spool: no sync, no read, no change of the state. Nothing claims success,
and the books stay right until the disk is back or the process ends."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sqlite3
import threading

import pytest

from ossmedia import Retry, SpoolError
from ossmedia.spool_link import Link
from ossmedia.spool_state import State
from tests.spool_rig import bucket_of, check, data_files, joined, lawful, pattern, until
from tests.unit.test_spool import held

DATA = pattern(100_000)
DATA_CALLS = ("fdatasync", "fsync", "preadv", "pwritev", "pwrite", "ftruncate", "unlink", "rename")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def refuse(*_: object) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise error


@contextlib.contextmanager
def dead(monkeypatch, *, state=True, calls=DATA_CALLS):
    """Every call to the disk fails, as after a power cut on ext4; descriptors stay open."""
    real = os.open

    def no_new_files(path, flags, *mode, **more):
        if flags & os.O_CREAT and "data" in os.fspath(path):
            fail()
        return real(path, flags, *mode, **more)

    with monkeypatch.context() as patch:
        for name in calls:
            patch.setattr(f"os.{name}", fail)
        if "pwritev" in calls:
            patch.setattr("os.open", no_new_files)
        if state:
            patch.setattr(State, "_try", refuse)
        yield


@pytest.mark.parametrize("state", [True, False], ids=["all", "data alone"])
def test_no_later_sync_claims_what_the_first_could_not(folder, monkeypatch, state):
    calls = DATA_CALLS if state else [name for name in DATA_CALLS if name != "preadv"]
    with lawful(folder, commit_interval=3600.0) as spool:
        writers = [spool.open("cams", str(number), "ab") for number in range(3)]
        for f in writers:
            f.write(DATA[:50_000])
        writers[0].sync()
        for f in writers:
            f.write(DATA[50_000:])
        with dead(monkeypatch, state=state, calls=calls):
            for _ in range(3):
                for f in writers:
                    with pytest.raises(SpoolError, match="not on stable storage"):
                        f.sync()
                    status = check(spool)
                    assert (status.written, status.spooled) == (300_000, 300_000)
                    assert "Input/output error" in status.error or "disk I/O" in status.error
        assert spool.tombstones() == ()
        for f in writers:
            f.sync()
            assert held(spool, f.name) == DATA
            f.close()
    with lawful(folder) as spool:
        assert all(held(spool, str(number)) == DATA for number in range(3))
        assert check(spool).torn == 0


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_closing_on_a_dead_disk_is_an_error_and_is_made_good(folder, monkeypatch, mode):
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", mode)
        f.write(DATA)
        with dead(monkeypatch):
            with pytest.raises(SpoolError, match="not on stable storage"):
                f.close()
            with pytest.raises(SpoolError, match="not on stable storage"):
                spool.commit()
            assert check(spool).spooled == len(DATA)
        spool.commit()
        assert check(spool).error == ""
    with lawful(folder) as spool:
        assert held(spool, "k") == DATA
        assert spool.recovered == ()


def test_each_policy_keeps_the_books_when_the_state_fails(folder, monkeypatch):
    """The state refuses each change in turn; whatever was tried either happened or did not."""
    with lawful(folder, commit_interval=3600.0) as spool:
        stream, clip = spool.open("cams", "live", "ab"), spool.open("cams", "clip", "wb")
        for f in (stream, clip):
            f.write(DATA)
        spool.put("cams", "list", DATA, replaceable=True)
        with monkeypatch.context() as patch:
            patch.setattr(State, "_try", refuse)
            with pytest.raises(SpoolError, match="disk I/O error"):
                clip.abort()
            assert check(spool).dropped == 0
            with pytest.raises(SpoolError, match="disk I/O error"):
                spool.put("cams", "list", DATA, replaceable=True)
            assert check(spool).spooled == 300_000
        assert len(data_files(folder)) == 3
        stream.close()
        spool.commit()
        assert check(spool).spooled == 300_000


@pytest.fixture
def cloud(oss_emulator):
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_each_change_of_the_state_fails_once_while_it_delivers(cloud, tmp_path, monkeypatch, mode):
    """For every n: the law holds at every look, and all of it arrives, once."""
    real = State._try
    for nth in itertools.count(1):
        cloud.reset()
        seen = itertools.count(1)
        struck = threading.Event()

        def once(self, durable, statements, *, nth=nth, seen=seen, struck=struck):
            if next(seen) == nth:
                struck.set()
                refuse()
            real(self, durable, statements)

        with lawful(tmp_path / str(nth), file_size=65_536, commit_interval=3600.0) as spool:
            with spool.open(cloud.buckets[0], "k", mode, block_size=102_400) as f:
                for at in range(0, 350_000, 10_000):
                    f.write(pattern(350_000)[at : at + 10_000])
            monkeypatch.setattr(State, "_try", once)
            with bucket_of(cloud, spool):
                until(lambda spool=spool: check(spool).waiting == 0)
            monkeypatch.setattr(State, "_try", real)
            spool.commit()
            (done,) = spool.receipts()
            assert joined(cloud, done.receipt) == pattern(350_000)
            assert check(spool).acked == 350_000
            assert data_files(tmp_path / str(nth)) == []
        if not struck.is_set():
            assert nth > 2, "nothing was tried"
            return


def test_damage_is_counted_once_although_the_state_fails(cloud, folder, monkeypatch):
    with lawful(folder, file_size=65_536) as spool:
        with spool.open(cloud.buckets[0], "live", "ab") as f:
            for at in range(0, len(DATA), 10_000):
                f.write(DATA[at : at + 10_000])
        first = data_files(folder)[0]
        raw = bytearray(first.read_bytes())
        raw[5000] ^= 1
        first.write_bytes(raw)
        real, drop, tries = State._try, State.drop, itertools.count(1)

        def fails_twice(self, *args, **more):
            if next(tries) <= 2:
                raise SpoolError("state.db: disk I/O error")
            drop(self, *args, **more)

        monkeypatch.setattr(State, "drop", fails_twice)
        with bucket_of(cloud, spool):
            until(lambda: check(spool).waiting == 0)
        assert next(tries) > 3
        assert State._try is real
        (stone,) = spool.tombstones()
        (done,) = spool.receipts()
        assert check(spool).dropped == stone.last - stone.first
        assert joined(cloud, done.receipt) == DATA[: stone.first] + DATA[stone.last :]


def test_lost_while_it_is_being_sent_is_counted_once(cloud, folder, monkeypatch):
    """The disk loses bytes that the delivery has read already: they arrive, and are not reported as
    lost; until that is known no sync claims anything."""
    going, go = threading.Event(), threading.Event()
    send = Link.send

    def slow(self, method, *rest):
        if method == "POST":
            going.set()
            assert go.wait(30)
        return send(self, method, *rest)

    monkeypatch.setattr(Link, "send", slow)
    with lawful(folder, commit_interval=3600.0) as spool, bucket_of(cloud, spool) as bucket:
        f = bucket.open("k", "ab", linger_s=0.0)
        f.write(DATA)
        assert going.wait(30)
        (path,) = data_files(folder)
        with path.open("r+b") as file:
            file.seek(50_000)
            file.write(b"\xff\xff\xff")
        times = itertools.count()
        real = os.fdatasync
        monkeypatch.setattr("os.fdatasync", lambda fd: fail() if not next(times) else real(fd))
        for _ in range(2):
            with pytest.raises(SpoolError, match="being sent, and lost on the disk"):
                f.sync()
            check(spool)
        go.set()
        until(lambda: check(spool).acked == len(DATA))
        f.sync()
        f.close()
        assert spool.drain(30)
        assert spool.tombstones() == ()
        assert joined(cloud, f.result) == DATA
        assert check(spool).acked == len(DATA)


def test_a_file_that_cannot_be_unlinked_is_tried_again(folder, monkeypatch):
    with lawful(folder) as spool:
        f = spool.open("cams", "gone", "wb")
        f.write(DATA)
        used = check(spool).disk_bytes
        with monkeypatch.context() as patch:
            patch.setattr("os.unlink", fail)
            f.abort()
            spool.commit()
            assert check(spool).disk_bytes == used
        g = spool.open("cams", "next", "wb")
        g.abort()
        spool.commit()
        until(lambda: check(spool).disk_bytes == 0)
        assert data_files(folder) == []


def test_the_room_is_right_after_a_rescue(folder, monkeypatch):
    """A file is written anew; what the spool takes on the disk is what the directory says."""
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA[:30_000])
        f.sync()
        for at in range(30_000, 100_000, 10_000):
            f.write(DATA[at : at + 10_000])
        times = itertools.count()
        real = os.fdatasync
        monkeypatch.setattr("os.fdatasync", lambda fd: fail() if not next(times) else real(fd))
        f.sync()
        sizes = sum(path.stat().st_size for path in data_files(folder))
        assert check(spool).disk_bytes == sizes
        f.close()
        assert held(spool, "k") == DATA


class BadSector:
    """Reads that touch bytes [first, last) of one file stop before them, or fail there."""

    def __init__(self, monkeypatch, path, first, last):
        self._path, self._first, self._last = str(path), first, last
        self._real = os.preadv
        monkeypatch.setattr("os.preadv", self)

    def __call__(self, fd, buffers, offset):
        (room,) = buffers
        end = offset + len(room)
        if os.readlink(f"/proc/self/fd/{fd}") == self._path and end > self._first:
            if self._first <= offset < self._last:
                fail()
            if offset < self._first:
                room = room[: self._first - offset]
        return self._real(fd, [room], offset)


def test_a_sector_that_cannot_be_read_costs_its_block_alone(cloud, folder, monkeypatch):
    with lawful(folder) as spool:
        with spool.open(cloud.buckets[0], "live", "ab") as f:
            for at in range(0, 90_000, 5_000):
                f.write(DATA[at : at + 5_000])
                f.sync()
        spool.put(cloud.buckets[0], "later", DATA)
        BadSector(monkeypatch, data_files(folder)[0], 40_960, 45_056)
        with bucket_of(cloud, spool):
            assert spool.drain(30)
        stones = spool.tombstones()
        lost = sum(stone.last - stone.first for stone in stones)
        assert {stone.reason for stone in stones} == {"damaged"}
        assert 5_000 <= lost <= 10_000, stones
        live, later = spool.receipts()
        assert live.receipt.size == 90_000 - lost
        assert later.receipt.size == len(DATA)
        assert check(spool).dropped == lost


def test_what_oss_has_is_not_sent_again_while_the_state_fails(cloud, tmp_path, monkeypatch):
    """A disk that cannot be written holds up neither the next object nor the line."""
    change, dead = State._change, [False]

    def sometimes(self, *arguments, **more):
        if dead[0]:
            raise SpoolError("state.db: attempt to write a readonly database")
        change(self, *arguments, **more)

    monkeypatch.setattr(State, "_change", sometimes)
    with lawful(tmp_path / "spool", commit_interval=3600.0) as spool:
        for number in range(3):
            spool.put("cams", f"once/{number}", pattern(90_000, number))
        spool.put("cams", "once/parts", pattern(300_000))
        spool._shelf.all()[-1].options["block_size"] = 102_400
        dead[0] = True
        # Longer than a try takes on a slow machine, or the first two would always be due again.
        patient = Retry(base_s=0.2, cap_s=0.5)
        with bucket_of(cloud, spool, retry=patient) as bucket:
            until(lambda: check(spool).acked == 3 * 90_000 + 300_000)
            until(lambda: all(item.error for item in spool._shelf.all()))
            assert bucket.stats()["requests"] == 3 + 5  # three objects; begin, three parts, end
            assert check(spool).waiting == 4
            dead[0] = False
            assert spool.drain(30), spool.status()
            assert bucket.stats()["requests"] == 3 + 5
        assert len(spool.receipts()) == 4
