"""segments.py: where segments begin and end, and what a bad frame does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossmedia._native_ts import TsMuxer
from ossmedia.capture_time import CaptureTime
from ossmedia.errors import MediaError
from ossmedia.playlist import Entry, Playlist, segment_uri
from ossmedia.segments import DroppedSegment, RecordedSegment, Segment, Segmenter
from tests.elementary import PPS, SPS, STEP, adts, picture
from tests.hls_segments import check_segments
from tests.unit.test_capture_time import WALL, Clock

S = 90_000


class Recording:
    """A segmenter, and what comes out of it."""

    def __init__(self, *, video: str = "h264", audio: str = "aac", **options: Any) -> None:
        self.out: list[Segment] = []
        self.errors: list[str] = []
        self.segmenter = Segmenter(
            TsMuxer(video, audio),
            CaptureTime(Clock(), WALL),
            self.out.append,
            video=bool(video),
            **options,
        )

    def video(self, unit: bytes, pts: int, keyframe: bool | None = None) -> None:
        try:
            self.segmenter.video(unit, pts, pts, keyframe)
        except MediaError as error:
            self.errors.append(str(error))

    def audio(self, frames: bytes, pts: int) -> None:
        try:
            self.segmenter.audio(frames, pts)
        except MediaError as error:
            self.errors.append(str(error))

    def run(self, first: int, count: int, gop: int, *, shift: int = 0, step: int = STEP) -> None:
        """Pictures number first to first + count."""
        for number in range(first, first + count):
            self.video(picture(number % gop == 0, number), number * step + shift)

    def durations(self) -> list[float]:
        return [segment.duration / S for segment in self.out]

    def check(self, *, target: int = 6) -> list[str]:
        """What the checkers find in what came out."""
        playlist, segments = Playlist("event", target), {}
        for number, segment in enumerate(self.out):
            uri = segment_uri(segment.start_ms, number)
            segments[uri] = bytes(segment.data)
            entry = Entry(uri, segment.duration, segment.start_ms, segment.discontinuity)
            playlist.append(entry)
        return check_segments(playlist.text(), segments)


@pytest.mark.parametrize(
    ("gop", "wanted", "durations"),
    [
        (25, 6, {6.0}),
        (50, 6, {6.0}),
        (100, 6, {4.0}),  # eight seconds would be over the target duration
        (60, 6, {4.8}),
        (175, 6, {7.0}),  # no key frame comes in time
        (1, 2, {2.0}),
        (50, 1, {2.0}),
        (25, 2.5, {3.0}),
    ],
)
def test_segments_end_at_key_frames(gop: int, wanted: float, durations: set[float]) -> None:
    recording = Recording(segment_time=wanted)
    recording.run(0, 1000, gop)
    assert set(recording.durations()) == durations
    assert recording.check(target=recording.segmenter.target_s) == []
    assert recording.errors == []
    assert not any(segment.discontinuity for segment in recording.out)


def test_nothing_is_lost_between_segments() -> None:
    recording = Recording()
    for number in range(500):
        recording.video(picture(number % 50 == 0, number), number * STEP)
        recording.audio(adts(number), number * STEP)
    recording.segmenter.finish()
    assert recording.check() == []
    assert sum(recording.durations()) == 20
    assert recording.segmenter.frames == 1000
    starts = [segment.start_ms for segment in recording.out]
    assert starts == [WALL * 1000 + second * 1000 for second in (0, 6, 12, 18)]


def test_what_comes_before_the_first_key_frame_is_skipped() -> None:
    recording = Recording()
    recording.audio(adts(), 0)
    recording.run(3, 22, 25)
    assert (recording.segmenter.frames, recording.segmenter.skipped) == (0, 23)
    assert recording.segmenter.open_start_ms is None
    recording.run(25, 50, 25)
    assert recording.segmenter.frames == 50
    assert recording.segmenter.open_start_ms == WALL * 1000


@pytest.mark.parametrize("apart", [False, True])
def test_parameter_sets_may_come_by_themselves(apart: bool) -> None:
    recording = Recording()
    for unit in (SPS, PPS) if apart else (SPS + PPS,):
        recording.video(unit, 0)
    recording.video(picture(True, sets=False), 0)
    recording.run(1, 24, 25)
    recording.segmenter.finish()
    assert recording.errors == []
    assert recording.check() == []


def test_a_key_frame_without_parameter_sets_is_refused() -> None:
    recording = Recording()
    recording.video(picture(True, sets=False), 0)
    assert len(recording.errors) == 1
    assert "SPS" in recording.errors[0]
    recording.run(25, 30, 25)
    recording.segmenter.finish()
    assert recording.check() == []


def test_audio_alone_is_cut_by_time() -> None:
    recording = Recording(video="", segment_time=2)
    for number in range(470):
        recording.audio(adts(number), number * 1920)
    recording.segmenter.finish()
    assert recording.check() == []
    assert recording.durations()[:4] == [pytest.approx(2, abs=0.022)] * 4
    assert sum(segment.duration for segment in recording.out) == 470 * 1920


@pytest.mark.parametrize(
    ("unit", "pts"),
    [
        (b"not Annex B", 10),
        (b"", 10),
        (b"\0\0\0\1\x41\x9a" + bytes(16 << 20), 10),
        (picture(False), 9),  # the time of the one before
        (picture(False), -5 * 25),
        (picture(True), 5),
        (picture(False), 10 + 61 * 25),
    ],
    ids=["rubbish", "empty", "large", "same time", "back", "a little back", "far ahead"],
)
def test_a_bad_picture_costs_its_group_only(unit: bytes, pts: int) -> None:
    recording = Recording()
    recording.run(0, 10, 25)
    recording.video(unit, pts * STEP)
    assert len(recording.errors) == 1
    recording.run(11, 14, 25)  # nothing of these can be decoded: skipped in silence
    assert (recording.segmenter.frames, recording.segmenter.skipped) == (10, 15)
    recording.run(25, 400, 25)
    recording.segmenter.finish()
    assert len(recording.errors) == 1
    assert recording.segmenter.frames == 410
    assert recording.check() == []
    assert sum(recording.durations()) == 17
    assert not any(segment.discontinuity for segment in recording.out)


def test_bad_audio_costs_itself_only() -> None:
    recording = Recording()
    recording.run(0, 1, 25)
    for frames, pts in ((b"", 0), (b"rubbish", 0), (adts()[:-1], 0), (adts(), 11 * S)):
        recording.audio(frames, pts)
    assert len(recording.errors) == 4
    recording.audio(adts(), 0)
    recording.audio(adts(), -5)
    assert len(recording.errors) == 5
    recording.run(1, 200, 25)
    recording.segmenter.finish()
    assert recording.check() == []


def test_a_pause_is_a_discontinuity_and_in_no_segment() -> None:
    recording = Recording()
    recording.run(0, 100, 25)
    recording.run(0, 100, 25, shift=34 * S)
    recording.segmenter.finish()
    assert recording.durations() == [4, 4]
    assert [segment.discontinuity for segment in recording.out] == [False, True]
    assert recording.out[1].start_ms - recording.out[0].start_ms == 34_000
    assert recording.check() == []


def test_slow_frames_are_no_pause() -> None:
    recording = Recording(segment_time=20)
    recording.run(0, 40, 1, step=5 * S)
    assert set(recording.durations()) == {20}
    assert not any(segment.discontinuity for segment in recording.out)


@pytest.mark.parametrize("shift", [-1000 * S, -(1 << 40), 1 << 40])
def test_times_may_begin_anew_at_a_key_frame(shift: int) -> None:
    recording = Recording()
    recording.run(0, 100, 25)
    recording.audio(adts(), 99 * STEP)
    recording.run(0, 300, 25, shift=shift)
    recording.audio(adts(), 299 * STEP + shift)
    recording.segmenter.finish()
    assert recording.errors == []
    assert recording.durations() == [4, 6, 6]
    assert [segment.discontinuity for segment in recording.out] == [False, True, False]
    assert recording.check() == []


def test_one_wrong_time_ahead_does_not_stop_what_follows() -> None:
    recording = Recording()
    recording.run(0, 25, 25)
    recording.video(picture(True), 10**9)  # a key frame may leap, so this one is taken
    recording.run(26, 24, 25)
    recording.run(50, 200, 25)
    recording.segmenter.finish()
    assert len(recording.errors) == 1
    assert sum(recording.durations()) == pytest.approx(9.04)
    assert recording.check() == []


def test_a_segment_without_a_key_frame_ends_at_the_limit() -> None:
    recording = Recording(limit=1 << 20)
    for number in range(10):
        recording.video(picture(number == 0, number, 200_000), number * STEP)
    assert recording.errors == [
        "segment: 1048576 bytes without an end; going on with the next key frame"
    ]
    assert len(recording.out) == 1
    assert (recording.segmenter.frames, recording.segmenter.skipped) == (6, 4)
    recording.run(25, 25, 25)
    recording.segmenter.finish()
    assert [segment.discontinuity for segment in recording.out] == [False, True]
    assert recording.check() == []


def test_a_key_frame_is_what_the_caller_says() -> None:
    """Intra refresh has no IDR pictures."""
    recording = Recording(audio="", segment_time=1)
    for number in range(100):
        recording.video(SPS + PPS + picture(False, number), number * STEP, number % 25 == 0)
    assert recording.durations() == [1, 1, 1]


def test_memory_is_one_segment() -> None:
    recording = Recording(segment_time=2)
    for number in range(500):
        recording.video(picture(number % 50 == 0, number, 20_000), number * STEP)
    sizes = [len(segment.data) for segment in recording.out]
    assert len(set(sizes)) == 1
    assert recording.segmenter._out.packets.room <= sizes[0] * 1.2 + (256 << 10)


def test_what_listeners_are_told() -> None:
    segment = Segment(bytearray(5), 1500, 2 * S, True)
    told = RecordedSegment("k", 7, segment)
    assert (told.start, told.duration_s, told.size, told.discontinuity) == (1.5, 2.0, 5, True)
    assert DroppedSegment(segment, "why").reason == "why"
    assert "reason='why'" in repr(DroppedSegment(segment, "why"))


events = st.lists(
    st.one_of(
        st.tuples(st.just("gop"), st.integers(1, 60)),
        st.tuples(st.just("pause"), st.integers(0, 20)),
        st.tuples(st.just("jump"), st.integers(-(1 << 35), 1 << 35)),
        st.tuples(st.just("bad"), st.sampled_from([b"", b"x", SPS[:3], picture(False)[:5]])),
        st.tuples(st.just("lose"), st.integers(1, 30)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(events)
def test_whatever_comes_segments_keep_to_the_rules(events: list[tuple[str, Any]]) -> None:
    recording, at, number = Recording(segment_time=2), 0, 0
    for name, value in events:
        if name == "gop":
            for frame in range(value):
                recording.video(picture(frame == 0, number), at)
                recording.audio(adts(number), at)
                at, number = at + STEP, number + 1
        elif name == "pause":
            at += value * S
        elif name == "jump":
            at += value
        elif name == "bad":
            recording.video(value, at)
        else:
            for _ in range(value):  # the pictures behind a key frame that was lost
                recording.video(picture(False, number), at)
                at += STEP
    recording.segmenter.finish()
    assert recording.check(target=recording.segmenter.target_s) == []
    assert all(segment.duration > 0 for segment in recording.out)
