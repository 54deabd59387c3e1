"""access_units.py: streams in any pieces come out as units, byte by byte the same."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossmedia.access_units import AccessUnits, AdtsFrames, has_b_slices, is_parameter_sets
from ossmedia.errors import MediaError
from tests.elementary import PPS, SPS, adts, camera, encoded, picture, pictures, tone

AUD = b"\0\0\0\1\x09\xf0"
SEI = b"\0\0\0\1\x06\x05\x04abcd\x80"


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    return [*pieces, stream[at:]]


def units_of(pieces: list[bytes], codec: str = "h264") -> list[bytes]:
    splitter = AccessUnits(codec)
    return [unit for piece in pieces for unit in splitter.feed(piece)] + splitter.flush()


@given(st.lists(st.integers(1, 400), max_size=40), st.booleans(), st.booleans())
def test_any_pieces_give_the_same_units(sizes: list[int], aud: bool, sei: bool) -> None:
    made = [(AUD if aud else b"") + (SEI if sei else b"") + unit for unit in pictures(12, gop=5)]
    assert units_of(cut(b"".join(made), sizes)) == made


@pytest.mark.parametrize("zeros", [b"", b"\0"])
def test_start_codes_of_three_and_four_bytes(zeros: bytes) -> None:
    made = [zeros + unit.replace(b"\0\0\0\1", b"\0\0\1") for unit in pictures(4, gop=2)]
    assert units_of([b"".join(made)]) == made


def test_slices_of_one_picture_stay_together() -> None:
    body = b"\x55" * 50
    made = [
        (SPS + PPS if key else b"")
        + b"".join(b"\0\0\1" + kind + (b"\x9a" if n == 0 else b"\x4a") + body for n in range(4))
        for key, kind in ((True, b"\x65"), (False, b"\x41"), (False, b"\x41"))
    ]
    assert units_of([b"".join(made)]) == made


def real_units(stream: bytes, kind: str) -> int:
    command = ["ffprobe", "-v", "error", "-f", kind, "-count_packets", "-show_entries",
               "stream=nb_read_packets", "-of", "csv=p=0", "-i", "-"]  # fmt: skip
    done = subprocess.run(command, input=stream, capture_output=True, check=True, timeout=60)
    return int(done.stdout)


def test_a_real_stream() -> None:
    stream = camera(2)
    units = units_of(cut(stream, [1000, 1, 2, 3, 5000]))
    assert b"".join(units) == stream
    assert len(units) == real_units(stream, "h264") == 50
    assert not any(has_b_slices(unit) for unit in units)


def test_a_real_stream_of_h265_with_slices() -> None:
    stream = encoded(
        "-f", "lavfi", "-i", "testsrc2=size=160x128:rate=25:duration=1", "-c:v", "libx265",
        "-x265-params", "log-level=error:slices=2:keyint=10:bframes=0", kind="hevc",
    )  # fmt: skip
    units = units_of(cut(stream, [7] * 300), "h265")
    assert b"".join(units) == stream
    assert len(units) == real_units(stream, "hevc") == 25
    assert not is_parameter_sets(units[0], True)


def test_b_slices_are_seen() -> None:
    stream = encoded(
        "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1", "-c:v", "libx264",
        "-bf", "2", "-g", "25",
    )  # fmt: skip
    kinds = [has_b_slices(unit) for unit in units_of([stream])]
    assert any(kinds)
    assert not all(kinds)
    assert not has_b_slices(b"")
    assert not has_b_slices(b"\0\0\1")
    assert not has_b_slices(AUD)


def test_parameter_sets_are_told_from_pictures() -> None:
    assert is_parameter_sets(SPS + PPS, False)
    assert is_parameter_sets(AUD + SPS + PPS + SEI, False)
    assert not is_parameter_sets(picture(True), False)
    assert not is_parameter_sets(b"", False)
    assert not is_parameter_sets(b"rubbish", False)
    assert is_parameter_sets(b"\0\0\1\x40\x01\x0c\0\0\1\x42\x01\x01\0\0\1\x44\x01\xc1", True)
    assert not is_parameter_sets(b"\0\0\1\x40\x01\x0c\0\0\1\x26\x01\xaf", True)


def test_what_is_no_stream_comes_out_as_it_is() -> None:
    assert units_of([b"rubbish"]) == [b"rubbish"]
    assert units_of([b"\0"]) == [b"\0"]
    assert units_of([]) == []
    assert units_of([SPS]) == [SPS]


def test_a_stream_without_units_is_dropped_in_time() -> None:
    splitter, piece = AccessUnits("h264"), b"\x55" * (1 << 20)
    with pytest.raises(MediaError, match=r"^video: no access unit ends within 16777216 bytes"):
        for _ in range(17):
            splitter.feed(piece)
    made = pictures(3)
    assert splitter.feed(b"".join(made)) + splitter.flush() == made


@given(st.lists(st.integers(1, 90), max_size=40))
def test_audio_frames_in_any_pieces(sizes: list[int]) -> None:
    made = [adts(number, 20 + number) for number in range(20)]
    splitter = AdtsFrames()
    frames = [frame for piece in cut(b"".join(made), sizes) for frame in splitter.feed(piece)]
    assert frames == made
    assert splitter.rate == 48000


def test_real_audio() -> None:
    stream, splitter = tone(1), AdtsFrames()
    frames = splitter.feed(stream)
    assert b"".join(frames) == stream
    assert len(frames) in (47, 48)


@pytest.mark.parametrize("rubbish", [b"rubbish", b"\xff", b"\xff\xf1\xff\xff", b"\xff" * 50])
def test_bytes_between_frames_are_named_and_skipped(rubbish: bytes) -> None:
    splitter, frames, told = AdtsFrames(), [], []
    data = adts(1) + rubbish + adts(2) + adts(3)
    while data is not None:
        try:
            got = splitter.feed(data)
            data = b"" if got else None
            frames += got
        except MediaError as error:
            told.append(str(error))
            data = b""
    assert frames == [adts(1), adts(2), adts(3)]
    assert sum(int(text.split()[1]) for text in told) == len(rubbish)
    assert all(text.startswith("audio: ") and text.endswith("are no ADTS frame") for text in told)
    assert splitter.feed(adts(4)) == [adts(4)]


@settings(max_examples=200)
@given(st.binary(max_size=600), st.lists(st.integers(1, 50), max_size=12))
def test_rubbish_is_a_media_error_at_most(rubbish: bytes, sizes: list[int]) -> None:
    video, audio = AccessUnits("h264"), AdtsFrames()
    out = b""
    for piece in cut(rubbish, sizes):
        out += b"".join(video.feed(piece))
        try:
            audio.feed(piece)
        except MediaError:
            continue
    assert out + b"".join(video.flush()) == rubbish
