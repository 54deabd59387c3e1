"""What HLS asks of segments: they are there, begin with a key frame, and follow one another.

In flow a playlist's text and the bytes of its segments, out flow findings; see hls_rules.py for
what the text alone tells, ts_reader.py for the transport stream.
"""

from __future__ import annotations

from tests.hls_rules import Media
from tests.ts_reader import VIDEO_TYPES, TsReader, Unit

TICKS, CLOCK = 90_000, 1 << 33


def nal_types(unit: bytes | bytearray, stream_type: int) -> list[int]:
    """Of the NAL units of an access unit in Annex B."""
    data, types = bytes(unit), []
    at = data.find(b"\0\0\1")
    while at >= 0:
        head = data[at + 3]
        types.append(head & 31 if stream_type == 0x1B else head >> 1 & 63)
        at = data.find(b"\0\0\1", at + 3)
    return types


def is_key(unit: Unit, stream_type: int) -> bool:
    """Parameter sets, then an IDR or IRAP picture."""
    types = nal_types(unit.data, stream_type)
    if stream_type == 0x1B:
        return {7, 8, 5} <= set(types) and 1 not in types
    return {32, 33, 34} <= set(types) and any(16 <= kind <= 21 for kind in types)


def check_segments(text: str, segments: dict[str, bytes]) -> list[str]:
    """What the segments that a playlist names break.

    Args:
        segments: their bytes, in the clear, by the URIs of the playlist.
    """
    found: list[str] = []
    reader, last = TsReader(), None
    for row in Media(text).rows:
        uri = row["uri"]
        if uri not in segments:
            found.append(f"{uri}: listed, but not there")
            reader, last = TsReader(), None
            continue
        if row["discontinuity"]:
            reader, last = TsReader(), None
        stream = reader.stream
        units, faults = len(stream.units), len(stream.faults)
        reader.feed(segments[uri])
        found += [f"{uri}: {fault}" for fault in stream.faults[faults:]]
        mine = stream.units[units:]
        if not mine or not mine[0].tables or segments[uri][1] & 0x1F or segments[uri][2]:
            found.append(f"{uri}: it does not begin with PAT, PMT and a frame")
            last = None
            continue
        videos = [pid for pid, kind in stream.types.items() if kind in VIDEO_TYPES]
        lead = videos[0] if videos else next(iter(stream.types))
        shown = [unit for unit in mine if unit.pid == lead]
        if videos and not (shown and is_key(shown[0], stream.types[lead])):
            found.append(f"{uri}: it does not begin with a key frame")
        if not shown:
            last = None
            continue
        first = shown[0].pts
        if last is not None and abs((first - last[0]) % CLOCK / TICKS - last[1]) > 0.002:
            apart = (first - last[0]) % CLOCK / TICKS
            found.append(f"{uri}: it begins {apart:.4f} s after one of {last[1]} s")
        last = (first, row["seconds"])
    return found
