"""The index: idempotent, in any order, for any number of writers."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ossmedia.server.catalogue import Catalogue
from ossmedia.server.database import Database
from ossmedia.server.recording_queries import MOST_SPANS
from ossmedia.server.recordings import (
    DELETING,
    GONE,
    GROWING,
    QUIET_S,
    READY,
    Found,
    Index,
    recording_id,
)
from tests.unit.server.rig import Time, upgrade

START = 1_750_000_000.0


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    url = f"sqlite:///{tmp_path}/x.db"
    upgrade(url)
    database = Database(url)
    yield Index(database, Time())
    database.close()


def found(key: str = "cams/cam-1/a.mp4", **more: Any) -> Found:
    values: dict[str, Any] = {
        "bucket": "cams",
        "key": key,
        "camera": "cam-1",
        "kind": "file",
        "size": 100,
        "etag": "A",
        "modified_at": START - 100,
        "seen_at": START - 50,
        **more,
    }
    return Found(**values)


def test_the_id_is_that_of_the_contract() -> None:
    # sha256("cams" 00 "cams/cam-1/a.mp4"), by another program: printf ... | sha256sum
    assert recording_id("cams", "cams/cam-1/a.mp4") == "12d212ce53a761dab35defd8"
    assert found().id == recording_id("cams", "cams/cam-1/a.mp4")


def test_what_is_noted_can_be_read(index: Index) -> None:
    row = index.record(found(crc64="123", duration_s=2.5, start_at=START, content_type="video/mp4"))
    assert index.get(row.id) == row
    assert (row.crc64, row.duration_s, row.start_at, row.keep) == ("123", 2.5, START, False)
    assert (row.state, row.end_at) == (READY, START + 2.5)
    assert index.get("0" * 24) is None


def test_a_look_that_does_not_tell_of_a_key_takes_none_away(index: Index) -> None:
    told = index.record(found(key_uri="https://keys/7", key_iv="0" * 32))
    assert (told.key_uri, told.key_iv) == ("https://keys/7", "0" * 32)
    assert index.record(found(seen_at=START)).key_uri == "https://keys/7"
    fresh = index.record(found(etag="B", modified_at=START))
    assert (fresh.key_uri, fresh.key_iv) == (None, None), "a newer version in the clear"


def test_repeating_changes_nothing(index: Index) -> None:
    news = found()
    first = index.record(news)
    index.clock.sleep(10)  # so that a write would show
    assert index.record(news) == first
    assert index.record(replace(news, seen_at=START + 5)) == first


def test_any_order_of_versions_ends_with_the_newest(index: Index) -> None:
    versions = [
        found(etag=name, size=size, modified_at=START - 100 + size)
        for name, size in (("A", 1), ("B", 2), ("C", 3), ("D", 4))
    ]
    for count, order in enumerate(itertools.permutations(versions)):
        for version in order:
            row = index.record(replace(version, key=f"cams/cam-1/{count}"))
        assert (row.etag, row.size) == ("D", 4)


def test_growth_of_an_append_keeps_its_start(index: Index) -> None:
    first = index.record(found(size=10, position=10, modified_at=START - 90, state=GROWING))
    later = index.record(found(size=30, position=30, modified_at=START - 80, etag="B"))
    assert (later.start_at, later.size, later.position) == (first.start_at, 30, 30)
    within_a_second = found(size=20, position=20, modified_at=START - 80, etag="C")
    assert index.record(within_a_second) == later


def test_growing_ends_when_nothing_came_for_two_minutes(index: Index) -> None:
    row = index.record(found(position=10, state=GROWING, modified_at=START))
    assert row.state_at(START + QUIET_S) == GROWING
    assert row.state_at(START + QUIET_S + 1) == READY


def test_what_the_object_does_not_tell_again_stays(index: Index) -> None:
    index.record(found(duration_s=4.0, start_at=START, crc64="7", title="A clip", seen_by="report"))
    row = index.record(found(discontinuity=True))
    assert (row.duration_s, row.start_at, row.crc64, row.title) == (4.0, START, "7", "A clip")
    assert (row.discontinuity, row.seen_by) == (True, "report")


def test_a_new_object_does_not_inherit_from_the_one_before(index: Index) -> None:
    index.record(found(duration_s=4.0, start_at=START - 500, crc64="7"))
    row = index.record(found(etag="B", modified_at=START - 10))
    assert (row.duration_s, row.start_at, row.crc64) == (None, START - 10, "")


def test_keep_outlives_a_new_version(index: Index) -> None:
    row = index.record(found())
    assert index.keep(row.id, True)
    assert index.record(found(etag="B", modified_at=START)).keep


def test_what_is_kept_cannot_be_doomed(index: Index) -> None:
    one, two = index.record(found()), index.record(found("cams/cam-1/b.mp4"))
    index.keep(one.id, True)
    assert not index.doom([one.id, two.id])
    assert {row.state for row in index.get_all([one.id, two.id])} == {READY}
    index.keep(one.id, False)
    assert index.doom([one.id, two.id])
    assert {row.state for row in index.get_all([one.id, two.id])} == {DELETING}
    assert not index.keep(one.id, True), "too late"
    assert not index.keep([two.id, "0" * 24], False)


def test_old_news_does_not_stop_a_deletion_and_new_bytes_do(index: Index) -> None:
    row = index.record(found())
    index.doom([row.id])
    assert index.record(found(seen_at=START + 100)).state == DELETING
    assert index.record(found(etag="B", modified_at=START + 10)).state == READY


def test_what_is_gone_comes_back_only_by_a_later_look(index: Index) -> None:
    row = index.record(found())
    assert index.mark(row.id, GONE) == 1
    assert index.record(found(seen_at=START - 1)).state == GONE
    assert index.record(found(seen_at=START + 1)).state == READY


def test_news_that_came_meanwhile_is_not_undone(index: Index) -> None:
    row = index.record(found())
    asked_at = index.clock.now()
    index.clock.sleep(1)
    index.record(found(etag="B", modified_at=START))
    assert index.mark(row.id, GONE, unchanged_since=asked_at) == 0
    assert index.mark(row.id, GONE, unchanged_since=index.clock.now()) == 1
    with pytest.raises(ValueError, match="state: must be growing, ready, deleting or gone"):
        index.mark(row.id, "lost")


def test_many_at_once_in_batches(index: Index) -> None:
    many = [found(f"cams/cam-1/{number:04d}") for number in range(1000)]
    rows = index.record_all(many)
    assert [row.key for row in rows] == [item.key for item in many]
    ids = [row.id for row in rows]
    assert index.doom(ids)
    assert index.mark(ids, GONE) == 1000
    assert {row.state for row in index.get_all(ids)} == {GONE}


def test_two_processes_note_the_same_objects(index: Index, tmp_path: Path) -> None:
    """Two connections, the same objects in different orders and versions."""
    other = Index(Database(f"sqlite:///{tmp_path}/x.db"), Time())
    seed = random.Random(7)
    news = [
        found(f"cams/cam-1/{n % 20}", etag=str(v), modified_at=START + v, size=v + 1)
        for n in range(60)
        for v in range(3)
    ]
    errors: list[BaseException] = []

    def write(into: Index, items: list[Found]) -> None:
        try:
            for item in items:
                into.record(item)
        except BaseException as error:
            errors.append(error)

    orders = [seed.sample(news, len(news)) for _ in range(2)]
    threads = [
        threading.Thread(target=write, args=pair)
        for pair in zip((index, other), orders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.database.close()
    assert not errors
    rows = index.get_all({item.id for item in news})
    assert len(rows) == 20
    assert {(row.etag, row.size) for row in rows} == {("2", 3)}


def test_a_timeline_of_very_many_is_coarse_but_whole(index: Index) -> None:
    """Some are told one by one; of thousands, what lies less than a minute apart may be one."""
    files = [
        found(f"cams/cam-1/{number}.mp4", start_at=at, duration_s=1.0)
        for number in range(MOST_SPANS + 100)
        for at in [START + 20.0 * number + (300 if number >= 1000 else 0)]
    ]
    catalogue = Catalogue(index.database, index.clock)
    index.record_all(files[:1500])
    few = catalogue.timeline("cam-1", START, START + 86_400)
    assert few == [(f.start_at, f.start_at + 1, "file") for f in files[:1500] if f.start_at]
    index.record_all(files[1500:])
    many = catalogue.timeline("cam-1", START, START + 86_400)
    assert len(many) <= MOST_SPANS
    for f in files:
        assert any(a <= f.start_at and f.start_at + 1 <= b for a, b, _ in many)
    assert all(b - a < 60 for a, b, _ in many), "each file lies 20 s behind the one before"
    gap = START + 20 * 999 + 1  # of five minutes
    assert not any(a < gap + 100 < b for a, b, _ in many)
