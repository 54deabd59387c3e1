"""hls.py and publisher.py: recordings into the local cloud, judged by checkers of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ossmedia import StreamBroken
from ossmedia.hls_queue import SegmentQueue
from ossmedia.segments import Segment
from ossmedia.sts import TokenIssuer
from tests.elementary import STEP, picture
from tests.hls_rig import START, Watched, bucket_of, feed, findings, objects
from tests.hls_rules import Media
from tests.unit.test_capture_time import Clock

PREFIX = "cams/cam-01/live"
INDEX = f"{PREFIX}/index.m3u8"
QUICK: dict[str, Any] = {"segment_time": 1, "start": START, "on_full": "block"}


@pytest.fixture
def bucket(cloud: Any) -> Iterator[Watched]:
    with bucket_of(cloud) as made:
        yield made


def until(condition: Callable[[], object]) -> None:
    """Waits for what another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def last(bucket: Watched, key: str = INDEX) -> Media:
    return Media(bucket.body(key).decode())


@pytest.mark.parametrize("mode", ["live", "event", "vod"])
def test_a_recording(bucket: Watched, cloud: Any, mode: str) -> None:
    told: list[Any] = []
    with bucket.record_hls(PREFIX, mode, audio="aac", on_segment=told.append, **QUICK) as recorder:
        feed(recorder, 0, 12, audio=True)
    assert findings(bucket, INDEX) == []
    assert recorder.playlist_key == INDEX
    media = last(bucket)
    assert media.ended
    assert media.target == 1
    kept = 5 if mode == "live" else 12
    assert [row["uri"] for row in media.rows] == [
        segment.key.removeprefix(f"{PREFIX}/") for segment in told[-kept:]
    ]
    assert set(objects(bucket, PREFIX)) == {segment.key for segment in told}
    assert [segment.sequence for segment in told] == list(range(12))
    assert [segment.start for segment in told] == [START + number for number in range(12)]
    requests = cloud.counters()["requests"]
    whole = {"live": 14, "event": 0, "vod": 1}[mode]  # versions of the playlist
    assert requests["PutObject"] == 12 + whole
    assert requests.get("AppendObject", 0) == 14 - whole
    counts = recorder.stats()
    assert (counts["segments"], counts["frames"], counts["dropped"]) == (12, 600, 0)
    assert counts["bytes"] == sum(segment.size for segment in told)


def test_the_target_duration_is_known_from_the_first_playlist_on(bucket: Watched) -> None:
    """Key frames rarer than segments were to be: it may not change (RFC 8216, 6.2.1)."""
    with bucket.record_hls(PREFIX, "event", **QUICK) as recorder:
        for number in range(400):
            recorder.write_video(picture(number % 100 == 0, number), number * STEP)
    texts = bucket.texts[INDEX]
    assert len(texts) > 5
    assert {Media(text).target for text in texts} == {4}
    assert findings(bucket, INDEX) == []


def test_what_an_object_says_of_itself(bucket: Watched) -> None:
    with bucket.record_hls(PREFIX, **QUICK) as recorder:
        feed(recorder, 0, 2)
        feed(recorder, 30, 1)
    rows = [bucket.stat(key) for key in objects(bucket, PREFIX)]
    assert rows[0].key == f"{PREFIX}/20261124/20261124T060000000Z-00000000.ts"
    assert {row.content_type for row in rows} == {"video/mp2t"}
    assert [
        {name: value for name, value in row.metadata if name != "ossmedia-next"} for row in rows
    ] == [
        {
            "ossmedia-start": str((START + second) * 1000),
            "ossmedia-duration": "1000",
            "ossmedia-sequence": str(number),
            "ossmedia-keyframe": "1",
            **({"ossmedia-discontinuity": "1"} if number == 2 else {}),
        }
        for number, second in enumerate((0, 1, 30))
    ]
    assert bucket.stat(INDEX).content_type == "application/vnd.apple.mpegurl"


