"""playlist.py: what players read, under RFC 8216's rules as an independent checker knows them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.playlist import Entry, Playlist, iso_ms, segment_uri
from tests.hls_rules import Media, check_history, check_playlist

START = 1_795_500_000_000
TICKS = 90_000


def entry(number: int, seconds: float = 6.0, start: int = START, **more: Any) -> Entry:
    when = start + round(number * seconds * 1000)
    return Entry(segment_uri(when, number), round(seconds * TICKS), when, **more)


def grown(playlist: Playlist, count: int, **more: Any) -> list[str]:
    texts = []
    for number in range(count):
        playlist.append(entry(number, **more))
        texts.append(playlist.text())
    return texts


def test_names_tell_time_and_number() -> None:
    assert segment_uri(START + 7, 12) == "20261124/20261124T060000007Z-00000012.ts"
    assert segment_uri(0, 123_456_789) == "19700101/19700101T000000000Z-123456789.ts"
    assert iso_ms(START + 7) == "2026-11-24T06:00:00.007Z"


def test_a_window_slides_and_keeps_to_the_rules() -> None:
    playlist = Playlist("live", 6, list_size=5)
    texts = grown(playlist, 20)
    playlist.ended = True
    texts.append(playlist.text())
    assert check_history(texts) == []
    last = Media(texts[-1])
    assert (last.sequence, len(last.rows), last.ended) == (15, 5, True)


def test_a_window_of_short_segments_keeps_three_target_durations() -> None:
    playlist = Playlist("live", 6, list_size=5)
    texts = grown(playlist, 30, seconds=2.0)
    assert check_history(texts) == []
    assert sum(row["seconds"] for row in Media(texts[-1]).rows) == 18


@pytest.mark.parametrize(("mode", "kind"), [("event", "EVENT"), ("vod", "VOD")])
def test_a_list_that_keeps_all(mode: str, kind: str) -> None:
    playlist = Playlist(mode, 6)
    texts = grown(playlist, 50)
    assert Media(texts[-1]).type == ("EVENT" if mode == "event" else "")
    playlist.ended = True
    texts.append(playlist.text())
    assert check_history(texts) == []
    last = Media(texts[-1])
    assert (last.type, last.sequence, len(last.rows)) == (kind, 0, 50)


def test_discontinuities_are_counted_when_they_leave_the_window() -> None:
    playlist = Playlist("live", 6, list_size=3)
    texts = []
    for number in range(20):
        playlist.append(entry(number, discontinuity=number in (2, 3, 9)))
        texts.append(playlist.text())
    assert check_history(texts) == []
    assert Media(texts[-1]).single["EXT-X-DISCONTINUITY-SEQUENCE"] == "3"


def test_a_time_is_told_when_it_cannot_be_counted() -> None:
    playlist = Playlist("event", 6)
    playlist.append(entry(0))
    playlist.append(entry(1))
    late = entry(2)
    late.start_ms += 1500
    playlist.append(late)
    text = playlist.text()
    assert text.count("PROGRAM-DATE-TIME") == 2
    assert f"{iso_ms(START + 13_500)}\n#EXTINF:6.00000,\n{late.uri}\n" in text


def test_counted_times_do_not_drift() -> None:
    """Each segment ends a third of a millisecond off: a day's list still tells the time."""
    playlist = Playlist("event", 6)
    duration, start = 540_030, START * 90
    for number in range(14_400):
        at = start + number * duration
        playlist.append(Entry(segment_uri(at // 90, number), duration, at // 90))
    told = Playlist.parse(playlist.text(), "event", 6).entries[-1].start_ms
    assert abs(told - (start + 14_399 * duration) // 90) <= 2


def test_keys_end_where_encryption_ends() -> None:
    playlist = Playlist("event", 6)
    key = 'METHOD=AES-128,URI="https://k/1",IV=0x' + "0f" * 16
    for number in range(4):
        playlist.append(entry(number, key=key if number in (0, 1) else ""))
    rows = Media(playlist.text()).rows
    assert [row["key"] for row in rows] == [key, key, None, None]
    assert check_playlist(playlist.text()) == []


def test_the_next_segment_is_a_comment_for_players() -> None:
    playlist = Playlist("live", 6)
    playlist.append(entry(0))
    playlist.announce(entry(1).uri)
    text = playlist.text()
    assert check_playlist(text) == []
    assert Playlist.parse(text, "live", 6).next_uri == entry(1).uri
    playlist.append(entry(1))
    assert playlist.next_uri == ""
    playlist.announce(entry(2).uri)
    playlist.ended = True
    assert "NEXT" not in playlist.text()


@given(st.lists(st.sampled_from(["append", "announce", "again"]), max_size=12))
def test_a_list_that_grows_only_grows(steps: list[str]) -> None:
    """Whatever is announced, and whatever comes instead; also after having been read again."""
    playlist, number, texts = Playlist("event", 6), 0, [""]
    for step in [*steps, "end"]:
        if step == "append":
            playlist.append(entry(number))
            number += 1
        elif step == "announce":
            playlist.announce(segment_uri(START + 7 * len(texts), number))
        elif step == "again":
            playlist = Playlist.parse(playlist.text(), "event", 6)
        else:
            playlist.ended = True
        texts.append(playlist.text())
        assert texts[-1].startswith(texts[-2])
        assert Playlist.parse(texts[-1], "event", 6).next_uri == playlist.next_uri
    assert check_playlist(texts[-1]) == []


def test_what_a_long_list_costs() -> None:
    """What ``Recorder`` tells of one that is stored as a whole after each segment."""
    playlist = Playlist("event", 6)
    for number in range(3):
        playlist.append(entry(number, seconds=6))
    before = len(playlist.text())
    playlist.append(entry(3, seconds=6))
    one = len(playlist.text()) - before
    assert one == 58
    assert round(sum(range(8 * 600)) * one / 1e9, 1) == 0.7


def test_what_is_expected_is_told_at_once() -> None:
    playlist = Playlist("live", 6)
    playlist.expect(round(8.5 * 90_000))
    assert "#EXT-X-TARGETDURATION:9\n" in playlist.text()
    playlist.expect(90_000)
    playlist.append(entry(0, seconds=8.5))
    assert playlist.target_s == 9


def test_a_long_segment_raises_the_target_duration() -> None:
    playlist = Playlist("event", 6)
    playlist.append(entry(0, seconds=6.49))
    assert playlist.target_s == 6
    playlist.append(entry(1, seconds=6.5))
    assert playlist.target_s == 7
    assert check_playlist(playlist.text()) == []


entries = st.lists(
    st.tuples(st.integers(1, 20 * TICKS), st.booleans(), st.integers(0, 3000), st.booleans()),
    max_size=30,
)


@given(entries, st.sampled_from(["live", "vod", "event"]), st.booleans(), st.booleans())
def test_what_was_written_can_be_read(rows: Any, mode: str, ended: bool, announced: bool) -> None:
    playlist = Playlist(mode, 6, list_size=4)
    at, number = START, 0
    for duration, discontinuity, pause, encrypted in rows:
        at += pause if discontinuity else 0
        key = f'METHOD=AES-128,URI="u",IV=0x{number:032x}' if encrypted else ""
        playlist.append(Entry(segment_uri(at, number), duration, at, discontinuity, key))
        at, number = at + duration // 90, number + 1
    playlist.ended = ended
    playlist.next_uri = segment_uri(at, number) if announced else ""
    again = Playlist.parse(playlist.text(), mode, 6, list_size=4)
    assert again.text() == playlist.text()
    assert again.ended == ended
    assert [(e.uri, e.duration, e.discontinuity, e.key) for e in again.entries] == [
        (e.uri, e.duration, e.discontinuity, e.key) for e in playlist.entries
    ]
    assert all(
        abs(mine.start_ms - theirs.start_ms) <= 2
        for mine, theirs in zip(again.entries, playlist.entries, strict=True)
    )
    assert (again.sequence, again.discontinuities, again.target_s) == (
        playlist.sequence,
        playlist.discontinuities,
        playlist.target_s,
    )
    assert check_playlist(again.text()) == []


GOOD = Playlist("live", 6)
GOOD.append(entry(0))
TEXT = GOOD.text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        TEXT[:-1],
        TEXT[len("#EXTM3U\n") :],
        TEXT.replace("6.00000", "6"),
        TEXT.replace("6.00000", "-6.0000"),
        TEXT.replace("#EXT-X-TARGETDURATION:6\n", ""),
        TEXT.replace("TARGETDURATION:6", "TARGETDURATION:six"),
        TEXT.replace("MEDIA-SEQUENCE:0", "MEDIA-SEQUENCE:" + "9" * 30),
        TEXT.replace("20261124/", "../"),
        TEXT.replace(".ts", ".mp4"),
        TEXT.replace("00000000.ts", "1.ts"),
        TEXT.replace("T0600", "X0600"),
        TEXT + "#EXT-X-MAP:URI=x\n",
        TEXT + "#EXTINF:6.00000,\n",
        TEXT + "#EXT-X-DISCONTINUITY\n",
        TEXT + "#EXT-X-ENDLIST\n" + entry(1).uri + "\n",
        TEXT + entry(1).uri + "\n",
        TEXT.replace("2026-11-24", "2026-13-24"),
        TEXT.replace("MODE:live", "MODE:event"),
        TEXT.replace("#OSSMEDIA-MODE:live\n", ""),
    ],
)
def test_another_playlist_is_not_taken_for_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r"^playlist: "):
        Playlist.parse(text, "live", 6)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200), st.integers(0, len(TEXT)))
def test_rubbish_is_a_value_error_at_most(rubbish: str, at: int) -> None:
    text = TEXT[:at] + rubbish + TEXT[at:]
    try:
        Playlist.parse(text, "live", 6)
    except ValueError:
        return
