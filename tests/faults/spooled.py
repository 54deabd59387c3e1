"""A camera with a spool that dies and lives again, and what must be true afterwards.

In flow orders for its lives (which phase, which fault), out flows the judgement: the witness's
pieces against the cloud's own memory, and the law in every status that a life told.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.faults.rig import Rig
from tests.faults.strace import spoiled
from tests.faults.tally import Tally
from tests.faults.witness import Witness

__all__ = ["KEYS", "SpooledCamera"]

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60  # a life that does nothing for so long hangs
KEYS = ("a/0", "a/1", "a/2", "w/0", "w/1")  # three growing objects, two multipart uploads


class SpooledCamera:
    """One spool directory and the processes that own it, one after the other.

    Args:
        folder: of the spool; kept when it exists.
        seed: of the video. pieces: per object. size: bytes of a piece.
        options: of the ``Spool``.
    """

    def __init__(
        self,
        rig: Rig,
        folder: Path,
        seed: int,
        *,
        pieces: int = 8,
        size: int = 30_000,
        keys: tuple[str, ...] = KEYS,
        proxied: bool = False,
        **options: object,
    ) -> None:
        self.rig, self.folder = rig, folder
        self.witness = Witness(seed, pieces, size)
        self.orders = {
            "folder": str(folder),
            "bucket": rig.cloud.bucket,
            "endpoint": rig.proxy.endpoint if proxied else rig.cloud.endpoint,
            "region": rig.cloud.region,
            "credentials": rig.token().to_json(),
            "keys": keys,
            "seed": seed,
            "pieces": pieces,
            "size": size,
            "spool": options,
        }
        self.stderr = ""

    def command(self, phase: str, **more: object) -> list[str]:
        orders = {**self.orders, "phase": phase, **more}
        return [sys.executable, "-m", "tests.faults.spooler", json.dumps(orders)]

    def live(
        self,
        phase: str,
        fault: tuple[str, int | str] | None = None,
        how: str = "signal=KILL",
        environ: dict[str, str] | None = None,
    ) -> bool:
        """One life to its end, by itself or by the fault; True: it came to its own end.

        Args:
            fault: a system call and which one of each thread. how: see ``strace.spoiled``.
            environ: more variables of its environment.
        """
        command = self.command(phase)
        if fault is not None:
            command = spoiled(command, *fault, how)
        life = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # strace and the camera end together
        )
        try:
            told, self.stderr = life.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(life.pid, signal.SIGKILL)
            told, _ = life.communicate()
            self.stderr = f"it hung for {PATIENCE_S} s"
        self.witness.hear(told)
        return bool(self.witness.told) and self.witness.told[-1].get("ended", False)

    def last_words(self) -> str:
        """Where it raised and what, in short."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        places = [line for line in lines if "ossmedia/" in line]
        return " | ".join([*places[-1:], *lines[-1:]])

    def start(self, phase: str, **more: object) -> subprocess.Popen[str]:
        """A life that the caller ends; its lines are the caller's to hear."""
        return subprocess.Popen(
            self.command(phase, **more),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def settle(self, tally: Tally, where: str, *, power_cut: bool = False) -> None:
        """A last life delivers everything; then all that was ever told is judged."""
        ended = self.live("drain")
        tally.expect(ended, f"{where}: the last life died: {self.last_words()}")
        tally.expect(self.witness.last("drained") is True, f"{where}: not drained: {self._why()}")
        stones = self.witness.last("tombstones")
        tally.expect(not stones, f"{where}: tombstones {stones}")
        self.check_law(tally, where)
        objects = self.delivered()
        for key in self.orders["keys"]:
            held = objects.get(key, b"")
            self.witness.judge(tally, key, held, power_cut=power_cut)

    def _why(self) -> object:
        return self.witness.last("error")

    def check_law(self, tally: Tally, where: str) -> None:
        """written = acked + spooled + dropped, in every status that was told."""
        for told in self.witness.told:
            status = told.get("status")
            if status is None:
                continue
            sums = status["acked"] + status["spooled"] + status["dropped"]
            good = status["balance"] == 0 and status["written"] == sums
            tally.expect(good, f"{where}: the law is broken: {status}")

    def delivered(self) -> dict[str, bytes]:
        """Every key's bytes as the cloud holds them, joined as the receipts say."""
        joined: dict[str, bytes] = {}
        for receipt in self.witness.last("receipts") or []:
            content = b"".join(
                (self.rig.held(part["key"]) or b"")[part["base"] : part["base"] + part["size"]]
                for part in receipt["generations"]
            )
            joined[receipt["key"]] = joined.get(receipt["key"], b"") + content
        return joined

    def copy_to(self, folder: Path) -> None:
        """The spool as it stands, for another camera to be killed with."""
        shutil.copytree(self.folder, folder)
