"""Faults in system calls, by strace: kill -9 at the n-th call of a name, or an error from it.

strace counts per thread and name, so a scenario enumerates n for each name, and keeps what it
wants to hit in few threads.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

__all__ = ["CALLS", "count", "points", "spoiled"]

CALLS = (
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "fdatasync",
    "fsync",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "sendto",
    "sendmsg",
    "recvfrom",
)


def _strace(log: Path | str, *expressions: str) -> list[str]:
    options = [word for expression in expressions for word in ("-e", expression)]
    # Not --seccomp-bpf: with it strace 6.1 counts, but delivers no signal.
    return ["strace", "-f", "-qq", "-o", str(log), *options]


def count(command: list[str], log: Path, **options: object) -> dict[str, int]:
    """Runs the command in peace; how often its busiest thread made each call.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    names = "trace=" + ",".join(f"?{name}" for name in CALLS)
    subprocess.run([*_strace(log, names), *command], check=True, **options)
    made: Counter[tuple[str, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        pid, _, call = line.partition(" ")
        name = call.strip().partition("(")[0]
        if name in CALLS:
            made[pid, name] += 1
    return {
        name: max((n for (_, other), n in made.items() if other == name), default=0)
        for name in CALLS
    }


def points(made: dict[str, int], most: int, dice) -> list[tuple[str, int]]:
    """(name, n) of every call that was made, or ``most`` of them: shared out evenly between the
    names, first and last of each among them."""
    every = {name: list(range(1, times + 1)) for name, times in made.items() if times}
    if sum(map(len, every.values())) <= most:
        return [(name, n) for name, numbers in every.items() for n in numbers]
    chosen = []
    left = most
    for rank, name in enumerate(sorted(every, key=lambda name: len(every[name]))):
        numbers = every[name]
        share = min(len(numbers), max(2, left // (len(every) - rank)))
        edges = {numbers[0], numbers[-1]}
        inner = [n for n in numbers if n not in edges]
        picked = sorted(edges | set(dice.sample(inner, min(len(inner), share - len(edges)))))
        chosen += [(name, n) for n in picked]
        left -= len(picked)
    return chosen


def spoiled(command: list[str], name: str, nth: int | str, how: str = "signal=KILL") -> list[str]:
    """The command under strace.

    Args:
        nth: which call of each thread, from 1; "3+" for all from the third on.
        how: "signal=KILL", "error=EIO", "delay_enter=300000".
    """
    return [
        *_strace("/dev/null", f"trace={name}", f"inject={name}:{how}:when={nth}"),
        *command,
    ]
