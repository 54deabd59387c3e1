"""The demo's camera: the packaged clip taken apart into what an encoder would hand out.

In flows the clip, a fragmented MP4 of one H.264 and one AAC track, out flow access units and ADTS
frames with their times. It reads this one clip; it is no general reader of MP4. The clip is
ffmpeg's ``testsrc`` (480x270, 25 pictures a second, a key frame every 2 s, two B-frames) and a beep
each second, 8 s of both.

Source: ISO/IEC 14496-12 (boxes), 14496-15 (avcC), 13818-7 (ADTS).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Clip", "Frame"]

TICKS = 90_000
VIDEO, AUDIO = 1, 2
_SCALES = {VIDEO: 12_800, AUDIO: 48_000}
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"}


class Frame(NamedTuple):
    """One access unit (NAL units behind 4-byte lengths) or ADTS frame; times in 90 kHz ticks."""

    track: int
    data: bytes
    pts: int
    dts: int


class Clip:
    """Its frames in the order of their DTS, and ``config``, the content of avcC."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        at = self._data.index(b"avcC")
        (size,) = struct.unpack_from(">I", self._data, at - 4)
        self.config = self._data[at + 4 : at - 4 + size]
        self.frames = sorted(self._frames(), key=lambda frame: (frame.dts, frame.track))
        self.duration = self._longest()

    def _longest(self) -> int:
        """Ticks from the first picture to where the next round may begin."""
        times = [frame.dts for frame in self.frames if frame.track == VIDEO]
        return times[-1] + (times[1] - times[0])

    def _boxes(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Kind, beginning and end of every box in order; containers before what they contain."""
        while at < end:
            size, kind = struct.unpack_from(">I4s", self._data, at)
            yield kind, at, at + size
            if kind in _CONTAINERS:
                yield from self._boxes(at + 8, at + size)
            at += size

    def _frames(self) -> Iterator[Frame]:
        moof = track = time = 0
        defaults = (0, 0)
        for kind, at, _ in self._boxes(0, len(self._data)):
            if kind == b"moof":
                moof = at
            elif kind == b"tfhd":  # with default duration, size and flags
                track, *rest = struct.unpack_from(">3I", self._data, at + 12)
                defaults = rest[0], rest[1]
            elif kind == b"tfdt":
                (time,) = struct.unpack_from(">Q", self._data, at + 12)
            elif kind == b"trun":
                yield from self._run(at, moof, track, time, defaults)

    def _run(
        self, at: int, moof: int, track: int, time: int, defaults: tuple[int, int]
    ) -> Iterator[Frame]:
        flags, count, offset = struct.unpack_from(">3I", self._data, at + 8)
        flags &= 0xFFFFFF
        at += 20 + (4 if flags & 0x4 else 0)  # the first sample's flags
        scale, start = _SCALES[track], moof + offset
        for _ in range(count):
            (duration, size), later = defaults, 0
            if flags & 0x100:
                (duration,) = struct.unpack_from(">I", self._data, at)
                at += 4
            if flags & 0x200:
                (size,) = struct.unpack_from(">I", self._data, at)
                at += 4
            if flags & 0x800:  # composition offset
                (later,) = struct.unpack_from(">I", self._data, at)
                at += 4
            data = self._data[start : start + size]
            dts, pts = time * TICKS // scale, (time + later) * TICKS // scale
            if track == AUDIO:
                data, pts = _adts(data), dts
            yield Frame(track, data, pts, dts)
            start, time = start + size, time + duration


def _adts(frame: bytes) -> bytes:
    """An AAC-LC frame of 48 kHz mono behind its ADTS header."""
    size = len(frame) + 7
    head = bytes((0xFF, 0xF1, 0x4C, 0x40 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F))
    return head + b"\xfc" + frame
