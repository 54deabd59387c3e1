"""clocked.py: frames without timestamps get exact ones, in the order of their times."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.clocked import ClockedFrames, FrameClock
from ossmedia.errors import MediaError
from tests.elementary import adts, encoded, picture, pictures

S = 90_000


class Sink:
    """What comes out, in its order."""

    def __init__(self, codec: str = "h264", fps: float | None = 25) -> None:
        self.out: list[tuple[str, int, bytes]] = []
        self.errors: list[MediaError] = []
        self.frames = ClockedFrames(
            codec,
            fps,
            write_video=lambda unit, pts: self.out.append(("video", pts, unit)),
            write_audio=lambda data, pts: self.out.append(("audio", pts, data)),
            failed=self.errors.append,
        )

    def of(self, track: str) -> list[tuple[int, bytes]]:
        return [(pts, data) for name, pts, data in self.out if name == track]


@pytest.mark.parametrize(
    ("fps", "hour"),
    [(25, 90_000), (30, 108_000), (Fraction(30000, 1001), 107_892), (0.5, 1800), (12.5, 45_000)],
)
def test_a_rate_does_not_drift(fps: float, hour: int) -> None:
    clock = FrameClock(fps)
    times = [clock.tick() for _ in range(hour + 1)]
    assert times[0] == 0
    assert times[-1] == hour * S / Fraction(fps).limit_denominator(1001) // 1
    assert all(later > earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("fps", "error"),
    [("25", TypeError), (True, TypeError), (0, ValueError), (1001, ValueError), (-1, ValueError)],
)
def test_bad_rates_are_named(fps: object, error: type) -> None:
    with pytest.raises(error, match=r"^fps: "):
        FrameClock(fps)  # type: ignore[arg-type]


def test_video_needs_a_rate() -> None:
    with pytest.raises(ValueError, match=r"^fps: "):
        Sink("h264", None)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), max_size=20))
def test_both_tracks_come_in_the_order_of_their_times(calls: list[tuple[int, int]]) -> None:
    sink, made, sounds = Sink(), pictures(100), [adts(number) for number in range(200)]
    video = audio = 0
    for more_video, more_audio in calls:
        sink.frames.write(
            b"".join(made[video : video + more_video]), b"".join(sounds[audio : audio + more_audio])
        )
        video, audio = video + more_video, audio + more_audio
    assert sink.errors == []
    assert sink.of("video") == [(n * 3600, made[n]) for n in range(video)]
    assert b"".join(data for _, data in sink.of("audio")) == b"".join(sounds[:audio])
    count = 0
    for pts, data in sink.of("audio"):
        assert pts == count * 1024 * S // 48000
        count += len(data) // 67


def test_one_buffer_of_both_is_interleaved() -> None:
    sink = Sink()
    sink.frames.write(b"".join(pictures(50)), b"".join(adts(n) for n in range(94)))
    times = [pts for _, pts, _ in sink.out]
    assert sink.out[0][0] == "video"
    assert max(abs(a - b) for a, b in pairwise(times)) <= 2 * 3600


def test_a_picture_may_come_in_pieces() -> None:
    made = pictures(20)
    stream, sink = b"".join(made), Sink()
    for at in range(0, len(stream), 333):
        sink.frames.write(stream[at : at + 333], whole=False)
    assert len(sink.of("video")) == 19
    sink.frames.write()
    assert [unit for _, unit in sink.of("video")] == made
    assert sink.frames.video_time == 20 * 3600


def test_audio_alone() -> None:
    sink = Sink("", None)
    sink.frames.write(audio=b"".join(adts(n) for n in range(20)))
    assert [pts for pts, _ in sink.of("audio")] == [0, 8 * 1920, 16 * 1920]


def test_sample_rates_may_change_on_the_way() -> None:
    sink = Sink("", None)
    for index in (3, 3, 11, 11):  # 48 kHz, 8 kHz
        sink.frames.write(audio=adts(rate_index=index))
    assert [pts for pts, _ in sink.of("audio")] == [0, 1920, 3840, 3840 + 11520]
    assert sink.frames.audio_time == 3840 + 2 * 11520


def test_a_track_that_falls_far_behind_catches_up() -> None:
    """A camera that gives 24 frames a second where it was said to give 25."""
    sink, sound = Sink(), 0
    for second in range(200):
        frames = (second + 1) * 48000 // 1024 - sound
        sink.frames.write(b"".join(pictures(24, 24)), b"".join(adts(n) for n in range(frames)))
        sound += frames
    assert abs(sink.frames.video_time - sink.frames.audio_time) <= 6 * S
    assert sink.errors
    assert str(sink.errors[0]).startswith("write: the tracks are 5.")
    times = [pts for pts, _ in sink.of("video")]
    assert times == sorted(set(times))


def test_audio_catches_up_too() -> None:
    sink = Sink()
    sink.frames.write(b"".join(pictures(200)))
    sink.frames.write(b"", adts())
    assert sink.of("audio")[0][0] == 200 * 3600
    assert len(sink.errors) == 1


REORDERED = (
    "video: pictures out of the order of display (B-frames) need timestamps: "
    "use write_video with pts and dts, or an encoder's setting without them (ffmpeg: -bf 0)"
)


def clip(codec: str, *settings: str, seconds: int = 3) -> bytes:
    source = f"testsrc2=size=160x120:rate=25:duration={seconds}"
    return encoded(
        "-f", "lavfi", "-i", source, "-c:v", codec, "-g", "25", *settings,
        kind="hevc" if codec == "libx265" else "h264",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("codec", "settings"),
    [
        ("libx264", ("-bf", "2")),
        ("libx265", ("-x265-params", "log-level=none:bframes=2:open-gop=0")),
        ("libx265", ("-x265-params", "log-level=none:bframes=4:open-gop=1:b-pyramid=1")),
    ],
)
def test_b_frames_are_refused_up_to_the_next_key_frame(
    codec: str, settings: tuple[str, ...]
) -> None:
    """One error tells what to do; of each group the pictures up to the first such one are left."""
    sink = Sink("h265" if codec == "libx265" else "h264")
    sink.frames.write(clip(codec, *settings))
    assert [str(error) for error in sink.errors] == [REORDERED]
    assert 3 <= len(sink.of("video")) < 40
    assert {round(pts / S) for pts, _ in sink.of("video")} >= {0, 1, 2}
    sink.frames.write(clip(codec, *_WITHOUT[codec]))
    assert len(sink.errors) == 1
    assert [pts for pts, _ in sink.of("video")][-75:] == [n * 3600 for n in range(75, 150)]
    sink.frames.write(clip(codec, *settings))
    assert [str(error) for error in sink.errors] == [REORDERED] * 2


_WITHOUT = {
    "libx264": ("-bf", "0"),
    "libx265": ("-x265-params", "log-level=none:bframes=0"),
}


@pytest.mark.parametrize(
    ("codec", "settings"),
    [
        *_WITHOUT.items(),
        ("libx265", ("-x265-params", "log-level=none:bframes=0:keyint=600")),  # its count wraps
        ("libx265", ("-x265-params", "log-level=none:bframes=0:temporal-layers=1")),
        ("libx265", ("-x265-params", "log-level=none:bframes=0:slices=2:uhd-bd=0")),
        ("libx265", ("-pix_fmt", "yuv444p", "-x265-params", "log-level=none:bframes=0")),
    ],
)
def test_streams_without_b_frames_are_taken(codec: str, settings: tuple[str, ...]) -> None:
    sink = Sink("h265" if codec == "libx265" else "h264")
    seconds = 12 if "keyint" in settings[-1] else 2
    sink.frames.write(clip(codec, *settings, seconds=seconds))
    assert sink.errors == []
    assert len(sink.of("video")) == 25 * seconds


def test_rubbish_between_frames_is_told_and_the_rest_goes_on() -> None:
    sink = Sink("h264", 25)
    sink.frames.write(picture(True), adts(1) + b"rubbish" + adts(2))
    assert [str(error) for error in sink.errors] == ["audio: 7 bytes are no ADTS frame"]
    assert b"".join(data for _, data in sink.of("audio")) == adts(1) + adts(2)
    with pytest.raises(TypeError):
        sink.frames.write(5)  # type: ignore[arg-type]


def test_video_without_an_end_is_told() -> None:
    sink = Sink()
    for _ in range(17):
        sink.frames.write(b"\x55" * (1 << 20), whole=False)
    assert [str(error) for error in sink.errors] == [
        "video: no access unit ends within 16777216 bytes"
    ]
    sink.frames.write(picture(True))
    assert len(sink.of("video")) == 1
