"""Whether the machine belonged to the benchmark while it ran.

In flow the system's times, out flow lines that name a busy machine. It corrects no figure.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["Watch"]

BUSY_LOAD = 0.7  # at the start, before anything of ours ran
BUSY_CORES = 0.2  # of other processes, on average over the run
STAT = Path("/proc/stat")


class Watch:
    """From its making on."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._begin = time.monotonic()
        self._all, self._stolen, self._own = _times()

    def told(self) -> list[str]:
        """The load, and what others took of the cores since the start."""
        everybody, stolen, own = (
            now - then
            for now, then in zip(_times(), (self._all, self._stolen, self._own), strict=True)
        )
        took = max(time.monotonic() - self._begin, 1e-9)
        others, away = max(everybody - own, 0) / took, stolen / took
        load = f"- load average {self._load:.2f} at the start, {os.getloadavg()[0]:.2f} at the end"
        lines = [f"{load}; {others:.2f} cores went to other processes, {away:.2f} to the host"]
        if self._load > BUSY_LOAD:
            lines.append("- **busy machine**: other work ran at the start; ratios only, no times")
        if others + away > BUSY_CORES:
            lines.append("- **busy machine**: other work ran beside it; ratios only, no times")
        return lines


def _times() -> tuple[float, float, float]:
    """Seconds: of all processes, of those that the host took away, and of this process with its
    children that have ended."""
    fields = STAT.read_text().splitlines()[0].split()[1:]
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, _, _, _, _, steal = (int(value) / tick for value in fields[:8])
    return user + nice + system, steal, sum(os.times()[:4])
