"""Tells pictures that are shown before one that came earlier: their place in the stream is not
their time.

In flow access units of a stream without timestamps, out flow key frames and such pictures. Of H.264
they are B-pictures; those of H.265 are B-pictures of an encoder without delay, too, so there the
order of display that the stream itself counts decides. What cannot be read is taken for in order.

Source: H.264 7.3.3, 7.4.3 (slice_type); H.265 7.3.2.2, 7.3.2.3, 7.3.3, 7.3.6.1 and 8.3.1
(slice_pic_order_cnt_lsb).
"""

from __future__ import annotations

from ossmedia.access_units import has_b_slices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PictureOrder"]

_START = b"\0\0\1"
_READ_MOST = 256  # bytes of a NAL unit: what is looked for stands at its beginning
_SLICE, _IDR, _SPS, _PPS = range(32), (19, 20), 33, 34  # types of H.265
_KEY = range(16, 24)
_H264_IDR = 5


class PictureOrder:
    """Looks at one picture after another.

    Args:
        codec: "h264" or "h265".
    """

    def __init__(self, codec: str) -> None:
        self._h265 = codec == "h265"
        self._of_sps: dict[int, tuple[int, bool]] = {}  # bits of a count, planes apart
        self._of_pps: dict[int, tuple[int, bool, int]] = {}  # SPS, output flag, extra bits
        self._last: int | None = None  # the last picture's count, if it could be read
        self._span = 0  # where counts begin anew

    def look(self, unit: bytes) -> tuple[bool, bool]:
        """Whether a picture is a key frame, and whether it is shown before one that came earlier.

        Args:
            unit: one access unit, Annex B; each one of the stream, in their order.
        """
        if not self._h265:
            return any(nal[0] & 0x1F == _H264_IDR for nal in _nals(unit)), has_b_slices(unit)
        for nal in _nals(unit):
            kind, layer = nal[0] >> 1 & 0x3F, (nal[0] & 1) << 5 | nal[1] >> 3
            if layer:
                continue
            try:
                if kind == _SPS:
                    self._read_sps(_Bits(nal))
                elif kind == _PPS:
                    self._read_pps(_Bits(nal))
                elif kind in _SLICE:
                    return kind in _KEY, self._goes_back(kind, self._count(kind, _Bits(nal)))
            except (IndexError, KeyError):
                self._last = None
        return False, False

    def _goes_back(self, kind: int, count: int) -> bool:
        last, self._last = self._last, count
        if last is None or kind in _KEY:
            return False
        return (count - last) % self._span > self._span // 2

    def _count(self, kind: int, bits: _Bits) -> int:
        """The picture's place in the order of display, modulo the span."""
        if kind in _IDR:
            return 0
        bits.skip(1)  # first_slice_segment_in_pic_flag
        if kind in _KEY:
            bits.skip(1)
        sps, has_output, extra = self._of_pps[bits.ue()]
        size, apart = self._of_sps[sps]
        bits.skip(extra)
        bits.ue()  # slice_type
        bits.skip(has_output + 2 * apart)
        self._span = 1 << size
        return bits.read(size)

    def _read_sps(self, bits: _Bits) -> None:
        bits.skip(4)
        sub_layers = bits.read(3)
        bits.skip(1 + 96)  # profile and level
        if sub_layers:
            present = [(bits.read(1), bits.read(1)) for _ in range(8)]
            bits.skip(sum(88 * profile + 8 * level for profile, level in present))
        number, apart = bits.ue(), False
        if bits.ue() == 3:  # chroma_format_idc
            apart = bool(bits.read(1))
        for _ in range(2):  # width, height
            bits.ue()
        for _ in range(4 * bits.read(1) + 2):  # a window, and the depths
            bits.ue()
        self._of_sps[number] = bits.ue() + 4, apart

    def _read_pps(self, bits: _Bits) -> None:
        number, sps = bits.ue(), bits.ue()
        bits.skip(1)
        self._of_pps[number] = sps, bool(bits.read(1)), bits.read(3)


class _Bits:
    """Bits of a NAL unit of H.265 behind its header, without emulation prevention bytes; reading
    behind them is an IndexError."""

    def __init__(self, nal: bytes) -> None:
        data = nal[2:_READ_MOST].replace(b"\0\0\3", b"\0\0")
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def skip(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise IndexError

    def read(self, count: int) -> int:
        self.skip(count)
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


def _nals(unit: bytes) -> Iterator[bytes]:
    """The beginnings of an access unit's NAL units, each of 2 bytes at least."""
    at = unit.find(_START)
    while 0 <= at < len(unit) - 4:
        end = unit.find(_START, at + 3, at + 3 + _READ_MOST)
        nal = unit[at + 3 : end if end >= 0 else at + 3 + _READ_MOST]
        if len(nal) >= 2:
            yield nal
        at = unit.find(_START, at + 3)
