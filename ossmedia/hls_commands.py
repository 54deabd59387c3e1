"""``ossmedia record --hls``: elementary streams from files or pipes into a recording.

In flow H.264 or H.265 and ADTS, as ``ffmpeg -f h264 -`` and ``-f adts`` write them, out flow
segments, a playlist, and a line for each segment. It never waits for one stream while the other has
something to read, so the program that writes both cannot get stuck.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections import deque

from ossmedia.clocked import ClockedFrames
from ossmedia.errors import MediaError
from ossmedia.terminal import StopKey, error_line, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ossmedia.bucket import Bucket
    from ossmedia.segments import RecordedSegment

__all__ = ["record_hls"]

_PIECE = 64 << 10  # bytes of one read
_AHEAD = 4 << 20  # bytes of one stream that wait for the other


class _Report:
    """What is printed, and what it means for the exit code."""

    def __init__(self, args: Namespace, bucket: str) -> None:
        self._args = args
        self._bucket = bucket
        self.refused = 0

    def stored(self, segment: RecordedSegment) -> None:
        if self._args.json:
            fields = {name: getattr(segment, name) for name in segment.__slots__[:-1]}
            print(json.dumps(fields), flush=True)
        elif not self._args.quiet:
            key = printable(segment.key)
            text = f"{segment.duration_s:.3f} s, {segment.size} bytes"
            print(f"oss://{self._bucket}/{key}: {text}", flush=True)

    def failed(self, error: Exception) -> None:
        """A frame was refused, or there is trouble that may pass."""
        self.refused += isinstance(error, MediaError)
        print(error_line(str(error)), file=sys.stderr, flush=True)


def record_hls(args: Namespace, bucket: Bucket, prefix: str) -> int:
    """Records until the video ends, or Ctrl-C.

    Returns:
        0; 1: a frame was refused.

    Raises:
        OSError: a file cannot be read. OssMediaError, ValueError: as ``Bucket.record_hls``.
    """
    report = _Report(args, bucket.name)
    sources = [os.dup(sys.stdin.fileno()) if args.video == "-" else _open(args.video)]
    try:
        if args.audio:
            sources.append(_open(args.audio))
        with bucket.record_hls(
            prefix,
            args.mode,
            video=args.codec,
            audio="aac" if args.audio else "",
            segment_time=args.segment_time,
            list_size=args.list_size,
            on_full="block",
            on_segment=report.stored,
            on_error=report.failed,
        ) as recorder:
            frames = ClockedFrames(
                args.codec,
                args.fps,
                write_video=recorder.write_video,
                write_audio=recorder.write_audio,
                failed=report.failed,
            )
            _pour(sources, frames)
    finally:
        for source in sources:
            os.close(source)
    if not args.quiet and not args.json:
        print(f"oss://{bucket.name}/{printable(recorder.playlist_key)}")
    return int(report.refused > 0)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _pour(sources: list[int], frames: ClockedFrames) -> None:
    """Reads whichever can be read, and writes it in the order of time."""
    open_ones = list(sources)
    held: dict[int, deque[bytes]] = {source: deque() for source in sources}
    with StopKey(True) as key:
        while wanted := [one for one in open_ones if _size(held[one]) < _AHEAD]:
            if not key.wait(*wanted):
                break
            for source in select.select(wanted, [], [], 0)[0]:
                data = os.read(source, _PIECE)
                if data:
                    held[source].append(data)
                else:
                    open_ones.remove(source)
            if not _feed(frames, sources, held, open_ones):
                break
    _feed(frames, sources, held, [])
    frames.write()


def _feed(
    frames: ClockedFrames, sources: list[int], held: dict[int, deque[bytes]], open_ones: list[int]
) -> bool:
    """Writes what was read. What is ahead of a stream that is still open waits for that, as long
    as it is not too much. False: only sound without pictures could follow."""
    video, audio = sources[0], sources[-1]
    while True:
        first, other = video, audio
        if frames.audio_time < frames.video_time:
            first, other = audio, video
        if not held[first]:
            if first in open_ones and _size(held[other]) < _AHEAD:
                return True
            if first == video and video not in open_ones and frames.audio_time > frames.video_time:
                return False
            first = other
        if not held[first]:
            return True
        data = held[first].popleft()
        if first == video:
            frames.write(video=data, whole=False)
        else:
            frames.write(audio=data, whole=False)


def _size(pieces: deque[bytes]) -> int:
    return sum(map(len, pieces))
