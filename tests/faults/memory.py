"""Cameras under a memory limit of the kernel: a C driver with 24 MiB, a Python process with 64
MiB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ossmedia import crc64
from tests.faults import built
from tests.faults.camera import video
from tests.faults.cgroup import MemoryLimit
from tests.faults.rig import Rig
from tests.faults.spooled import SpooledCamera
from tests.faults.tally import Tally

__all__ = ["C_LIMIT", "PYTHON_LIMIT", "backlog", "in_c", "in_python"]

ROOT = Path(__file__).parent.parent.parent
MIB = 1 << 20
C_LIMIT, PYTHON_LIMIT = 24 * MIB, 64 * MIB


def run(tally: Tally, limit: int, command: list[object]) -> str:
    """Runs a camera inside the limit; returns what it printed."""
    with MemoryLimit(limit) as group:
        done = subprocess.run(
            group.inside(*command),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    tally.expect(done.returncode == 0, f"status {done.returncode}: {done.stderr[-500:]}")
    tally.expect(group.kills == 0, f"{group.kills} kills by the kernel")
    tally.notes["peak MiB"] = round(group.peak / MIB, 1)
    tally.tried += 1
    return done.stdout


def in_c(rig: Rig, seed: int, mib: int) -> Tally:
    """So many MiB by multipart upload through the C core alone."""
    tally = Tally(f"C driver in {C_LIMIT // MIB} MiB, {mib} MiB of video", seed)
    cloud, token = rig.cloud, rig.token()
    keys = [token.access_key_id, token.access_key_secret, token.security_token]
    where = [cloud.endpoint, cloud.bucket, cloud.region]
    told = run(tally, C_LIMIT, [built.driver(), *where, *keys, "stream", mib])
    tally.expect("equal 1" in told, f"the C driver said {told!r}")
    return tally


def in_python(rig: Rig, seed: int, mib: int) -> Tally:
    """So many MiB by multipart upload from a camera in Python."""
    tally = Tally(f"Python process in {PYTHON_LIMIT // MIB} MiB, {mib} MiB of video", seed)
    orders = {
        "bucket": rig.cloud.bucket,
        "endpoint": rig.cloud.endpoint,
        "region": rig.cloud.region,
        "credentials": rig.token().to_json(),
        "mode": "wb",
        "key": "memory/py",
        "seed": seed,
        "pieces": mib,
        "size": MIB,
        "options": {"block_size": MIB, "blocks": 4},
    }
    run(tally, PYTHON_LIMIT, [sys.executable, "-m", "tests.faults.camera", json.dumps(orders)])
    crc = 0
    for piece in video(seed, mib, MIB):
        crc = crc64(piece, crc)
    held = rig.cloud.cloud.store.object(rig.cloud.bucket, "memory/py")
    tally.expect(held is not None and held.crc == crc, "another CRC-64 is stored")
    return tally


def backlog(rig: Rig, seed: int, folder: Path, mib: int) -> Tally:
    """A Python process that finds so many MiB in its spool and delivers them."""
    tally = Tally(f"Python process in {PYTHON_LIMIT // MIB} MiB, backlog of {mib} MiB", seed)
    camera = SpooledCamera(
        rig,
        folder / "backlog",
        seed,
        pieces=mib // 2,
        size=MIB,
        keys=("a/0", "w/0"),
        max_bytes=(mib + 64) * MIB,
    )
    camera.orders["sync_every"] = 64
    told = run(tally, PYTHON_LIMIT, camera.command("write"))
    told += run(tally, PYTHON_LIMIT, camera.command("drain", drain_s=300))
    camera.witness.hear(told)
    tally.expect(camera.witness.last("drained") is True, "not drained")
    camera.check_law(tally, "backlog")
    for key in camera.orders["keys"]:
        crc = 0
        for piece in video(f"{seed} {key}", mib // 2, MIB):
            crc = crc64(piece, crc)
        held = rig.cloud.cloud.store.object(rig.cloud.bucket, key)
        tally.expect(held is not None and held.crc == crc, f"{key}: another CRC-64 is stored")
    return tally
