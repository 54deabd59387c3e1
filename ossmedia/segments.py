"""Cuts a recording into segments: access units and audio frames in, finished segments of an MPEG
transport stream out.

Segments begin with key frames only and follow one another without a hole, or say so. One segment
is one growing piece of memory. It never waits, and a unit that no player could use changes nothing
but that pictures are missing up to the next key frame.

Source: RFC 8216, 3 and 6.2.1.
"""

from __future__ import annotations

from ossmedia._native_ts import (
    AUDIO,
    GAP,
    IS_KEY,
    KEY,
    NOT_KEY,
    SEGMENT,
    UNLESS_KEY,
    TsBuffer,
)
from ossmedia.access_units import is_parameter_sets
from ossmedia.errors import MediaError
from ossmedia.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from ossmedia._native_ts import TsMuxer
    from ossmedia.capture_time import CaptureTime
    from ossmedia.model import Receipt

__all__ = ["DroppedSegment", "RecordedSegment", "Segment", "Segmenter"]

TICKS = 90_000  # one second
_LEAP = 60 * TICKS  # further ahead than a pause: a wrong timestamp
_APART = 10 * TICKS  # audio further away from video: of another beginning
_FIRST_ROOM = 256 << 10  # bytes


class Segment:
    """One segment, finished: ``data``, its first picture's time ``start_ms`` (since 1970 UTC), its
    ``duration`` in ticks of 90 kHz, and whether it is a ``discontinuity``."""

    __slots__ = ("data", "discontinuity", "duration", "start_ms")

    def __init__(self, data: bytearray, start_ms: int, duration: int, discontinuity: bool) -> None:
        self.data = data
        self.start_ms = start_ms
        self.duration = duration
        self.discontinuity = discontinuity


class RecordedSegment(Value):
    """What a listener is told of a segment that is stored: ``key``, ``sequence``, ``start`` in
    seconds since 1970 UTC, ``duration_s``, ``size`` in bytes, ``discontinuity``, ``receipt`` (None:
    it is in the spool)."""

    __slots__ = ("key", "sequence", "start", "duration_s", "size", "discontinuity", "receipt")
    key: str
    sequence: int
    start: float
    duration_s: float
    size: int
    discontinuity: bool
    receipt: Receipt | None

    def __init__(
        self, key: str, sequence: int, segment: Segment, receipt: Receipt | None = None
    ) -> None:
        self._set(
            key=key,
            sequence=sequence,
            start=segment.start_ms / 1000,
            duration_s=segment.duration / TICKS,
            size=len(segment.data),
            discontinuity=segment.discontinuity,
            receipt=receipt,
        )


class DroppedSegment(Value):
    """What a listener is told of a segment that is lost: ``start`` in seconds since 1970 UTC,
    ``duration_s``, ``size`` in bytes, ``reason``."""

    __slots__ = ("start", "duration_s", "size", "reason")
    start: float
    duration_s: float
    size: int
    reason: str

    def __init__(self, segment: Segment, reason: str) -> None:
        self._set(
            start=segment.start_ms / 1000,
            duration_s=segment.duration / TICKS,
            size=len(segment.data),
            reason=reason,
        )


