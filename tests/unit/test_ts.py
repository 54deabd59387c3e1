"""The muxer as Python sees it: what goes in comes out, bad units leave no trace, memory stays the
caller's; and the strict reader that judges it finds the faults that are planted."""

from __future__ import annotations

import array

import pytest

from ossmedia import MediaError, OssMediaError
from ossmedia._native_ts import (
    AUDIO,
    DELAY,
    GAP,
    IS_KEY,
    KEY,
    NOT_KEY,
    SEGMENT,
    UNLESS_KEY,
    TsBuffer,
    TsMuxer,
)
from tests.ts_reader import PACKET, read

AUD = bytes.fromhex("0000000109f0")
SPS = bytes.fromhex("000000016742c01ed900a0")
PPS = bytes.fromhex("0000000168ce3c80")
IDR = bytes.fromhex("0000000165888400") + b"\x33" * 400
SLICE = bytes.fromhex("00000001419a246c") + b"\x44" * 300
ADTS = bytes.fromhex("fff14c40019ffc0102030405")
FRAME = 3600


@pytest.fixture
def muxer():
    return TsMuxer("h264", "aac")


def video(muxer, unit, dts, flags=0, *, pts=None):
    out = TsBuffer()
    size = muxer.write(unit, dts if pts is None else pts, dts, out, flags)
    assert size == len(out)
    return bytes(out.take())


def audio(muxer, frames, pts, flags=0):
    return video(muxer, frames, pts, flags | AUDIO)


def clip(muxer, count=12):
    """Pictures and sound, a segment after half of them."""
    out = b""
    for n in range(count):
        flags = SEGMENT if n == count // 2 else 0
        out += video(muxer, SPS + PPS + IDR if n % 6 == 0 else SLICE, n * FRAME, flags)
        out += audio(muxer, ADTS * 2, n * FRAME)
    return out


def test_what_goes_in_comes_out(muxer):
    stream = read(clip(muxer))
    assert stream.faults == []
    assert stream.types == {0x100: 0x1B, 0x101: 0x0F}
    pictures, sounds = stream.of(0x100), stream.of(0x101)
    assert [unit.dts for unit in pictures] == [n * FRAME + DELAY for n in range(12)]
    assert [bytes(unit.data) for unit in pictures] == [
        AUD + (SPS + PPS + IDR if n % 6 == 0 else SLICE) for n in range(12)
    ]
    assert [bytes(unit.data) for unit in sounds] == [ADTS * 2] * 12
    assert [n for n, unit in enumerate(pictures) if unit.random_access] == [0, 6]
    assert [n for n, unit in enumerate(pictures) if unit.tables] == [0, 6]
    assert stream.pcrs == [n * FRAME for n in range(12)]


def test_a_segment_begins_with_tables_and_parameter_sets(muxer):
    video(muxer, SPS + PPS + IDR, 0)
    stream = read(video(muxer, SLICE, FRAME, SEGMENT))
    assert stream.units[0].tables
    assert stream.units[0].data == AUD + SPS + PPS + SLICE
    assert not read(clip(TsMuxer("h264", "aac"), 2)).faults


def test_a_gap_is_signalled_on_both_tracks(muxer):
    out = clip(muxer, 4)
    out += video(muxer, IDR, 5, SEGMENT | GAP) + audio(muxer, ADTS, 5)
    stream = read(out)
    assert stream.faults == []
    assert [unit.discontinuity for unit in stream.units] == [False] * 8 + [True] * 2


def test_a_key_frame_can_be_asked_for_and_written_in_one_call(muxer):
    out = TsBuffer()
    assert muxer.write(SPS + PPS + IDR, 0, 0, out, UNLESS_KEY) == IS_KEY
    assert len(out) == 0
    first = muxer.write(SPS + PPS + IDR, 0, 0, out, SEGMENT)
    assert muxer.write(PPS, FRAME, FRAME, out, UNLESS_KEY) == 0
    assert muxer.write(SLICE, FRAME, FRAME, out, UNLESS_KEY) == len(out) - first > 0
    stream = read(bytes(out.take()))
    assert stream.faults == []
    assert [unit.random_access for unit in stream.units] == [True, False]


@pytest.mark.parametrize(
    ("unit", "said", "wanted"),
    [(SLICE, 0, False), (SLICE, KEY, True), (IDR, NOT_KEY, False), (IDR, 0, True)],
)
def test_keyframe_is_the_callers_word_or_the_units(muxer, unit, said, wanted):
    stream = read(clip(muxer, 1) + video(muxer, unit, FRAME, said))
    assert stream.of(0x100)[-1].random_access is wanted


