"""A disk that says "full" although the file system says that there is room: a quota, no inodes, a
limit on file sizes. The policy decides, as for any full spool; nobody tries for ever."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest

from ossmedia import SpoolFull, StreamBroken
from ossmedia.clock import Clock
from tests.spool_rig import check, data_files, lawful, pattern
from tests.unit.test_spool import held

FRAME = pattern(20_000)
FULL = [errno.EDQUOT, errno.ENOSPC, errno.EFBIG]


class Simulated(Clock):
    """Waiting for room takes no time; the clock jumps instead."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wait(self, condition, seconds):
        if seconds is not None and 0 < seconds <= 60:
            self.now_s += seconds
            seconds = 0.0005
        super().wait(condition, seconds)


class Refusing:
    """The disk takes no byte of media any more; after so many tries it does again."""

    def __init__(self, monkeypatch, code, most=1 << 30):
        self.code, self.most, self.tries = code, most, 0
        self._real = os.pwritev
        monkeypatch.setattr("os.pwritev", self)

    def __call__(self, fd, buffers, offset):
        self.tries += 1
        if self.tries <= self.most:
            raise OSError(self.code, os.strerror(self.code))
        return self._real(fd, buffers, offset)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture(params=FULL, ids=lambda code: errno.errorcode[code])
def code(request):
    return request.param


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_block_looks_each_second_until_the_write_timeout(folder, monkeypatch, code, mode):
    clock = Simulated()
    with lawful(folder, clock=clock, commit_interval=86_400.0) as spool:
        f = spool.open("cams", "k", mode, write_timeout_s=10.0)
        f.write(FRAME)
        with monkeypatch.context() as patch:
            disk = Refusing(patch, code)
            began = clock.now_s
            with pytest.raises(SpoolFull, match=r"k: the spool was full for 10\.0 s") as caught:
                f.write(FRAME)
            assert caught.value.characters_written == 0
            assert 10.0 <= clock.now_s - began <= 11.0
            assert 10 <= disk.tries <= 12
        check(spool)
        clock.now_s += 1.0
        f.write(FRAME)
        f.close()
        assert held(spool, "k") == FRAME * 2


def test_block_without_a_timeout_waits_as_long_as_it_takes(folder, monkeypatch, code):
    clock = Simulated()
    with lawful(folder, clock=clock, commit_interval=86_400.0) as spool:
        f = spool.open("cams", "k", "ab")
        disk = Refusing(monkeypatch, code, most=100)
        began = clock.now_s
        assert f.write(FRAME) == len(FRAME)
        assert clock.now_s - began >= 99.0, "it looks once a second"
        spool.put("cams", "p", FRAME)
        disk.tries = 0
        began = clock.now_s
        spool.put("cams", "q", FRAME)
        assert clock.now_s - began >= 99.0
        f.close()
        assert held(spool, "k") == held(spool, "p") == held(spool, "q") == FRAME


def test_reject_says_so_at_the_first_try(folder, monkeypatch, code):
    with lawful(folder, policy="reject") as spool:
        f = spool.open("cams", "k", "ab")
        f.write(FRAME)
        with monkeypatch.context() as patch:
            disk = Refusing(patch, code)
            with pytest.raises(SpoolFull):
                f.write(FRAME)
            with pytest.raises(SpoolFull):
                spool.put("cams", "p", FRAME)
            assert disk.tries == 1, "for a second there is no room"
        f.close()
        assert check(spool).spooled == len(FRAME)


def test_drop_newest_drops_a_range_or_a_clip(folder, monkeypatch, code):
    clock = Simulated()
    with lawful(folder, policy="drop_newest", clock=clock) as spool:
        live, clip = spool.open("cams", "live", "ab"), spool.open("cams", "clip", "wb")
        for f in (live, clip):
            f.write(FRAME)
        with monkeypatch.context() as patch:
            Refusing(patch, code)
            assert live.write(FRAME) == len(FRAME)
            clock.now_s += 1.0
            with pytest.raises(StreamBroken):
                clip.write(FRAME)
            clip.close()
            clock.now_s += 1.0
            spool.put("cams", "put", FRAME)
        clock.now_s += 1.0
        live.write(FRAME)
        live.close()
        stones = {(stone.key, stone.first, stone.last) for stone in spool.tombstones()}
        size = len(FRAME)
        assert stones == {("live", size, 2 * size), ("clip", 0, size), ("put", 0, size)}
        assert held(spool, "live") == FRAME * 2
        assert check(spool).dropped == 3 * size


@pytest.mark.parametrize("how", ["ab", "put"])
def test_drop_oldest_drops_until_the_disk_takes_it(folder, monkeypatch, code, how):
    with lawful(folder, policy="drop_oldest") as spool:
        for number in range(6):
            spool.put("cams", f"old-{number}", FRAME)
        disk = Refusing(monkeypatch, code, most=2)
        if how == "put":
            spool.put("cams", "new", FRAME)
        else:
            with spool.open("cams", "new", "ab") as f:
                f.write(FRAME)
        assert disk.tries >= 3
        kept = [item.key for item in spool._shelf.all()]
        assert kept == ["old-4", "old-5", "new"], "each time as much as is asked for"
        assert held(spool, "new") == FRAME


@pytest.mark.parametrize("how", ["ab", "put"])
def test_drop_oldest_ends_when_nothing_is_left_to_drop(folder, monkeypatch, code, how):
    with lawful(folder, policy="drop_oldest") as spool:
        for number in range(4):
            spool.put("cams", f"old-{number}", FRAME)
        disk = Refusing(monkeypatch, code)
        if how == "put":
            spool.put("cams", "new", FRAME)
        else:
            with spool.open("cams", "new", "ab") as f:
                assert f.write(FRAME) == len(FRAME)
        assert disk.tries <= 6
        status = check(spool)
        assert (status.spooled, status.dropped) == (0, 5 * len(FRAME))
        assert data_files(folder) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
@pytest.mark.parametrize("policy", ["reject", "block", "drop_oldest", "drop_newest"])
def test_a_file_system_without_inodes(tmp_path, policy):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=24", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        with lawful(tmp_path / "spool", policy=policy, file_size=65_536) as spool:
            refused = 0
            with spool.open("cams", "k", "ab", write_timeout_s=0.01) as f:
                for _ in range(80):
                    try:
                        f.write(FRAME)
                    except SpoolFull:
                        refused += 1
            status = check(spool)
            assert (refused > 0) == (policy in ("reject", "block"))
            assert (status.dropped > 0) == policy.startswith("drop")
            assert status.spooled >= 10 * len(FRAME)
        with lawful(tmp_path / "spool", policy=policy) as spool:
            assert check(spool).spooled == status.spooled
            assert len(held(spool, "k")) == status.spooled
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
