"""What a request and a MiB cost in user-space instructions, counted by valgrind's callgrind: no
clock, so no noise, and a gate on them is safe on any machine.

In flows nothing, out flow the slopes between two run lengths, which leave out starting Python and
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

__all__ = ["GOALS", "available", "measure"]

MIB = 1 << 20
PUT_RUNS, BULK_RUNS, BULK = (50, 250), (2, 6), 16 * MIB
GOALS = {"put 1 KiB": 45_000, "MiB / CRC floor": 1.05}  # x86_64

# Each line is a program; {n} is the run's length.
PUT = "for _ in range({n}): store.exchange('PUT', 'camera/frame', body=data)"
CRC = "for _ in range({n}): crc64(data)"
PROGRAM = """
from bench.sink import attach
from ossmedia._native import crc64
store, data = attach({endpoint!r}), bytes(range(256)) * ({size} // 256)
{line}
"""


def available() -> str:
    """Why nothing can be counted here; "" when it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    return ""


def instructions(line: str, runs: int, size: int, endpoint: str) -> int:
    """User-space instructions of one run of the program, from its first to its last."""
    program = PROGRAM.format(endpoint=endpoint, size=size, line=line.format(n=runs))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind.out")
        subprocess.run(
            [
                "valgrind",
                "--quiet",
                "--tool=callgrind",
                f"--callgrind-out-file={out}",
                sys.executable,
                "-c",
                program,
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            timeout=300,
        )
        found = re.search(r"^(?:summary|totals):\s*(\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("callgrind wrote no total")
    return int(found[1])


def slope(line: str, runs: tuple[int, int], size: int, endpoint: str) -> float:
    """Instructions of one more repetition."""
    short, long = (instructions(line, n, size, endpoint) for n in runs)
    return (long - short) / (runs[1] - runs[0])


def measure() -> dict[str, float]:
    """Instructions of a signed V4 PUT of 1 KiB; and for 16 MiB, of a MiB of PUT with its CRC-64
    checked, of a MiB of CRC-64 alone, and the first over the second."""
    with Sink() as sink:
        put = slope(PUT, PUT_RUNS, 1024, sink.endpoint)
        bulk = slope(PUT, BULK_RUNS, BULK, sink.endpoint) / (BULK // MIB)
        floor = slope(CRC, BULK_RUNS, BULK, sink.endpoint) / (BULK // MIB)
    return {
        "put 1 KiB": put,
        "MiB": bulk,
        "CRC floor": floor,
        "MiB / CRC floor": bulk / floor,
    }


def main() -> int:
    reason = available()
    if reason:
        print(json.dumps({"skipped": reason}) if "--json" in sys.argv else reason)
        return 0
    counts = measure()
    if "--json" in sys.argv:
        print(json.dumps(counts))
        return 0
    for name, count in counts.items():
        goal = f" (goal {GOALS[name]:,})" if name in GOALS else ""
        print(f"{name:18}{count:14,.2f}{goal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