def test_is_keyframe(muxer):
    assert muxer.is_keyframe(SPS + PPS + IDR)
    assert muxer.is_keyframe(bytearray(IDR))
    assert not muxer.is_keyframe(memoryview(AUD + SLICE))
    assert not muxer.is_keyframe(SPS + PPS)
    with pytest.raises(MediaError, match="Annex B"):
        muxer.is_keyframe(b"\1\2\3")
    with pytest.raises(MediaError, match="this stream has none"):
        TsMuxer(audio="aac").is_keyframe(IDR)


def test_units_of_a_container():
    avcc = bytes.fromhex("0142c01effe100076742c01ed900a001000468ce3c80")
    muxer = TsMuxer("h264", video_config=avcc)
    unit = (len(IDR) - 4).to_bytes(4, "big") + IDR[4:]
    assert muxer.is_keyframe(unit)
    assert read(video(muxer, unit, 0)).units[0].data == AUD + SPS + PPS + IDR
    with pytest.raises(MediaError, match="video_config: cut off"):
        TsMuxer("h264", video_config=avcc[:-1])


@pytest.mark.parametrize(
    ("video", "audio", "words"),
    [
        ("", "", "at least one"),
        ("vp9", "", "video: must be 'h264', 'h265' or '', not 'vp9'"),
        ("h264", "pcma", "audio: must be 'aac', 'mp3' or '', not 'pcma' .MPEG-TS has no G.711"),
        ("", "pcmu", "no G.711"),
        ("h264", "opus", "audio: must be 'aac', 'mp3' or '', not 'opus'$"),
    ],
)
def test_codecs_that_no_player_takes(video, audio, words):
    with pytest.raises(MediaError, match=words):
        TsMuxer(video, audio)


