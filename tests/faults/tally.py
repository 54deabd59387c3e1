"""What a run of faults came to: how many were tried, what went wrong, and the seed to play it again
with."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Tally", "fresh_seed", "gate_seed", "known_seeds"]

SEEDS = Path(__file__).with_name("seeds.txt")
GATE = 7_422_749  # of pytest: its runs are alike; ``python -m tests.faults`` looks for new ones


def gate_seed() -> int:
    """FAULTS_SEED, or the gate's own: always the same."""
    return int(os.environ.get("FAULTS_SEED") or GATE)


def fresh_seed() -> int:
    """FAULTS_SEED, or a new one."""
    return int(os.environ.get("FAULTS_SEED") or int.from_bytes(os.urandom(3), "big"))


def known_seeds(name: str) -> list[int]:
    """Seeds that found something once; "name seed  # why" lines."""
    lines = (line.split("#")[0].split() for line in SEEDS.read_text().splitlines())
    return [int(words[1]) for words in lines if len(words) == 2 and words[0] == name]


@dataclass
class Tally:
    """One scenario's run.

    Fields:
        tried: faults that really struck.
        lost, doubled, reordered: runs whose content was not what was written, by kind.
        wrong: everything else that must not be, in words.
        notes: figures worth keeping.
    """

    name: str
    seed: int
    tried: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    wrong: list[str] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)

    def dice(self) -> random.Random:
        return random.Random(f"{self.name} {self.seed}")

    def compare(self, written: bytes, held: bytes, where: str) -> bool:
        """What is stored against what was written; a difference is counted by its kind."""
        if held == written:
            return True
        kind = _kind(written, held)
        setattr(self, kind, getattr(self, kind) + 1)
        self.wrong.append(f"{where}: {kind}: {len(held)} bytes held of {len(written)} written")
        return False

    def expect(self, good: bool, what: str) -> None:
        """Counts a wrong that is none of content."""
        if not good:
            self.wrong.append(what)

    def add(self, name: str, value: int = 1) -> None:
        """Adds to a figure."""
        self.notes[name] = int(self.notes.get(name, 0)) + value  # type: ignore[call-overload]

    @property
    def good(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        sums = f"{self.lost}/{self.doubled}/{self.reordered}"
        notes = "".join(f", {name} {value}" for name, value in self.notes.items())
        text = f"{self.name}: {self.tried} faults, lost/doubled/reordered {sums}{notes}"
        text += f", seed {self.seed}"
        return text if self.good else f"{text}\n  " + "\n  ".join(self.wrong[:20])

    def check(self) -> None:
        """Prints itself (its seed, too) and raises AssertionError when anything was wrong."""
        print(self)
        assert self.good, str(self)


def _kind(written: bytes, held: bytes) -> str:
    """Content is random, so its pieces are unique: a missing tail or hole is lost, what is longer
    holds something twice, the same length in another order is reordered."""
    if len(held) < len(written):
        return "lost"
    return "doubled" if len(held) > len(written) else "reordered"
