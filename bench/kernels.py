"""User-space instructions of the core's kernels: CRC-64, SHA-256, an HMAC, a PUT's signed head; on
this machine's architecture, and on ARM where a cross compiler is.

In flow the sources of the core, out flow counts by a plugin of qemu-user (count.c): the slope
between two lengths of the same work. Run as ``python -m bench.kernels [--json]``.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.peers.counts import TUNABLES
from bench.peers.measure import Failed
from bench.sink import build_kernels, build_plugin, build_static

__all__ = ["CASES", "count", "measure"]

ROUNDS = (10, 30)
NO_SUCH_KERNEL = 3
MIB = 1 << 20
# Title, arguments, bytes of a round, and what the count is told per: bytes of a round, or 1.
CASES: tuple[tuple[str, tuple[str, str], int, int], ...] = (
    ("CRC-64, pclmul, a byte", ("crc64", "pclmul"), MIB, MIB),
    ("CRC-64, pmull, a byte", ("crc64", "pmull"), MIB, MIB),
    ("CRC-64, tables, a byte", ("crc64", "slicing16"), MIB, MIB),
    ("SHA-256, sha-ni, a byte", ("sha256", "sha-ni"), 64 << 10, 64 << 10),
    ("SHA-256, armv8, a byte", ("sha256", "armv8"), 64 << 10, 64 << 10),
    ("SHA-256, bmi2, a byte", ("sha256", "bmi2"), 64 << 10, 64 << 10),
    ("SHA-256, portable, a byte", ("sha256", "portable"), 64 << 10, 64 << 10),
    ("HMAC of 100 B", ("hmac", "-"), 100, 1),
    ("signed head of a PUT, token of 600 B", ("sign", "-"), 600, 1),
)
GOALS = {  # at most
    "aarch64": {"CRC-64, pmull, a byte": 0.65, "CRC-64, tables, a byte": 4.3},
}
QEMU = {"x86_64": "qemu-x86_64", "aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}


def program(machine: str) -> Path:
    """The program for one architecture.

    Raises:
        Failed: there is no compiler for it, or it does not build.
    """
    if machine == platform.machine():
        return build_kernels()
    try:
        return build_static("kernels.c", machine)
    except (FileNotFoundError, subprocess.CalledProcessError) as reason:
        raise Failed(str(reason)) from reason


def count(machine: str, case: tuple[str, tuple[str, str], int, int]) -> float | None:
    """Instructions of one unit of a case; None: this architecture has no such kernel.

    Raises:
        Failed: it could not be counted.
    """
    emulator = shutil.which(QEMU[machine])
    if emulator is None:
        raise Failed(f"{QEMU[machine]} is not installed (Debian's qemu-user)")
    _, arguments, size, unit = case
    found = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "counts")
        for rounds in ROUNDS:
            plugin = f"{build_plugin()},out={out}"
            words = [emulator, "-cpu", "max", "-plugin", plugin, str(program(machine))]
            done = subprocess.run(
                [*words, *arguments, str(size), str(rounds)],
                env={"GLIBC_TUNABLES": TUNABLES},
                capture_output=True,
                timeout=120,
                check=False,
            )
            if done.returncode == NO_SUCH_KERNEL:
                return None
            marks = [int(line.split()[0]) for line in out.read_text().splitlines()]
            if done.returncode or len(marks) != 2:
                raise Failed(f"{arguments[0]} {arguments[1]}: status {done.returncode}")
            found.append(marks[1] - marks[0])
    return (found[1] - found[0]) / (ROUNDS[1] - ROUNDS[0]) / unit


def measure() -> tuple[dict[str, dict[str, float]], list[str]]:
    """Counts by architecture and title, and why what is missing is missing."""
    counts: dict[str, dict[str, float]] = {}
    reasons = []
    for machine in QEMU:
        try:
            found = {case[0]: count(machine, case) for case in CASES}
        except Failed as why:
            reasons.append(f"{machine}: {why}")
            continue
        counts[machine] = {title: value for title, value in found.items() if value is not None}
    return counts, reasons


def main() -> int:
    counts, reasons = measure()
    if "--json" in sys.argv:
        print(json.dumps(counts | {"missing": reasons}))
        return 0
    for machine, found in counts.items():
        for title, value in found.items():
            goal = GOALS.get(machine, {}).get(title)
            print(f"{machine:8} {title:40}{value:12,.2f}" + (f"  (goal {goal})" if goal else ""))
    print("\n".join(reasons))
    return 0


if __name__ == "__main__":
    sys.exit(main())
