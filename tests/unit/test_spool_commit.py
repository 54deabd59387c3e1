"""Becoming durable: when, in which order, and what happens when the disk says no."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading

import pytest

from ossmedia import RequestTimeout, SpoolError
from ossmedia.clock import Clock
from ossmedia.spool_files import Tail
from ossmedia.spool_state import State
from tests.spool_rig import check, data_files, lawful, pattern, until
from tests.unit.test_spool import held

DATA = pattern(200_000)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def calls(monkeypatch):
    """What reaches the disk, in order: sync of a file or a folder, a state change, an unlink."""
    seen: list[str] = []
    real = {name: getattr(os, name) for name in ("fdatasync", "fsync", "unlink")}

    def by_fd(name):
        def call(fd):
            seen.append(f"{name} {os.path.basename(os.readlink(f'/proc/self/fd/{fd}'))}")
            real[name](fd)

        return call

    def unlink(path):
        seen.append(f"unlink {os.path.basename(path)}")
        real["unlink"](path)

    change = State._change

    def changed(self, durable, *statements, **more):
        change(self, durable, *statements, **more)
        seen.append("durable" if durable else "state")

    monkeypatch.setattr("os.fdatasync", by_fd("fdatasync"))
    monkeypatch.setattr("os.fsync", by_fd("fsync"))
    monkeypatch.setattr("os.unlink", unlink)
    monkeypatch.setattr(State, "_change", changed)
    return seen


def test_the_order_of_a_commit(folder, calls):
    with lawful(folder, commit_interval=3600.0, file_size=65_536) as spool:
        f = spool.open("cams", "k", "ab")
        calls.clear()
        for at in range(0, 120_000, 40_000):
            f.write(DATA[at : at + 40_000])
        f.sync()
        first, second = (path.name for path in data_files(folder))
        assert calls == [f"fdatasync {first}", f"fdatasync {second}", "fsync data", "durable"]
        calls.clear()
        f.write(b"more")
        f.sync()
        assert calls == [f"fdatasync {second}"], "nothing is sealed, no name is new"
        calls.clear()
        f.close()
        assert calls == ["durable"]


def test_the_order_of_a_put(folder, calls):
    with lawful(folder) as spool:
        calls.clear()
        spool.put("cams", "k", DATA)
        (path,) = data_files(folder)
        assert calls == [f"fdatasync {path.name}", "fsync data", "durable"]


def test_files_go_after_the_state_is_durable(folder, calls):
    with lawful(folder) as spool:
        spool.put("cams", "k", DATA)
        (item,) = spool._shelf.all()
        calls.clear()
        item.position = item.acked = item.end
        spool._drain._ledger.finish(item, None)
        spool.commit()
        (gone,) = [call for call in calls if call.startswith("unlink 0")]
        assert calls == ["state", "durable", gone]
        assert check(spool).acked == len(DATA)


def test_bytes_are_committed_after_the_interval(folder):
    class Waits(Clock):
        def __init__(self) -> None:
            self.now_s = 0.0

        def monotonic(self) -> float:
            return self.now_s

        def wait(self, condition: threading.Condition, seconds: float | None) -> None:
            asked.append(seconds)
            if seconds is not None and seconds <= 5.0:
                self.now_s += seconds
                return
            super().wait(condition, seconds)

    asked: list[float | None] = []
    with lawful(folder, commit_interval=2.5, clock=Waits()) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA)
        until(lambda: f._item.durable == len(DATA))
        assert 2.5 in asked
        f.close()


class Broken:
    """A disk whose syncs fail so many times; a failed one is not to be asked again."""

    def __init__(self, monkeypatch, times):
        self.times = times
        self.failed: set[str] = set()
        self._real = os.fdatasync
        monkeypatch.setattr("os.fdatasync", self)

    def __call__(self, fd):
        name = os.readlink(f"/proc/self/fd/{fd}")
        assert name not in self.failed, "those pages must not be believed any more"
        if self.times:
            self.times -= 1
            self.failed.add(name)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._real(fd)


@pytest.mark.parametrize("file_size", [65_536, 8 << 20])
def test_a_sync_that_fails_once_is_made_good_in_a_new_file(folder, monkeypatch, file_size):
    with lawful(folder, commit_interval=3600.0, file_size=file_size) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA[:20_000])
        f.sync()
        for at in range(20_000, 150_000, 10_000):
            f.write(DATA[at : at + 10_000])
        broken = Broken(monkeypatch, 1)
        f.sync()
        assert len(broken.failed) == 1
        assert held(spool, "k") == DATA[:150_000]
        f.write(DATA[150_000:])
        f.close()
        assert held(spool, "k") == DATA
        assert spool.tombstones() == ()
    with lawful(folder) as spool:
        assert held(spool, "k") == DATA
        assert check(spool).written == len(DATA)


def test_a_sync_that_fails_again_is_told(folder, monkeypatch):
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA[:100_000])
        broken = Broken(monkeypatch, 2)
        with pytest.raises(SpoolError, match="not on stable storage"):
            f.sync()
        assert "Input/output error" in check(spool).error
        assert held(spool, "k") == DATA[:100_000]
        f.write(DATA[100_000:])
        f.sync()
        assert len(broken.failed) == 2
        assert check(spool).error == ""
        f.close()
    with lawful(folder) as spool:
        assert held(spool, "k") == DATA


def test_a_disk_that_is_gone_never_claims_success(folder, monkeypatch):
    """Neither a sync nor a new file: every later sync raises, and nothing leaves the books."""
    with lawful(folder, commit_interval=3600.0) as spool:
        writers = [spool.open("cams", str(number), "ab") for number in range(3)]
        for f in writers:
            f.write(DATA[:100_000])

        def gone(*_: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        real = os.open

        def no_new_files(path, flags, *mode):
            if flags & os.O_CREAT and "data" in os.fspath(path):
                gone()
            return real(path, flags, *mode)

        with monkeypatch.context() as patch:
            patch.setattr("os.fdatasync", gone)
            patch.setattr("os.unlink", gone)
            patch.setattr("os.open", no_new_files)
            for _ in range(3):
                for f in writers:
                    with pytest.raises(SpoolError, match="not on stable storage"):
                        f.sync()
                status = check(spool)
                assert (status.written, status.spooled) == (300_000, 300_000)
        for f in writers:
            f.sync()
            f.close()
        assert all(held(spool, str(number)) == DATA[:100_000] for number in range(3))
    with lawful(folder) as spool:
        assert all(held(spool, str(number)) == DATA[:100_000] for number in range(3))
        assert check(spool).torn == 0


def test_what_even_the_kernel_has_lost_gets_a_tombstone(folder, monkeypatch):
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA[:70_000])
        f.write(DATA[70_000:140_000])
        f.write(DATA[140_000:])
        (path,) = data_files(folder)
        with path.open("r+b") as file:
            file.seek(100_000)
            file.write(b"\xff\xff\xff")
        Broken(monkeypatch, 1)
        with pytest.raises(SpoolError, match="lost before they were durable: bytes 70000 to"):
            f.sync()  # it was promised these bytes
        (stone,) = spool.tombstones()
        assert (stone.reason, stone.first, stone.last) == ("damaged", 70_000, 140_000)
        f.sync()
        assert held(spool, "k") == DATA[:70_000] + DATA[140_000:]
        f.close()
        assert check(spool).dropped == 70_000
    with lawful(folder) as spool:
        assert held(spool, "k") == DATA[:70_000] + DATA[140_000:]


def test_a_killed_rescue_loses_nothing(folder, monkeypatch, tmp_path):
    """The poisoned file and the new one overlap; the later one counts."""
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA[:100_000])
        Broken(monkeypatch, 1)
        unlinked: list[str] = []
        real = os.unlink
        with monkeypatch.context() as patch:
            patch.setattr("os.unlink", lambda path: unlinked.append(os.fspath(path)))
            f.sync()
        f.write(DATA[100_000:])
        shutil.copytree(folder, tmp_path / "copy")
        for path in unlinked:
            real(path)
        f.close()
    assert len(data_files(tmp_path / "copy")) == 2
    with lawful(tmp_path / "copy") as spool:
        assert held(spool, "k") == DATA
        assert check(spool).written == len(DATA)


def test_killed_in_the_middle_of_a_rescue(folder, monkeypatch, tmp_path):
    """The new file holds a part only: the old one counts."""
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        for at in range(0, len(DATA), 5000):
            f.write(DATA[at : at + 5000])
        Broken(monkeypatch, 1)

        def killed_here(tail):
            os.truncate(tail.extent.path, 100_000)
            shutil.copytree(folder, tmp_path / "copy")
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr(Tail, "rename", killed_here)
            with pytest.raises(SpoolError):
                f.sync()
        f.close()
        assert held(spool, "k") == DATA
    assert len(list((tmp_path / "copy" / "data").iterdir())) == 2
    with lawful(tmp_path / "copy") as spool:
        assert held(spool, "k") == DATA
        assert len(data_files(tmp_path / "copy")) == 1


def test_writing_does_not_wait_for_a_slow_disk(folder, monkeypatch):
    began, go = threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(fd):
        began.set()
        assert go.wait(30)
        real(fd)

    with lawful(folder, commit_interval=0.001) as spool:
        monkeypatch.setattr("os.fdatasync", slow)
        f = spool.open("cams", "k", "ab")
        f.write(DATA[:50_000])
        assert began.wait(30)
        f.write(DATA[50_000:])
        assert check(spool).written == len(DATA)
        with pytest.raises(RequestTimeout, match=r"within 0.01 s"):
            f.sync(0.01)
        go.set()
        f.sync(30)
        f.close()


def test_what_is_committed_is_not_written_again(folder):
    """What follows a commit begins on a new page, so that a torn page cannot take it along."""
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(b"a" * 100)
        f.sync()
        (path,) = data_files(folder)
        size = path.stat().st_size
        before = path.read_bytes()
        f.write(b"b" * 100)
        f.sync()
        after = path.read_bytes()
        assert after[:size] == before
        assert after.index(b"b" * 100) == 4096 + 32
        f.close()


def test_a_state_that_cannot_be_written_is_one_clear_error(folder, monkeypatch):
    with lawful(folder) as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA)

        def refuse(self, durable, statements):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(State, "_try", refuse)
            with pytest.raises(SpoolError, match=r"state\.db: disk I/O error"):
                spool.open("cams", "other", "ab")
            with pytest.raises(SpoolError, match=r"state\.db: disk I/O error"):
                spool.put("cams", "put", DATA)
            with pytest.raises(SpoolError, match=r"state\.db: disk I/O error"):
                f.close()
        assert check(spool).written == len(DATA)
        assert len(data_files(folder)) == 1
        spool.commit()
        assert check(spool).error == ""
    with lawful(folder) as spool:
        assert held(spool, "k") == DATA
        assert spool.recovered == ()


def test_the_state_uses_its_reserve_when_the_disk_is_full(folder, monkeypatch):
    with lawful(folder) as spool:
        reserve = folder / "state.db-reserve"
        assert reserve.stat().st_size == 256 << 10
        real = State._try

        def full(self, durable, statements):
            if reserve.exists():
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            real(self, durable, statements)

        monkeypatch.setattr(State, "_try", full)
        spool.put("cams", "k", DATA)
        assert held(spool, "k") == DATA
        assert not reserve.exists()


def test_a_round_has_one_durable_change_for_all_objects(folder, calls):
    with lawful(folder, commit_interval=3600.0, file_size=65_536) as spool:
        files = [spool.open("cams", f"k{number}", "ab") for number in range(20)]
        for f in files:
            f.write(DATA[:100_000])
            f.write(b"more")
        del calls[:]
        spool.commit()
        assert calls.count("durable") == 1
        assert sum(call.startswith("fdatasync") for call in calls) >= 20
        assert calls[-1] == "durable"  # after every byte that it speaks of
        assert all(item.extents[0].sealed for item in spool._shelf.all())
        for f in files:
            f.close()


def test_many_bytes_do_not_wait_for_the_interval(folder):
    """Else a fast writer leaves all of them to the disk for the end."""
    piece = DATA[:100_000]
    with lawful(folder, commit_interval=3600.0) as spool:
        with spool.open("cams", "few", "ab") as few, spool.open("cams", "many", "ab") as many:
            few.write(piece)
            for _ in range(84):
                many.write(piece)
            quiet, item = spool._shelf.all()
            until(lambda: item.durable > 0)
            assert item.durable >= 8 << 20
            assert quiet.durable == 0


def test_files_go_after_a_sync_whatever_else_the_round_seals(folder, calls, monkeypatch):
    """Sealing objects that have left meanwhile changes nothing, and so syncs nothing."""
    sync = State.sync

    def synced(self):
        sync(self)
        calls.append("sync")

    monkeypatch.setattr(State, "sync", synced)
    with lawful(folder, commit_interval=3600.0, file_size=65_536) as spool:
        gone, f = spool.open("cams", "gone", "ab"), spool.open("cams", "k", "ab")
        for file in (gone, f):
            file.write(DATA[:100_000])
            file.write(b"more")
        with spool._committer._changed:  # both in one round
            gone.abort()
            del calls[:]
        until(lambda: calls.count("unlink 0000000000000001-000000.oms"))
        first = calls.index("unlink 0000000000000001-000000.oms")
        assert "sync" in calls[:first]
        assert "fdatasync 0000000000000002-000000.oms" in calls[:first]
        f.close()
