"""A spool that is full: each policy does exactly what it says, and every byte is accounted for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading

import pytest

from ossmedia import Spool, SpoolFull, StreamBroken
from ossmedia.clock import Clock
from ossmedia.spool_state import State
from tests.spool_rig import check, data_files, lawful, pattern
from tests.unit.test_spool import held

MAX = 512 << 10
FRAME = pattern(20_000)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def fill(f, most=200):
    """Frames until one is refused; returns how many were taken."""
    for number in range(most):
        try:
            f.write(FRAME)
        except SpoolFull:
            return number
    raise AssertionError("never full")


def test_reject(folder):
    with lawful(folder, max_bytes=MAX, policy="reject") as spool:
        with spool.open("cams", "k", "ab") as f:
            taken = fill(f)
            assert 20 <= taken <= 26
            with pytest.raises(BlockingIOError) as caught:
                f.write(FRAME)
            assert caught.value.characters_written == 0
            status = check(spool)
            assert status.written == taken * len(FRAME)
            assert status.disk_bytes <= MAX
        assert held(spool, "k") == FRAME * taken
        with pytest.raises(SpoolFull):
            spool.put("cams", "p", FRAME * 2)
        assert check(spool).waiting == 1
        assert len(data_files(folder)) <= 5


def test_block_waits_until_there_is_room(folder):
    with lawful(folder, max_bytes=MAX) as spool:
        spool.put("cams", "old", pattern(300_000))
        f = spool.open("cams", "k", "ab")
        f.write(pattern(150_000))
        done = threading.Event()

        def write() -> None:
            f.write(pattern(100_000))
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not spool._room._waiting:
            assert not done.is_set()
        (old,) = [item for item in spool._shelf.all() if item.key == "old"]
        spool._policy.drop_rest(old, "drop_oldest")
        writer.join(30)
        assert done.is_set()
        f.close()
        status = check(spool)
        assert (status.spooled, status.dropped) == (250_000, 300_000)


def test_block_ends_with_the_write_timeout(folder):
    with lawful(folder, max_bytes=MAX) as spool:
        spool.put("cams", "old", pattern(300_000))
        f = spool.open("cams", "k", "ab", write_timeout_s=0.01)
        with pytest.raises(SpoolFull, match=r"full for 0.01 s"):
            f.write(pattern(300_000))
        f.write(b"small ones still fit")
        f.close()
        assert check(spool).spooled == 300_020


@pytest.mark.parametrize("mode", ["wb", "xb"])
def test_block_does_not_wait_for_what_cannot_come(folder, mode):
    """A clip keeps its room until it is stored as a whole: more than all of it can never fit."""
    with lawful(folder, max_bytes=MAX) as spool:
        f = spool.open("cams", "k", mode)
        fill(f)
        with pytest.raises(SpoolFull, match="more than max_bytes"):
            f.write(FRAME)
        f.abort()
        first, second = (spool.open("cams", str(n), mode) for n in range(2))
        first.write(pattern(250_000))
        second.write(pattern(250_000))
        with pytest.raises(SpoolFull, match="not closed"):
            second.write(FRAME)
        first.abort()
        second.write(FRAME)
        second.close()


def test_drop_newest_of_a_stream(folder):
    with lawful(folder, max_bytes=MAX, policy="drop_newest") as spool:
        with spool.open("cams", "k", "ab") as f:
            for _ in range(40):
                assert f.write(FRAME) == len(FRAME)
                check(spool)
            status = check(spool)
            kept = status.spooled // len(FRAME)
            assert 20 <= kept <= 26
            assert status.written == 40 * len(FRAME)
            assert f.tell() == 40 * len(FRAME)
        (stone,) = spool.tombstones()
        assert stone.reason == "drop_newest"
        assert (stone.first, stone.last) == (kept * len(FRAME), 40 * len(FRAME))
        assert held(spool, "k") == FRAME * kept
    with lawful(folder) as spool:
        assert spool.tombstones() == (stone,)
        assert check(spool).written == 40 * len(FRAME)


def test_a_stream_goes_on_behind_what_was_dropped(folder):
    with lawful(folder, max_bytes=MAX, policy="drop_newest") as spool:
        spool.put("cams", "old", pattern(300_000))
        f = spool.open("cams", "k", "ab")
        for _ in range(20):
            f.write(FRAME)
        (old,) = [item for item in spool._shelf.all() if item.key == "old"]
        spool._policy.drop_rest(old, "drop_oldest")
        spool.commit()
        f.write(b"behind the gap")
        f.close()
        newest = [stone for stone in spool.tombstones() if stone.reason == "drop_newest"]
        assert len(newest) == 1
        kept = newest[0].first
        assert held(spool, "k") == (FRAME * 20)[:kept] + b"behind the gap"
    with lawful(folder) as spool:
        assert held(spool, "k") == (FRAME * 20)[:kept] + b"behind the gap"
        assert spool.recovered == ()


def test_what_was_dropped_is_known_after_a_kill(folder, tmp_path):
    """Each dropped frame has its tombstone when ``write`` returns, before any commit."""
    with lawful(folder, max_bytes=MAX, policy="drop_newest", commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        for number in range(40):
            f.write(FRAME)
            if number in (30, 39):
                shutil.copytree(folder, tmp_path / str(number))
        (stone,) = spool.tombstones()
        f.close()
    for number in (30, 39):
        with lawful(tmp_path / str(number)) as spool:
            status = check(spool)
            assert status.written == (number + 1) * len(FRAME)
            assert status.dropped == status.written - stone.first
            assert held(spool, "k") == (FRAME * 40)[: stone.first]


def test_tombstones_are_durable_with_the_commit(folder, monkeypatch):
    seen: list[bool] = []
    change = State._change

    def changed(self, durable, *statements, **more):
        seen.append(durable)
        change(self, durable, *statements, **more)

    with lawful(folder, max_bytes=MAX, policy="drop_newest", commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        for _ in range(30):
            f.write(FRAME)
        f.sync()
        monkeypatch.setattr(State, "_change", changed)
        for _ in range(3):
            f.write(FRAME)
        assert seen == [False] * 3
        f.sync()
        assert seen[3:] == [True]
        f.sync()
        assert seen[4:] == [], "nothing is new"
        f.close()


def test_drop_newest_of_a_clip_drops_it_as_a_whole(folder):
    with lawful(folder, max_bytes=MAX, policy="drop_newest") as spool:
        f = spool.open("cams", "k", "wb")
        with pytest.raises(StreamBroken) as caught:
            for _ in range(40):
                f.write(FRAME)
        assert isinstance(caught.value.__cause__, SpoolFull)
        with pytest.raises(BrokenPipeError):
            f.write(FRAME)
        f.close()
        spool.commit()
        assert check(spool).spooled == 0
        spool.put("cams", "fits", pattern(400_000))
        spool.put("cams", "not", pattern(400_000))
        status = check(spool)
        assert (status.waiting, status.spooled) == (1, 400_000)
        assert [stone.key for stone in spool.tombstones()] == ["k", "not"]
        assert status.written == status.spooled + status.dropped


def test_drop_oldest_drops_whole_clips(folder):
    with lawful(folder, max_bytes=MAX, policy="drop_oldest") as spool:
        for number in range(12):
            with spool.open("cams", f"clip-{number:02}", "wb") as f:
                for _ in range(5):
                    f.write(FRAME)
            status = check(spool)
            assert status.disk_bytes <= MAX
        kept = [item.key for item in spool._shelf.all()]
        assert kept == [f"clip-{number:02}" for number in range(12 - len(kept), 12)]
        assert len(kept) >= 3
        stones = spool.tombstones()
        assert {(stone.reason, stone.first, stone.last) for stone in stones} == {
            ("drop_oldest", 0, 5 * len(FRAME))
        }
        assert status.dropped == (12 - len(kept)) * 5 * len(FRAME)
        assert all(held(spool, key) == FRAME * 5 for key in kept)


def test_drop_oldest_leaves_what_takes_no_room(folder):
    """An empty object frees nothing, and has no byte that a tombstone could name."""
    with lawful(folder, max_bytes=MAX, policy="drop_oldest") as spool:
        spool.put("cams", "empty", b"")
        spool.open("cams", "also empty", "wb").close()
        for number in range(4):
            spool.put("cams", f"{number}", pattern(200_000))
        kept = [item.key for item in spool._shelf.all()]
        assert kept == ["empty", "also empty", "2", "3"]
        assert {stone.key for stone in spool.tombstones()} == {"0", "1"}


def test_drop_oldest_drops_the_first_ranges_of_a_stream(folder):
    data = pattern(3 << 20)
    with lawful(folder, max_bytes=MAX, policy="drop_oldest") as spool:
        with spool.open("cams", "k", "ab") as f:
            for at in range(0, len(data), 30_000):
                f.write(data[at : at + 30_000])
                assert check(spool).disk_bytes <= MAX
            stones = spool.tombstones()
        assert {stone.reason for stone in stones} == {"drop_oldest"}
        gone = check(spool).dropped
        assert held(spool, "k") == data[gone:]
        assert gone < len(data) - MAX // 3
        assert stones[0].first == 0
        assert stones[-1].last == gone
    with lawful(folder) as spool:
        assert held(spool, "k") == data[gone:]
        assert check(spool).written == len(data)


def test_drop_oldest_never_takes_what_is_on_its_way(folder):
    with lawful(folder, max_bytes=MAX, policy="drop_oldest", file_size=65_536) as spool:
        f = spool.open("cams", "k", "ab")
        for _ in range(10):
            f.write(FRAME)
        item = f._item
        assert item.readable(30_000) == 30_000
        for _ in range(60):
            f.write(FRAME)
        assert spool.tombstones()[0].first >= 30_000
        assert item.extents[0].start == 0
        f.close()


def test_min_free_is_respected(folder):
    folder.mkdir()
    free = os.statvfs(folder)
    available = free.f_bavail * free.f_frsize
    with lawful(folder, policy="reject", min_free=available * 2) as spool:
        with spool.open("cams", "k", "ab") as f:
            with pytest.raises(SpoolFull):
                f.write(b"x")
        assert check(spool).written == 0


def test_waiting_for_a_disk_that_others_fill(folder, monkeypatch):
    """Nobody tells when others free their bytes: the waiting looks itself."""

    class Free:
        f_frsize, f_bavail = 4096, 0

    class Impatient(Clock):
        def wait(self, condition: object, seconds: float | None) -> None:
            Free.f_bavail = 1 << 20
            super().wait(condition, 0.0 if seconds else seconds)

    with lawful(folder, clock=Impatient(), min_free=4096) as spool:
        f = spool.open("cams", "k", "ab")
        monkeypatch.setattr("os.statvfs", lambda _path: Free)
        f.write(b"x")
        assert Free.f_bavail
        f.close()


LIMITED = """
import resource, sys
from ossmedia import Spool, SpoolFull
from ossmedia.clock import Clock
class Later(Clock):
    ahead = 0.0
    def monotonic(self):
        return super().monotonic() + self.ahead
