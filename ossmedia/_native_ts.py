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

__all__ = ["DELAY", "UNIT_MAX", "TsMuxer"]

DELAY = 63_000  # 90 kHz ticks by which times in the packets are later than those given
UNIT_MAX = 1 << 24  # bytes
_VIDEO = {"": 0, "h264": 1, "h265": 2}
_AUDIO = {"": 0, "aac": 3, "mp3": 4}
_KEY, _NOT_KEY, _SEGMENT, _GAP = 1, 2, 4, 8
# Looked up once: a camera calls them for each picture.
_write, _is_key = lib.om_ts_write, lib.om_ts_is_key
_hold, _release = ffi.from_buffer, ffi.release


def _codec(field: str, name: str, known: dict[str, int]) -> int:
    if name in known:
        return known[name]
    names = ", ".join(repr(one) for one in known if one)
    why = "" if name not in ("pcma", "pcmu") else " (MPEG-TS has no G.711: encode it as AAC)"
    raise MediaError(f"{field}: must be {names} or '', not {name!r}{why}")


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
        self._flags = 0
        config = bytes(video_config)
        if lib.om_ts_init(self._state, *codecs, config, len(config), self._err) < 0:
            raise self._error()

    def _error(self) -> MediaError:
        return MediaError(ffi.string(self._err.message).decode("utf-8", "replace"))

    def begin_segment(self, *, gap: bool = False) -> None:
        """The next unit comes behind PAT and PMT, the next video unit behind its parameter sets,
        too.

        Args:
            gap: something is missing, or times begin anew: a discontinuity is signalled, and times
                may go back.
        """
        self._flags |= _SEGMENT | (_GAP if gap else 0)

    @staticmethod
    def room(length: int) -> int:
        """Bytes of `out` that a unit of `length` bytes needs at most."""
        return length // 184 * 188 + 14_000

    def video(
        self,
        unit: Buffer,
        pts: int,
        dts: int,
        out: Buffer,
        at: int,
        *,
        keyframe: bool | None = None,
    ) -> int:
        """Writes one access unit into `out`, from byte `at` on.

        An access unit delimiter is added when it is missing; before a key frame, so are the
        parameter sets that came last. A unit of parameter sets alone is kept for the next one.

        Args:
            keyframe: whether it can be decoded without what came before; None: an IDR (H.264) or
                IRAP (H.265) picture can.

        Returns:
            Bytes written, a multiple of 188; 0 for parameter sets alone.

        Raises:
            MediaError: the unit is refused; nothing was written or remembered.
        """
        flags = self._flags
        if keyframe is not None:
            flags |= _KEY if keyframe else _NOT_KEY
        return self._give(0, unit, pts, dts, flags, out, at)

    def audio(self, frames: Buffer, pts: int, out: Buffer, at: int) -> int:
        """Writes whole ADTS (or MP3) frames, at most 65,000 bytes; `pts` is the first one's.

        Returns and raises as ``video``.
        """
        return self._give(1, frames, pts, pts, self._flags, out, at)

    def _give(
        self, track: int, unit: Buffer, pts: int, dts: int, flags: int, out: Buffer, at: int
    ) -> int:
        state, err = self._state, self._err
        # cffi takes bytes as they are; asking for writable memory costs it more than a copy.
        held: Any = unit if type(unit) is bytes else _hold(unit)
        try:
            room: Any = _hold(out) if type(out) is bytearray else _hold(out, require_writable=True)
            try:
                size, length = len(room), len(held)
                done = _write(state, track, held, length, pts, dts, flags, room, at, size, err)
            except OverflowError:
                raise MediaError("pts, dts, at: do not fit into 64 bits, or at < 0") from None
            finally:
                _release(room)  # a bytearray can grow again
        finally:
            if held is not unit:
                _release(held)
        if done < 0:
            raise self._error()
        if done:
            self._flags = 0
        return done

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
