"""Gives frames their times where nobody else does: by counting them at exact rates.

In flow buffers of an elementary video stream and of ADTS, out flow access units and audio frames
with timestamps, in the order of their times. It never drifts from the rates it was told; where
those are not the camera's, the track that falls behind catches up by a jump.
"""

from __future__ import annotations

from collections import deque

from ossmedia.access_units import AccessUnits, AdtsFrames
from ossmedia.errors import MediaError
from ossmedia.picture_order import PictureOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Data = bytes | bytearray | memoryview

__all__ = ["ClockedFrames", "FrameClock"]

TICKS = 90_000  # one second
_APART = 5 * TICKS  # how far the tracks may be from one another
_TOGETHER = 8  # audio frames of one PES packet: each packet costs up to 200 bytes
_INSTEAD = "use write_video with pts and dts, or an encoder's setting without them (ffmpeg: -bf 0)"
_SAMPLES = 1024  # of one AAC frame's block


class FrameClock:
    """The time of frame after frame at an exact rate, in ticks of 90 kHz, without drift.

    Args:
        fps: frames a second, e.g. 25, 29.97 or Fraction(30000, 1001).

    Raises:
        TypeError, ValueError: naming ``fps``.
    """

    def __init__(self, fps: float) -> None:
        ratio = getattr(fps, "as_integer_ratio", None)
        if ratio is None or isinstance(fps, bool):
            raise TypeError(f"fps: must be a number, not {type(fps).__name__}")
        if not 0.01 <= fps <= 1000:
            raise ValueError(f"fps: must be 0.01-1000 frames a second, not {fps}")
        self._frames, self._seconds = ratio()
        self._count = 0
        self._base = 0
        self.now = 0  # when the next frame is due

    def tick(self) -> int:
        """The time of the next frame."""
        time, self._count = self.now, self._count + 1
        self.now = self._base + self._count * TICKS * self._seconds // self._frames
        return time

    def jump(self, to: int) -> None:
        """The next frame is of that time."""
        self._base = self.now = to
        self._count = 0


class _SampleClock:
    """The time of audio frames by the samples in them."""

    def __init__(self) -> None:
        self._samples = 0
        self._rate = 0
        self._base = 0
        self.now = 0  # when the next frame is due

    def tick(self, samples: int, rate: int) -> None:
        """A frame of so many samples was taken."""
        if rate != self._rate:
            self.jump(self.now)
            self._rate = rate
        self._samples += samples
        self.now = self._base + self._samples * TICKS // rate

    def jump(self, to: int) -> None:
        self._base = self.now = to
        self._samples = 0


class ClockedFrames:
    """A video track, an audio track, or both.

    Args:
        codec: "h264", "h265", or "": no video. fps: see ``FrameClock``; not needed without video.
        write_video, write_audio: called with (unit, pts) and (frames, pts), pts in ticks of 90 kHz.
        failed: called with each ``MediaError``.
    """

    def __init__(
        self,
        codec: str,
        fps: float | None,
        *,
        write_video: Callable[[bytes, int], object],
        write_audio: Callable[[bytes, int], object],
        failed: Callable[[MediaError], object],
    ) -> None:
        if codec and fps is None:
            raise ValueError("fps: needed for frames that come without timestamps")
        self._order = PictureOrder(codec)
        self._reordered = self._told = False  # in this group of pictures; in the one before, too
        self._units = AccessUnits(codec) if codec else None
        self._frames = AdtsFrames()
        self._video = FrameClock(25 if fps is None else fps)
        self._audio = _SampleClock()
        self._write_video = write_video
        self._write_audio = write_audio
        self._failed = failed

    @property
    def video_time(self) -> int:
        """When the next picture is due, in ticks."""
        return self._video.now

    @property
    def audio_time(self) -> int:
        """When the next audio frame is due, in ticks."""
        return self._audio.now

    def write(self, video: Data = b"", audio: Data = b"", *, whole: bool = True) -> None:
        """Writes what came, audio frames before the picture they sound with.

        Args:
            whole: the buffer ends with an access unit; else more of it may come.
        """
        units = self._take_units(video, whole) if self._units is not None else []
        frames = self._take_frames(audio)
        self._catch_up(units, frames)
        for unit in units:
            time = self._video.tick()
            self._sound(frames, time)
            if self._in_order(unit):
                self._write_video(unit, time)
        self._sound(frames, None)

    def _in_order(self, unit: bytes) -> bool:
        """Whether a picture is shown after all that came before: else its place is not its time,
        and what follows may need it, up to the next key frame."""
        key, back = self._order.look(unit)
        if key:
            self._told, self._reordered = self._reordered, False
        if back and not self._reordered:
            self._reordered = True
            if not self._told:
                text = "pictures out of the order of display (B-frames) need timestamps"
                self._failed(MediaError(f"video: {text}: {_INSTEAD}"))
        return not self._reordered

    def _take_units(self, data: Data, whole: bool) -> list[bytes]:
        assert self._units is not None
        try:
            units = self._units.feed(data)
        except MediaError as error:
            self._failed(error)
            return []
        return units + self._units.flush() if whole else units

    def _take_frames(self, data: Data) -> deque[bytes]:
        frames: deque[bytes] = deque()
        while True:
            try:
                more = self._frames.feed(data)
            except MediaError as error:
                self._failed(error)
            else:
                if not more:
                    return frames
                frames += more
            data = b""

    def _catch_up(self, units: list[bytes], frames: deque[bytes]) -> None:
        apart = self._video.now - self._audio.now
        if units and apart < -_APART:
            self._video.jump(self._audio.now)
        elif frames and self._units is not None and apart > _APART:
            self._audio.jump(self._video.now)
        else:
            return
        text = f"write: the tracks are {abs(apart) / TICKS:.1f} s apart; does fps hold?"
        self._failed(MediaError(text))

    def _sound(self, frames: deque[bytes], until: int | None) -> None:
        """Writes the audio frames up to a time, some at a time."""
        while frames and (until is None or self._audio.now < until):
            time = self._audio.now
            group: list[bytes] = []
            while frames and len(group) < _TOGETHER and (until is None or self._audio.now < until):
                frame = frames.popleft()
                group.append(frame)
                self._audio.tick(_SAMPLES * ((frame[6] & 3) + 1), self._frames.rate)
            self._write_audio(b"".join(group), time)
