"""kill -9 at every system call of a multipart upload by ticket that keeps a checkpoint: the next
life goes on, sends little again and leaves at most one upload behind."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from ossmedia import crc64
from tests.faults.rig import BLOCK, Rig
from tests.faults.strace import count, points, spoiled
from tests.faults.tally import Tally
from tests.unit.emulator.cloud.vod_calls import VodCaller

__all__ = ["killed_uploads"]

ROOT = Path(__file__).parent.parent.parent
PARTS, PARALLEL = 12, 2


class Job:
    """One file on its way into VOD."""

    def __init__(self, rig: Rig, folder: Path, data: bytes, number: int) -> None:
        self.rig = rig
        self.checkpoint = folder / f"{number}.checkpoint"
        path = folder / f"{number}.mp4"
        path.write_bytes(data)
        self.answer = VodCaller(rig.cloud).done("CreateUploadVideo", FileName="a.mp4", Title="t")
        self.address = json.loads(base64.b64decode(self.answer["UploadAddress"]))
        self.orders = {
            "ticket": self.answer,
            "endpoint": rig.cloud.endpoint,
            "path": str(path),
            "checkpoint": str(self.checkpoint),
            "block_size": BLOCK,
            "parallel": PARALLEL,
        }

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.faults.uploader", json.dumps(self.orders)]

    def live(self, command: list[str] | None = None) -> dict | None:
        """One life of the process: its receipt; None: it was killed."""
        done = subprocess.run(
            command or self.command(), cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode == -9:
            return None
        return json.loads(done.stdout)["receipt"] if done.stdout else {"died": done.stderr[-300:]}

    def stored(self):
        """The object as the cloud has it."""
        return self.rig.cloud.cloud.store.object(self.address["Bucket"], self.address["FileName"])

    def orphans(self) -> int:
        """Uploads that were begun and are nobody's."""
        store = self.rig.cloud.cloud.store
        return len(store.uploads_from(self.address["Bucket"], b"", "", None, 100))

    def over(self) -> bool:
        """A life died behind the last step: all is stored, and nothing is left to be gone on
        with."""
        return self.stored() is not None and not self.checkpoint.exists()


def killed_uploads(rig: Rig, seed: int, folder: Path, most: int) -> Tally:
    """One upload for each point; killed once, or two or three times in a row."""
    tally = Tally("kill -9 of a ticket upload", seed)
    dice = tally.dice()
    data = dice.randbytes(BLOCK * (PARTS - 1) + 77)
    made = count(
        Job(rig, folder, data, 0).command(), folder / "log", cwd=ROOT, stdout=subprocess.DEVNULL
    )
    for number, (name, nth) in enumerate(points(made, most, dice), 1):
        rig.cloud.reset()
        job = Job(rig, folder, data, number)
        receipt, kills = None, 0
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            if receipt is None and not job.over():
                receipt = job.live(spoiled(job.command(), name, nth))
                kills += receipt is None
        if receipt is None and not job.over():
            receipt = job.live()
        tally.tried += kills
        _judge(rig, tally, job, receipt, data, f"{name} {nth}, {kills} kills", kills)
        for path in (job.checkpoint, Path(job.orders["path"])):
            path.unlink(missing_ok=True)
    return tally


def _judge(rig: Rig, tally: Tally, job: Job, receipt: dict | None, data: bytes, where: str, kills):
    held = job.stored()
    if held is None or "died" in (receipt or {}):
        tally.lost += 1
        tally.expect(False, f"{where}: {receipt}")
        return
    tally.expect((held.size, held.crc) == (len(data), crc64(data)), f"{where}: other content")
    told = receipt is None or receipt["crc64"] == crc64(data)
    tally.expect(told, f"{where}: receipt with another CRC-64")
    again = rig.cloud.counters()["requests"].get("UploadPart", 0) - PARTS
    tally.notes["most parts again"] = max(int(tally.notes.get("most parts again", 0)), again)
    tally.add("orphans", job.orphans())
    tally.expect(job.orphans() <= kills, f"{where}: {job.orphans()} uploads left behind")
    tally.expect(again <= PARALLEL * kills, f"{where}: {again} parts sent again")
    tally.expect(not os.path.exists(job.checkpoint), f"{where}: the checkpoint stands")