@pytest.mark.parametrize("mode", ["live", "event", "vod"])
def test_each_segment_is_announced_before_it_comes(bucket: Watched, mode: str) -> None:
    """By the playlist, or by the segment before it."""
    with bucket.record_hls(PREFIX, mode, **QUICK) as recorder:
        feed(recorder, 0, 4)
    said = [
        line.removeprefix("#OSSMEDIA-NEXT:")
        for text in bucket.texts[INDEX]
        for line in text.split("\n")
        if line.startswith("#OSSMEDIA-NEXT:")
    ]
    for key in objects(bucket, PREFIX):
        said += [value for name, value in bucket.stat(key).metadata if name == "ossmedia-next"]
    assert set(said) == {row["uri"] for row in last(bucket).rows}


# Restarts


@pytest.mark.parametrize("mode", ["live", "event", "vod"])
@pytest.mark.parametrize("ends", [False, True])
def test_a_restart_goes_on(bucket: Watched, mode: str, ends: bool) -> None:
    before: dict[str, str] = {}
    for life in range(3):
        recorder = bucket.record_hls(PREFIX, mode, **{**QUICK, "start": START + life * 60})
        feed(recorder, 0, 4)
        recorder.close(ends=ends)
        after = objects(bucket, PREFIX)
        assert before.items() <= after.items()
        assert len(after) == 4 * life + 4
        before = after
    if mode == "live" or not ends:
        assert findings(bucket, INDEX, reopened=ends) == []
        media = last(bucket)
        assert media.sequence + len(media.rows) == 12
        assert [row["discontinuity"] for row in media.rows][-5:] == [False] + [True] + [False] * 3
    else:
        names = [INDEX, f"{PREFIX}/index~g2.m3u8", f"{PREFIX}/index~g3.m3u8"]
        assert recorder.playlist_key == names[2]
        for key in names:
            assert findings(bucket, key) == []
            assert len(last(bucket, key).rows) == 4


def test_a_segment_that_no_playlist_names_is_found_again(bucket: Watched, cloud: Any) -> None:
    """Stored and acknowledged, and then the process was killed."""
    told: list[str] = []
    cloud.fault("status", status=403, code="AccessDenied", key="*.m3u8", method="POST", after=3,
                times=1)  # fmt: skip
    recorder = bucket.record_hls(
        PREFIX, "event", on_segment=lambda one: told.append(one.key), **QUICK
    )
    with pytest.raises(StreamBroken):
        feed(recorder, 0, 20)
        recorder.close()
    assert len(told) == 3
    assert len(last(bucket).rows) == 2
    with bucket.record_hls(PREFIX, "event", **{**QUICK, "start": START + 60}) as recorder:
        feed(recorder, 0, 2)
    assert findings(bucket, INDEX) == []
    names = [f"{PREFIX}/{row['uri']}" for row in last(bucket).rows]
    assert names[:3] == told
    assert [row["discontinuity"] for row in last(bucket).rows] == [0, 0, 0, 1, 0]


def test_the_first_segment_is_found_again_too(bucket: Watched, cloud: Any) -> None:
    cloud.fault("status", status=403, code="AccessDenied", key="*.m3u8", method="PUT", after=1)
    with pytest.raises(StreamBroken):
        with bucket.record_hls(PREFIX, **QUICK) as recorder:
            feed(recorder, 0, 1)
    assert last(bucket).rows == []
    with bucket.record_hls(PREFIX, **{**QUICK, "start": START + 60}) as recorder:
        feed(recorder, 0, 1)
    assert [f"{PREFIX}/{row['uri']}" for row in last(bucket).rows] == list(objects(bucket, PREFIX))
    assert findings(bucket, INDEX) == []


@pytest.mark.parametrize("foreign", [b"#EXTM3U\nhttps://elsewhere/a.ts\n", b"", b"\xff\xfe", None])
def test_anothers_playlist_is_left_alone(bucket: Watched, foreign: bytes | None) -> None:
    if foreign is None:  # ours, but it keeps all
        with bucket.record_hls(PREFIX, "event", **QUICK) as recorder:
            feed(recorder, 0, 1)
        foreign = bucket.body(INDEX)
    else:
        bucket.put(INDEX.replace("m3u8", "M3U8"), b"")
        super(Watched, bucket).put(INDEX, foreign)
    with bucket.record_hls(PREFIX, "live", **{**QUICK, "start": START + 60}) as recorder:
        feed(recorder, 0, 2)
    assert bucket.body(INDEX) == foreign
    assert recorder.playlist_key == f"{PREFIX}/index~g2.m3u8"
    assert findings(bucket, recorder.playlist_key) == []


