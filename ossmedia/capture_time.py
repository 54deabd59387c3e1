"""When a picture was taken: the encoder's timestamps on the wall clock.

In flow timestamps at the beginning of each segment, out flow milliseconds since 1970 UTC. It never
moves a segment that goes on where the one before ended, unless the clock was wrong or has drifted.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.clock import Clock

__all__ = ["CaptureTime"]

_TICKS_PER_MS = 90
_DRIFT_MS = 1000  # a crystal's 50 ppm need hours for it; a player shows it as a jump


class CaptureTime:
    """The wall clock as the timestamps tell it.

    Args:
        start: seconds since 1970 UTC of the first timestamp; then only timestamps count. None: the
            clock's, followed wherever the recording runs in real time, so that a camera that boots
            in 1970, or whose crystal drifts, comes right with the next segment.
    """

    def __init__(self, clock: Clock, start: float | None) -> None:
        self._clock = clock
        self._start_ms = None if start is None else round(start * 1000)
        self._follows = start is None
        self._anchor: tuple[int, int] | None = None  # a timestamp, and its time in ms
        self._last = (0, 0.0)  # timestamp and monotonic seconds of the segment before

    def begin(self, pts: int, *, anew: bool) -> int:
        """A segment begins: when its first picture was taken.

        Args:
            pts: in ticks of 90 kHz. anew: it does not go on where the one before ended, so its
                timestamps may be of another beginning.
        """
        now_ms, monotonic = round(self._clock.now() * 1000), self._clock.monotonic()
        if self._anchor is None:
            self._anchor = (pts, now_ms if self._start_ms is None else self._start_ms)
        elif self._follows and (anew or self._drifted(pts, now_ms, monotonic)):
            self._anchor = (pts, now_ms)
        elif anew and pts <= self._last[0]:  # began again: told time goes on
            self._anchor = (pts, self._at(self._last[0]))
        self._last = (pts, monotonic)
        return self._at(pts)

    def _at(self, pts: int) -> int:
        assert self._anchor is not None
        return self._anchor[1] + (pts - self._anchor[0]) // _TICKS_PER_MS

    def _drifted(self, pts: int, now_ms: int, monotonic: float) -> bool:
        """Only in real time does the clock say when a picture was taken: a file piped in does
        not."""
        recorded_s = (pts - self._last[0]) / 90_000
        took_s = monotonic - self._last[1]
        real_time = abs(recorded_s - took_s) <= 0.25 * recorded_s + 0.5
        return real_time and abs(self._at(pts) - now_ms) > _DRIFT_MS
