"""Playlists: what they must hold (RFC 8216), and what no reload may change."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ossmedia.server.playlists import LIFE_S, live_playlist, live_window, playlist
from ossmedia.server.recordings import Recording

START = 1_750_000_000.0


def segment(
    number: int, start: float | None = None, seconds: float | None = 6.0, marked: bool = False
) -> Recording:
    return Recording(
        id=f"{number:024x}",
        bucket="cams",
        key=f"cams/cam-1/live/{number}.ts",
        camera="cam-1",
        kind="segment",
        size=188,
        etag="A",
        crc64="1",
        position=None,
        content_type="video/mp2t",
        modified_at=START,
        start_at=START + 6 * number if start is None else start,
        duration_s=seconds,
        stream="live",
        sequence=number,
        discontinuity=marked,
        key_uri=None,
        key_iv=None,
        title=None,
        state="ready",
        keep=False,
        seen_by="report",
        seen_at=START,
        created_at=START,
        changed_at=START,
    )


def sign(key: str, life_s: int) -> str:
    return f"https://oss/{key}?life={life_s}"


def number(text: str, tag: str) -> int:
    found = re.findall(rf"^#EXT-X-{tag}:(\d+)$", text, re.MULTILINE)
    assert len(found) == 1, (tag, text)
    return int(found[0])


def test_a_finished_range() -> None:
    text = playlist([segment(7), segment(8, seconds=6.4)], sign, ended=True)
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-TARGETDURATION:7",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-PROGRAM-DATE-TIME:2025-06-15T15:07:22.000Z",
        "#EXTINF:6.000,",
        f"https://oss/cams/cam-1/live/7.ts?life={LIFE_S}",
        "#EXTINF:6.400,",
        f"https://oss/cams/cam-1/live/8.ts?life={LIFE_S + 6}",
        "#EXT-X-ENDLIST",
    ]


def test_what_grows_has_no_end() -> None:
    text = playlist([segment(1)], sign, ended=False)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in text
    assert "ENDLIST" not in text
    more = playlist([segment(1), segment(2)], sign, ended=False)
    assert more.startswith(text), "it may only grow"


def test_urls_live_until_they_are_played_and_no_longer() -> None:
    lives = re.findall(r"life=(\d+)", playlist([segment(n) for n in range(5)], sign, ended=True))
    assert lives == ["300", "306", "312", "318", "324"]


@pytest.mark.parametrize(
    ("second", "parted"),
    [
        (segment(1), False),
        (segment(1, marked=True), True),
        (segment(1, start=START + 8), False),  # within half a segment
        (segment(1, start=START + 9.5), True),
        (segment(2), True),  # one is missing
        (replace(segment(1), sequence=None), False),
    ],
)
def test_where_something_is_missing_the_playlist_says_so(second: Recording, parted: bool) -> None:
    text = playlist([segment(0), second], sign, ended=True)
    assert ("#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME" in text) == parted
    assert text.count("#EXT-X-PROGRAM-DATE-TIME") == 1 + parted


@pytest.mark.parametrize("live", [False, True])
def test_encrypted_segments_name_their_keys(live: bool) -> None:
    """Each before the segment it is for, and none goes on where the next one is in the clear."""
    uri = "https://keys.example/7"
    one, two = (replace(segment(n), key_uri=uri, key_iv=f"{n:032x}") for n in (1, 2))
    same = replace(two, sequence=3, start_at=segment(3).start_at, key="three")
    many = [segment(0), one, two, same, segment(4)]
    text = live_playlist(many, 0, 6.0, sign) if live else playlist(many, sign, ended=True)
    wanted = ("#EXT-X-KEY", "https://oss")
    assert [line.split("?")[0] for line in text.splitlines() if line.startswith(wanted)] == [
        "https://oss/cams/cam-1/live/0.ts",
        f'#EXT-X-KEY:METHOD=AES-128,URI="{uri}",IV=0x{1:032x}',
        "https://oss/cams/cam-1/live/1.ts",
        f'#EXT-X-KEY:METHOD=AES-128,URI="{uri}",IV=0x{2:032x}',
        "https://oss/cams/cam-1/live/2.ts",
        "https://oss/three",
        "#EXT-X-KEY:METHOD=NONE",
        "https://oss/cams/cam-1/live/4.ts",
    ]


def test_the_first_one_parts_nothing() -> None:
    assert "DISCONTINUITY" not in playlist([segment(3, marked=True)], sign, ended=True)


def test_a_length_that_is_not_told_goes_to_the_next() -> None:
    text = playlist([segment(0, seconds=None), segment(1, seconds=None)], sign, ended=True)
    assert re.findall(r"#EXTINF:([\d.]+)", text) == ["6.000", "6.000"]
    far = playlist([segment(0, seconds=None), segment(1, start=START + 500)], sign, ended=True)
    assert re.findall(r"#EXTINF:([\d.]+)", far)[0] == "6.000"


@pytest.mark.parametrize("seconds", [0.04, 1.0, 5.999, 6.0, 6.001, 9.5])
def test_no_segment_is_longer_than_the_target(seconds: float) -> None:
    text = playlist([segment(0, seconds=seconds)], sign, ended=True)
    assert number(text, "TARGETDURATION") >= seconds
    live = live_playlist([segment(0, seconds=1.0)], 0, seconds, sign)
    assert number(live, "TARGETDURATION") >= seconds


def test_a_live_window_is_the_last_that_are_in_a_row() -> None:
    many = [segment(n) for n in range(9)]
    assert [s.sequence for s in live_window(many)] == [4, 5, 6, 7, 8]
    assert [s.sequence for s in live_window(many[:3])] == [0, 1, 2]
    holed = [*many[:6], *many[7:]]
    assert [s.sequence for s in live_window(holed)] == [7, 8]
    assert [s.sequence for s in live_window([replace(many[8], sequence=None)])] == [None]
    assert live_window([]) == []


def test_numbers_only_rise_and_name_the_same_segment_at_every_reload() -> None:
    """A day in small: lost segments, marked breaks, a restart with a jump of the numbers."""
    stream = [segment(n, marked=n in (5, 11)) for n in range(30) if n not in (8, 9, 20)]
    stream += [segment(n, marked=n == 1000) for n in range(1000, 1012)]
    of_segment: dict[str, int] = {}
    before_sequence = before_breaks = -1
    for count in range(1, len(stream) + 1):
        window = live_window(stream[:count])
        breaks = sum(s.discontinuity for s in stream[:count] if s.start_at < window[0].start_at)
        text = live_playlist(window, breaks, 6.0, sign)
        first, parted = number(text, "MEDIA-SEQUENCE"), number(text, "DISCONTINUITY-SEQUENCE")
        assert first >= before_sequence
        assert parted >= before_breaks
        before_sequence, before_breaks = first, parted
        assert "ENDLIST" not in text
        assert "PLAYLIST-TYPE" not in text
        for place, url in enumerate(re.findall(r"^https.*$", text, re.MULTILINE)):
            assert of_segment.setdefault(url, first + place) == first + place
        assert url.startswith(f"https://oss/{stream[count - 1].key}?"), "the newest is the last"
