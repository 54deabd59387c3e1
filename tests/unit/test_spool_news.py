"""What an application is told of its spool while it films: drops and pressure."""

from __future__ import annotations

import threading

import pytest

from ossmedia import SpoolFull
from ossmedia.spool_news import MOST, News
from ossmedia.spool_values import Tombstone
from tests.spool_rig import bucket_of, check, lawful, pattern, until

DATA = pattern(100_000)
SMALL = {"max_bytes": 1 << 20, "file_size": 65_536, "commit_interval": 3600.0}


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
def test_every_dropped_range_is_told(tmp_path, policy):
    told: list[Tombstone] = []
    with lawful(tmp_path / "spool", policy=policy, on_drop=told.append, **SMALL) as spool:
        with spool.open("cams", "live", "ab") as file:
            for _ in range(30):
                file.write(DATA)
        dropped = check(spool).dropped
        assert dropped > 1_000_000
        until(lambda: sum(stone.last - stone.first for stone in told) == dropped)
        assert {(stone.key, stone.reason) for stone in told} == {("live", policy)}
        # Ranges that touch are one tombstone in the state, and were told as they came.
        kept = sum(stone.last - stone.first for stone in spool.tombstones())
        assert kept == dropped


def test_a_whole_object_that_goes_is_told(tmp_path):
    told: list[Tombstone] = []
    with lawful(tmp_path / "spool", policy="drop_newest", on_drop=told.append, **SMALL) as spool:
        for number in range(12):
            spool.put("cams", f"clip-{number}", DATA)
        spool.open("cams", "aborted", "wb").abort()
        stones = spool.tombstones()
        assert len(stones) >= 2
        until(lambda: len(told) == len(stones))
        assert tuple(told) == stones


def test_pressure_comes_and_goes(oss_emulator, tmp_path):
    told: list[bool] = []
    with lawful(tmp_path / "spool", policy="reject", on_pressure=told.append, **SMALL) as spool:
        for number in range(7):
            spool.put("cams", f"clip-{number}", DATA)
        assert told == []
        spool.put("cams", "clip-7", DATA)
        until(lambda: told == [True])
        with pytest.raises(SpoolFull):
            for _ in range(9):
                spool.put("cams", "more", DATA)
        with bucket_of(oss_emulator, spool):
            assert spool.drain(30), spool.status()
            spool.commit()
            until(lambda: told == [True, False])
            spool.put("cams", "small", b"frame")
    assert told == [True, False]


def test_no_room_is_pressure_however_little_the_spool_holds(tmp_path):
    told: list[bool] = []
    options = {"policy": "reject", "min_free": 1 << 50, "on_pressure": told.append}
    with lawful(tmp_path / "spool", **options) as spool:
        with pytest.raises(SpoolFull):
            spool.put("cams", "clip", DATA)
        until(lambda: told == [True])


def test_callbacks_that_raise_cost_nothing(tmp_path):
    seen: list[object] = []

    def broken(value: object) -> None:
        seen.append(value)
        raise RuntimeError("the application's own mistake")

    options = {"policy": "drop_newest", "on_drop": broken, "on_pressure": broken, **SMALL}
    with lawful(tmp_path / "spool", **options) as spool:
        with spool.open("cams", "live", "ab") as file:
            for _ in range(20):
                assert file.write(DATA) == len(DATA)
        dropped = check(spool).dropped
        stones = [value for value in seen if isinstance(value, Tombstone)]
        until(lambda: sum(s.last - s.first for s in seen if isinstance(s, Tombstone)) == dropped)
        assert stones


def test_a_callback_that_blocks_holds_nobody_up(tmp_path):
    arrived, leave = threading.Event(), threading.Event()

    def blocks(_stone: Tombstone) -> None:
        arrived.set()
        assert leave.wait(30)

    with lawful(tmp_path / "spool", policy="drop_newest", on_drop=blocks, **SMALL) as spool:
        with spool.open("cams", "live", "ab") as file:
            for _ in range(20):
                file.write(DATA)
            assert arrived.wait(30)
            file.write(DATA)
            file.sync(30)
        check(spool)
        leave.set()


def test_words_that_nobody_takes_are_bounded():
    arrived, leave, told = threading.Event(), threading.Event(), []

    def slow(stone: Tombstone) -> None:
        arrived.set()
        assert leave.wait(30)
        told.append(stone.first)

    news = News(slow, None)
    news.dropped([Tombstone(1, "k", 0, 1, "drop_newest")])
    assert arrived.wait(30)
    news.dropped(Tombstone(1, "k", n, n + 1, "drop_newest") for n in range(1, 3 * MOST))
    leave.set()
    news.close(30)
    assert told == [0, *range(2 * MOST, 3 * MOST)]
