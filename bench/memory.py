"""How much memory a writer takes while 1 GiB goes through it.

In flow the size of an object, out flow bytes. Run as ``python -m bench.memory [--json]``.

The rule: a fresh process first writes a multipart object of three smallest blocks, so that threads,
connections and modules are there; then its high-water mark is set back to what it holds now, and
the growth of that mark while the large object is written is the writer's memory.
"""

from __future__ import annotations

import json
import subprocess
import sys

from bench.sink import ROOT, Sink, bucket

__all__ = ["BLOCKS", "BLOCK_SIZE", "GOAL", "SIZE", "measure"]

SIZE = 1 << 30
BLOCK_SIZE, BLOCKS = 1 << 20, 4
GOAL = BLOCK_SIZE * BLOCKS + 256 * 1024


def mark() -> int:
    """This process's high-water mark of resident memory in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def set_back() -> None:
    """Makes the high-water mark what is resident now."""
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def write(endpoint: str, size: int) -> int:
    """Writes in this process; returns the growth of its high-water mark in bytes."""
    frame = bytes(22 * 1024)
    with bucket(endpoint) as there:
        with there.open("memory/warm", "wb", block_size=102_400, blocks=2) as writer:
            for _ in range(3 * 102_400 // len(frame) + 1):
                writer.write(frame)
        set_back()
        before = mark()
        with there.open(
            "memory/large", "wb", block_size=BLOCK_SIZE, blocks=BLOCKS, parallel=2
        ) as writer:
            for _ in range(size // len(frame)):
                writer.write(frame)
            writer.write(frame[: size % len(frame)])
        assert writer.result is not None
        assert writer.result.size == size
        return mark() - before


def measure(size: int = SIZE) -> int:
    """The growth in bytes, of a process of its own beside a sink that keeps nothing."""
    with Sink() as sink:
        done = subprocess.run(
            [sys.executable, "-m", "bench.memory", sink.endpoint, str(size)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
            timeout=100,
        )
    return int(done.stdout)


def main(arguments: list[str]) -> int:
    if len(arguments) == 2:  # the process of its own
        print(write(arguments[0], int(arguments[1])))
        return 0
    growth = measure()
    if arguments == ["--json"]:
        print(json.dumps({"size": SIZE, "growth": growth}))
    else:
        print(f"1 GiB in {BLOCKS} blocks of 1 MiB: {growth:,} bytes more (goal {GOAL:,})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
