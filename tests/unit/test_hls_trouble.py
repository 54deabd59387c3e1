"""hls.py and hls_worker.py: outages, refusals, bad frames, events, keys, and wrong arguments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from ossmedia import Bucket, Credentials, MediaError, Retry, SegmentKey, StreamBroken, errors
from tests.elementary import STEP, adts, picture, pictures
from tests.hls_rig import GOP, START, Watched, bucket_of, feed, findings, objects
from tests.hls_rules import Media, check_history
from tests.hls_segments import check_segments
from tests.unit.test_hls_keys import decrypted

PREFIX = "cams/cam-01/live"
INDEX = f"{PREFIX}/index.m3u8"
QUICK: dict[str, Any] = {"segment_time": 1, "start": START, "on_full": "block"}
DROP: dict[str, Any] = {**QUICK, "on_full": "drop", "max_waiting": 2}
DOWN: dict[str, Any] = {"status": 503, "code": "ServiceUnavailable", "times": 0}


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


# Outages


def test_an_outage_costs_the_oldest_and_the_playlist_says_so(bucket: Watched, cloud: Any) -> None:
    lost: list[Any] = []
    stored: list[Any] = []
    failures: list[Exception] = []
    with bucket.record_hls(
        PREFIX,
        "event",
        on_drop=lost.append,
        on_segment=stored.append,
        on_error=failures.append,
        **DROP,
    ) as recorder:
        feed(recorder, 0, 2)
        until(lambda: len(stored) == 1)
        cloud.fault("status", operation="PutObject", **DOWN)
        feed(recorder, 2, 8)  # never waits
        assert len(lost) >= 4
        until(lambda: failures)
        assert recorder.stats()["waiting"] <= 2
        cloud.clear_faults()
        until(lambda: recorder.stats()["waiting"] == 0)
        feed(recorder, 10, 2)
    assert {type(one) for one in failures} == {errors.Unavailable}
    assert {one.reason for one in lost} == {"too many wait"}
    starts = sorted(one.start for one in [*lost, *stored])
    assert starts == [START + second for second in range(12)]
    assert findings(bucket, INDEX) == []
    for before, one in pairwise(stored):
        assert one.discontinuity == (one.start != before.start + 1)
    assert any(one.discontinuity for one in stored)
    assert recorder.stats()["dropped"] == len(lost)


def test_an_outage_may_make_the_recording_wait_and_loses_nothing(
    bucket: Watched, cloud: Any
) -> None:
    cloud.fault("status", operation="PutObject", **{**DOWN, "times": 40})
    with bucket.record_hls(PREFIX, "event", max_waiting=2, **QUICK) as recorder:
        feed(recorder, 0, 10)
    assert len(objects(bucket, PREFIX)) == 10
    assert findings(bucket, INDEX) == []
    assert recorder.stats()["errors"] == 20


def test_what_is_refused_breaks_a_recording_that_waits(bucket: Watched, cloud: Any) -> None:
    lost: list[Any] = []
    cloud.fault("status", operation="PutObject", status=403, code="AccessDenied", times=0)
    recorder = bucket.record_hls(PREFIX, on_drop=lost.append, **QUICK)
    with pytest.raises(StreamBroken) as caught:
        feed(recorder, 0, 30)
    assert isinstance(caught.value.__cause__, errors.AccessDenied)
    with pytest.raises(StreamBroken):
        recorder.close()
    assert {one.reason for one in lost} == {"given up"}
    recorder.close()


def test_what_is_refused_breaks_nothing_else_before_the_end(bucket: Watched, cloud: Any) -> None:
    lost: list[Any] = []
    stored: list[Any] = []
    failures: list[Exception] = []
    cloud.fault("status", operation="PutObject", status=403, code="AccessDenied", times=0)
    recorder = bucket.record_hls(
        PREFIX, on_drop=lost.append, on_segment=stored.append, on_error=failures.append, **DROP
    )
    feed(recorder, 0, 5)
    until(lambda: len(failures) > 2)
    cloud.clear_faults()  # somebody has repaired the policy
    until(lambda: recorder.stats()["waiting"] == 0)
    cloud.fault("status", operation="PutObject", status=403, code="AccessDenied", times=0)
    feed(recorder, 5, 2)
    with pytest.raises(StreamBroken):
        recorder.close()
    assert len(stored) + len(lost) == 7
    assert lost[-1].reason == "given up"


def test_no_progress_ends_the_waiting(cloud: Any) -> None:
    cloud.fault("status", operation="PutObject", **DOWN)
    retry = Retry(attempts=1, base_s=0.0005, cap_s=0.002, give_up_after_s=0.05)
    with bucket_of(cloud, retry=retry) as bucket:
        with pytest.raises(StreamBroken) as caught:
            with bucket.record_hls(PREFIX, **QUICK) as recorder:
                feed(recorder, 0, 2)
        assert isinstance(caught.value.__cause__, errors.Unavailable)
        recorder = bucket.record_hls(PREFIX, **DROP)
        feed(recorder, 0, 2)
        with pytest.raises(StreamBroken):
            recorder.close()


def test_a_network_that_comes_late(cloud: Any) -> None:
    """The recording starts while nobody answers."""
    failures: list[Exception] = []
    cloud.fault("reset", times=6)
    with bucket_of(cloud) as bucket:
        with bucket.record_hls(PREFIX, on_error=failures.append, **QUICK) as recorder:
            assert recorder.playlist_key == INDEX or not recorder.playlist_key
            feed(recorder, 0, 3)
        assert findings(bucket, INDEX) == []
    assert failures
    assert {type(one) for one in failures} == {errors.NetworkError}


def test_a_lost_answer_stores_nothing_twice(bucket: Watched, cloud: Any) -> None:
    cloud.fault("drop", operation="PutObject", when="after", times=3)
    with bucket.record_hls(PREFIX, "event", **QUICK) as recorder:
        feed(recorder, 0, 3)
    assert findings(bucket, INDEX) == []
    assert len(objects(bucket, PREFIX)) == 3


# Bad frames


def test_a_bad_frame_is_told_once_and_the_recording_goes_on(bucket: Watched) -> None:
    failures: list[Exception] = []
    with bucket.record_hls(PREFIX, audio="aac", on_error=failures.append, **QUICK) as recorder:
        feed(recorder, 0, 2, audio=True)
        taken = [recorder.write_video(b"rubbish", (2 * GOP + n) * STEP) for n in range(3)]
        taken += [recorder.write_audio(adts()[:-1], 2 * GOP * STEP) for _ in range(3)]
        assert not any(taken)
        feed(recorder, 3, 3, audio=True)
        recorder.write_video(b"", 7 * GOP * STEP)
    assert [type(one) for one in failures] == [MediaError] * 3
    assert findings(bucket, INDEX) == []
    assert recorder.stats()["skipped"] == 7


def test_frames_without_timestamps(bucket: Watched) -> None:
    made = pictures(4 * GOP, GOP)
    with bucket.record_hls(PREFIX, audio="aac", fps=25, **QUICK) as recorder:
        for at in range(0, len(made), 10):
            sound = b"".join(adts(n) for n in range(19))
            recorder.write(video=b"".join(made[at : at + 10]), audio=sound)
    assert findings(bucket, INDEX) == []
    assert recorder.stats()["segments"] == 4


def test_audio_alone(bucket: Watched) -> None:
    with bucket.record_hls(PREFIX, video="", audio="aac", **QUICK) as recorder:
        recorder.write(audio=b"".join(adts(n) for n in range(200)))
    assert findings(bucket, INDEX) == []
    assert recorder.stats()["segments"] == 5


def test_two_threads_may_write(bucket: Watched) -> None:
    """One captures pictures, one sound; a little apart."""
    with bucket.record_hls(PREFIX, audio="aac", **QUICK) as recorder:
        recorder.write_video(picture(True), 0)

        def sound() -> None:
            for number in range(150):
                recorder.write_audio(adts(number), number * 1920)

        other = threading.Thread(target=sound)
        other.start()
        for number in range(1, 3 * GOP):
            recorder.write_video(picture(number % GOP == 0, number), number * STEP)
        other.join()
    assert findings(bucket, INDEX) == []
    assert recorder.stats()["frames"] == 3 * GOP + 150


# Events


def test_only_events_are_stored_with_what_came_before(bucket: Watched) -> None:
    stored: list[Any] = []
    with bucket.record_hls(
        PREFIX, "event", pre_roll_s=3, on_segment=stored.append, **QUICK
    ) as recorder:
        feed(recorder, 0, 20)
        recorder.trigger(post_roll_s=2)
        feed(recorder, 20, 20)
        recorder.trigger(post_roll_s=2)
        recorder.trigger(post_roll_s=1)
        feed(recorder, 40, 10)
    # Three seconds before the one being recorded, and two after it.
    seconds = [round(one.start - START) for one in stored]
    assert seconds == [*range(16, 22), *range(36, 42)]
    assert findings(bucket, INDEX) == []
    assert [one.discontinuity for one in stored].count(True) == 1
    assert stored[6].discontinuity


def test_without_an_event_nothing_is_stored(bucket: Watched, cloud: Any) -> None:
    with bucket.record_hls(PREFIX, pre_roll_s=3, **QUICK) as recorder:
        feed(recorder, 0, 20)
    assert "PutObject" not in cloud.counters()["requests"]
    with bucket.record_hls(PREFIX, **QUICK) as recorder:
        with pytest.raises(ValueError, match=r"^pre_roll_s: "):
            recorder.trigger()


def test_an_event_at_the_end_is_stored(bucket: Watched) -> None:
    with bucket.record_hls(PREFIX, "event", pre_roll_s=2, **QUICK) as recorder:
        feed(recorder, 0, 5)
        recorder.trigger(post_roll_s=60)
    assert len(objects(bucket, PREFIX)) == 3
    assert findings(bucket, INDEX) == []


# Keys


def test_segments_are_encrypted_with_the_keys_of_the_provider(bucket: Watched) -> None:
    keys = [SegmentKey(f"key-{n}", bytes([n]) * 16, f"https://keys.example/{n}") for n in range(2)]
    turns = iter(range(100))

    def provider(sequence: int, start: float) -> SegmentKey:
        assert start == START + sequence
        if next(turns) == 2:
            raise OSError("the key server does not answer")
        return keys[sequence // 2]

    failures: list[Exception] = []
    with bucket.record_hls(
        PREFIX, "event", key_provider=provider, on_error=failures.append, **QUICK
    ) as recorder:
        feed(recorder, 0, 4)
    assert [str(one) for one in failures] == ["key_provider: raised OSError"]
    assert check_history(bucket.texts[INDEX]) == []
    text, clear = bucket.body(INDEX).decode(), {}
    for number, row in enumerate(Media(text).rows):
        key = keys[number // 2]
        iv = row["key"].rpartition("IV=0x")[2]
        assert f'URI="{key.uri}"' in row["key"]
        stat = bucket.stat(f"{PREFIX}/{row['uri']}")
        metadata = dict(stat.metadata)
        assert metadata["ossmedia-key-id"] == key.id
        assert metadata["ossmedia-iv"] == iv
        clear[row["uri"]] = decrypted(bucket.body(stat.key), key.key, iv)
    assert check_segments(text, clear) == []
    assert not any(key.key.hex() in text for key in keys)


def test_an_encrypted_segment_is_found_again_with_its_key(bucket: Watched, cloud: Any) -> None:
    key = SegmentKey("day", bytes(16), "https://keys.example/day")
    options = {**QUICK, "key_provider": lambda *_: key}
    cloud.fault("status", status=403, code="AccessDenied", key="*.m3u8", method="POST", after=2)
    with pytest.raises(StreamBroken):
        with bucket.record_hls(PREFIX, "event", **options) as recorder:
            feed(recorder, 0, 2)
    with bucket.record_hls(PREFIX, "event", **{**options, "start": START + 60}) as recorder:
        feed(recorder, 0, 1)
    rows = Media(bucket.body(INDEX).decode()).rows
    assert len(rows) == 3
    for row in rows:
        iv = row["key"].rpartition("IV=0x")[2]
        plain = decrypted(bucket.body(f"{PREFIX}/{row['uri']}"), key.key, iv)
        assert plain[0] == 0x47


# The end, and what is refused


def test_leaving_by_an_exception_keeps_what_was_recorded_without_an_end(bucket: Watched) -> None:
    with pytest.raises(KeyError):
        with bucket.record_hls(PREFIX, "event", **QUICK) as recorder:
            feed(recorder, 0, 2)
            raise KeyError
    media = Media(bucket.body(INDEX).decode())
    assert (len(media.rows), media.ended) == (2, False)
    assert findings(bucket, INDEX) == []


def test_a_recording_of_nothing_leaves_nothing(bucket: Watched) -> None:
    recorder = bucket.record_hls(PREFIX, **QUICK)
    assert "open" in repr(recorder)
    recorder.close()
    recorder.close()
    assert "closed" in repr(recorder)
    assert list(bucket.list(PREFIX)) == []
    for write in (recorder.write_video, recorder.write_audio):
        with pytest.raises(ValueError, match="closed"):
            write(b"", 0)
    with pytest.raises(ValueError, match="closed"):
        recorder.trigger()
    with pytest.raises(ValueError, match="closed"), recorder:
        pass


def test_what_a_listener_raises_is_not_the_recordings_trouble(bucket: Watched) -> None:
    def fails(_: object) -> None:
        raise RuntimeError

    with bucket.record_hls(PREFIX, on_segment=fails, on_error=fails, **QUICK) as recorder:
        recorder.write_video(b"rubbish", 0)
        feed(recorder, 1, 2)
    assert findings(bucket, INDEX) == []


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        ({"prefix": ""}, ValueError, "prefix"),
        ({"prefix": "/"}, ValueError, "prefix"),
        ({"prefix": "a" * 1000}, ValueError, "key"),
        ({"prefix": 5}, ValueError, "prefix"),
        ({"mode": "dvr"}, ValueError, "mode"),
        ({"video": "mjpeg"}, MediaError, "video"),
        ({"audio": "pcma"}, MediaError, "audio"),
        ({"video": "", "audio": ""}, ValueError, "video"),
        ({"video_config": b"x"}, MediaError, ".*config"),
        ({"segment_time": 0.5}, ValueError, "segment_time"),
        ({"segment_time": "6"}, TypeError, "segment_time"),
        ({"segment_time": float("nan")}, ValueError, "segment_time"),
        ({"list_size": 2}, ValueError, "list_size"),
        ({"fps": 0}, ValueError, "fps"),
        ({"start": "now"}, TypeError, "start"),
        ({"pre_roll_s": -1}, ValueError, "pre_roll_s"),
        ({"max_waiting": 1}, ValueError, "max_waiting"),
        ({"on_full": "wait"}, ValueError, "on_full"),
        ({"segment_limit": 5}, ValueError, "segment_limit"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type, field: str) -> None:
    before = threading.active_count()
    with Bucket(
        "cams",
        endpoint="http://127.0.0.1:9",
        region="cn-hangzhou",
        credentials=Credentials("i", "s"),
    ) as bucket:
        with pytest.raises(error, match=f"^{field}"):
            bucket.record_hls(**{"prefix": PREFIX, **options})
    assert threading.active_count() == before


def test_bad_arguments_are_named(bucket: Watched) -> None:
    with bucket.record_hls(PREFIX, pre_roll_s=2, **QUICK) as recorder:
        for pts in (1.5, "1", True, None):
            with pytest.raises(TypeError, match=r"^pts: must be int, ticks of 90 kHz"):
                recorder.write_video(picture(True), pts)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^dts: "):
            recorder.write_video(picture(True), 1, 0.5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^access_unit: must be bytes"):
            recorder.write_video("text", 1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^audio: the recording has none"):
            recorder.write_audio(adts(), 0)
        with pytest.raises(ValueError, match=r"^fps: "):
            recorder.write(video=picture(True))
        with pytest.raises(ValueError, match=r"^post_roll_s: "):
            recorder.trigger(-1)
    with bucket.record_hls(PREFIX, fps=25, **QUICK) as recorder:
        with pytest.raises(ValueError, match=r"^audio: the recording has none"):
            recorder.write(audio=adts())


def test_a_closed_bucket_records_nothing(bucket: Watched) -> None:
    bucket.close()
    with pytest.raises(ValueError, match="closed"):
        bucket.record_hls(PREFIX)