class Segmenter:
    """Frames of one recording; one caller at a time.

    Args:
        muxer: of the program. video: whether it has a video track; without one, segments are cut by
            time.
        segment_time: seconds; a segment ends at the key frame from which on it would become longer
            than that, rounded.
        limit: bytes of one segment; one that reaches it without a key frame ends there.
        finished: called with each finished ``Segment``.
    """

    def __init__(
        self,
        muxer: TsMuxer,
        times: CaptureTime,
        finished: Callable[[Segment], object],
        *,
        video: bool,
        h265: bool = False,
        segment_time: float = 6.0,
        limit: int = 64 << 20,
    ) -> None:
        self._muxer = muxer
        self._times = times
        self._finished = finished
        self._video = video
        self._h265 = h265
        self._wanted = round(segment_time * TICKS)
        self.target_s = max(1, (2 * self._wanted + TICKS) // (2 * TICKS))
        self._limit = limit
        self._out = TsBuffer(_FIRST_ROOM)
        self._size = 0  # of what is in it
        self.open_start_ms: int | None = None  # of the segment being written, if there is one
        self._start = 0  # its first timestamp
        self._discontinuity = False  # of the one being written
        self._gap = False  # something is missing before the next
        self._waits = video  # for a key frame
        self._last: int | None = None  # the last frame's DTS
        self._step = 0  # from the frame before to the last, in DTS
        self._end = 0  # the latest PTS
        self._last_key = 0  # the last key frame's PTS
        self.frames = 0
        self.skipped = 0  # not written for want of a key frame, or refused

    # -- what comes in

    def video(self, unit: Buffer, pts: int, dts: int, keyframe: bool | None) -> None:
        """One access unit.

        Raises:
            MediaError: it is refused, and all are skipped up to the next key frame.
        """
        try:
            if keyframe or not self._goes_on(unit, pts, dts, keyframe):
                key = self._muxer.is_keyframe(unit) if keyframe is None else keyframe
                if self._waits and not key:
                    self._skip(unit, pts, dts)
                    return
                self._frame(unit, pts, dts, key)
        except MediaError:
            self.skipped += 1
            self._waits = True
            raise
        self._check_limit()

    def audio(self, frames: Buffer, pts: int) -> None:
        """Whole audio frames; before the first key frame they are skipped.

        Raises:
            MediaError: they are refused.
        """
        try:
            if not self._video:
                self._frame(frames, pts, pts, True)
            elif self.open_start_ms is None or self._last is None:
                self.skipped += 1
            elif abs(pts - self._last) > _APART:
                raise MediaError(f"audio pts: {pts} is more than 10 s from video at {self._last}")
            else:
                self._size += self._muxer.write(frames, pts, pts, self._out, AUDIO)
                self.frames += 1
        except MediaError:
            self.skipped += 1
            raise
        self._check_limit()

    def _skip(self, unit: Buffer, pts: int, dts: int) -> None:
        """Nothing can be decoded before a key frame, but parameter sets may come before it."""
        if is_parameter_sets(unit, self._h265):
            self._muxer.write(unit, pts, dts, TsBuffer())
        else:
            self.skipped += 1

    def _goes_on(self, unit: Buffer, pts: int, dts: int, keyframe: bool | None) -> bool:
        """Writes a picture as nearly all are: neither a key frame, nor the first, nor at a time
        that would have to be looked into. False: it is none."""
        last = self._last
        if last is None or self.open_start_ms is None or self._waits:
            return False
        if not 0 < dts - last <= _LEAP:
            return False
        asks = UNLESS_KEY if keyframe is None else NOT_KEY
        written = self._muxer.write(unit, pts, dts, self._out, asks)
        if written == IS_KEY:
            return False
        if written:  # else parameter sets alone
            self._step, self._last = dts - last, dts
            self._end = max(self._end, pts)
            self._size += written
            self.frames += 1
        return True

    def _frame(self, unit: Buffer, pts: int, dts: int, key: bool) -> None:
        """A frame of the track that decides about segments."""
        self._check_time(dts, key)
        if key and self.open_start_ms is not None:
            if self._gap or self._paused(dts):
                self.finish()
            elif self._due(pts):
                self._close(pts)
        begins = self.open_start_ms is None
        flags = (KEY if key else NOT_KEY) if self._video else AUDIO
        if begins:
            flags |= SEGMENT | (GAP if self._gap else 0)
        written = self._muxer.write(unit, pts, dts, self._out, flags)
        if not written:  # parameter sets alone
            return
        if self._last is not None and dts > self._last and not (begins and self._gap):
            self._step = dts - self._last
        if begins:
            self._open(pts)
        if key:
            self._last_key = pts
        self._last, self._end = dts, max(self._end, pts)
        self._size += written
        self._waits = False
        self.frames += 1

    def _check_time(self, dts: int, key: bool) -> None:
        """Times that go back, or leap: at a key frame they begin anew; elsewhere they are wrong."""
        if self._last is None:
            return
        step = dts - self._last
        if step <= 0:
            if not key or step >= -TICKS:
                raise MediaError(f"dts: {dts} is not after the last one, {self._last}")
            self._gap = True
        elif step > _LEAP and not key:
            raise MediaError(f"dts: {dts} is more than 60 s after the last one, {self._last}")

    def _paused(self, dts: int) -> bool:
        """Whether nothing was captured for a while before this frame."""
        assert self._last is not None
        longest = max(TICKS, 10 * self._step) if self._step else _APART
        return dts - self._last > longest

    def _due(self, pts: int) -> bool:
        """Whether the segment ends here: it is long enough, or would be too long at the next key
        frame."""
        elapsed = pts - self._start
        next_key = elapsed + pts - self._last_key
        return elapsed >= self._wanted or next_key >= self.target_s * TICKS + TICKS // 2

    # -- what goes out

    @property
    def elapsed(self) -> int:
        """Ticks of the segment being written so far."""
        return 0 if self.open_start_ms is None else self._end - self._start

    def finish(self) -> None:
        """Ends the segment with its last frame; the next one is a discontinuity."""
        self._gap = True
        if self.open_start_ms is not None:
            self._close(self._end + (self._step or TICKS // 25))

    def _check_limit(self) -> None:
        if self._size < self._limit:
            return
        self.finish()
        self._waits = self._video
        raise MediaError(
            f"segment: {self._limit} bytes without an end; going on with the next key frame"
        )

    def _open(self, pts: int) -> None:
        self.open_start_ms = self._times.begin(pts, anew=self._gap)
        self._discontinuity, self._gap = self._gap, False
        self._start = self._end = pts

    def _close(self, end: int) -> None:
        data, start_ms = self._out.take(), self.open_start_ms
        assert start_ms is not None
        # Memory is taken at once for a segment like this one.
        self._out = TsBuffer(min(self._size + self._size // 8, self._limit))
        self._size, self.open_start_ms = 0, None
        duration = max(end - self._start, 1)
        self._finished(Segment(data, start_ms, duration, self._discontinuity))
