"""Disks that fail under a camera with a spool: errors and short counts from system calls, a file
system that is really full, and one that turns read-only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.faults import built
from tests.faults.powercut import Disk
from tests.faults.rig import Rig
from tests.faults.spooled import KEYS, SpooledCamera
from tests.faults.tally import Tally

__all__ = ["POLICIES", "failing_calls", "full_disk", "short_writes"]

POLICIES = ("block", "reject", "drop_oldest", "drop_newest")
ERRORS = {
    "pwritev2": ("EIO", "ENOSPC", "EDQUOT"),
    "pwrite64": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO",),
    "fsync": ("EIO",),
    "unlink": ("EIO", "EROFS"),
    "ftruncate": ("EIO", "ENOSPC"),
}
MIB = 1 << 20


def failing_calls(rig: Rig, seed: int, folder: Path, count: int) -> Tally:
    """One call (or all from it on) answers with an error; what ``write`` took is there all the
    same, what it refused is not, and the next life delivers."""
    tally = Tally("system calls that fail", seed)
    dice = tally.dice()
    for number in range(count):
        rig.cloud.reset()
        name = dice.choice(list(ERRORS))
        error = dice.choice(ERRORS[name])
        nth = f"{dice.randint(1, 25)}{dice.choice(['', '', '+'])}"
        camera = SpooledCamera(rig, folder / f"{number}", seed + number)
        camera.orders["write_timeout_s"] = 0.05  # a disk that stays full refuses all 40 pieces
        phase = dice.choice(["write", "online"])
        ended = camera.live(phase, (name, nth), f"error={error}")
        where = f"{phase}: {error} from {name} {nth}"
        # A spool that cannot be opened says so in one error, and that is the life's end.
        said = ended or "| ossmedia.errors.Spool" in camera.last_words()
        tally.expect(said, f"{where}: {camera.last_words()}")
        tally.tried += 1
        tally.add("refused", sum("refused" in told for told in camera.witness.told))
        camera.settle(tally, where)
        shutil.rmtree(camera.folder)
    return tally


def short_writes(rig: Rig, seed: int, folder: Path, count: int) -> Tally:
    """The n-th write to a file takes only half of its bytes."""
    tally = Tally("short writes", seed)
    dice = tally.dice()
    for number in range(count):
        rig.cloud.reset()
        nth = dice.randint(1, 60)
        camera = SpooledCamera(rig, folder / f"{number}", seed + number)
        preload = {"LD_PRELOAD": str(built.shim("short")), "SHORT_NTH": str(nth)}
        ended = camera.live("write", environ=preload)
        tally.expect(ended, f"write {nth}: {camera.last_words()}")
        tally.tried += 1
        camera.settle(tally, f"short write {nth}")
        shutil.rmtree(camera.folder)
    return tally


def full_disk(rig: Rig, seed: int, folder: Path, policy: str) -> Tally:
    """The spool's file system is really full in the middle of a recording, without a network; then
    the network comes."""
    tally = Tally(f"full disk, {policy}", seed)
    rig.cloud.reset()
    with Disk(folder, 24 * MIB) as disk:
        camera = SpooledCamera(
            rig,
            disk.path / "spool",
            seed,
            pieces=24,
            size=256 << 10,
            keys=KEYS[:2],
            policy=policy,
            min_free=1 * MIB,
            max_bytes=64 * MIB,
        )
        camera.orders["write_timeout_s"] = 0.1
        ballast = disk.path / "ballast"
        free = os.statvfs(disk.path).f_bavail * os.statvfs(disk.path).f_frsize
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - 6 * MIB)
        ended = camera.live("write")
        tally.expect(ended, f"the camera died: {camera.last_words()}")
        ballast.unlink()
        _judge_policy(tally, camera, policy)
    return tally


def _judge_policy(tally: Tally, camera: SpooledCamera, policy: str) -> None:
    told = camera.witness.told
    refused = sum("refused" in line for line in told)
    tally.tried += 1
    tally.notes["refused"] = refused
    ended = camera.live("drain")
    tally.expect(ended and camera.witness.last("drained") is True, f"no end: {camera.last_words()}")
    camera.check_law(tally, policy)
    stones = camera.witness.last("tombstones") or []
    tally.notes["tombstones"] = len(stones)
    drops = policy.startswith("drop")
    tally.expect(bool(stones) == drops, f"{policy}: tombstones {stones[:4]}")
    tally.expect(drops or refused > 0, f"{policy}: nothing was refused, the disk was not full")
    for key in camera.orders["keys"]:
        written = b"".join(camera.witness.pieces(key)[n] for n in camera.witness.accepted[key])
        gaps = sorted((first, last) for name, first, last, _ in stones if name == key)
        for first, last in reversed(gaps):
            written = written[:first] + written[last:]
        tally.compare(written, camera.delivered().get(key, b""), f"{policy} {key}")
