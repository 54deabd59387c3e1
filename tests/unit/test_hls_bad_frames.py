"""What a camera should not have written: one clear error each, listeners are told, the recording
goes on with the next good frame, and what is stored keeps to the rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ossmedia import MediaError
from tests.elementary import STEP, adts, picture
from tests.hls_rig import GOP, START, Watched, bucket_of, findings
from tests.hls_rules import Media

PREFIX = "cams/cam-01/live"
INDEX = f"{PREFIX}/index.m3u8"
SECONDS, BAD_AT = 6, 2 * GOP + 5  # the second second's group loses its rest

VIDEO = {
    "not Annex B": (b"\x65\x88 no start code", BAD_AT, "video: not Annex B"),
    "a NAL unit behind its length": (b"\0\0\0\x09\x41" + bytes(8), BAD_AT, "video: not Annex B"),
    "0 bytes": (b"", BAD_AT, "video: 0 bytes"),
    "above 16 MiB": (picture(False, size=(16 << 20) + 1), BAD_AT, "more than 16 MiB"),
    "back by a picture": (picture(False), BAD_AT - 2, "dts: .* is not after the last one"),
    "the same time again": (picture(False), BAD_AT - 1, "dts: .* is not after the last one"),
    "back by hours": (picture(False), BAD_AT - 360_000 * 25, "dts: .* is not after the last one"),
    "far ahead": (picture(False), BAD_AT + 100 * GOP, "dts: .* is more than 60 s after"),
    "no slice": (b"\0\0\0\1\x06\x05\x01\x80", BAD_AT, "video: a unit without a slice"),
}
AUDIO = {
    "a length too short": (adts(size=60)[:-1], "audio: a frame of 67 bytes at byte 0, of which 66"),
    "a length too long": (adts() + b"\0", "at byte 67"),
    "a length of its header's": (adts(size=-1) + bytes(8), "audio: "),
    "no ADTS": (b"RIFF" + bytes(60), "audio: "),
    "0 bytes": (b"", "audio: 0 bytes"),
}


@pytest.fixture
def bucket(cloud: Any) -> Iterator[Watched]:
    with bucket_of(cloud) as made:
        yield made


def record(bucket: Watched, bad: Any) -> tuple[list[Exception], dict[str, int], list[bool]]:
    """Some seconds of pictures and sounds; ``bad`` writes what it likes before picture BAD_AT."""
    told: list[Exception] = []
    taken: list[bool] = []
    with bucket.record_hls(
        PREFIX,
        "event",
        audio="aac",
        segment_time=1,
        start=START,
        on_full="block",
        on_error=told.append,
    ) as recorder:
        for number in range(SECONDS * GOP):
            if number == BAD_AT:
                taken.append(bad(recorder))
            recorder.write_video(picture(number % GOP == 0, number), number * STEP)
            recorder.write_audio(adts(number), number * STEP)
    assert findings(bucket, INDEX) == []
    return told, recorder.stats(), taken


@pytest.mark.parametrize("name", VIDEO)
def test_a_bad_picture_costs_the_rest_of_its_group(bucket: Watched, name: str) -> None:
    unit, number, words = VIDEO[name]
    told, stats, taken = record(bucket, lambda one: one.write_video(unit, number * STEP))
    assert taken == [False]
    assert [type(one) for one in told] == [MediaError]
    with pytest.raises(MediaError, match=words):
        raise told[0]
    left = GOP - 5
    assert stats["frames"] == 2 * SECONDS * GOP - left
    assert stats["skipped"] == left + 1
    rows = Media(bucket.body(INDEX).decode()).rows
    assert len(rows) == SECONDS
    assert stats["dropped"] == 0


@pytest.mark.parametrize("name", AUDIO)
def test_bad_sound_costs_itself(bucket: Watched, name: str) -> None:
    frames, words = AUDIO[name]
    told, stats, taken = record(bucket, lambda one: one.write_audio(frames, BAD_AT * STEP - 900))
    assert taken == [False]
    assert [type(one) for one in told] == [MediaError]
    with pytest.raises(MediaError, match=words):
        raise told[0]
    assert (stats["frames"], stats["skipped"]) == (2 * SECONDS * GOP, 1)
    assert [row["discontinuity"] for row in Media(bucket.body(INDEX).decode()).rows] == [
        False
    ] * SECONDS


def test_no_parameter_sets_before_the_first_slice(bucket: Watched) -> None:
    """Nothing can be decoded before they come."""
    told: list[Exception] = []
    with bucket.record_hls(PREFIX, "event", segment_time=1, start=START, on_error=told.append) as r:
        for number in range(4 * GOP):
            unit = picture(number % GOP == 0, number, sets=number > GOP)
            r.write_video(unit, number * STEP)
    assert [str(one) for one in told] == ["video: no SPS and PPS before the first slice"]
    assert r.stats()["frames"] == 2 * GOP
    assert findings(bucket, INDEX) == []
