"""Wrong and jumping wall clocks, by libfaketime: a camera that boots in 1970, or whose clock leaps
thirty years while it uploads.

Only the wall clock lies (FAKETIME_DONT_FAKE_MONOTONIC); the cloud keeps the true time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.faults.camera import video
from tests.faults.rig import Rig
from tests.faults.spooled import SpooledCamera
from tests.faults.tally import Tally

__all__ = ["BOOTS", "boots", "jumps", "spooled_lives"]

ROOT = Path(__file__).parent.parent.parent
BOOTS = ("1970-01-01 00:00:07", "2000-01-01 00:00:00", "2039-02-07 03:14:08", "2107-02-08 00:00:00")
THIRTY_YEARS_S = 30 * 31_557_600


def lie(library: Path, boot: str) -> dict[str, str]:
    """The environment of a process whose wall clock starts at ``boot``; "": at no time yet."""
    start = {"FAKETIME": f"@{boot}"} if boot else {}
    return {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC", **start}


class Liar:
    """One life of a camera whose wall clock is wrong.

    Args:
        library: libfaketime. boot: "" for the true time. moves: a file to move the clock by.
    """

    def __init__(
        self, rig: Rig, library: Path, orders: dict, *, boot: str = "", moves=None
    ) -> None:
        orders = {
            "bucket": rig.cloud.bucket,
            "endpoint": rig.proxy.endpoint,
            "region": rig.cloud.region,
            "credentials": rig.token(3600).to_json(),
            **orders,
        }
        lies = lie(library, boot) if boot else {}
        if moves is not None:
            moves.write_text("+0s")
            lies = {**lie(library, ""), "FAKETIME_NO_CACHE": "1"}
            lies["FAKETIME_TIMESTAMP_FILE"] = str(moves)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.camera", json.dumps(orders)],
            cwd=ROOT,
            env={**os.environ, **lies},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> dict:
        text = self.process.stdout.readline()
        return json.loads(text) if text else {}

    def until(self, name: str) -> dict:
        """The next line that tells ``name``."""
        while True:
            told = self.line()
            assert told, f"the camera ended before it told {name}"
            if name in told:
                return told

    def go_on(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __enter__(self) -> Liar:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def _asked(rig: Rig, tally: Tally, library: Path, orders: dict, boot: str) -> int:
    """How many requests one recording takes; verified."""
    with Liar(rig, library, orders, boot=boot) as camera:
        receipt = camera.until("receipt")["receipt"]
        requests = camera.until("requests")["requests"]
    written = b"".join(video(orders["seed"], orders["pieces"], orders["size"]))
    tally.compare(written, rig.held(orders["key"]) or b"", f"{orders['key']} {boot}")
    tally.expect(receipt["size"] == len(written), f"{boot}: receipt of {receipt['size']} bytes")
    return requests


def boots(rig: Rig, seed: int, library: Path, dates=BOOTS) -> Tally:
    """The clock is wrong from the start: at most one request more for each exchange that was on its
    way when the first answer told the time (``wb`` with one worker: it, and close)."""
    tally = Tally("wrong clock at boot", seed)
    for mode, most in (("ab", 1), ("wb", 2)):
        orders = {"mode": mode, "seed": seed, "pieces": 4, "size": 60_000}
        orders["options"] = {"parallel": 1}
        right = _asked(rig, tally, library, {**orders, "key": f"boot/{mode}-right"}, "")
        for number, date in enumerate(dates):
            key = f"boot/{mode}-{number}"
            asked = _asked(rig, tally, library, {**orders, "key": key}, date)
            tally.tried += 1
            tally.expect(asked <= right + most, f"{mode} at {date}: {asked} requests, not {right}")
            name = f"most extra {mode}"
            tally.notes[name] = max(int(tally.notes.get(name, 0)), asked - right)
    return tally


def jumps(rig: Rig, seed: int, library: Path, folder: Path, count: int) -> Tally:
    """The clock jumps between two appends, thirty years either way, a day, a quarter of an hour."""
    tally = Tally("clock jumps while uploading", seed)
    dice = tally.dice()
    far = [THIRTY_YEARS_S, -THIRTY_YEARS_S, 86_400, -86_400, 1000, -1000]
    leaps = [0, *(dice.choice(far[:2] if at % 2 else far) for at in range(count)), 0]
    leaps = [leap for at, leap in enumerate(leaps) if at == 0 or leap != leaps[at - 1]]
    orders = {"mode": "ab", "seed": seed, "pieces": len(leaps), "size": 5000, "step": True}
    orders["key"] = "jump/ab"
    moves = folder / "offset"
    with Liar(rig, library, orders, moves=moves) as camera:
        for leap in leaps:
            camera.until("waits")
            moves.write_text(f"{leap:+d}s")
            before = rig.requests()
            camera.go_on()
            camera.until("confirmed")
            tally.tried += leap != 0
            _count(tally, rig.requests() - before, leap, first=leap == leaps[0])
        camera.until("receipt")
    written = b"".join(video(seed, len(leaps), 5000))
    tally.compare(written, rig.held("jump/ab") or b"", "jump/ab")
    return tally


def _count(tally: Tally, requests: int, leap: int, *, first: bool) -> None:
    extra = requests - 1 - first  # the first append asks what stands there
    tally.add("extra requests", max(0, extra))
    tally.expect(extra <= 1, f"a jump of {leap} s took {extra} requests more")


def spooled_lives(rig: Rig, seed: int, library: Path, folder: Path) -> Tally:
    """Three lives of one spool, each in another year, backwards, too: a camera without a battery
    boots in 1970 again and again. All is delivered, in order."""
    tally = Tally("a spool whose lives are in other years", seed)
    pairs = [(BOOTS[0], BOOTS[0]), (BOOTS[3], BOOTS[0]), (BOOTS[0], BOOTS[2]), (BOOTS[2], BOOTS[1])]
    for number, years in enumerate(pairs):
        rig.cloud.reset()
        camera = SpooledCamera(rig, folder / f"{number}", seed + number)
        tally.expect(camera.live("write", environ=lie(library, years[0])), camera.last_words())
        tally.expect(camera.live("drain", environ=lie(library, years[1])), camera.last_words())
        tally.tried += 2
        camera.settle(tally, " then ".join(years))
        shutil.rmtree(camera.folder)
    return tally
