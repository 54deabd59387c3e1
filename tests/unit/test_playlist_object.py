"""playlist_object.py: a list that grows is appended to, whatever the network and others do; what
that costs; and what is listed rarely."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Spool, StreamBroken, errors
from ossmedia.playlist import Entry, Playlist, segment_uri
from ossmedia.playlist_object import PlaylistObject
from tests.hls_rig import START, Watched, bucket_of, feed, findings, objects
from tests.hls_rules import Media
from tests.unit.test_hls import token

KEY = "cams/cam-01/live/index.m3u8"
PREFIX = KEY.rpartition("/")[0]
QUICK: dict[str, Any] = {"segment_time": 1, "start": START, "on_full": "block"}
TEXTS = [b"#EXTM3U\n", b"#EXTM3U\n#a\n", b"#EXTM3U\n#a\n#b\n", b"#EXTM3U\n#a\n#b\n#c\n"]


@pytest.fixture
def bucket(cloud: Any) -> Iterator[Watched]:
    with bucket_of(cloud) as made:
        made.was_there = lambda key: True  # type: ignore[method-assign]
        yield made


def made(bucket: Watched, *, appends: bool = True, held: bytes = b"") -> PlaylistObject:
    return PlaylistObject(bucket, bucket._session, KEY, appends=appends, held=held)


def requests(cloud: Any) -> dict[str, int]:
    counts = cloud.counters()["requests"]
    return {name: counts[name] for name in ("AppendObject", "PutObject") if name in counts}


def test_a_text_that_grows_is_appended_to(bucket: Watched, cloud: Any) -> None:
    kept = made(bucket)
    for text in TEXTS:
        kept.store(text)
        assert bucket.body(KEY) == text
    assert requests(cloud) == {"AppendObject": 4}
    assert bucket.sent == {KEY: len(TEXTS[-1])}
    stat = bucket.stat(KEY)
    assert (stat.type, stat.content_type) == ("Appendable", "application/vnd.apple.mpegurl")


def test_a_text_that_changes_is_stored_anew(bucket: Watched, cloud: Any) -> None:
    kept = made(bucket)
    for text in (TEXTS[1], b"#EXTM3U\n#other\n", b"#EXTM3U\n#other\n#more\n"):
        kept.store(text)
        assert bucket.body(KEY) == text
    assert not kept.appends
    assert requests(cloud) == {"AppendObject": 1, "PutObject": 2}


def test_one_that_may_not_append_never_does(bucket: Watched, cloud: Any) -> None:
    kept = made(bucket, appends=False)
    for text in TEXTS:
        kept.store(text)
    assert requests(cloud) == {"PutObject": 4}
    assert bucket.stat(KEY).type == "Normal"


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_answer_appends_nothing_twice(bucket: Watched, cloud: Any, lost: int) -> None:
    cloud.fault("drop", operation="AppendObject", when="after", after=lost, times=1)
    kept = made(bucket)
    for text in TEXTS:
        kept.store(text)
        assert bucket.body(KEY) == text
    assert kept.appends


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_was_in_doubt_is_asked_about(bucket: Watched, cloud: Any, when: str) -> None:
    """All tries of a call fail; the next call finds out what they did."""
    kept = made(bucket)
    kept.store(TEXTS[0])
    cloud.fault("drop", operation="AppendObject", when=when, times=0)
    cloud.fault("status", operation="HeadObject", status=503, code="ServiceUnavailable", times=0)
    with pytest.raises(errors.OssMediaError):
        kept.store(TEXTS[1])
    with pytest.raises(errors.Unavailable):
        kept.store(TEXTS[1])
    cloud.clear_faults()
    kept.store(TEXTS[1])
    kept.store(TEXTS[2])
    assert bucket.body(KEY) == TEXTS[2]
    assert kept.appends


@pytest.mark.parametrize("theirs", [b"#theirs\n", TEXTS[1] + b"#theirs\n", None])
def test_anothers_bytes_are_not_built_on(bucket: Watched, theirs: bytes | None) -> None:
    kept = made(bucket)
    kept.store(TEXTS[1])
    if theirs is None:
        bucket.delete(KEY)
    else:
        super(Watched, bucket).put(KEY, theirs)
    kept.store(TEXTS[2])
    assert bucket.body(KEY) == TEXTS[2]
    assert not kept.appends
    kept.store(TEXTS[3])
    assert bucket.body(KEY) == TEXTS[3]


def test_an_answer_of_other_bytes_is_no_success(bucket: Watched, cloud: Any) -> None:
    kept = made(bucket, held=b"#EXTM3U\n#lies\n")
    with bucket.open(KEY, "ab") as file:  # as long, but with another content
        file.write(b"#EXTM3U\n#true\n")
    kept.store(b"#EXTM3U\n#lies\n#b\n")
    assert bucket.body(KEY) == b"#EXTM3U\n#lies\n#b\n"
    assert not kept.appends


def test_a_bucket_that_knows_no_append_gets_whole_lists(bucket: Watched, cloud: Any) -> None:
    """As one that encrypts with a key of KMS."""
    cloud.fault("status", operation="AppendObject", status=400, code="InvalidArgument", times=0)
    kept = made(bucket)
    for text in TEXTS:
        kept.store(text)
        assert bucket.body(KEY) == text
    assert requests(cloud) == {"AppendObject": 1, "PutObject": 4}


def test_a_right_that_is_missing_is_told(bucket: Watched, cloud: Any) -> None:
    cloud.fault("status", operation="AppendObject", status=403, code="AccessDenied", times=1)
    kept = made(bucket)
    with pytest.raises(errors.AccessDenied):
        kept.store(TEXTS[0])
    kept.store(TEXTS[0])
    assert kept.appends


def test_without_the_right_to_read_doubt_ends_in_a_whole_list(bucket: Watched, cloud: Any) -> None:
    with bucket_of(cloud, token(cloud, "w")) as camera:
        kept = made(camera)
        camera.was_there = bucket.was_there  # type: ignore[method-assign]
        camera.body = bucket.body  # type: ignore[method-assign]
        kept.store(TEXTS[0])
        kept.store(TEXTS[1])
        assert kept.appends
        cloud.fault("drop", operation="AppendObject", when="after", times=1)
        kept.store(TEXTS[2])
    assert bucket.body(KEY) == TEXTS[2]
    assert not kept.appends


# Whole recordings


def test_an_event_of_hours_costs_as_much_as_its_list(bucket: Watched) -> None:
    with bucket.record_hls(PREFIX, "event", **QUICK) as recorder:
        feed(recorder, 0, 60)
    assert findings(bucket, KEY) == []
    assert len(bucket.texts[KEY]) >= 61
    assert bucket.sent[KEY] == len(bucket.body(KEY))
    assert len(bucket.body(KEY)) < 60 * 120 + 400  # 58 bytes, or with its announcement 115


@pytest.mark.parametrize("mode", ["event", "vod"])
def test_a_list_goes_on_being_appended_to_after_a_restart(
    bucket: Watched, cloud: Any, mode: str
) -> None:
    for life in range(3):
        recorder = bucket.record_hls(PREFIX, mode, **{**QUICK, "start": START + 60 * life})
        feed(recorder, 0, 4)
        recorder.close(ends=False)
        assert bucket.stat(KEY).type == "Appendable"
    assert requests(cloud)["PutObject"] == 12
    assert findings(bucket, KEY) == []
    assert len(Media(bucket.body(KEY).decode()).rows) == 12
    for before, after in zip(bucket.texts[KEY], bucket.texts[KEY][1:], strict=False):
        assert after.startswith(before)


def test_a_list_from_before_is_stored_as_a_whole(bucket: Watched, cloud: Any) -> None:
    """It is no object that could be appended to."""
    old = Playlist("event", 1)
    old.append(Entry(segment_uri(START * 1000, 0), 90_000, START * 1000))
    bucket.put(f"{PREFIX}/{segment_uri(START * 1000, 0)}", b"")
    super(Watched, bucket).put(KEY, old.text().encode())
    with bucket.record_hls(PREFIX, "event", **{**QUICK, "start": START + 60}) as recorder:
        feed(recorder, 0, 3)
    assert "AppendObject" not in requests(cloud)
    assert len(Media(bucket.body(KEY).decode()).rows) == 4


def test_a_longer_segment_makes_a_new_list(bucket: Watched, cloud: Any) -> None:
    """Its target duration stands at the beginning."""
    with bucket.record_hls(PREFIX, "event", **QUICK) as recorder:
        feed(recorder, 0, 4)
        recorder.write_video(*_key(10))
        recorder.write_video(*_key(14))
    assert {"AppendObject", "PutObject"} == set(requests(cloud))
    text = bucket.body(KEY).decode()
    assert "#EXT-X-ENDLIST" in text
    assert all(Media(text).target >= round(row["seconds"]) for row in Media(text).rows)


def _key(second: int) -> tuple[bytes, int]:
    from tests.elementary import picture

    return picture(True), second * 90_000


def test_a_vod_that_a_spool_holds_is_listed_rarely_and_wholly_at_its_end(
    cloud: Any, tmp_path: Path
) -> None:
    with Spool(tmp_path) as spool, bucket_of(cloud, spool=spool) as bucket:
        with bucket.record_hls(PREFIX, "vod", **QUICK) as recorder:
            feed(recorder, 0, 80)
        assert spool.drain(60)
        assert findings(bucket, KEY) == []
        media = sum(row.size for row in bucket.list(PREFIX) if row.key.endswith(".ts"))
        final = len(bucket.body(KEY))
        assert len(Media(bucket.body(KEY).decode()).rows) == 80
        assert bucket.sent[KEY] - final < media / 100 + 1000
        assert len(bucket.texts[KEY]) < 40


def test_a_restart_lists_all_that_a_rare_list_lacks(cloud: Any, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool, bucket_of(cloud, spool=spool) as bucket:
        recorder = bucket.record_hls(PREFIX, "vod", **QUICK)
        feed(recorder, 0, 60)
        # As if the power went: what is stored stays, nothing is said at the end.
        bucket.put = _fails  # type: ignore[method-assign]
        with pytest.raises(StreamBroken):
            feed(recorder, 60, 10)
            recorder.close()
        assert spool.drain(60)
        listed = len(Media(bucket.body(KEY).decode()).rows)
        stored = len(objects(bucket, PREFIX))
        assert listed < stored
    with Spool(tmp_path) as spool, bucket_of(cloud, spool=spool) as bucket:
        with bucket.record_hls(PREFIX, "vod", **{**QUICK, "start": START + 600}) as recorder:
            feed(recorder, 0, 2)
        assert spool.drain(60)
        rows = Media(bucket.body(KEY).decode()).rows
        assert [f"{PREFIX}/{row['uri']}" for row in rows] == sorted(objects(bucket, PREFIX))
        assert [row["discontinuity"] for row in rows] == [False] * stored + [True, False]


def _fails(key: str, data: Any, **options: Any) -> Any:
    raise KeyError(key)
