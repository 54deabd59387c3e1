"""The checkers of HLS find what is planted, and nothing in what is right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ossmedia._native_ts import AUDIO, SEGMENT, TsBuffer, TsMuxer
from ossmedia.playlist import Entry, Playlist, segment_uri
from tests.elementary import STEP, adts, picture
from tests.hls_rules import check_history, check_playlist
from tests.hls_segments import check_segments

START = 1_795_500_000_000
GOP = 50


def recorded() -> tuple[list[str], dict[str, bytes]]:
    """Six segments of 2 s in a window of three, and each version of the playlist."""
    muxer, playlist = TsMuxer("h264", "aac"), Playlist("live", 2, list_size=3)
    texts, segments = [], {}
    for number in range(6):
        out = TsBuffer()
        for frame in range(GOP):
            pts = (number * GOP + frame) * STEP
            flags = 0 if frame else SEGMENT
            muxer.write(picture(frame == 0, frame), pts, pts, out, flags)
            muxer.write(adts(frame), pts, pts, out, AUDIO)
        uri = segment_uri(START + number * 2000, number)
        segments[uri] = bytes(out.take())
        playlist.append(Entry(uri, GOP * STEP, START + number * 2000, number == 2))
        texts.append(playlist.text())
    playlist.ended = True
    texts.append(playlist.text())
    return texts, segments


TEXTS, SEGMENTS = recorded()
LAST = TEXTS[-1]
URIS = [line for line in LAST.split("\n") if line and not line.startswith("#")]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert check_history(TEXTS) == []
    assert check_segments(LAST, SEGMENTS) == []


LATE = "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T06:00:08.500Z\n"  # half a second after its time


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda t: t[1:], "first line"),
        (lambda t: t[:-1], "no end"),
        (lambda t: t.replace("TARGETDURATION:2", "TARGETDURATION:1"), "over the target"),
        (lambda t: t.replace("#EXT-X-TARGETDURATION:2\n", ""), "no target"),
        (lambda t: t.replace("#EXT-X-INDEPENDENT-SEGMENTS\n", ""), "INDEPENDENT"),
        (lambda t: t.replace("VERSION:3", "VERSION:2"), "version 3"),
        (lambda t: t.replace(URIS[1], URIS[0]), "twice"),
        (lambda t: t.replace(URIS[1], "https://h/" + URIS[1]), "not relative"),
        (lambda t: t.replace("#EXTINF:2.00000,\n", "", 1), "no EXTINF"),
        (lambda t: t.replace(f"{URIS[0]}\n", f"{URIS[0]}\n{LATE}"), "s off"),
        (lambda t: t + "#EXTINF:2.00000,\nx.ts\n", "behind EXT-X-ENDLIST"),
        (lambda t: t.replace("#EXT-X-ENDLIST", "#EXT-X-END"), "unknown tag"),
        (lambda t: t.replace("#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n" * 2), "twice"),
        (lambda t: t.replace("#EXTINF", "#EXT-X-DISCONTINUITY\n#EXTINF", 2), "without a time"),
        (lambda t: t.replace("#EXTINF", "#EXT-X-KEY:METHOD=AES-128\n#EXTINF", 1), "bad key"),
        (lambda t: t.replace("#EXT-X-PROGRAM-DATE-TIME", "#T"), "has no time"),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found(change: Callable[[str], str], finding: str) -> None:
    assert change(LAST) != LAST
    assert any(finding in one for one in check_playlist(change(LAST)))


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda t: t.replace("MEDIA-SEQUENCE:1", "MEDIA-SEQUENCE:0"), "became another"),
        (lambda t: t.replace("MEDIA-SEQUENCE:3", "MEDIA-SEQUENCE:0"), "went back"),
        (lambda t: t.replace("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2"), "another"),
        (lambda t: t.replace("TARGETDURATION:2", "TARGETDURATION:3"), "target duration changed"),
        (lambda t: t.replace("VERSION:3\n", "VERSION:3\n#EXT-X-PLAYLIST-TYPE:EVENT\n"), "type"),
        (lambda t: t.replace(URIS[2], "20261124/other.ts"), "became another"),
        (lambda t: t.partition("#EXTINF")[0], "newest segments are gone"),
    ],
)
def test_a_change_that_no_server_may_make_is_found(
    change: Callable[[str], str], finding: str
) -> None:
    found = {
        one
        for at in range(len(TEXTS))
        for one in check_history([*TEXTS[:at], change(TEXTS[at]), *TEXTS[at + 1 :]])
    }
    assert any(finding in one for one in found)


def test_more_that_may_not_change() -> None:
    assert any("after its end" in one for one in check_history([LAST, TEXTS[-2]]))
    assert check_history([LAST, TEXTS[-2]], reopened=True) == []
    assert any("never listed" in one for one in check_history([TEXTS[0], TEXTS[5]]))
    short = LAST.replace("#EXT-X-ENDLIST\n", "").rpartition("#EXTINF")[0]
    assert any("too short" in one for one in check_history([TEXTS[0], short]))


def without_tables(data: bytes) -> bytes:
    return data[2 * 188 :]


def without_a_packet(data: bytes) -> bytes:
    return data[: 20 * 188] + data[21 * 188 :]


@pytest.mark.parametrize(
    ("number", "change", "finding"),
    [
        (1, without_tables, "does not begin with PAT"),
        (1, without_a_packet, "continuity"),
        (1, lambda data: data[:-1], "behind the last packet"),
        (1, lambda data: SEGMENTS[URIS[2]], "continuity"),
        (1, lambda data: data.replace(b"\0\0\0\1\x65", b"\0\0\0\1\x61"), "key frame"),
        (2, lambda data: SEGMENTS[URIS[0]], "after one of"),
        (1, lambda data: b"", "does not begin"),
    ],
)
def test_a_fault_in_a_segment_is_found(
    number: int, change: Callable[[bytes], bytes], finding: str
) -> None:
    segments = {**SEGMENTS, URIS[number]: change(SEGMENTS[URIS[number]])}
    assert any(finding in one for one in check_segments(LAST, segments))


def test_a_missing_segment_is_found() -> None:
    segments = {uri: data for uri, data in SEGMENTS.items() if uri != URIS[0]}
    assert check_segments(LAST, segments) == [f"{URIS[0]}: listed, but not there"]
