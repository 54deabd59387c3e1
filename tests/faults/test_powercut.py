"""The power cut itself: what was synced is there afterwards, what was not may be gone, and nothing
else."""

from __future__ import annotations

import os

import pytest

from tests.faults import powercut

pytestmark = pytest.mark.skipif(bool(powercut.missing()), reason=powercut.missing() or "-")


@pytest.fixture
def disk(tmp_path):
    with powercut.Disk(tmp_path) as made:
        yield made


def write(path, data, *, sync):
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(handle, data)
    if sync:
        os.fsync(handle)
    os.close(handle)


def sync_folder(path):
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def test_only_what_was_synced_survives(disk):
    write(disk.path / "synced", b"a" * 5000, sync=True)
    sync_folder(disk.path)
    write(disk.path / "synced", b"b" * 5000, sync=False)
    write(disk.path / "never", b"c" * 5000, sync=False)
    disk.cut()
    with pytest.raises(OSError, match="Input/output error"):
        write(disk.path / "synced", b"d", sync=True)
    disk.again()
    assert (disk.path / "synced").read_bytes() == b"a" * 5000
    assert not (disk.path / "never").exists() or (disk.path / "never").stat().st_size == 0


def test_an_unsynced_rename_and_an_unsynced_removal_come_back(disk):
    write(disk.path / "old", b"old", sync=True)
    write(disk.path / "gone", b"gone", sync=True)
    sync_folder(disk.path)
    write(disk.path / "new", b"new", sync=False)
    os.rename(disk.path / "new", disk.path / "old")
    os.unlink(disk.path / "gone")
    disk.cut()
    disk.again()
    assert (disk.path / "old").read_bytes() == b"old"
    assert (disk.path / "gone").read_bytes() == b"gone"
