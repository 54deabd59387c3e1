"""Segments folded into runs: by gaps, by hours, the same from whatever side one looks, and the same
whether the database made pieces of them before or not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ossmedia.server.catalogue import Catalogue
from ossmedia.server.database import Database
from ossmedia.server.recording_queries import pieces
from ossmedia.server.recordings import Found, Index
from ossmedia.server.runs import LONGEST_RUN_S, MARGIN_S, Piece, Run, fold, gap_after, run_id
from tests.unit.server.rig import Time, upgrade

HOUR = 1_750_003_200.0  # a full hour, UTC


def segment(start_at: float, seconds: float = 6.0, **more: object) -> Piece:
    """A piece of one segment."""
    marked = bool(more.pop("marked", False))
    values = {
        "camera": "cam-1",
        "stream": "live",
        "first": f"{int(start_at * 1000):024x}",
        "start_at": start_at,
        "last_at": start_at,
        "end_at": start_at + seconds,
        "size": 100,
        "segments": 1,
        "longest_s": seconds,
        "marks": int(marked),
        "marked": marked,
        "keep": False,
        "deleting": False,
        **more,
    }
    return Piece(**values)  # type: ignore[arg-type]


def stretch(start: float, end: float, seconds: float = 6.0) -> list[Piece]:
    count = round((end - start) / seconds)
    return [segment(start + n * seconds, seconds) for n in range(count)]


def bounds(segments: list[Piece]) -> list[tuple[float, float]]:
    return [(run.start_at - HOUR, run.end_at - HOUR) for run in fold(segments)]


def test_nothing_and_one() -> None:
    assert list(fold([])) == []
    (run,) = fold([segment(HOUR, 0.0)])
    assert (run.segments, run.end_at, run.size) == (1, HOUR, 100)


@pytest.mark.parametrize(
    ("seconds", "gap", "runs"),
    [(6, 12, 1), (6, 12.1, 2), (2, 10, 1), (2, 10.1, 2), (30, 60, 1), (30, 60.5, 2)],
)
def test_a_gap_parts(seconds: float, gap: float, runs: int) -> None:
    """More than twice the longest segment, and more than ten seconds."""
    assert gap_after(seconds) == max(10, 2 * seconds)
    both = [segment(HOUR + 60, seconds), segment(HOUR + 60 + seconds + gap, seconds)]
    assert len(list(fold(both))) == runs


def test_sums_and_marks() -> None:
    (run,) = fold(
        [
            segment(HOUR + 1, marked=True),
            segment(HOUR + 7, keep=True),
            segment(HOUR + 13, marked=True, deleting=True),
        ]
    )
    assert (run.size, run.segments, run.end_at - run.start_at) == (300, 3, 18)
    assert run.discontinuities == 1, "the first one's mark is about what is before the run"
    assert (run.keep, run.deleting, run.last_at) == (True, True, HOUR + 13)
    assert run.id == f"live~{run.first}" == run_id("live", run.first)


def test_streams_and_cameras_do_not_mix() -> None:
    order = [
        segment(HOUR + 1, camera="a", stream="x"),
        segment(HOUR + 7, camera="a", stream="y"),
        segment(HOUR + 13, camera="b", stream="y"),
    ]
    assert [(run.camera, run.stream) for run in fold(order)] == [("a", "x"), ("a", "y"), ("b", "y")]


def test_ids_are_of_safe_letters() -> None:
    assert run_id("a/b <x>\u00fc", "f" * 24) == "a-b-x-~" + "f" * 24


def test_a_short_run_over_a_full_hour_is_one() -> None:
    assert bounds(stretch(HOUR - 30, HOUR + 60)) == [(-30, 60)]
    assert bounds(stretch(HOUR - 1794, HOUR + 3594)) == [(-1794, 3594)]


def test_a_long_run_is_cut_at_full_hours() -> None:
    day = stretch(HOUR - 600, HOUR + 4 * 3600 + 600)
    assert bounds(day) == [(-600, 3600), (3600, 7200), (7200, 10800), (10800, 15000)]
    assert bounds(stretch(HOUR, HOUR + 7200)) == [(0, 3600), (3600, 7200)]


def test_marks_at_a_cut_belong_to_no_run_and_at_a_joint_to_one() -> None:
    segments = stretch(HOUR - 2400, HOUR + 2400)
    at = next(n for n, item in enumerate(segments) if item.start_at == HOUR)
    segments[at] = segments[at]._replace(marks=1, marked=True)
    assert [run.discontinuities for run in fold(segments)] == [0, 0]
    assert [run.discontinuities for run in fold(segments[: at + 5])] == [1]


def history(seed: int) -> list[Piece]:
    """Eighteen hours of a camera that is now and then away."""
    chance = random.Random(seed)
    at, segments = HOUR - 9 * 3600 + chance.random() * 3600, []
    while at < HOUR + 9 * 3600:
        seconds = chance.choice((2.0, 6.0, 10.0))
        marked = chance.random() < 0.01
        segments.append(segment(round(at, 3), seconds, marked=marked))
        away = chance.choice((8, 12, 19, 30, 600, 4000)) if chance.random() < 0.01 else 0
        at += seconds + away
    return segments


@pytest.mark.parametrize("seed", range(40))
def test_no_run_is_long_and_the_view_does_not_matter(seed: int) -> None:
    """Runs that begin inside a window are the same, whether only the window and its margin are
    folded or everything; and every segment is in exactly one run."""
    segments = history(seed)
    whole = list(fold(segments))
    assert sum(run.segments for run in whole) == len(segments)
    assert all(run.end_at - run.start_at <= LONGEST_RUN_S for run in whole)
    inside = [s for run in whole for s in segments if run.start_at <= s.start_at <= run.last_at]
    assert inside == segments
    chance = random.Random(seed)
    low, high = HOUR - chance.random() * 7200, HOUR + chance.random() * 7200
    near = [s for s in segments if low - MARGIN_S <= s.start_at < high + MARGIN_S]
    seen = [run for run in fold(near) if low <= run.start_at < high]
    assert seen == [run for run in whole if low <= run.start_at < high]


def test_the_databases_pieces_make_the_same_runs(tmp_path: Path) -> None:
    """Several histories as streams of two cameras, some segments overlapping."""
    upgrade(f"sqlite:///{tmp_path}/x.db")
    database, clock = Database(f"sqlite:///{tmp_path}/x.db"), Time()
    clock.seconds = HOUR + 86_400
    expected: list[Run] = []
    for seed, (camera, stream) in enumerate((("a", "x"), ("a", "y"), ("b", "x"), ("b", "z/z"))):
        segments = history(100 + seed)[:1500]
        twice = segments[700]
        segments.insert(701, twice._replace(start_at=twice.start_at + 0.5, last_at=0))
        found = [
            Found(
                bucket="cams",
                key=f"{camera}/{stream}/{number:05d}",
                camera=camera,
                kind="segment",
                size=s.size,
                etag="A",
                modified_at=HOUR,
                start_at=s.start_at,
                duration_s=s.end_at - s.start_at,
                stream=stream,
                discontinuity=s.marked,
            )
            for number, s in enumerate(segments)
        ]
        Index(database, clock).record_all(found)
        one_by_one = [
            segment(
                f.start_at or 0.0,
                f.duration_s or 0.0,
                camera=camera,
                stream=stream,
                first=f.id,
                marked=f.discontinuity,
            )
            for f in found
        ]
        expected += fold(one_by_one)
    with database.reading() as connection:
        made = list(pieces(connection, None, 0, HOUR * 2))
        assert list(fold(made)) == expected
        assert len(made) < sum(run.segments for run in expected) / 20
        assert list(fold(pieces(connection, ["b"], 0, HOUR * 2, "x"))) == [
            run for run in expected if (run.camera, run.stream) == ("b", "x")
        ]
    catalogue = Catalogue(database, clock)
    for run in expected[::5]:
        entry = catalogue.find(run.id)
        assert entry is not None
        assert (len(entry.ids), entry.start_at) == (run.segments, run.start_at)
    database.close()
