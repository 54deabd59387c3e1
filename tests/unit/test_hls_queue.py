"""hls_queue.py and preroll.py: a few segments in order, holes that say so, and events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.clock import SYSTEM
from ossmedia.hls_queue import SegmentQueue
from ossmedia.preroll import PreRoll
from ossmedia.segments import Segment

S = 90_000


def segment(number: int, seconds: float = 6.0) -> Segment:
    return Segment(bytearray(8), round(number * seconds * 1000), round(seconds * S), False)


def numbers(segments: Any, seconds: float = 6.0) -> list[int]:
    return [round(one.start_ms / 1000 / seconds) for one in segments]


def queue(most: int = 3, *, drop: bool = True) -> tuple[SegmentQueue, list[Segment]]:
    gone: list[Segment] = []
    return SegmentQueue(SYSTEM, most, drop=drop, dropped=lambda one, _: gone.append(one)), gone


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_segments_come_out_in_their_order() -> None:
    line, gone = queue()
    for number in range(3):
        line.put(segment(number))
    assert numbers([line.take() for _ in range(3)]) == [0, 1, 2]
    assert gone == []


def test_too_many_let_go_of_the_oldest_and_what_follows_says_so() -> None:
    line, gone = queue()
    for number in range(5):
        line.put(segment(number))
    assert numbers(gone) == [0, 1]
    line.close()
    kept = list(iter(line.take, None))
    assert numbers(kept) == [2, 3, 4]
    assert [one.discontinuity for one in kept] == [True, False, False]


def test_what_was_announced_stays() -> None:
    line, gone = queue()
    line.opened(segment(0).start_ms)
    assert line.announce() == 0
    for number in range(6):
        line.put(segment(number))
    assert numbers(gone) == [1, 2, 3]
    line.close()
    kept = list(iter(line.take, None))
    assert numbers(kept) == [0, 4, 5]
    assert [one.discontinuity for one in kept] == [False, True, False]


def test_the_newest_says_so_when_all_between_is_gone() -> None:
    line, _ = queue(2)
    line.put(segment(0))
    line.put(segment(1))
    assert line.announce() == 0
    line.put(segment(2))
    line.close()
    kept = list(iter(line.take, None))
    assert (numbers(kept), kept[1].discontinuity) == ([0, 2], True)


def test_what_comes_next_is_known_from_its_beginning_on() -> None:
    line, _ = queue()
    assert line.announce() is None
    line.opened(18_000)
    assert line.announce() == 18_000
    line.put(segment(3))
    assert line.announce() == 18_000
    line.opened(24_000)
    assert line.announce() == 18_000
    assert numbers([line.take()]) == [3]
    assert line.announce() == 24_000


def test_a_segment_may_come_with_the_beginning_of_the_next() -> None:
    line, _ = queue()
    line.put(segment(0), 6000)
    assert numbers([line.take()]) == [0]
    assert line.announce() == 6000
    line.put(segment(1))
    assert numbers([line.take()]) == [1]
    assert line.announce() is None


def test_a_queue_may_make_the_recording_wait() -> None:
    line, gone = queue(2, drop=False)
    line.put(segment(0))
    line.put(segment(1))
    waiting = in_thread(lambda: line.put(segment(2)))
    assert numbers([line.take()]) == [0]
    waiting.join(10)
    assert not waiting.is_alive()
    assert (len(line), gone) == (2, [])


def test_closing_lets_a_recording_go_that_waits() -> None:
    line, gone = queue(2, drop=False)
    line.put(segment(0))
    line.put(segment(1))
    waiting = in_thread(lambda: line.put(segment(2)))
    assert numbers(line.empty()) == [0, 1]
    waiting.join(10)
    assert numbers(gone) == [2]
    line.put(segment(3))
    assert numbers(gone) == [2, 3]
    assert line.take() is None


def test_closing_wakes_the_worker() -> None:
    line, _ = queue()
    took: list[object] = []
    waiting = in_thread(lambda: took.append(line.take()))
    line.close()
    waiting.join(10)
    assert (took, line.closed) == ([None], True)


def test_a_pause_ends_when_the_queue_is_closed() -> None:
    line, _ = queue()
    waiting = in_thread(lambda: line.pause(3600))
    line.put(segment(0))
    line.close()
    waiting.join(10)
    assert not waiting.is_alive()
    line.pause(0.001)  # and lasts its time afterwards


def test_an_event_brings_several_at_once() -> None:
    line, gone = queue(2)
    line.allow(4)
    for number in range(6):
        line.put(segment(number))
    assert gone == []
    line.put(segment(6))
    assert numbers(gone) == [0]


# Events


def test_only_the_last_seconds_are_kept() -> None:
    ring = PreRoll(10)
    for number in range(20):
        assert ring.add(segment(number)) is None
    kept = ring.trigger(5, 0)
    assert numbers(kept) == [18, 19]
    assert [one.discontinuity for one in kept] == [True, False]


def test_an_event_goes_on_for_its_time_at_least() -> None:
    ring = PreRoll(10)
    ring.add(segment(0))
    assert numbers(ring.trigger(10, 2 * S)) == [0]
    assert ring.recording
    after = [ring.add(segment(number)) for number in range(1, 5)]
    assert numbers(one for one in after if one) == [1, 2]
    assert not ring.recording


def test_an_event_during_another_prolongs_it() -> None:
    ring = PreRoll(10)
    ring.trigger(6, 0)
    assert ring.add(segment(0)) is not None
    assert ring.add(segment(1)) is None
    assert numbers(ring.trigger(10, 0)) == [1]
    assert ring.trigger(1, 0) == []  # a shorter one changes nothing
    assert ring.add(segment(2)) is not None
    assert ring.add(segment(3)) is not None
    assert ring.add(segment(4)) is None


def test_only_what_follows_a_hole_is_a_discontinuity() -> None:
    ring = PreRoll(6)
    ring.add(segment(0))
    first = ring.trigger(0, 2 * S)
    assert [one.discontinuity for one in first] == [False]
    follows = ring.add(segment(1))
    assert follows is not None
    assert not follows.discontinuity
    for number in range(2, 9):
        ring.add(segment(number))
    assert [one.discontinuity for one in ring.trigger(0, 0)] == [True]


@given(
    st.floats(0.5, 60),
    st.lists(st.tuples(st.floats(0.1, 20), st.booleans()), max_size=60),
)
def test_the_ring_holds_its_time_and_one_segment_at_most(pre_roll: float, steps: Any) -> None:
    ring, at, kept = PreRoll(pre_roll), 0.0, []
    since = 0.0  # recorded since something was handed out
    for seconds, event in steps:
        one = Segment(bytearray(), round(at * 1000), round(seconds * S), False)
        at += seconds
        out = ring.add(one)
        since = 0.0 if out else since + seconds
        kept += [out] if out else []
        if event:
            before = ring.trigger(0, 0)
            length = sum(one.duration for one in before) / S
            assert length >= min(pre_roll, since) - 0.01
            assert length <= pre_roll + 20
            kept += before
            since = 0.0
    starts = [one.start_ms for one in kept]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("most", [2, 5])
def test_waiting_is_counted(most: int) -> None:
    line, _ = queue(most)
    for number in range(9):
        line.put(segment(number))
    assert len(line) == most
