"""Failures in a row of one upload: how many, since when, and until when nobody tries again.

In flow errors and times, out flow numbers. It never waits and never decides; its user's lock guards
it.
"""

from __future__ import annotations

from ossmedia.errors import IntegrityError

__all__ = ["Failures"]


class Failures:
    """``since``: when the first one in a row came. ``not_before``: the back-off, shared, or every
    worker would knock by itself; 0: none. Both in seconds of the monotonic clock."""

    __slots__ = ("_count", "_damages", "not_before", "since")

    def __init__(self) -> None:
        self.since = self.not_before = 0.0
        self._count = self._damages = 0

    def add(self, error: Exception, now: float) -> int:
        """Which one in a row it is, from 1; damages are counted by themselves, as one is final only
        when it comes back."""
        self._count += 1
        if self._count == 1:
            self.since = now
        if isinstance(error, IntegrityError):
            self._damages += 1
            return self._damages
        return self._count

    def wait_until(self, moment: float) -> None:
        self.not_before = max(self.not_before, moment)

    def clear(self) -> None:
        self._count = self._damages = 0
        self.not_before = 0.0
