"""What an object tells of the recording in it: by its key, its headers and its metadata.

In flow what OSS said of one object, and the device it belongs to, out flows ``Found``, or None for
what is no recording: playlists, folders, symbolic links, empty objects. Metadata is a camera's
word; what cannot be is treated as not said, and nothing here reads content.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ossmedia.server.recordings import FILE, GROWING, QUIET_S, READY, SEGMENT, Found

__all__ = ["META", "ObjectFacts", "found_of", "no_recording"]

META = "ossmedia-"  # after x-oss-meta-
LONGEST_S, LONGEST_SEGMENT_S = 7 * 86_400.0, 300.0
_AHEAD_S = 86_400.0  # a camera's clock may be wrong by this much before its word is not taken
_SEGMENT = re.compile(
    r"(?:(?P<stream>.+)/)?\d{8}/(?P<time>\d{8}T\d{9})Z-(?P<sequence>\d{8,18})\.ts"
)
_TIME = re.compile(r"(?<!\d)(\d{8})[T_-]?(\d{6})(\d{3})?Z?(?!\d)")
# A URL of the web, or one that is relative to the playlist: no other scheme.
_KEY_URI = re.compile(r"(?=[!#-~]{1,2000}\Z)(?:https?://[^/]|(?![^/?#]*:)).*", re.IGNORECASE)
_IV = re.compile(r"[0-9A-Fa-f]{32}")
_NUMBER = re.compile(r"\d{1,15}")


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What OSS says of one object.

    Attributes:
        type: "Normal", "Multipart", "Appendable" or "Symlink".
        position: where the next append goes, or None.
        modified_at: seconds since 1970.
        metadata: user metadata, names in lower case without "x-oss-meta-".
        asked_at: the server's time before OSS was asked.
    """

    key: str
    size: int
    etag: str
    type: str
    modified_at: float
    asked_at: float
    crc64: str = ""
    position: int | None = None
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


def no_recording(key: str, type_: str, size: int) -> bool:
    """Whether an object holds no recording, whoever wrote it. A symbolic link is none: it would
    show what stands elsewhere in the bucket."""
    name = key.rpartition("/")[2]
    return (
        not name
        or type_ == "Symlink"
        or size <= 0
        or "\0" in key
        or name.lower().endswith((".m3u8", ".m3u", ".mpd"))
    )


def found_of(
    facts: ObjectFacts,
    bucket: str,
    camera: str,
    prefix: str,
    *,
    seen_by: str,
    said: tuple[float | None, float | None] = (None, None),
) -> Found | None:
    """The recording in an object.

    Args:
        camera: whose it is, or "".
        prefix: of the camera's keys, without a slash at the end.
        said: start and duration in seconds as the camera reports them, where the object itself
            does not tell.
    """
    if no_recording(facts.key, facts.type, facts.size):
        return None
    below = facts.key.removeprefix(prefix + "/") if camera else facts.key
    segment = _SEGMENT.fullmatch(below) if camera else None
    growing = facts.position is not None and facts.asked_at - facts.modified_at <= QUIET_S
    key_uri, key_iv = (None, None) if segment is None else _cipher(facts)
    return Found(
        bucket=bucket,
        key=facts.key,
        camera=camera,
        kind=FILE if segment is None else SEGMENT,
        size=facts.size,
        etag=facts.etag[:100],
        modified_at=facts.modified_at,
        crc64=facts.crc64[:20],
        position=facts.position,
        content_type=facts.content_type[:255],
        start_at=_start(facts, said[0]),
        duration_s=_duration(facts, said[1], LONGEST_S if segment is None else LONGEST_SEGMENT_S),
        stream="" if segment is None else segment["stream"] or "",
        sequence=_sequence(facts, segment),
        discontinuity=facts.metadata.get(META + "discontinuity") == "1",
        key_uri=key_uri,
        key_iv=key_iv,
        state=GROWING if growing else READY,
        seen_by=seen_by,
        seen_at=facts.asked_at,
    )


def _number(facts: ObjectFacts, name: str) -> int | None:
    text = facts.metadata.get(META + name, "")
    return int(text) if text.isascii() and _NUMBER.fullmatch(text) else None


def _start(facts: ObjectFacts, said: float | None) -> float | None:
    told = _number(facts, "start")
    starts = (None if told is None else told / 1000, _time_in(facts.key), said)
    latest = facts.asked_at + _AHEAD_S
    return next((at for at in starts if at is not None and 0 < at <= latest), None)


def _sequence(facts: ObjectFacts, segment: re.Match[str] | None) -> int | None:
    told = _number(facts, "sequence")
    return int(segment["sequence"]) if told is None and segment is not None else told


def _duration(facts: ObjectFacts, said: float | None, longest_s: float) -> float | None:
    told = _number(facts, "duration")
    for seconds in (None if told is None else told / 1000, said):
        if seconds is not None and 0 < seconds <= longest_s:
            return seconds
    return None


def _cipher(facts: ObjectFacts) -> tuple[str, str] | tuple[None, None]:
    """Where the key of an encrypted segment is, and its initialization vector. The URI reaches
    playlists: it can neither end its line nor its quotes, nor lead elsewhere than to the web."""
    uri, iv = (facts.metadata.get(META + name, "") for name in ("key-uri", "iv"))
    if not _KEY_URI.fullmatch(uri) or not _IV.fullmatch(iv):
        return None, None
    return uri, iv.lower()


def _time_in(key: str) -> float | None:
    """The time that an object's name holds, e.g. 20261123T101500Z."""
    for day, clock, thousandths in _TIME.findall(key.rpartition("/")[2]):
        try:
            parsed = time.strptime(day + clock, "%Y%m%d%H%M%S")
        except ValueError:
            continue
        if parsed.tm_year >= 1971:
            return calendar.timegm(parsed) + int(thousandths or 0) / 1000
    return None
