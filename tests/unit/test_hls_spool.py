"""Recordings through a spool: an outage becomes a playlist without holes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Spool, StreamBroken
from tests.hls_rig import START, Watched, bucket_of, feed, findings, objects
from tests.hls_rules import Media, check_history

PREFIX = "cams/cam-01/live"
INDEX = f"{PREFIX}/index.m3u8"
QUICK: dict[str, Any] = {"segment_time": 1, "start": START, "on_full": "block"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    with Spool(folder) as made:
        yield made


@pytest.fixture
def bucket(cloud: Any, spool: Spool) -> Iterator[Watched]:
    with bucket_of(cloud, spool=spool) as made:
        yield made


def until(condition: Callable[[], object]) -> None:
    """Waits for what another thread does."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def down(cloud: Any) -> None:
    cloud.fault("reset", times=0)


@pytest.mark.parametrize("mode", ["live", "event"])
def test_an_outage_leaves_no_hole(bucket: Watched, spool: Spool, cloud: Any, mode: str) -> None:
    told: list[Any] = []
    with bucket.record_hls(PREFIX, mode, on_segment=told.append, **QUICK) as recorder:
        feed(recorder, 0, 2)
        until(lambda: told)
        down(cloud)
        feed(recorder, 2, 30)
    assert len(told) == 32
    assert {one.receipt for one in told} == {None}
    assert spool.status().waiting > 30
    cloud.clear_faults()
    assert spool.drain(60)
    assert findings(bucket, INDEX) == []
    assert set(objects(bucket, PREFIX)) == {one.key for one in told}
    media = Media(bucket.body(INDEX).decode())
    assert media.ended
    assert media.sequence + len(media.rows) == 32
    assert not any(row["discontinuity"] for row in media.rows)


def test_a_restart_in_an_outage_goes_on_from_what_the_spool_holds(cloud: Any, folder: Path) -> None:
    texts: list[str] = []
    for life in range(3):
        with Spool(folder) as spool, bucket_of(cloud, spool=spool) as bucket:
            bucket.was_there = lambda key: True  # type: ignore[method-assign]
            options = {**QUICK, "start": START + 60 * life}
            recorder = bucket.record_hls(PREFIX, "event", **options)
            feed(recorder, 0, 3)
            if life == 0:
                until(lambda made=recorder: made.stats()["segments"] == 2)
                down(cloud)
            recorder.close(ends=False)
            assert recorder.playlist_key == INDEX
            texts += bucket.texts[INDEX]
            if life == 2:
                cloud.clear_faults()
                assert spool.drain(60)
                assert len(objects(bucket, PREFIX)) == 9
                assert findings(bucket, INDEX) == []
    assert check_history(texts) == []
    assert [row["discontinuity"] for row in Media(texts[-1]).rows] == [
        number in (3, 6) for number in range(9)
    ]


def test_the_spool_knows_of_a_segment_that_no_playlist_names(cloud: Any, folder: Path) -> None:
    with Spool(folder) as spool, bucket_of(cloud, spool=spool) as bucket:
        recorder = bucket.record_hls(PREFIX, "event", **QUICK)
        feed(recorder, 0, 2)
        until(lambda: recorder.stats()["segments"] == 1)
        down(cloud)
        # As if the power went between the two: the segment is on the disk, the playlist is not.
        put = bucket.put

        def fails(key: str, data: Any, **options: Any) -> Any:
            if key == INDEX:
                raise KeyError(key)
            return put(key, data, **options)

        bucket.put = fails  # type: ignore[method-assign]
        feed(recorder, 2, 1)
        with pytest.raises(StreamBroken):
            recorder.close()
    cloud.clear_faults()
    with Spool(folder) as spool, bucket_of(cloud, spool=spool) as bucket:
        bucket.was_there = lambda key: True  # type: ignore[method-assign]
        with bucket.record_hls(PREFIX, "event", **{**QUICK, "start": START + 60}) as recorder:
            feed(recorder, 0, 1)
        assert spool.drain(60)
        rows = Media(bucket.body(INDEX).decode()).rows
        keys = sorted(objects(bucket, PREFIX))
        assert [f"{PREFIX}/{row['uri']}" for row in rows] == keys
        assert len(keys) == 3
        assert [row["discontinuity"] for row in rows] == [False, False, True]


@pytest.mark.parametrize("mode", ["live", "event"])
def test_a_start_without_a_network(bucket: Watched, spool: Spool, cloud: Any, mode: str) -> None:
    """What OSS holds cannot be known, so nothing of it is touched."""
    before = {}
    with bucket.record_hls(PREFIX, mode, **QUICK) as recorder:
        feed(recorder, 0, 3)
    assert spool.drain(60)
    before = objects(bucket, PREFIX)
    down(cloud)
    with bucket.record_hls(PREFIX, mode, **{**QUICK, "start": START + 60}) as recorder:
        feed(recorder, 0, 3)
    cloud.clear_faults()
    assert spool.drain(60)
    assert before.items() < objects(bucket, PREFIX).items()
    assert len(objects(bucket, PREFIX)) == 6
    if mode == "live":
        first, last = bucket.texts[INDEX][-5], bucket.texts[INDEX][-1]
        assert Media(first).sequence < Media(last).sequence
    else:
        assert recorder.playlist_key != INDEX
        assert len(Media(bucket.body(INDEX).decode()).rows) == 3
    assert len(Media(bucket.body(recorder.playlist_key).decode()).rows) == 3


def test_a_full_spool_costs_segments_and_the_playlist_says_so(cloud: Any, folder: Path) -> None:
    lost: list[Any] = []
    with (
        Spool(folder, max_bytes=300_000, min_free=0, policy="reject") as spool,
        bucket_of(cloud, spool=spool) as bucket,
    ):
        options = {**QUICK, "on_full": "drop", "max_waiting": 2, "on_drop": lost.append}
        with bucket.record_hls(PREFIX, "event", **options) as recorder:
            feed(recorder, 0, 2)
            until(lambda: recorder.stats()["segments"] == 1)
            assert spool.drain(60)
            down(cloud)
            for second in range(2, 60):
                feed(recorder, second, 1)
                if len(lost) > 3:
                    break
            cloud.clear_faults()
            until(lambda: recorder.stats()["waiting"] == 0)
        assert spool.drain(60)
        assert lost
        assert findings(bucket, INDEX) == []
        rows = Media(bucket.body(INDEX).decode()).rows
        assert any(row["discontinuity"] for row in rows)
        assert len(rows) == len(objects(bucket, PREFIX)) == recorder.stats()["segments"]
