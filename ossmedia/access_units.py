"""Cuts what encoders and pipes hand out into what a muxer takes: access units, and whole audio
frames.

In flow bytes in any pieces, out flow units in their order, byte by byte what came in. It never
copies a byte twice, and never looks at timestamps, which such bytes do not have.

Source: H.264 7.4.1.2.3 and H.265 7.4.2.4.4 (where an access unit begins), Annex B;
ISO/IEC 13818-7 (ADTS).
"""

from __future__ import annotations

from ossmedia.errors import MediaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AccessUnits", "AdtsFrames", "has_b_slices", "is_parameter_sets"]

LARGEST = 16 << 20  # bytes of one access unit
_START = b"\0\0\1"
_AHEAD = 3  # bytes behind a start code that are needed: a header of one or two, a slice's first
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ADTS_HEADER = 7

# NAL unit types that begin a new access unit once the picture before has its slices.
_LEADING_H264 = frozenset({6, 7, 8, 9, 14, 15, 16, 17, 18})
_LEADING_H265 = frozenset({32, 33, 34, 35, 39, *range(41, 45), *range(48, 56)})
_SETS_H264 = frozenset({6, 7, 8, 9, 13, 15})
_SETS_H265 = frozenset({32, 33, 34, 35, 39})
_SETS_MOST = 4096  # bytes: a unit with slices tells before that


class AccessUnits:
    """Annex B of one elementary stream.

    Args:
        codec: "h264" or "h265".
    """

    def __init__(self, codec: str) -> None:
        self._h265 = codec == "h265"
        self._leading = _LEADING_H265 if self._h265 else _LEADING_H264
        self._bytes = bytearray()
        self._seen = 0  # no start code begins before
        self._slices = False  # the unit at the front has one

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """The access units that ended with these bytes.

        Raises:
            MediaError: no unit ended within 16 MiB; they are dropped.
        """
        self._bytes += data
        units, begin = [], 0
        while True:
            at = self._bytes.find(_START, self._seen)
            if at < 0 or at + 3 + _AHEAD > len(self._bytes):
                self._seen = max(self._seen, len(self._bytes) - 2 if at < 0 else at)
                break
            if self._begins_unit(at + 3):
                front = at - 1 if at > begin and self._bytes[at - 1] == 0 else at
                units.append(bytes(memoryview(self._bytes)[begin:front]))
                begin = front
            self._seen = at + 3
        del self._bytes[:begin]
        self._seen -= begin
        if len(self._bytes) > LARGEST:
            self._forget()
            raise MediaError(f"video: no access unit ends within {LARGEST} bytes")
        return units

    def flush(self) -> list[bytes]:
        """The last unit: the stream, or a buffer of whole units, ends here."""
        units = self.feed(bytes(_AHEAD))  # no start code is in it, but one before it can be read
        rest = bytes(memoryview(self._bytes)[:-_AHEAD])
        self._forget()
        return [*units, rest] if rest else units

    def _begins_unit(self, nal: int) -> bool:
        """Whether the NAL unit whose header is there begins the next access unit."""
        if self._h265:
            kind, first = self._bytes[nal] >> 1 & 0x3F, self._bytes[nal + 2] & 0x80
            is_slice = kind < 32
        else:
            # first_mb_in_slice is 0: its Exp-Golomb code is the one bit 1.
            kind, first = self._bytes[nal] & 0x1F, self._bytes[nal + 1] & 0x80
            is_slice = 1 <= kind <= 5
        begins = self._slices and (bool(first) if is_slice else kind in self._leading)
        if begins or is_slice:
            self._slices = is_slice
        return begins

    def _forget(self) -> None:
        self._bytes.clear()
        self._seen, self._slices = 0, False


def has_b_slices(unit: bytes) -> bool:
    """Whether an access unit of H.264 is predicted from later pictures, too: then its time is not
    its place in the stream. Its first slice tells."""
    at = unit.find(_START)
    while 0 <= at < len(unit) - 4:
        if 1 <= unit[at + 3] & 0x1F <= 5:
            # first_mb_in_slice 0 is the bit 1; slice_type 1 is 010, slice_type 6 is 00111.
            return unit[at + 4] & 0xF0 == 0xA0 or unit[at + 4] & 0xFC == 0x9C
        at = unit.find(_START, at + 3)
    return False


def is_parameter_sets(unit: Buffer, h265: bool) -> bool:
    """Whether Annex B holds nothing but parameter sets, and what may stand beside them."""
    data = bytes(memoryview(unit).cast("B")[:_SETS_MOST])
    kinds = []
    at = data.find(_START)
    while 0 <= at < len(data) - 3:
        kinds.append(data[at + 3] >> 1 & 0x3F if h265 else data[at + 3] & 0x1F)
        at = data.find(_START, at + 3)
    return bool(kinds) and (_SETS_H265 if h265 else _SETS_H264).issuperset(kinds)


class AdtsFrames:
    """ADTS of one elementary stream. ``rate``: samples a second, as its headers say; 0 before the
    first."""

    def __init__(self) -> None:
        self.rate = 0
        self._bytes = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """The whole frames so far.

        Raises:
            MediaError: bytes that are no frame; they are dropped up to the next one, which the next
                call hands out.
        """
        self._bytes += data
        frames, end = [], 0
        with memoryview(self._bytes) as view:
            while length := self._length(end):
                frames.append(bytes(view[end : end + length]))
                end += length
        del self._bytes[:end]
        if not frames and self._bytes and not self._may_begin(0):
            self._skip()
        return frames

    def _length(self, at: int) -> int:
        """Bytes of the frame that begins there; 0: none does, or it is not all there."""
        head = self._bytes[at : at + _ADTS_HEADER]
        if len(head) < _ADTS_HEADER or not self._may_begin(at):
            return 0
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if len(self._bytes) - at < length:
            return 0
        rate = _RATES[head[2] >> 2 & 15]
        self.rate = rate
        return length

    def _may_begin(self, at: int) -> bool:
        """Whether a frame begins there, as far as the bytes tell."""
        head = self._bytes[at : at + _ADTS_HEADER]
        if head[0] != 0xFF or (len(head) > 1 and head[1] & 0xF6 != 0xF0):
            return False
        if len(head) > 2 and head[2] >> 2 & 15 >= len(_RATES):
            return False
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5 if len(head) > 5 else 8191
        return length >= _ADTS_HEADER

    def _skip(self) -> None:
        at = self._bytes.find(0xFF, 1)
        while at >= 0 and not self._may_begin(at):
            at = self._bytes.find(0xFF, at + 1)
        count = len(self._bytes) if at < 0 else at
        del self._bytes[:count]
        raise MediaError(f"audio: {count} bytes are no ADTS frame")
