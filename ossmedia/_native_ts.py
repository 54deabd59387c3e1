"""The border's part for media: the transport stream muxer of the C core, for one segment after
another.

Access units and audio frames flow in, MPEG-TS packets flow out into the caller's memory. It never
waits, keeps a unit, or knows what a segment is for.
"""

from __future__ import annotations

from ossmedia._core import ffi, lib
from ossmedia.errors import MediaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Buffer

__all__ = [
    "AUDIO",
    "DELAY",
    "GAP",
    "IS_KEY",
    "KEY",
    "NOT_KEY",
    "SEGMENT",
    "UNLESS_KEY",
    "TsBuffer",
    "TsMuxer",
]

DELAY = 63_000  # 90 kHz ticks by which times in the packets are later than those given
_VIDEO = {"": 0, "h264": 1, "h265": 2}
_AUDIO = {"": 0, "aac": 3, "mp3": 4}
# Flags of ``TsMuxer.write``, and one of its answers.
KEY, NOT_KEY, SEGMENT, GAP, UNLESS_KEY, AUDIO = 1, 2, 4, 8, 16, 32
IS_KEY = 1
_FULL = -13
_GROWTH = 256 << 10  # bytes
# Looked up once: a camera calls them for each picture.
_write, _is_key = lib.om_ts_write, lib.om_ts_is_key
_hold, _release = ffi.from_buffer, ffi.release


def _codec(field: str, name: str, known: dict[str, int]) -> int:
    if name in known:
        return known[name]
    names = ", ".join(repr(one) for one in known if one)
    why = "" if name not in ("pcma", "pcmu") else " (MPEG-TS has no G.711: encode it as AAC)"
    raise MediaError(f"{field}: must be {names} or '', not {name!r}{why}")


class TsBuffer:
    """Memory for packets, one behind the other; it grows by itself. ``len`` is what is written.

    Args:
        expected: bytes to begin with.
    """

    __slots__ = ("_data", "_held", "packets")

    def __init__(self, expected: int = 0) -> None:
        self.packets: Any = ffi.new("om_ts_out *")  # the border's view of it
        self._data = bytearray()
        self._held: Any = None
        self._grow(expected)

    def __len__(self) -> int:
        return int(self.packets.size)

    def _grow(self, more: int) -> None:
        if self._held is not None:
            _release(self._held)  # a bytearray that is looked at cannot grow
        if self._data:
            self._data.extend(bytes(more))
        else:
            self._data = bytearray(more)
        self._held = self.packets.data = _hold(self._data)
        self.packets.room = len(self._data)

    def make_room(self, length: int) -> None:
        """Room for a unit of so many bytes, and for some more."""
        self._grow(max(length // 184 * 188 + 14_000, _GROWTH))

    def take(self) -> bytearray:
        """What is written; the buffer is empty then."""
        size, data = len(self), self._data
        _release(self._held)
        self._held, self._data = None, bytearray()
        self.packets.size = 0
        self._grow(0)
        del data[size:]
        return data


class TsMuxer:
    """One program of a video track, an audio track, or both. Not thread-safe.

    Times are ticks of 90 kHz, unwrapped, from anywhere: any 64-bit int. In the packets they are
    ``DELAY`` later, modulo 2^33, so that the PCR, which is a unit's own DTS, comes before them.

    Args:
        video: "h264", "h265" or "".
        audio: "aac" (ADTS), "mp3" or "".
        video_config: what a container keeps of the video track: the content of avcC or hvcC, then
            units have their NAL units behind lengths; or parameter sets in Annex B. Without it,
            units are Annex B and bring their parameter sets.

    Raises:
        MediaError: naming the field.
    """

    def __init__(self, video: str = "", audio: str = "", *, video_config: Buffer = b"") -> None:
        codecs = _codec("video", video, _VIDEO), _codec("audio", audio, _AUDIO)
        self._state = ffi.new("om_ts *")
        self._err = ffi.new("om_error *")
        config = bytes(video_config)
        if lib.om_ts_init(self._state, *codecs, config, len(config), self._err) < 0:
            raise self._error()

    def _error(self) -> MediaError:
        return MediaError(ffi.string(self._err.message).decode("utf-8", "replace"))

    def write(self, unit: Buffer, pts: int, dts: int, out: TsBuffer, flags: int = 0) -> int:
        """Writes one access unit, or whole audio frames, behind what ``out`` has.

        An access unit delimiter is added when it is missing; before a key frame, so are the
        parameter sets that came last. A unit of parameter sets alone is kept for the next one.

        Args:
            unit: of video, at most 16 MiB; of audio, ADTS or MP3, at most 65,000 bytes.
            pts: of audio, that of the first frame. dts: of audio, the same.
            flags: KEY or NOT_KEY: whether a picture can be decoded without what came before; with
                neither, an IDR (H.264) or IRAP (H.265) picture can. UNLESS_KEY: such a picture is
                not written. AUDIO: these are audio frames. SEGMENT: PAT and PMT come before it, and
                parameter sets before the next picture. GAP: something is missing, or times begin
                anew: a discontinuity is signalled, and times may go back.

        Returns:
            Bytes written, a multiple of 188; 0 for parameter sets alone: its flags belong to the
            next unit; IS_KEY: it is a key frame, and UNLESS_KEY was given.

        Raises:
            MediaError: the unit is refused; nothing was written or remembered.
        """
        if type(unit) is not bytes:
            with _hold(unit) as held:
                return self._write(held, pts, dts, out, flags)
        try:  # cffi takes bytes as they are; anything else costs it more than a copy
            done = _write(self._state, out.packets, unit, len(unit), pts, dts, flags, self._err)
            if done >= 0:
                return done
        except OverflowError:
            pass
        return self._write(unit, pts, dts, out, flags)

    def _write(self, unit: Any, pts: int, dts: int, out: TsBuffer, flags: int) -> int:
        """With more room where there is too little; with what is wrong in words."""
        state, err, length = self._state, self._err, len(unit)
        try:
            done = _write(state, out.packets, unit, length, pts, dts, flags, err)
            if done == _FULL:
                out.make_room(length)
                done = _write(state, out.packets, unit, length, pts, dts, flags, err)
        except OverflowError:
            raise MediaError("pts, dts: do not fit into 64 bits") from None
        if done < 0:
            raise self._error()
        return int(done)

    def is_keyframe(self, unit: Buffer) -> bool:
        """Whether a video unit is an IDR (H.264) or IRAP (H.265) picture.

        Raises:
            MediaError: the unit is damaged up to its first slice.
        """
        held: Any = unit if type(unit) is bytes else _hold(unit)
        try:
            found = _is_key(self._state, held, len(held), self._err)
        finally:
            if held is not unit:
                _release(held)
        if found < 0:
            raise self._error()
        return bool(found)