def token(cloud: Any, modes: str) -> Any:
    owner = bucket_of(cloud)
    issuer = TokenIssuer(
        cloud.role_arn,
        "cams",
        credentials=owner._session.renewer.current(),
        secure_transport=False,
        endpoint=cloud.sts_endpoint,
        region=cloud.region,
    )
    owner.close()
    return issuer.get_token("cams/cam-01/*", modes, 900, device="cam-01")


def test_reading_and_writing_is_all_it_needs(bucket: Watched, cloud: Any) -> None:
    with bucket_of(cloud, token(cloud, "rw")) as camera:
        camera.was_there = bucket.was_there  # type: ignore[method-assign]
        for life in range(2):
            options = {**QUICK, "start": START + life * 60}
            with camera.record_hls(PREFIX, on_error=pytest.fail, **options) as recorder:
                feed(recorder, 0, 3)
        assert findings(camera, INDEX, reopened=True) == []
    assert set(cloud.counters()["requests"]) <= {
        "PutObject", "GetObject", "HeadObject", "Rpc", "AssumeRole", "ListObjectsV2",
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["live", "event"])
def test_without_the_right_to_read_numbers_come_from_the_clock(
    bucket: Watched, cloud: Any, mode: str
) -> None:
    key, now = token(cloud, "w"), time.time()
    before: dict[str, str] = {}
    texts: list[str] = []
    for life in range(3):
        clock = Clock(now + life * 10)
        with bucket_of(cloud, key, clock=clock) as camera:
            camera.was_there = bucket.was_there  # type: ignore[method-assign]
            options = {**QUICK, "start": None}
            with camera.record_hls(PREFIX, mode, **options) as recorder:
                feed(recorder, 0, 4)
            texts += camera.texts[recorder.playlist_key]
        after = objects(bucket, PREFIX)
        assert before.items() <= after.items()
        assert len(after) == 4 * life + 4
        before = after
    sequences = [Media(text).sequence for text in texts]
    assert sequences == sorted(sequences)
    assert sequences[0] == int(now) - 1_577_836_800
    lists = [row.key for row in bucket.list(PREFIX) if row.key.endswith(".m3u8")]
    assert len(lists) == (1 if mode == "live" else 3)
    assert (lists == [INDEX]) == (mode == "live")


def test_a_clock_that_was_never_set_collides_with_nothing(bucket: Watched, cloud: Any) -> None:
    key = token(cloud, "w")
    for _ in range(2):
        with bucket_of(cloud, key, clock=Clock(5.0)) as camera:
            with camera.record_hls(PREFIX, on_full="block", segment_time=1) as recorder:
                feed(recorder, 0, 3)
    assert len(objects(bucket, PREFIX)) == 6


@pytest.mark.parametrize("pre_roll_s", [0, 3])
def test_the_worker_is_never_quicker_than_the_news_of_the_next_segment(
    bucket: Watched, monkeypatch: pytest.MonkeyPatch, pre_roll_s: float
) -> None:
    """Or it would store a list that says that nothing is known to follow, and soon another one."""
    given: list[tuple[int, int | None]] = []
    put = SegmentQueue.put

    def watched(line: SegmentQueue, segment: Segment, next_ms: int | None = None) -> None:
        given.append((segment.start_ms, next_ms))
        put(line, segment, next_ms)

    monkeypatch.setattr(SegmentQueue, "put", watched)
    with bucket.record_hls(PREFIX, "event", pre_roll_s=pre_roll_s, **QUICK) as recorder:
        feed(recorder, 0, 6)
        if pre_roll_s:
            recorder.trigger(60)
        feed(recorder, 6, 3)
    starts = [start for start, _ in given]
    assert len(starts) >= 6
    assert [following for _, following in given] == [*starts[1:], None]
