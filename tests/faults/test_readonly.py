"""A file system that turns read-only under a spool, as a worn card's does (F09): one clear error
for whoever writes, what was kept is still delivered, once, and the next life finds the rest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ossmedia import Spool, SpoolError
from tests.faults import powercut
from tests.faults.powercut import Disk
from tests.spool_rig import bucket_of, check, content, pattern, until

OPTIONS = f"{powercut.OPTIONS},errors=remount-ro"
CLIPS = [f"clip-{number}" for number in range(3)]


def _turn_read_only(disk: Disk) -> None:
    """ext4 is told of an error, and does what it was mounted to do."""
    device = os.stat(disk.path).st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    trigger = Path("/sys/fs/ext4") / name / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip("needs a kernel whose ext4 has trigger_fs_error")
    trigger.write_text("1")


@pytest.mark.skipif(bool(powercut.missing()), reason=powercut.missing() or "-")
def test_a_disk_that_turns_read_only(oss_emulator, tmp_path):
    clip, live = pattern(150_000), pattern(60_000, 1)
    with Disk(tmp_path, options=OPTIONS) as disk:
        folder = disk.path / "spool"
        with Spool(folder, min_free=0, commit_interval=3600.0) as spool:
            file = spool.open("cams", "live", "ab", linger_s=0.0)
            file.write(live[:40_000])
            with bucket_of(oss_emulator, spool):
                assert spool.drain(30)
            file.write(live[40_000:])
            for key in CLIPS:
                spool.put("cams", key, clip)
            fresh = spool.open("cams", "fresh", "ab")
            fresh.write(b"never sent")
            spool.commit()
            _turn_read_only(disk)
            with pytest.raises(SpoolError, match="live: Read-only file system"):
                file.write(b"more")
            with pytest.raises(SpoolError, match="late: Read-only file system"):
                spool.put("cams", "late", clip)
            with pytest.raises(SpoolError):
                spool.open("cams", "other", "ab")
            check(spool)
            with bucket_of(oss_emulator, spool):
                until(lambda: check(spool).acked == len(live) + len(CLIPS) * len(clip))
                until(lambda: "state.db" in spool.status().error)
            for writer in (file, fresh):
                with pytest.raises(SpoolError, match="not on stable storage"):
                    writer.close()
        assert content(oss_emulator, "live") == live
        assert [content(oss_emulator, key) for key in CLIPS] == [clip] * len(CLIPS)
        subprocess.run(["umount", disk.path], check=True)
        disk.mount()
        with Spool(folder, min_free=0) as spool, bucket_of(oss_emulator, spool):
            assert spool.drain(30), spool.status()
            check(spool)
            assert spool.tombstones() == ()
        assert content(oss_emulator, "fresh") == b"never sent"
        assert content(oss_emulator, "live") == live
        assert [content(oss_emulator, key) for key in CLIPS] == [clip] * len(CLIPS)
