"""A memory limit for one process, by the kernel's memory controller: version 1 or 2, whichever is
mounted. It counts the page cache, too, which the kernel takes back before it kills."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["MemoryLimit", "missing"]

V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def missing() -> str:
    """Why no limit can be set here; "" when it can."""
    if os.geteuid() != 0:
        return "needs root: makes a cgroup"
    if (V1 / "memory.limit_in_bytes").exists():
        return ""
    controllers = V2 / "cgroup.subtree_control"
    if controllers.exists() and "memory" in controllers.read_text().split():
        return ""
    return "needs the memory controller of cgroups"


class MemoryLimit:
    """A group of processes that may use so many bytes.

    ``kills`` and ``peak`` are known after the ``with`` block.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kills = 0
        self.peak = 0
        old = (V1 / "memory.limit_in_bytes").exists()
        self._folder = (V1 if old else V2) / f"ossmedia-faults-{os.getpid()}"
        self._files = (
            ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")
            if old
            else ("memory.max", "memory.peak", "memory.events")
        )

    def __enter__(self) -> MemoryLimit:
        self._folder.mkdir()
        (self._folder / self._files[0]).write_text(str(self.limit))
        return self

    def inside(self, *command: object) -> list[str]:
        """The command, to be run as a member of the group."""
        join = 'echo $$ > "$0" && exec "$@"'
        words = [str(word) for word in command]
        return ["sh", "-c", join, str(self._folder / "cgroup.procs"), *words]

    def __exit__(self, *error: object) -> None:
        peak = self._folder / self._files[1]
        self.peak = int(peak.read_text()) if peak.exists() else 0
        rows = (line.split() for line in (self._folder / self._files[2]).read_text().splitlines())
        self.kills = int({row[0]: row[1] for row in rows}.get("oom_kill", 0))
        self._folder.rmdir()
