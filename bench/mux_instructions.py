"""What it costs to make MPEG-TS, in user-space instructions, next to a plain copy of the same bytes
and next to ffmpeg's muxer through PyAV: counted by valgrind's callgrind, so without noise.

In flow access units of two sizes, out flow instructions per unit and, from the slope between the
sizes, per byte and per packet: the slope leaves out what a call from Python costs. Run as
``python -m bench.mux_instructions [--json]``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.instructions import unavailable
from bench.sink import ROOT

__all__ = ["GOALS", "measure"]

SIZES = (10_000, 20_000, 40_000, 110_000)  # bytes; 10,000: 2 Mbit/s at 25 pictures a second
COUNT = 100
WARM = 20  # pictures before it is counted: Python's interpreter settles on them
GOALS = {"packet over 1.3 copies": 60}  # at most; x86_64
# ``rep movsb`` would count as one instruction a byte: copies are counted as vectors.
TUNABLES = ":".join(f"glibc.cpu.x86_rep_{name}_threshold=1073741824" for name in ("movsb", "stosb"))

# Counters are written down and zeroed at each call of getppid, as in bench.instructions. Pictures
# are given as a camera would: bytes, one call each. The loop that gives them is counted by itself,
# and taken off.
PROGRAM = """
import os
from bench.mux_cases import border, copy, loop, own, pictures, pyav
for case, size in (({cases})):
    run = case(pictures(size, {count} + {warm}))
    for _ in range({warm}):
        next(run)
    os.getppid()
    for _ in range({count}):
        next(run)
    os.getppid()
"""
CASES = ("loop", "own", "border", "copy", "pyav")


def stretches() -> dict[tuple[str, int], float]:
    """Instructions per picture by case and size."""
    wanted = [(case, size) for case in CASES for size in SIZES]
    cases = ", ".join(f"({case}, {size})" for case, size in wanted)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counts")
        tool = ["valgrind", "--quiet", "--tool=callgrind", "--dump-before=getppid"]
        program = PROGRAM.format(cases=cases, count=COUNT, warm=WARM)
        subprocess.run(
            [*tool, f"--callgrind-out-file={out}", sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
            | {"GLIBC_TUNABLES": TUNABLES},
            check=True,
            timeout=300,
        )
        counts = {}
        for number, key in enumerate(wanted, 1):
            text = Path(f"{out}.{2 * number}").read_text()
            found = re.search(r"^(?:summary|totals):\s*(\d+)", text, re.MULTILINE)
            if found is None:
                raise RuntimeError("callgrind wrote no total")
            counts[key] = int(found[1]) / COUNT
        return {key: counts[key] - counts["loop", key[1]] for key in wanted}


def measure() -> dict[str, float]:
    """Instructions of a packet and of a copy of its bytes; of a call and of a picture; and how many
    times more PyAV needs for it, next to all of our own, and next to our C alone."""
    counts = stretches()
    packets = (SIZES[-1] - SIZES[0]) / 184
    own, copy = (
        (counts[case, SIZES[-1]] - counts[case, SIZES[0]]) / packets for case in ("own", "copy")
    )
    found = {
        "packet": own,
        "copy of a packet's bytes": copy,
        "packet over 1.3 copies": own - 1.3 * copy,
        "call from Python": counts["border", SIZES[0]],
    }
    for size in SIZES:
        whole, peer = counts["own", size], counts["pyav", size]
        found[f"picture of {size:,} B"] = whole
        found[f"{size:,} B: PyAV / own"] = peer / whole
        found[f"{size:,} B: PyAV / own, without the calls"] = peer / (
            whole - counts["border", size]
        )
    return found


def main() -> int:
    reason = unavailable()
    counts: dict[str, float] = {} if reason else measure()
    if "--json" in sys.argv:
        print(json.dumps(counts or {"skipped": reason}))
    elif reason:
        print(f"nothing counted: {reason}")
    for name, count in counts.items() if "--json" not in sys.argv else ():
        goal = f"  (goal {GOALS[name]:,})" if name in GOALS else ""
        print(f"{name:42}{count:12,.1f}{goal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
