"""Every allocation fails: in the C driver each of the process, in Python each of the C core.

A refused call must say so, leave nothing behind, and work when it is made again; no object may be
anything but what was written.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from tests.faults import built
from tests.faults.rig import Rig
from tests.faults.tally import Tally

__all__ = ["has_glibc", "in_c", "in_python"]

ROOT = Path(__file__).parent.parent.parent


def has_glibc() -> bool:
    """malloc.c stands on glibc's own names."""
    return platform.libc_ver()[0] == "glibc"


def in_c(rig: Rig, seed: int) -> Tally:
    """The C driver: put, create and append, with each allocation of the process failing."""
    tally = Tally("allocations fail in C", seed)
    token = rig.token()
    keys = [token.access_key_id, token.access_key_secret, token.security_token]
    cloud = rig.cloud
    done = subprocess.run(
        [built.driver(), cloud.endpoint, cloud.bucket, cloud.region, *keys, "starve"],
        env={**os.environ, "LD_PRELOAD": str(built.shim("malloc"))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    tally.expect(done.returncode == 0, f"status {done.returncode}: {done.stderr[:500]}")
    figures = dict(line.split() for line in done.stdout.splitlines())
    tally.tried = int(figures.get("points", 0))
    tally.notes["allocations"] = int(figures.get("allocations", 0))
    for name in ("silent", "leaks"):
        tally.expect(figures.get(name) == "0", f"{name}: {figures.get(name)}")
    return tally


def in_python(rig: Rig, seed: int) -> Tally:
    """A camera in Python whose C core gets no memory, for each of its allocations."""
    tally = Tally("allocations fail in Python's core", seed)
    orders = {
        "bucket": rig.cloud.bucket,
        "endpoint": rig.cloud.endpoint,
        "region": rig.cloud.region,
        "credentials": rig.token().to_json(),
    }
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.faults.starved", json.dumps(orders)],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(built.shim("malloc"))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    tally.expect(done.returncode == 0, f"status {done.returncode}: {done.stderr[-1500:]}")
    for line in done.stdout.splitlines():
        told = json.loads(line)
        tally.tried += told["hit"]
        tally.add(told["end"])
        _judge(rig, tally, told)
    tally.expect(tally.tried > 0, "no allocation failed")
    return tally


def _judge(rig: Rig, tally: Tally, told: dict) -> None:
    written = bytes.fromhex(told["piece"]) * told["pieces"]
    held = rig.held(told["key"])
    if told["end"] == "stored":
        tally.compare(written, held or b"", told["key"])
    elif held is not None:
        good = written.startswith(held) if told["mode"] == "ab" else held == written
        tally.expect(good, f"{told['key']}: told as {told['end']}, but something else is stored")
