"""The work that the muxing benchmarks compare: the same pictures muxed by ossmedia, copied, and
muxed by ffmpeg through PyAV.

In flow pictures, out flow generators that do one picture's work at each step and tell how many
bytes came of it. They never share code.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av

from ossmedia._native_ts import TsBuffer, TsMuxer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["border", "copy", "loop", "own", "pictures", "pyav"]

_SETS = bytes.fromhex("000000016742c00dda0507ec0440000003004000000c83c50aa8 0000000168ce0fc8")
_KEY, _OTHER = b"\0\0\0\1\x65\x88\x84", b"\0\0\0\1\x41\x9a\x24"
STEP = 3600  # 25 a second


def pictures(size: int, count: int) -> list[bytes]:
    """Access units of `size` bytes with delimiters, the first a key frame."""
    head = [b"\0\0\0\1\x09\xf0" + (_SETS + _KEY if n == 0 else _OTHER) for n in range(count)]
    return [one + b"\xa5" * (size - len(one)) for one in head]


def loop(units: list[bytes]) -> Iterator[int]:
    """What each case does besides: it counts pictures and tells their times."""
    for number, unit in enumerate(units):
        time = number * STEP
        yield time and len(unit)


def own(units: list[bytes]) -> Iterator[int]:
    """TsMuxer.write into the memory of one long segment."""
    muxer, out = TsMuxer("h264"), TsBuffer(sum(map(len, units)) * 21 // 20 + 20_000)
    for number, unit in enumerate(units):
        time = number * STEP
        yield muxer.write(unit, time, time, out)


def border(units: list[bytes]) -> Iterator[int]:
    """The same calls with nothing to do in C: parameter sets that are known already."""
    muxer, out = TsMuxer("h264"), TsBuffer(1 << 20)
    muxer.write(units[0], 0, 0, out)
    for number, _ in enumerate(units):
        time = number * STEP
        yield muxer.write(_SETS, time, time, out)


def copy(units: list[bytes]) -> Iterator[int]:
    """The same bytes into the same kind of memory."""
    out = memoryview(bytearray(max(map(len, units))))
    for unit in units:
        out[: len(unit)] = unit
        yield len(unit)


class _Rewound(io.RawIOBase):
    """Memory that is used again, too."""

    def __init__(self) -> None:
        self._memory = memoryview(bytearray(1 << 20))
        self.taken = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self._memory[: len(data)] = data
        self.taken += len(data)
        return len(data)


def pyav(units: list[bytes]) -> Iterator[int]:
    """ffmpeg's mpegts muxer; a packet is made of each picture, as PyAV wants it."""
    sink = _Rewound()
    container = av.open(sink, "w", format="mpegts", options={"flush_packets": "0"})
    stream = container.add_stream("h264", rate=25)
    stream.width, stream.height = 320, 240
    base = Fraction(1, 90_000)
    for number, unit in enumerate(units):
        time, before = number * STEP, sink.taken
        packet = av.Packet(unit)
        packet.stream = stream
        packet.time_base = base
        packet.pts = packet.dts = time
        packet.is_keyframe = number == 0
        container.mux_one(packet)
        yield sink.taken - before
    container.close()
