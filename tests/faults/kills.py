"""kill -9 at the n-th system call of a camera with a spool: while it writes without a network,
while it writes and delivers, and while it delivers what an earlier life left."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path

from tests.faults.rig import Rig
from tests.faults.spooled import ROOT, SpooledCamera
from tests.faults.strace import count, points
from tests.faults.tally import Tally

__all__ = ["PHASES", "killed"]

PHASES = ("write", "online", "drain")


def killed(rig: Rig, seed: int, folder: Path, phase: str, most: int) -> Tally:
    """One camera for each point, killed there one to three times in a row, then drained.

    Args:
        most: points; fewer when the phase makes fewer calls.
    """
    tally = Tally(f"kill -9 while it {phase}s" if phase != "online" else "kill -9 online", seed)
    dice = tally.dice()
    folder.mkdir(parents=True, exist_ok=True)
    backlog = _backlog(rig, seed, folder) if phase == "drain" else None
    model = _camera(rig, seed, folder / "model", backlog)
    made = count(model.command(phase), folder / "log", cwd=ROOT, stdout=subprocess.DEVNULL)
    tally.notes["calls"] = sum(made.values())
    for number, (name, nth) in enumerate(points(made, most, dice)):
        rig.cloud.reset()
        camera = _camera(rig, seed, folder / f"{number}", backlog)
        where = f"{phase} {name} {nth}"
        for life in range(dice.choice([1, 1, 2, 3])):
            # A second life goes on from what the first left: it only delivers.
            ended = camera.live(phase if life == 0 else "drain", (name, nth))
            tally.tried += not ended
        camera.settle(tally, where)
        shutil.rmtree(camera.folder)
    return tally


def _camera(rig: Rig, seed: int, folder: Path, backlog: SpooledCamera | None) -> SpooledCamera:
    camera = SpooledCamera(rig, folder, seed)
    if backlog is not None:
        backlog.copy_to(folder)
        camera.witness = copy.deepcopy(backlog.witness)
    return camera


def _backlog(rig: Rig, seed: int, folder: Path) -> SpooledCamera:
    """A spool that was filled in peace, without a network."""
    camera = SpooledCamera(rig, folder / "backlog", seed)
    assert camera.live("write"), camera.stderr
    return camera
