"""What objects tell of recordings, and the forms people get."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request

from ossmedia.server.catalogue import Cursor, Entry
from ossmedia.server.problems import Problem
from ossmedia.server.recording_facts import ObjectFacts, found_of, no_recording
from ossmedia.server.recording_forms import Query, entry_json, file_name, iso, safe_type
from ossmedia.server.recordings import GROWING, READY, Found

NOW = 1_750_000_000.0
SEGMENT = "cams/cam-1/live/20250615/20250615T150640500Z-00000007.ts"


def facts(key: str = "cams/cam-1/a.mp4", **more: Any) -> ObjectFacts:
    values: dict[str, Any] = {
        "size": 10,
        "etag": "A",
        "type": "Normal",
        "modified_at": NOW - 10,
        "asked_at": NOW,
        **more,
    }
    return ObjectFacts(key, **values)


def found(of: ObjectFacts, **more: Any) -> Found:
    made = found_of(of, "cams", "cam-1", "cams/cam-1", seen_by="report", **more)
    assert made is not None
    return made


def test_a_segment_as_the_recorder_writes_it() -> None:
    meta = {"ossmedia-start": "1750000000500", "ossmedia-duration": "6006"}
    meta |= {"ossmedia-sequence": "7", "ossmedia-discontinuity": "1", "ossmedia-keyframe": "1"}
    made = found(facts(SEGMENT, metadata=meta))
    assert (made.kind, made.stream, made.sequence) == ("segment", "live", 7)
    assert (made.start_at, made.duration_s, made.discontinuity) == (NOW + 0.5, 6.006, True)


IV = "0123456789abcdef0123456789ABCDEF"


@pytest.mark.parametrize(
    "uri", ["https://keys.example/k?id=7", "HTTP://keys/7", "/keys/7", "k/a:b"]
)
def test_an_encrypted_segment_tells_where_its_key_is(uri: str) -> None:
    meta = {"ossmedia-key-uri": uri, "ossmedia-iv": IV, "ossmedia-key-id": "7"}
    made = found(facts(SEGMENT, metadata=meta))
    assert (made.key_uri, made.key_iv) == (uri, IV.lower())
    assert found(facts(metadata=meta)).key_uri is None  # files are never encrypted by a recorder


@pytest.mark.parametrize(
    ("uri", "iv"),
    [
        ("", IV),
        ("https://keys/7", ""),
        ("https://keys/7", IV[1:]),
        ("https://keys/7", IV + "0"),
        ("https://keys/7", "g" * 32),
        ("https://", IV),
        ("https:///keys", IV),
        ("javascript:alert(1)", IV),
        ("data:;base64,AAAA", IV),
        ("file:///etc/passwd", IV),
        ('https://keys/7",IV=0x00', IV),
        ("https://keys/7\n#EXT-X-ENDLIST", IV),
        ("https://keys/7 8", IV),
        ("https://keys/\u00e9", IV),
        ("https://keys/" + "7" * 2000, IV),
    ],
)
def test_a_key_that_cannot_be_is_not_said(uri: str, iv: str) -> None:
    meta = {"ossmedia-key-uri": uri, "ossmedia-iv": iv}
    made = found(facts(SEGMENT, metadata=meta))
    assert (made.key_uri, made.key_iv) == (None, None)


def test_a_segment_without_metadata_is_known_by_its_name() -> None:
    made = found(facts(SEGMENT))
    assert (made.kind, made.sequence, made.duration_s) == ("segment", 7, None)
    assert made.start_at == NOW + 0.5
    deep = found(facts("cams/cam-1/a/b/20250615/20250615T150640500Z-1750000000123.ts"))
    assert (deep.stream, deep.sequence) == ("a/b", 1750000000123)
    assert found(facts("cams/cam-1/20250615/20250615T150640500Z-00000001.ts")).stream == ""


@pytest.mark.parametrize(
    "key",
    [
        "cams/cam-1/live/20250615T150640500Z-00000007.ts",
        "cams/cam-1/live/20250615/20250615T150640Z-00000007.ts",
        "cams/cam-1/live/20250615/20250615T150640500Z-7.ts",
        "cams/cam-1/live/20250615/20250615T150640500Z-00000007.ts.bak",
        "cams/cam-1/clip.ts",
    ],
)
def test_other_names_are_files(key: str) -> None:
    assert found(facts(key)).kind == "file"


@pytest.mark.parametrize(
    ("key", "kind", "size"),
    [
        ("cams/cam-1/live/index.m3u8", "Normal", 10),
        ("cams/cam-1/INDEX.M3U8", "Normal", 10),
        ("cams/cam-1/folder/", "Normal", 0),
        ("cams/cam-1/a.mp4", "Normal", 0),
        ("cams/cam-1/a.mp4", "Symlink", 10),
        ("cams/cam-1/a\0.mp4", "Normal", 10),
    ],
)
def test_what_is_no_recording(key: str, kind: str, size: int) -> None:
    assert no_recording(key, kind, size)
    assert found_of(facts(key, type=kind, size=size), "b", "c", "cams/cam-1", seen_by="x") is None


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("clip-20250615T150640Z.mp4", NOW),
        ("20250615T150640250Z.mp4", NOW + 0.25),
        ("clip_20250615_150640.mp4", NOW),
        ("clip-20251315T150640Z.mp4", None),  # no such month
        ("clip-120250615T150640Z.mp4", None),  # longer digits
        ("clip-20990615T150640Z.mp4", None),  # not yet
        ("clip.mp4", None),
    ],
)
def test_a_time_in_a_name(name: str, start: float | None) -> None:
    assert found(facts(f"cams/cam-1/{name}")).start_at == start


@pytest.mark.parametrize("text", ["", "-5", "1e9", "\u0661\u0662", "9" * 16, "1750172800000", "x"])
def test_a_start_that_cannot_be_is_not_taken(text: str) -> None:
    """No number, or more than a day ahead of the server."""
    made = found(facts(metadata={"ossmedia-start": text, "ossmedia-duration": text}))
    assert (made.start_at, made.duration_s) == (None, None)


def test_the_object_itself_counts_before_what_is_said() -> None:
    meta = {"ossmedia-start": "1749999000000", "ossmedia-duration": "2000"}
    said = (NOW - 5, 9.0)
    assert found(facts(), said=said).start_at == NOW - 5
    assert found(facts(), said=said).duration_s == 9.0
    made = found(facts(metadata=meta), said=said)
    assert (made.start_at, made.duration_s) == (NOW - 1000, 2.0)
    assert found(facts(SEGMENT), said=(None, 301.0)).duration_s is None, "no segment is so long"


def test_what_is_appended_to_grows() -> None:
    assert found(facts(type="Appendable", position=10)).state == GROWING
    assert found(facts(type="Appendable", position=10, modified_at=NOW - 121)).state == READY
    assert found(facts()).state == READY


def request(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


def refused(query: str, call: Any, *known: str) -> str:
    with pytest.raises(Problem) as caught:
        call(Query(request(query), *known))
    assert caught.value.code in ("invalid-field", "unknown-field")
    return caught.value.detail


def test_a_day_of_ones_own_clock() -> None:
    low, high = Query(request("day=2025-06-15"), "day").day() or (0, 0)
    assert (iso(low), iso(high)) == ("2025-06-15T00:00:00.000Z", "2025-06-16T00:00:00.000Z")
    query = Query(request("day=2025-06-15&tz_offset_min=480"), "day", "tz_offset_min")
    assert iso((query.day() or (0, 0))[0]) == "2025-06-14T16:00:00.000Z"
    assert Query(request(""), "day").day() is None


def test_a_month() -> None:
    low, high, names = Query(request("month=2024-02"), "month").month()
    assert (iso(low), iso(high)) == ("2024-02-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z")
    assert (names[0], names[-1], len(names)) == ("2024-02-01", "2024-02-29", 29)


@pytest.mark.parametrize(
    "day", ["", "2025-6-1", "2025-02-30", "1969-12-31", "\u0662025-06-15", "x"]
)
def test_days_that_are_none(day: str) -> None:
    told = refused(f"day={day}", lambda q: q.day(), "day")
    assert told == "day: must be YYYY-MM-DD, from 1970 on"
    assert refused(f"month={day}", lambda q: q.month(), "month").startswith("month: must be")


def test_other_values_are_checked() -> None:
    names = ("limit", "tz_offset_min", "cursor", "from", "download", "day")
    for query, call, text in (
        ("limit=0", lambda q: q.limit(), "limit: must be a whole number 1-200"),
        ("limit=201", lambda q: q.limit(), "limit: must be a whole number 1-200"),
        ("limit=x", lambda q: q.limit(), "limit: must be a whole number 1-200"),
        ("tz_offset_min=841&day=2025-06-15", lambda q: q.day(), "tz_offset_min: must be a whole"),
        ("cursor=abc", lambda q: q.cursor(), "cursor: must be one that a list gave"),
        ("from=yesterday", lambda q: q.moment("from"), "from: not an ISO 8601 time"),
        ("download=yes", lambda q: q.flag("download"), "download: must be 0 or 1"),
        ("limit=1&limit=2", lambda q: q.limit(), "limit: stands there twice"),
        ("where=x", lambda q: q.limit(), "'where'; known: limit"),
    ):
        assert refused(query, call, *names).startswith(text)
    assert Query(request(""), *names).limit() == 50


@pytest.mark.parametrize("start", [NOW, NOW + 0.1, 1_795_425_431.2137136, 0.5])
def test_cursors_travel_exactly(start: float) -> None:
    cursor = Cursor(start, "0123456789abcdef01234567")
    assert Cursor.parse(cursor.text()) == cursor


ENTRY = Entry(
    id="0" * 24,
    camera="cam-1",
    kind="file",
    title="a.mp4",
    key="cams/cam-1/a.mp4",
    content_type="video/mp4",
    start_at=NOW + 0.0009,
    duration_s=None,
    size=5,
    state="ready",
    keep=False,
)


def test_an_entry_as_it_travels() -> None:
    data = entry_json(ENTRY)
    assert data["start"] == "2025-06-15T15:06:40.000Z"
    assert (data["duration_s"], data["playlist"], data["discontinuities"]) == (None, None, 0)
    run = replace(ENTRY, kind="hls", stream="a/b \u00fc", duration_s=60.0)
    path = "/v1/playlists/cam-1/a/b%20%C3%BC.m3u8?from=2025-06-15T15:06:40.000Z&to="
    assert entry_json(run)["playlist"] == path + "2025-06-15T15:07:40.000Z"
    growing = entry_json(replace(run, state="growing"))["playlist"]
    assert growing == path + "2025-06-15T17:06:40.000Z"


@pytest.mark.parametrize(
    ("stored", "key", "shown"),
    [
        ("video/mp4", "x", "video/mp4"),
        ("VIDEO/MP4; codecs=x", "x", "video/mp4"),
        ("text/vnd.trolltech.linguist", "a.ts", "video/mp2t"),
        ("text/html", "a.html", "application/octet-stream"),
        ("text/html", "a.mp4", "video/mp4"),
        ("image/svg+xml", "a.svg", "application/octet-stream"),
        ("image/jpeg", "a", "image/jpeg"),
        ("video/mp4\r\nx: y", "a", "application/octet-stream"),
        ("application/xhtml+xml", "a.xhtml", "application/octet-stream"),
        ("", "a.TS", "video/mp2t"),
    ],
)
def test_types_that_browsers_do_not_run(stored: str, key: str, shown: str) -> None:
    assert safe_type(stored, key) == shown


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("cams/cam-1/a.mp4", "a.mp4"),
        ('c/a";x="b\r\n.mp4', "a_x_b_.mp4"),
        ("c/../..", "recording"),
        ("c/.htaccess", "htaccess"),
        ("c/\u00fc\u202e4pm.exe", "4pm.exe"),
        ("c/" + "x" * 500 + ".mp4", "x" * 96 + ".mp4"),
    ],
)
def test_file_names_for_downloads(key: str, name: str) -> None:
    assert file_name(replace(ENTRY, key=key)) == name


def test_times_are_written_as_they_are_read() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert time.strftime("%Y", time.gmtime(NOW)) == iso(NOW)[:4]
