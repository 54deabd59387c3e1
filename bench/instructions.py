"""What a request and a MiB cost in user-space instructions, counted by valgrind's callgrind: no
clock, so no noise, and a gate on them is safe on any machine.

In flow the lengths of runs, out flow the slopes between them, which leave out starting Python and
connecting. Kernel time is not counted. Run as ``python -m bench.instructions [--json]``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.sink import ROOT, Sink

__all__ = ["GOALS", "measure", "unavailable"]

MIB = 1 << 20
PUTS, BULK, BULK_PUTS = (50, 250), 16 * MIB, (1, 3)
GOALS = {"PUT of 1 KiB": 38_000, "append of 1 KiB": 50_000, "MiB over its CRC-64": 1.05}  # x86_64

# callgrind writes down its counters and zeroes them at each call of getppid, which nothing else
# calls: one process, one start, as many stretches as are wanted.
PROGRAM = """
import os
from bench.sink import opened
from ossmedia._native import crc64
bucket, small, large = opened({endpoint!r}), bytes(1024), bytes(range(256)) * ({bulk} // 256)
live = bucket.open("camera/live", "ab", buffering=0)
def puts(data, count):
    for _ in range(count): bucket.put("camera/frame", data)
def appends(data, count):
    for _ in range(count): live.write(data)
def crcs(data, count):
    for _ in range(count): crc64(data)
puts(small, 10); appends(small, 10); puts(large, 1); crcs(large, 1)
for run, data, counts in ((puts, small, {puts}), (appends, small, {puts}),
                          (puts, large, {bulk_puts}), (crcs, large, {bulk_puts})):
    for count in counts:
        os.getppid()
        run(data, count)
        os.getppid()
"""


def unavailable() -> str:
    """Why nothing can be counted here; "" when it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if "san" in os.environ.get("LD_PRELOAD", ""):
        return "a sanitizer is loaded"
    return ""


def stretches(endpoint: str) -> list[int]:
    """Instructions of the program's stretches, in order."""
    program = PROGRAM.format(endpoint=endpoint, bulk=BULK, puts=PUTS, bulk_puts=BULK_PUTS)
    options = ["--quiet", "--tool=callgrind", "--dump-before=getppid"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counts")
        subprocess.run(
            ["valgrind", *options, f"--callgrind-out-file={out}", sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            timeout=300,
        )
        counts = []
        # Dump 1 is what came before the first call; from then on every second one is a stretch.
        for number in range(2, 2 + 2 * 8, 2):
            text = Path(f"{out}.{number}").read_text()
            found = re.search(r"^(?:summary|totals):\s*(\d+)", text, re.MULTILINE)
            if found is None:
                raise RuntimeError("callgrind wrote no total")
            counts.append(int(found[1]))
    return counts


def measure() -> dict[str, float]:
    """Instructions of a signed V4 PUT and append of 1 KiB; and for 16 MiB, of a MiB of PUT with its
    CRC-64 checked, of a MiB of CRC-64 alone, and the first over the second."""
    with Sink() as sink:
        counts = stretches(sink.endpoint)
    pairs = zip(counts[::2], counts[1::2], strict=True)
    put, append, bulk, crc = (long - short for short, long in pairs)
    puts, mib = PUTS[1] - PUTS[0], (BULK_PUTS[1] - BULK_PUTS[0]) * BULK // MIB
    bulk, floor = bulk / mib, crc / mib
    return {
        "PUT of 1 KiB": put / puts,
        "append of 1 KiB": append / puts,
        "MiB": bulk,
        "MiB of CRC-64 alone": floor,
        "MiB over its CRC-64": bulk / floor,
    }


def main() -> int:
    reason = unavailable()
    counts: dict[str, float] = {} if reason else measure()
    if "--json" in sys.argv:
        print(json.dumps(counts or {"skipped": reason}))
    elif reason:
        print(f"nothing counted: {reason}")
    for name, count in counts.items() if "--json" not in sys.argv else ():
        goal = f"  (goal {GOALS[name]:,})" if name in GOALS else ""
        print(f"{name:20}{count:14,.2f}{goal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
