"""Finished segments on their way to the worker that stores them: a few, in order.

In flow segments from the recording thread, out flow the same to the worker. When there are too many
it lets go of the oldest or makes the recording wait, as it was told, and a segment after a hole
says so. It never touches a segment's bytes.
"""

from __future__ import annotations

import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia.clock import Clock
    from ossmedia.segments import Segment

__all__ = ["SegmentQueue"]


class SegmentQueue:
    """Any number of threads.

    Args:
        most: segments that may wait. drop: too many: the oldest goes; else ``put`` waits.
        dropped: called with each segment that went, and why.
    """

    def __init__(
        self, clock: Clock, most: int, *, drop: bool, dropped: Callable[[Segment, str], object]
    ) -> None:
        self._changed = threading.Condition()
        self._clock = clock
        self._most = self._usual = most
        self._drop = drop
        self._dropped = dropped
        self._waiting: deque[Segment] = deque()
        self._closed = False
        self._next_ms: int | None = None  # announced as the next one: may not go
        self._open_ms: int | None = None  # of the segment being written, if it will come

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        return self._closed

    # -- the recording's side

    def opened(self, start_ms: int) -> None:
        """A segment that will come was begun."""
        with self._changed:
            self._open_ms = start_ms

    def allow(self, more: int) -> None:
        """So many may wait besides, from now on: what an event brings at once."""
        with self._changed:
            self._most = max(self._most, self._usual + more)

    def put(self, segment: Segment, next_ms: int | None = None) -> None:
        """One more; nothing comes in once the queue is closed.

        Args:
            next_ms: when the one after it began, if that will come. Told by ``opened`` later, the
                worker might be quicker, and store a list that says that nothing is known to follow.
        """
        gone: list[tuple[Segment, str]] = []
        with self._changed:
            self._open_ms = segment.start_ms
            while len(self._waiting) >= self._most and not self._closed:
                if self._drop:
                    gone.append((self._let_go(segment), "too many wait"))
                else:
                    self._clock.wait(self._changed, None)
            if self._closed:
                gone.append((segment, "given up"))
            else:
                self._waiting.append(segment)
                self._changed.notify_all()
            self._open_ms = next_ms
        for one, reason in gone:
            self._dropped(one, reason)

    def _let_go(self, newest: Segment) -> Segment:
        """The oldest that was not announced; what follows it is a discontinuity then."""
        at = 1 if self._waiting[0].start_ms == self._next_ms else 0
        gone = self._waiting[at]
        del self._waiting[at]
        follows = self._waiting[at] if at < len(self._waiting) else newest
        follows.discontinuity = True
        return gone

    def close(self) -> None:
        """Nothing more comes in; ``take`` hands out what is there."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # -- the worker's side

    def take(self) -> Segment | None:
        """The oldest one, as soon as there is one; None: the queue is closed and empty."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._clock.wait(self._changed, None)
            if not self._waiting:
                return None
            self._changed.notify_all()
            return self._waiting.popleft()

    def announce(self) -> int | None:
        """When the next segment begins, in ms since 1970, if that is known; it stays, then."""
        with self._changed:
            self._next_ms = self._waiting[0].start_ms if self._waiting else self._open_ms
            return self._next_ms

    def pause(self, seconds: float) -> None:
        """Waits so long, or until the queue is being closed."""
        end = self._clock.monotonic() + seconds
        with self._changed:
            before = self._closed
            while self._closed == before and (left := end - self._clock.monotonic()) > 0:
                self._clock.wait(self._changed, left)

    def empty(self) -> list[Segment]:
        """Closes the queue and takes everything out."""
        with self._changed:
            self._closed = True
            rest = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            return rest
