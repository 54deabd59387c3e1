"""capture_time.py: timestamps on the wall clock."""

from __future__ import annotations

import threading

from ossmedia.capture_time import CaptureTime

WALL = 1_795_500_000.0
S = 90_000  # ticks


class Clock:
    def __init__(self, wall: float = WALL) -> None:
        self.wall = wall
        self.mono = 100.0

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def sleep(self, seconds: float) -> None:
        self.pass_time(seconds)

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        if not condition.wait(seconds) and seconds:
            self.pass_time(seconds)


def test_the_first_picture_is_taken_now_and_the_next_by_timestamps() -> None:
    clock = Clock()
    times = CaptureTime(clock, None)
    assert times.begin(7 * S, anew=False) == WALL * 1000
    clock.pass_time(6.2)  # the segment was late: that says nothing of when it was taken
    assert times.begin(13 * S, anew=False) == (WALL + 6) * 1000
    assert times.begin(13 * S + 45, anew=False) == (WALL + 6) * 1000


def test_a_clock_that_is_set_counts_from_the_next_segment() -> None:
    clock = Clock(wall=12.0)  # booted in 1970
    times = CaptureTime(clock, None)
    assert times.begin(0, anew=False) == 12_000
    clock.pass_time(6)
    clock.wall = WALL
    assert times.begin(6 * S, anew=False) == WALL * 1000


def test_drift_is_followed_once_it_shows() -> None:
    clock = Clock()
    times = CaptureTime(clock, None)
    starts = []
    for number in range(2000):
        starts.append(times.begin(number * 6 * S, anew=False) / 1000 - clock.wall)
        clock.pass_time(6.003)  # the camera's crystal is 500 ppm off
    assert min(starts) < -0.9
    assert all(-1.01 < off < 0.01 for off in starts)


def test_a_file_faster_than_time_is_told_by_timestamps() -> None:
    clock = Clock()
    times = CaptureTime(clock, None)
    for number in range(50):
        assert times.begin(number * 6 * S, anew=False) == (WALL + number * 6) * 1000
        clock.pass_time(0.05)


def test_a_beginning_anew_is_of_now() -> None:
    clock = Clock()
    times = CaptureTime(clock, None)
    times.begin(1000 * S, anew=False)
    clock.pass_time(60)
    assert times.begin(0, anew=True) == (WALL + 60) * 1000
    clock.pass_time(6)
    assert times.begin(6 * S, anew=False) == (WALL + 66) * 1000


def test_a_start_that_is_given_holds() -> None:
    clock = Clock()
    times = CaptureTime(clock, 1000.5)
    assert times.begin(500 * S, anew=False) == 1_000_500
    clock.pass_time(6)
    clock.wall += 1e6
    assert times.begin(506 * S, anew=False) == 1_006_500
    assert times.begin(600 * S, anew=True) == 1_100_500  # a pause
    assert times.begin(0, anew=True) == 1_100_500  # timestamps of another beginning
    assert times.begin(6 * S, anew=False) == 1_106_500