clock = Later()
with Spool(sys.argv[1], min_free=0, policy="reject", clock=clock) as spool:
    f = spool.open("cams", "k", "ab")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1))
    taken = 0
    try:
        while True:
            taken += f.write(b"0123456789" * 1000)
    except SpoolFull as full:
        taken += full.characters_written
    assert spool.status().balance == 0, spool.status()
    assert spool.status().written == taken == f.tell()
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    clock.ahead = 2.0
    taken += f.write(b"0123456789" * 1000)
    f.close()
    assert spool.status().balance == 0
    print(taken)
"""


def test_a_disk_that_is_really_full_in_the_middle_of_a_write(folder):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    with lawful(folder) as spool:
        found = held(spool, "k")
        assert len(found) == int(done.stdout)
        assert found == b"0123456789" * (len(found) // 10)
        assert check(spool).torn == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
@pytest.mark.parametrize("policy", ["reject", "block", "drop_oldest", "drop_newest"])
def test_a_full_file_system(tmp_path, policy):
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        with lawful(tmp_path / "spool", policy=policy, max_bytes=64 << 20) as spool:
            f = spool.open("cams", "k", "ab", write_timeout_s=0.01)
            refused = 0
            for _ in range(300):
                try:
                    f.write(FRAME)
                except SpoolFull:
                    refused += 1
                check(spool)
            status = check(spool)
            if policy in ("reject", "block"):
                assert refused
                assert status.dropped == 0
            else:
                assert not refused
                assert status.dropped > 0
                assert status.written == 300 * len(FRAME)
            assert status.spooled > 500_000
            f.close()  # the state has a reserve of its own
            assert check(spool).waiting == 1
        with lawful(tmp_path / "spool", policy=policy, max_bytes=64 << 20) as spool:
            assert check(spool).spooled == status.spooled
            assert len(held(spool, "k")) == status.spooled
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_no_video_takes_what_the_state_needs(tmp_path):
    """However long the file system stays full: the reserve that a commit was given is the
    state's."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        with lawful(tmp_path / "spool", policy="drop_newest", max_bytes=64 << 20) as spool:
            f = spool.open("cams", "k", "ab")
            for _ in range(60):
                for _ in range(5):
                    f.write(FRAME)
                spool._committer.sync()
                spool._room._closed_until = 0.0  # a second later
            assert check(spool).dropped > 0
            f.close()
            assert check(spool).waiting == 1
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize("policy", ["block", "reject"])
def test_a_frame_larger_than_the_spool(folder, policy):
    with lawful(folder, max_bytes=MAX, policy=policy) as spool:
        f = spool.open("cams", "k", "wb")
        with pytest.raises(SpoolFull):
            f.write(bytes(MAX + 1))
        f.abort()


def test_the_bound_counts_what_an_earlier_process_left(folder):
    with lawful(folder, max_bytes=MAX, policy="reject") as spool:
        spool.put("cams", "old", pattern(400_000))
    with Spool(folder, max_bytes=MAX, policy="reject", min_free=0) as spool:
        with pytest.raises(SpoolFull):
            spool.put("cams", "new", pattern(200_000))
        assert check(spool).disk_bytes <= MAX
