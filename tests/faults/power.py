"""The plug is pulled while a camera with a spool writes: right after a sync, or at any moment, and
then again while it recovers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.faults.powercut import Disk
from tests.faults.rig import Rig
from tests.faults.spooled import KEYS, ROOT, SpooledCamera
from tests.faults.strace import spoiled
from tests.faults.tally import Tally

__all__ = ["cuts", "failing_syncs"]

PIECES = 8


def cuts(rig: Rig, seed: int, folder: Path, count: int, *, pretends: bool = False) -> Tally:
    """One disk and one camera for each cut; every fourth is cut a second time while it recovers.

    Args:
        pretends: the camera's syncs do nothing, which has to be found out.
    """
    tally = Tally("power cut", seed)
    dice = tally.dice()
    for number in range(count):
        rig.cloud.reset()
        phase = dice.choice(["write", "write", "online"])
        with Disk(folder) as disk:
            camera = _camera(rig, disk, seed + number)
            camera.orders["pretends"] = pretends
            lines = dice.randint(1, 2 * PIECES * len(KEYS) + PIECES)
            after_sync = dice.random() < 0.5
            _pull(camera.start(phase), camera, disk, lines, after_sync=after_sync)
            disk.again()
            if number % 4 == 3:
                _pull(camera.start("drain"), camera, disk, dice.randint(1, 3), after_sync=False)
                disk.again()
            tally.tried += 1
            tally.expect(bool(camera.witness.told), f"cut {number}: nothing was ever written")
            camera.settle(tally, f"cut {number}, {phase} at line {lines}", power_cut=True)
            told = sum(len(camera.witness.accepted[key]) for key in KEYS)
            tally.add("pieces", told)
            tally.add("synced", sum(camera.witness.synced[key] for key in KEYS))
    return tally


def _camera(rig: Rig, disk: Disk, seed: int) -> SpooledCamera:
    return SpooledCamera(rig, disk.path / "spool", seed, pieces=PIECES, min_free=1 << 20)


def _pull(
    life: subprocess.Popen[str],
    camera: SpooledCamera,
    disk: Disk,
    lines: int,
    *,
    after_sync: bool,
) -> None:
    """Cuts the power once the camera has told so many lines (and then synced)."""
    assert life.stdout is not None
    assert life.stderr is not None
    heard = []
    for line in life.stdout:
        heard.append(line)
        if len(heard) >= lines and (not after_sync or "synced" in json.loads(line)):
            break
    disk.cut()
    life.kill()
    # Not communicate(): it would pass over what the loop above has read ahead.
    heard += life.stdout.readlines()
    camera.stderr = life.stderr.read()
    for pipe in (life.stdout, life.stderr):
        pipe.close()
    life.wait()
    camera.witness.hear("".join(heard))


def failing_syncs(rig: Rig, seed: int, folder: Path, count: int) -> Tally:
    """fdatasync fails once, or from some call on; then the plug is pulled at the end: what was told
    to be synced must be there all the same."""
    tally = Tally("fdatasync fails, then a power cut", seed)
    dice = tally.dice()
    for number in range(count):
        rig.cloud.reset()
        call = dice.choice(["fdatasync", "fdatasync", "fsync"])
        nth = f"{dice.randint(1, 30)}{dice.choice(['', '', '+'])}"
        with Disk(folder) as disk:
            camera = _camera(rig, disk, seed + number)
            command = spoiled(camera.command("write"), call, nth, "error=EIO")
            life = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            _pull(life, camera, disk, 10_000, after_sync=False)
            disk.again()
            tally.tried += 1
            tally.add("refused", len([1 for told in camera.witness.told if "unsynced" in told]))
            camera.settle(tally, f"{call} {nth}", power_cut=True)
    return tally
