"""The last seconds before an event, kept in memory until the event comes or they are too old.

In flow finished segments, out flow those to keep. It never talks to OSS, and holds no more than the
time it was asked for and one segment.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.segments import Segment

__all__ = ["PreRoll"]

TICKS = 90_000  # one second


class PreRoll:
    """A ring of segments between events.

    Args:
        pre_roll_s: seconds before an event to keep at least, once so much was recorded.
    """

    def __init__(self, pre_roll_s: float) -> None:
        self._wanted = round(pre_roll_s * TICKS)
        self._ring: deque[Segment] = deque()
        self._length = 0  # of the ring, in ticks
        self._left = 0  # of the event, in ticks; nothing is kept back while there is some
        self._gap = False  # something was let go of since the last event

    @property
    def recording(self) -> bool:
        """Whether an event is being recorded."""
        return self._left > 0

    def trigger(self, post_roll_s: float, elapsed: int) -> list[Segment]:
        """An event: what was recorded before it, to be kept; what follows is kept for so long.

        Args:
            elapsed: ticks of the segment being written so far.
        """
        self._left = max(self._left, round(post_roll_s * TICKS) + elapsed)
        kept = list(self._ring)
        self._ring.clear()
        self._length = 0
        for segment in kept[:1]:
            self._mark(segment)
        return kept

    def add(self, segment: Segment) -> Segment | None:
        """One more segment; it comes back when it belongs to an event."""
        if self._left > 0:
            self._left -= segment.duration
            self._mark(segment)
            return segment
        self._ring.append(segment)
        self._length += segment.duration
        while self._length - self._ring[0].duration >= self._wanted:
            self._length -= self._ring.popleft().duration
            self._gap = True
        return None

    def _mark(self, segment: Segment) -> None:
        segment.discontinuity = segment.discontinuity or self._gap
        self._gap = False
