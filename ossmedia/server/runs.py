"""HLS segments, folded into the runs that people see.

In flow pieces of streams (segments without a gap within one hour, UTC) in the order of their
starts, out flow runs: what was recorded without a gap, cut at full hours where it goes on for half
an hour on both sides, so that a camera that records day and night has runs of an hour, and nobody
sees a clip of a minute cut in two. No run is longer than two hours, and where it begins and ends
does not depend on who looks. It is pure, and holds no more than two runs at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "LEAST_GAP_S",
    "LONGEST_RUN_S",
    "MARGIN_S",
    "Piece",
    "Run",
    "fold",
    "gap_after",
    "run_id",
]

LEAST_GAP_S = 10.0
HOUR_S = 3600.0
HALF_S = 1800.0
LONGEST_RUN_S = 2 * HOUR_S
MARGIN_S = LONGEST_RUN_S + HALF_S  # this far around a time, all that decides a run's ends is seen

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


class Piece(NamedTuple):
    """Segments of one stream that begin in the same hour, with no more than ``LEAST_GAP_S`` between
    one's end and the next one's start; one segment is a piece, too.

    ``first``: id of the first segment; ``last_at``: start of the last; ``end_at``: latest end;
    ``longest_s``: of a segment; ``marks``: segments that are marked as discontinuities;
    ``marked``: the first one is; ``keep``, ``deleting``: any is.
    """

    camera: str
    stream: str
    first: str
    start_at: float
    last_at: float
    end_at: float
    size: int
    segments: int
    longest_s: float
    marks: int
    marked: bool
    keep: bool
    deleting: bool


def gap_after(longest_s: float) -> float:
    """How long nothing may come before a run is over, by its longest segment."""
    return max(LEAST_GAP_S, 2 * longest_s)


def run_id(stream: str, first: str) -> str:
    """The id of the run that begins with a segment: "live~<the segment's id>"."""
    return f"{_FOREIGN.sub('-', stream)[:60]}~{first}"


@dataclass(slots=True)
class Run:
    """Consecutive segments of one stream; the fields are those of ``Piece``, but
    ``discontinuities``: marked segments behind the first."""

    camera: str
    stream: str
    first: str
    start_at: float
    last_at: float
    end_at: float
    size: int
    segments: int
    longest_s: float
    discontinuities: int
    keep: bool
    deleting: bool

    @classmethod
    def of(cls, piece: Piece) -> Run:
        """A run of one piece."""
        return cls(*piece[:9], piece.marks - piece.marked, piece.keep, piece.deleting)

    @property
    def id(self) -> str:
        """The run's id."""
        return run_id(self.stream, self.first)

    def join(self, later: Run, marked: bool) -> None:
        """Takes a later run's segments; ``marked``: its first one is a discontinuity."""
        self.last_at = later.last_at
        self.end_at = max(self.end_at, later.end_at)
        self.size += later.size
        self.segments += later.segments
        self.longest_s = max(self.longest_s, later.longest_s)
        self.discontinuities += later.discontinuities + marked
        self.keep |= later.keep
        self.deleting |= later.deleting


class _Fold:
    """The run that grows, and what came since the last full hour that may part it."""

    def __init__(self, piece: Piece) -> None:
        self._began_at = piece.start_at
        self._run = Run.of(piece)
        self._tail: Run | None = None
        self._marked = False

    def goes_on(self, piece: Piece) -> bool:
        """Whether a piece belongs to what was recorded without a gap."""
        run, tail = self._run, self._tail
        end_at, longest = run.end_at, run.longest_s
        if tail is not None:
            end_at, longest = max(end_at, tail.end_at), max(longest, tail.longest_s)
        same = (piece.camera, piece.stream) == (run.camera, run.stream)
        return same and piece.start_at - end_at <= gap_after(longest)

    def add(self, piece: Piece) -> Iterator[Run]:
        """Takes a piece; gives the run that a full hour ended, if one did."""
        hour = piece.start_at // HOUR_S * HOUR_S
        newest = self._tail or self._run
        if hour > newest.start_at and hour - self._began_at >= HALF_S:
            self._settle()
            self._tail, self._marked = Run.of(piece), piece.marked
        else:
            newest.join(Run.of(piece), piece.marked)
        if self._tail is not None and piece.last_at >= _hour(self._tail) + HALF_S:
            yield self._run
            self._run, self._tail = self._tail, None

    def _settle(self) -> None:
        """What no full hour parts is one run."""
        if self._tail is not None:
            self._run.join(self._tail, self._marked)
            self._tail = None

    def end(self) -> Run:
        """The last run."""
        self._settle()
        return self._run


def _hour(run: Run) -> float:
    return run.start_at // HOUR_S * HOUR_S


def fold(pieces: Iterable[Piece]) -> Iterator[Run]:
    """Runs, from pieces in the order of camera, stream and start."""
    current: _Fold | None = None
    for piece in pieces:
        if current is not None and current.goes_on(piece):
            yield from current.add(piece)
            continue
        if current is not None:
            yield current.end()
        current = _Fold(piece)
    if current is not None:
        yield current.end()
