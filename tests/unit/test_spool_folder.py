"""The spool's directory where it cannot be used: read-only, full, not to be locked. One clear error
that names it, nothing half made, and an opening that works once the trouble is over."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess

import pytest

from ossmedia import Spool, SpoolError, SpoolFull
from tests.spool_rig import check, lawful, pattern
from tests.unit.test_spool import held

DATA = pattern(100_000)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a file system")


@contextlib.contextmanager
def mounted(folder, size):
    """A small file system of its own; gives a way to mount it otherwise."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield lambda how: subprocess.run(
            ["mount", "-o", f"remount,{how}", str(folder)], check=True, capture_output=True
        )
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@needs_root
def test_a_read_only_file_system(tmp_path):
    with mounted(tmp_path / "disk", "8m") as remount:
        folder = tmp_path / "disk" / "spool"
        remount("ro")
        with pytest.raises(SpoolError, match=f"^dir: {folder}: Read-only file system"):
            Spool(folder)
        remount("rw")
        with lawful(folder) as spool:
            spool.put("cams", "k", DATA)
        remount("ro")
        for _ in range(2):
            with pytest.raises(SpoolError) as caught:
                Spool(folder)
            assert str(folder) in str(caught.value)
        remount("rw")
        with lawful(folder) as spool:
            assert held(spool, "k") == DATA


@needs_root
def test_a_full_disk_at_the_beginning(tmp_path):
    with mounted(tmp_path / "disk", "1m"):
        folder, ballast = tmp_path / "disk" / "spool", tmp_path / "disk" / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        with pytest.raises(SpoolError) as caught:
            Spool(folder, min_free=0)
        assert str(folder) in str(caught.value)
        ballast.unlink()
        with lawful(folder) as spool:
            spool.put("cams", "k", DATA)
        free = os.statvfs(folder)
        ballast.write_bytes(bytes(free.f_bavail * free.f_frsize))
        with lawful(folder, policy="reject") as spool:  # what is there can be had
            assert held(spool, "k") == DATA
            with pytest.raises(SpoolFull):
                spool.put("cams", "next", pattern(500_000))
            ballast.unlink()
        with lawful(folder) as spool:
            spool.put("cams", "next", DATA)
            assert held(spool, "next") == DATA


def test_no_descriptor_goes_to_another_program(tmp_path):
    with lawful(tmp_path / "spool") as spool:
        f = spool.open("cams", "k", "ab")
        f.write(DATA)
        held(spool, "k")
        ours = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if str(tmp_path) in os.readlink(f"/proc/self/fd/{name}"):
                    ours.append(int(name))
        assert len(ours) >= 3, "the lock, the state, the file"
        assert all(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for fd in ours)
        f.close()


def test_a_folder_that_was_removed_under_it(tmp_path):
    """Somebody deletes the data: what is written next is one clear error, and a new spool works."""
    folder = tmp_path / "spool"
    with Spool(folder, min_free=0, file_size=65_536) as spool:
        spool.put("cams", "k", DATA)
        f = spool.open("cams", "live", "ab")
        for path in (folder / "data").iterdir():
            path.unlink()
        (folder / "data").rmdir()
        with pytest.raises(SpoolError, match="No such file or directory"):
            spool.put("cams", "next", DATA)
        with pytest.raises(SpoolError, match="No such file or directory"):
            f.write(DATA)
        f.abort()
        check(spool)
    with lawful(folder) as spool:
        assert [stone.reason for stone in spool.tombstones()] == ["missing"]
        spool.put("cams", "next", DATA)
        assert held(spool, "next") == DATA
