"""Records a camera as HLS: frames in, segments and a playlist in OSS out.

In flow access units and audio frames from the capturing thread; a worker thread stores what they
become. ``write_video`` and ``write_audio`` never wait for the network unless told to, a frame that
no player could use is told to a listener and the recording goes on. It needs no right to delete,
and never erases or renames what was recorded.

Source: RFC 8216; ISO/IEC 13818-1.
"""

from __future__ import annotations

import threading

from ossmedia._native_ts import TsMuxer
from ossmedia.address import check_key
from ossmedia.arguments import between
from ossmedia.capture_time import CaptureTime
from ossmedia.clocked import ClockedFrames
from ossmedia.errors import MediaError
from ossmedia.hls_queue import SegmentQueue
from ossmedia.hls_worker import Delivery, Listeners
from ossmedia.playlist import MODES
from ossmedia.preroll import PreRoll
from ossmedia.publisher import Publisher
from ossmedia.segments import Segmenter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from typing_extensions import Buffer

    from ossmedia.hls_keys import KeyProvider, SegmentCipher
    from ossmedia.playlist_object import Bucket
    from ossmedia.segments import DroppedSegment, RecordedSegment, Segment
    from ossmedia.session import Session
    from ossmedia.spool import Spool

__all__ = ["Recorder"]

TICKS = 90_000  # one second
_KEY_ROOM = 64  # bytes that segments' and playlists' names add to the prefix


