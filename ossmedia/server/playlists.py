"""Media playlists over recorded segments.

In flow segments of one stream, oldest first, and what signs a URL, out flows the text of a
playlist. A finished range ends; a live window slides, and its numbers are the recorder's own, so
that they rise with every reload, whichever server answers. A URL lives only as long as playing up
to its segment takes, and a little longer. Of an encrypted segment it says where players get the
key, which never comes here. It is pure.

Source: RFC 8216; of keys: 4.3.2.4.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from ossmedia.server.recordings import Recording

__all__ = ["CONTENT_TYPE", "LIFE_S", "MOST_SEGMENTS", "live_playlist", "live_window", "playlist"]

CONTENT_TYPE = "application/vnd.apple.mpegurl"
MOST_SEGMENTS = 3000
LIFE_S = 300
_WINDOW = 5
_USUAL_S = 6.0  # of a segment that does not tell its duration and has none behind it
_SLACK_S = 1.0  # between two segments; more is a gap

Sign = Callable[[str, int], str]


def durations(segments: Sequence[Recording]) -> list[float]:
    """How long each plays: as it says, else up to the next."""
    starts = [*(segment.start_at for segment in segments[1:]), math.inf]
    return [
        _guess(ahead - segment.start_at) if segment.duration_s is None else segment.duration_s
        for segment, ahead in zip(segments, starts, strict=True)
    ]


def _guess(to_next: float) -> float:
    return to_next if 0 < to_next <= 2 * _USUAL_S else _USUAL_S


def _parted(before: Recording, length: float, segment: Recording) -> bool:
    """Whether a segment does not go on from where the one before it ended."""
    if segment.discontinuity:
        return True
    if segment.start_at - (before.start_at + length) > max(_SLACK_S, length / 2):
        return True
    known = before.sequence is not None and segment.sequence is not None
    return known and segment.sequence != (before.sequence or 0) + 1


def _moment(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{text}.{thousandths:03d}Z"


def _head(target_s: int, sequence: int, *more: str) -> list[str]:
    return [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        f"#EXT-X-TARGETDURATION:{target_s}",
        f"#EXT-X-MEDIA-SEQUENCE:{sequence}",
        *more,
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]


def _key(before: Recording | None, segment: Recording) -> list[str]:
    """The tag that says how a segment is encrypted, where it is not as the one before it."""
    key = segment.key_uri, segment.key_iv
    if key == ((None, None) if before is None else (before.key_uri, before.key_iv)):
        return []
    if None in key:
        return ["#EXT-X-KEY:METHOD=NONE"]
    return [f'#EXT-X-KEY:METHOD=AES-128,URI="{segment.key_uri}",IV=0x{segment.key_iv}']


def _entry(segment: Recording, length: float, url: str, *, parted: bool, dated: bool) -> list[str]:
    lines = ["#EXT-X-DISCONTINUITY"] if parted else []
    if dated:
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_moment(segment.start_at)}")
    return [*lines, f"#EXTINF:{length:.3f},", url]


def playlist(segments: Sequence[Recording], sign: Sign, *, ended: bool) -> str:
    """The playlist of a range of time.

    Args:
        segments: at most ``MOST_SEGMENTS``.
        sign: makes a URL from a key and its life in seconds.
        ended: whether nothing more can come; else the playlist may only grow.
    """
    lengths = durations(segments)
    target = max([1, *(math.ceil(length) for length in lengths)])
    kind = "VOD" if ended else "EVENT"
    lines = _head(target, 0, f"#EXT-X-PLAYLIST-TYPE:{kind}")
    played, before = 0.0, None
    for place, segment in enumerate(segments):
        parted = before is not None and _parted(before, lengths[place - 1], segment)
        url = sign(segment.key, LIFE_S + math.ceil(played))
        dated = place == 0 or parted
        lines += _key(before, segment)
        before = segment
        lines += _entry(segment, lengths[place], url, parted=parted, dated=dated)
        played += lengths[place]
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join([*lines, ""])


def live_window(segments: Sequence[Recording], count: int = _WINDOW) -> list[Recording]:
    """The last segments that are numbered without a gap: in a playlist each next entry has the next
    number, so that a window over a lost one would give the same segment two numbers."""
    window: list[Recording] = []
    for segment in reversed(segments):
        if window and segment.sequence != (window[0].sequence or 0) - 1:
            break
        window.insert(0, segment)
        if len(window) == count or segment.sequence is None:
            break
    return window


def live_playlist(window: Sequence[Recording], breaks: int, longest_s: float, sign: Sign) -> str:
    """The playlist of what is recorded now; it does not end.

    Args:
        window: from ``live_window``.
        breaks: marked segments before the window: each was a discontinuity that has left it.
        longest_s: of the stream's segments lately.
    """
    lengths = durations(window)
    target = max([1, math.ceil(longest_s), *(math.ceil(length) for length in lengths)])
    first = window[0].sequence or 0 if window else 0
    lines = _head(target, first, f"#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}")
    for place, segment in enumerate(window):
        parted = segment.discontinuity
        url = sign(segment.key, LIFE_S)
        lines += _key(window[place - 1] if place else None, segment)
        lines += _entry(segment, lengths[place], url, parted=parted, dated=place == 0 or parted)
    return "\n".join([*lines, ""])
