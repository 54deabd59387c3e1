"""The network swallows everything for a while, and the camera films on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from ossmedia import crc64
from tests.faults.camera import video
from tests.faults.rig import Rig
from tests.faults.tally import Tally

__all__ = ["blackhole"]

ROOT = Path(__file__).parent.parent.parent
FPS, FRAME = 25, 20_000


def blackhole(rig: Rig, seed: int, folder: Path, outage_s: int, *, lead_s: int = 3) -> Tally:
    """25 frames a second; after ``lead_s`` nothing moves for ``outage_s``, then the network is
    back and the camera films until it must have caught up.

    Notes of the tally: ``p99 ms`` and ``max ms`` of write, ``caught up s`` behind the heal. An
    outage of a minute and more is held to their limits, too; a short one in a gate is not.
    """
    tally = Tally(f"blackhole of {outage_s} s", seed)
    folder.mkdir(parents=True, exist_ok=True)
    seconds = lead_s + 2 * outage_s + outage_s // 2 + 5
    orders = {
        "folder": str(folder / "spool"),
        "bucket": rig.cloud.bucket,
        "endpoint": rig.proxy.endpoint,
        "region": rig.cloud.region,
        "credentials": rig.token().to_json(),
        "key": f"film/{seed}",
        "seed": seed,
        "fps": FPS,
        "size": FRAME,
        "frames": FPS * seconds,
        "timeout_s": min(20, max(1, outage_s // 4)),
        "drain_s": 60,
    }
    command = [sys.executable, "-m", "tests.faults.filming", json.dumps(orders)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as camera:
        try:
            told = _watch(rig, camera, lead_s, outage_s, tally)
        finally:
            camera.kill()
            rig.proxy.heal()
    _judge(rig, tally, orders, told)
    if outage_s >= 60:
        caught_up = float(tally.notes.get("caught up s", "inf"))  # type: ignore[arg-type]
        told = {"caught_up_s": caught_up, **told}
        for name, most in {"p99_ms": 5, "max_ms": 50, "caught_up_s": 1.5 * outage_s}.items():
            tally.expect(told.get(name, most + 1) <= most, f"{name}: {told.get(name)}, not {most}")
    return tally


def _watch(rig: Rig, camera, lead_s: int, outage_s: int, tally: Tally) -> dict:
    """Breaks and heals the network by the camera's own seconds; returns the last words."""
    told: dict = {}
    healed = 0.0
    for line in camera.stdout:
        said = json.loads(line)
        told |= said
        if "second" not in said:
            continue
        tally.expect(said["balance"] == 0, f"the law is broken: {said}")
        if said["second"] == lead_s:
            rig.proxy.blackhole()
            tally.tried += 1
        elif said["second"] == lead_s + outage_s:
            rig.proxy.heal()
            healed = time.monotonic()
            tally.notes["backlog MiB"] = round(said["spooled"] / (1 << 20), 1)
        elif healed and said["spooled"] < 2 * FPS * FRAME and "caught up s" not in tally.notes:
            tally.notes["caught up s"] = round(time.monotonic() - healed, 1)
    return told


def _judge(rig: Rig, tally: Tally, orders: dict, told: dict) -> None:
    crc = 0
    for frame in video(orders["seed"], orders["frames"], FRAME):
        crc = crc64(frame, crc)
    tally.expect(told.get("ended", False), "the camera died")
    tally.expect(told.get("drained") is True, "not all was delivered")
    receipt = told.get("receipt", {})
    size = orders["frames"] * FRAME
    tally.expect(receipt.get("size") == size, f"receipt of {receipt.get('size')} of {size} bytes")
    tally.expect(receipt.get("crc64") == crc, "another CRC-64")
    held = rig.held(orders["key"]) or b""
    tally.expect(crc64(held) == crc or len(receipt.get("generations", [])) > 1, "other content")
    tally.lost += int(len(held) < size and len(receipt.get("generations", [])) == 1)
    tally.expect(told.get("tombstones") == 0, f"{told.get('tombstones')} tombstones")
    for name in ("p99_ms", "max_ms", "peak_mib"):
        tally.notes[name.replace("_", " ")] = round(told.get(name, -1), 2)