class Recorder:
    """One recording; made by ``Bucket.record_hls``. Any thread may write; close it, or use
    ``with``: leaving by an exception keeps what was recorded, without the playlist's end.

    Objects: one PutObject per segment, ``<prefix>/<day>/<time>-<number>.ts`` (video/mp2t, with its
    start, duration and number as metadata), and ``<prefix>/index.m3u8``, kept up to date. A restart
    goes on in the same playlist, with EXT-X-DISCONTINUITY; a "vod" or "event" that was closed stays
    as it is, the next recording's playlist is ``index~g2.m3u8`` and so on (``playlist_key`` says
    which). That needs the right to read; without it numbers begin at the clock's, so that they only
    grow, and "vod" and "event" get ``index~<time>.m3u8``.

    With the bucket's spool, segments and playlists go to the disk, and ``on_segment`` hears of them
    then. Give it a policy that refuses ("block", "reject"): what it drops by itself is listed.

    Memory: (max_waiting + 2) segments, the pre-roll, and of a list that grows 0.5 KB a segment.

    Args:
        prefix: of all keys, e.g. "cams/cam-01/live"; one recording at a time.
        mode: "live": the playlist is a window of the last segments; "event": it grows; "vod": it
            grows, too, and is meant to be watched once it has ended. What grows is appended to: 58
            bytes for a segment. With a spool, or where OSS does not append (KMS), it is stored as a
            whole: a "vod" so rarely that this costs a hundredth of the media, an "event", for whose
            segments players wait (RFC 8216, 6.2.1), each time: with segments of 6 s that is 0.7 GB
            in eight hours. Day and night, record "live": the application server makes lists of any
            time out of its segments.
        video: "h264", "h265", or "": none. audio: "aac" (ADTS), "mp3", or "": none.
        video_config: content of avcC or hvcC, when units have NAL units behind lengths.
        segment_time: seconds, 1-300. Segments begin with key frames and are not longer, rounded,
            while those come often enough: an encoder's key frame interval should divide it.
            Players are told the longer one of it and the first segment as target duration; it
            grows, against RFC 8216's word, only when key frames become rarer later.
        list_size: segments of a window, 3-1000; more if they are less than three target durations.
        fps: frames a second; for ``write`` only.
        start: seconds since 1970 UTC of the first frame; then time goes by timestamps. None: the
            clock's, followed when it was wrong or timestamps drift.
        key_provider: encrypts with AES-128; called with (number, start) for each segment, returns
            its ``SegmentKey``. Needs the package cryptography.
        pre_roll_s: records events only: so many seconds before ``trigger`` are kept in memory.
        max_waiting: finished segments that may wait for the network, 2-1000.
        on_full: more of them: "drop" lets go of the oldest; a discontinuity follows. "block":
            writing waits, and the recording breaks as a ``Writer`` does, when nothing could be
            stored for ``Retry.give_up_after_s`` or OSS refuses for good; with "drop" only ``close``
            gives up then.
        segment_limit: bytes, 1 MiB to 1 GiB; a segment that has no key frame for so long ends.
        on_segment: called with each ``RecordedSegment`` that is stored; on_drop: with each
            ``DroppedSegment``; on_error: with each error: a frame that was refused, or trouble with
            the network that goes on. From any thread; what they raise is logged.

    Raises:
        TypeError, ValueError: naming the argument and its limit. ImportError: see key_provider.
    """

    def __init__(
        self,
        bucket: Bucket,
        session: Session,
        spool: Spool | None,
        prefix: str,
        mode: str = "live",
        *,
        video: str = "h264",
        audio: str = "",
        video_config: Buffer = b"",
        segment_time: float = 6.0,
        list_size: int = 5,
        fps: float | None = None,
        start: float | None = None,
        key_provider: KeyProvider | None = None,
        pre_roll_s: float = 0.0,
        max_waiting: int = 4,
        on_full: str = "drop",
        segment_limit: int = 64 << 20,
        on_segment: Callable[[RecordedSegment], object] | None = None,
        on_drop: Callable[[DroppedSegment], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        _check_options(prefix, mode, video, audio, on_full)
        _seconds("segment_time", segment_time, 1, 300)
        _seconds("pre_roll_s", pre_roll_s, 0, 600)
        _seconds("start", 0 if start is None else start, 0, 1 << 34)
        self._lock = threading.RLock()
        self._closed = False
        self._bad = dict.fromkeys(("video", "audio"), False)
        self._listeners = Listeners(on_segment, on_drop, on_error)
        self._preroll = PreRoll(pre_roll_s) if pre_roll_s else None
        self._told_ms: int | None = None
        self._ready: list[Segment] = []  # finished by the frame at hand
        self._queue = SegmentQueue(
            session.clock,
            between("max_waiting", max_waiting, 2, 1000),
            drop=on_full == "drop",
            dropped=self._listeners.dropped,
        )
        self._segments = Segmenter(
            TsMuxer(video, audio, video_config=video_config),
            CaptureTime(session.clock, start),
            self._finished,
            video=bool(video),
            h265=video == "h265",
            segment_time=segment_time,
            limit=between("segment_limit", segment_limit, 1 << 20, 1 << 30),
        )
        self._has = {"video": bool(video), "audio": bool(audio)}
        self._clocked = self._clocked_frames(video, fps)
        self._publisher = Publisher(
            bucket,
            session,
            spool,
            prefix.removesuffix("/"),
            mode,
            target_s=self._segments.target_s,
            list_size=between("list_size", list_size, 3, 1000),
            cipher=None if key_provider is None else _cipher(key_provider),
            announce=self._queue.announce,
            stored=self._listeners.stored,
        )
        self._delivery = Delivery(
            self._queue, self._publisher, session, self._listeners, patient=on_full == "drop"
        )

    def _clocked_frames(self, video: str, fps: float | None) -> ClockedFrames | None:
        if video and fps is None:
            return None
        return ClockedFrames(
            video,
            fps,
            write_video=self.write_video,
            write_audio=self.write_audio,
            failed=self._listeners.failed,
        )

    @property
    def playlist_key(self) -> str:
        """The playlist's key; "" until it was found out what the prefix holds."""
        return self._publisher.key

    # -- frames

    def write_video(
        self, access_unit: Buffer, pts: int, dts: int | None = None, keyframe: bool | None = None
    ) -> bool:
        """One picture.

        Args:
            access_unit: Annex B, or with lengths if ``video_config`` was avcC or hvcC; at most 16
                MiB. It is copied.
            pts: when it is shown, in ticks of 90 kHz from any beginning; not wrapped. At a key
                frame it may begin anew.
            dts: when it is decoded; None: as it is shown, for encoders without B-frames.
            keyframe: whether it can be decoded without others; None: an IDR or IRAP picture can.

        Returns:
            Whether it was taken; else on_error was told (once in a row), or a key frame is awaited.

        Raises:
            TypeError: pts or dts is no int. StreamBroken: the recording was given up. ValueError:
                it is closed, or has no video.
        """
        when = pts if dts is None else dts
        if type(access_unit) is not bytes or type(pts) is not int or type(when) is not int:
            _ticks("pts", pts)
            _ticks("dts", when)
            _bytes("access_unit", access_unit)
        return self._write("video", self._segments.video, access_unit, pts, when, keyframe)

    def write_audio(self, frames: Buffer, pts: int) -> bool:
        """Whole ADTS (or MP3) frames; several at once cost less.

        Args:
            pts: of the first one, in ticks of 90 kHz from the beginning that video's count from.

        Returns, raises: as ``write_video``. Before the first picture nothing is taken.
        """
        _ticks("pts", pts)
        _bytes("frames", frames)
        return self._write("audio", self._segments.audio, frames, pts)

    def write(self, video: bytes = b"", audio: bytes = b"", *, whole: bool = True) -> None:
        """Frames without timestamps, as the SDKs of many cameras hand them out: the first is of
        time 0, the next follow at exactly ``fps``, and at the sample rate that ADTS names.

        Where neither is exactly the camera's, the track that falls 5 s behind catches up; better
        use timestamps, if there are any.

        Args:
            video: Annex B of any number of pictures. One that is shown before an earlier one
                (B-frames) is refused, with all up to the next key frame: their times cannot be
                counted. audio: ADTS.
            whole: ``video`` ends with a picture; else the next call may bring more of it.

        Raises:
            As ``write_video``; ValueError: the recording has no ``fps``.
        """
        self._check()
        if self._clocked is None:
            raise ValueError("fps: needed for frames that come without timestamps")
        for track, data in (("video", video), ("audio", audio)):
            if data and not self._has[track]:
                raise ValueError(f"{track}: the recording has none")
        with self._lock:
            self._clocked.write(video, audio, whole=whole)

    def _write(self, track: str, write: Callable[..., None], *frame: object) -> bool:
        segments = self._segments
        with self._lock:
            self._check()
            if not self._has[track]:
                raise ValueError(f"{track}: the recording has none")
            before = segments.frames
            try:
                write(*frame)
            except MediaError as error:
                # One wrong setting makes every frame wrong: the first in a row tells.
                if not self._bad[track]:
                    self._listeners.failed(error)
                self._bad[track] = True
            taken = segments.frames > before
            if taken:
                self._bad[track] = False
            if self._ready or segments.open_start_ms != self._told_ms:
                self._hand_over()
        return taken

    def _finished(self, segment: Segment) -> None:
        kept = segment if self._preroll is None else self._preroll.add(segment)
        if kept is not None:
            self._ready.append(kept)

    def _hand_over(self) -> None:
        """To the worker: what is finished, and when the segment began that comes next, so that the
        playlist can name it; not one that may come to nothing."""
        opened = self._segments.open_start_ms
        if self._preroll is not None and not self._preroll.recording:
            opened = None
        ready, self._ready = self._ready, []
        if opened is not None and opened != self._told_ms and not ready:
            self._queue.opened(opened)
        self._told_ms = opened
        following = [*(segment.start_ms for segment in ready[1:]), opened]
        for segment, next_ms in zip(ready, following, strict=False):
            self._queue.put(segment, next_ms)

    # -- events, and the end

    def trigger(self, post_roll_s: float = 10.0) -> None:
        """An event: what is in memory is stored, and what follows for so long, up to a segment's
        end. An event during another one prolongs it.

        Raises:
            ValueError: the recording has no pre_roll_s. StreamBroken.
        """
        _seconds("post_roll_s", post_roll_s, 0, 86_400)
        with self._lock:
            self._check()
            if self._preroll is None:
                raise ValueError("pre_roll_s: only a recording that has it waits for events")
            kept = self._preroll.trigger(post_roll_s, self._segments.elapsed)
            self._queue.allow(len(kept))
            self._ready += kept
            self._hand_over()

    def stats(self) -> dict[str, int]:
        """Counts since the start: frames (taken), skipped (refused, or before a key frame),
        segments and bytes (stored), dropped (segments), waiting (segments), errors."""
        return {
            "frames": self._segments.frames,
            "skipped": self._segments.skipped,
            "waiting": len(self._queue),
            **self._listeners.counts,
        }

    def close(self, *, ends: bool = True) -> None:
        """Stores the last segment and what waits, and waits for it; doing it twice does nothing.

        Args:
            ends: the playlist gets EXT-X-ENDLIST.

        Raises:
            StreamBroken: not everything is stored; ``__cause__`` says why.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._segments.finish()
            self._hand_over()
        self._delivery.finish(ends=ends)

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(ends=kind is None)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<ossmedia.Recorder {self._publisher.prefix!r} {state}>"

    def _check(self) -> None:
        if self._delivery.error is not None:
            self._delivery.raise_if_broken()
        if self._closed:
            raise ValueError("the recording is closed")


def _check_options(prefix: str, mode: str, video: str, audio: str, on_full: str) -> None:
    if not isinstance(prefix, str) or not prefix.removesuffix("/"):
        raise ValueError("prefix: must not be empty")
    check_key(f"{prefix.removesuffix('/')}/{'0' * _KEY_ROOM}")
    if mode not in MODES:
        raise ValueError(f"mode: must be one of {', '.join(MODES)}, not {mode!r}")
    if on_full not in ("drop", "block"):
        raise ValueError(f'on_full: must be "drop" or "block", not {on_full!r}')
    if not video and not audio:
        raise ValueError("video, audio: at least one of them is needed")


def _seconds(name: str, value: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: must be seconds as int or float, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name}: must be {least}-{most} s, not {value}")


def _ticks(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: must be int, ticks of 90 kHz, not {type(value).__name__}")


def _bytes(name: str, value: object) -> None:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{name}: must be bytes, not {type(value).__name__}")


def _cipher(provider: KeyProvider) -> SegmentCipher:
    from ossmedia.hls_keys import SegmentCipher

    return SegmentCipher(provider)