def test_an_error_is_both_ours_and_a_value_error(muxer):
    with pytest.raises(ValueError, match="no SPS") as caught:
        video(muxer, IDR, 0)
    assert isinstance(caught.value, OssMediaError)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (b"", "video: 0 bytes"),
        (b"\0\0\2\x65", "Annex B"),
        (b"\0\0\1\x06\x05", "without a slice"),
        (AUD + AUD + IDR, "two access unit delimiters"),
        (SLICE[:3] + b"\xc1" + SLICE, "Annex B"),
        (bytes((1 << 24) + 1), "16777217 bytes, more than 16 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refused_picture_leaves_no_trace(muxer, unit, words):
    twin = TsMuxer("h264", "aac")
    assert clip(muxer, 3) == clip(twin, 3)
    out = TsBuffer(20_000)
    with pytest.raises(MediaError, match=words):
        muxer.write(unit, 9 * FRAME, 9 * FRAME, out)
    assert len(out) == 0
    assert out.packets.room == 20_000
    assert video(muxer, IDR, 9 * FRAME) == video(twin, IDR, 9 * FRAME)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (b"", "audio: 0 bytes"),
        (ADTS[:-1], "a frame of 12 bytes at byte 0, of which 11 came"),
        (ADTS + b"\0", "at byte 12"),
        (ADTS * 5417, "65004 bytes, more than 65000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_sound_leaves_no_trace(muxer, frames, words):
    twin = TsMuxer("h264", "aac")
    assert clip(muxer, 3) == clip(twin, 3)
    with pytest.raises(MediaError, match=words):
        audio(muxer, frames, 9 * FRAME)
    assert audio(muxer, ADTS, 9 * FRAME) == audio(twin, ADTS, 9 * FRAME)


@pytest.mark.parametrize(
    ("pts", "dts", "words"),
    [
        (5, 6, "pts 5 is before dts 6"),
        (0, 0, "dts 0 is not after the last one, 0"),
        (1, -1, "dts -1 is not after the last one, 0"),
        (5_400_002, 1, "over 60 s after dts 1"),
        (1 << 63, 1, "64 bits"),
        (1, -(1 << 63) - 1, "64 bits"),
    ],
)
def test_times_that_cannot_be(muxer, pts, dts, words):
    video(muxer, SPS + PPS + IDR, 0)
    with pytest.raises(MediaError, match=words):
        video(muxer, SLICE, dts, pts=pts)
    assert not read(clip(TsMuxer("h264", "aac"), 1) + video(muxer, SLICE, FRAME)).faults


def test_any_memory_may_hold_a_unit(muxer):
    unit, out = SPS + PPS + IDR, TsBuffer()
    muxer.write(unit, 0, 0, out)
    whole = bytearray(SLICE)
    for n, held in enumerate([whole, memoryview(whole), array.array("B", SLICE)], 1):
        assert muxer.write(held, n * FRAME, n * FRAME, out) % PACKET == 0
    whole.extend(b"more")  # nothing holds it any more
    with pytest.raises((BufferError, ValueError, TypeError)):
        muxer.write(memoryview(SLICE)[::2], 9 * FRAME, 9 * FRAME, out)
    stream = read(bytes(out.take()))
    assert [unit.data for unit in stream.units[1:]] == [AUD + SLICE] * 3


def test_a_buffer_grows_and_is_empty_once_it_was_taken(muxer):
    out, wanted = TsBuffer(), b""
    twin = TsMuxer("h264", "aac")
    for n in range(300):
        unit = SPS + PPS + IDR + b"\x33" * 10_000 if n % 6 == 0 else SLICE
        wanted += video(twin, unit, n * FRAME)
        assert muxer.write(unit, n * FRAME, n * FRAME, out) > 0
        assert len(out) == len(wanted) <= out.packets.room
    taken = out.take()
    assert taken == wanted
    assert (len(out), out.packets.room) == (0, 0)
    taken.extend(b"more")  # nothing holds it any more
    assert muxer.write(SLICE, 300 * FRAME, 300 * FRAME, out) == len(out.take())


def test_what_a_unit_needs_is_always_made(muxer):
    """Each length around a packet's, into a buffer that has nothing left."""
    for extra in range(0, 400, 7):
        unit = SPS + PPS + IDR + bytes([1]) * extra
        one, out = TsMuxer("h264"), TsBuffer(1315)
        assert one.write(unit, 0, 0, out) == len(out)
        out.make_room(len(unit))
        left = out.packets.room - len(out)
        assert left >= one.write(unit, FRAME, FRAME, TsBuffer())


def test_what_is_no_unit(muxer):
    out = TsBuffer(3000)
    for wrong in ("text", None, 5):
        with pytest.raises(TypeError):
            muxer.write(wrong, 0, 0, out)
    with pytest.raises(TypeError):
        muxer.write(SPS + PPS + IDR, 0.5, 0, out)
    with pytest.raises(MediaError, match="flags: 0x40 is none"):
        muxer.write(SPS + PPS + IDR, 0, 0, out, 64)
    assert len(out) == 0


def plant(data, number, at, value):
    packets = bytearray(data)
    packets[number * PACKET + at] ^= value
    return bytes(packets)


def test_the_reader_finds_planted_faults(muxer):
    data = clip(muxer)
    good = read(data)
    count = len(data) // PACKET
    assert good.faults == []
    assert good.packets == count
    for number in range(count):
        for at, value in [(0, 1), (1, 0x40), (1, 0x80), (2, 1), (3, 1), (3, 0x10), (3, 0x40)]:
            assert read(plant(data, number, at, value)).faults, (number, at, value)
    for number in (0, 1):
        for at in range(5, 40):
            assert read(plant(data, number, at, 1)).faults, (number, at)
    for number in range(count - 1):  # without the packet, and with it twice
        cut, end = number * PACKET, (number + 1) * PACKET
        lost = read(data[:cut] + data[end:])  # the first packet of a PID leaves no gap in it
        assert lost.faults or len(lost.units) < len(good.units)
        assert read(data[:end] + data[cut:]).faults


def test_the_reader_finds_wrong_times():
    """PCR, PTS and DTS that only their meaning shows to be wrong."""
    slow, data = TsMuxer("h264"), b""
    for n in range(3):
        data += video(slow, SPS + PPS + IDR, n * 4000 + 1)
    places = [at for at in range(0, len(data), PACKET) if data[at + 1] & 0x41 == 0x41]
    assert len(places) == 3
    pcr, dts = 6, 12 + 9
    for place in places[1:]:
        for at, value in [(pcr + 2, 0x80), (pcr + 1, 4), (dts + 2, 0x80), (dts + 1, 0x10)]:
            number, rest = divmod(place + at, PACKET)
            assert read(plant(data, number, rest, value)).faults, (place, at)
