"""What the muxer makes is taken by the players' own code without a word: ffmpeg 5 (the program),
PyAV's ffmpeg, Chromium; and the strict reader finds no fault in it.

Every clip is real H.264, H.265, AAC or MP3, in every form in which a camera or a container hands it
over. Times and order are compared exactly, pictures by their checksums.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import av
import pytest

from ossmedia._native_ts import AUDIO, DELAY, SEGMENT, TsBuffer, TsMuxer
from tests.clips import (
    RATES,
    VIDEO,
    Access,
    aac,
    ffmpeg,
    he_aac,
    missing,
    mp3,
    start_codes,
    video,
)
from tests.ts_reader import CLOCK, read

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(300),
]
SLOW = 8  # audio frames in one call


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("clips"), {}

    def make(name):
        if name not in made:
            made[name] = video(name, folder)
        return made[name]

    return make


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("tones"), {}

    def make(codec, rate):
        if (codec, rate) not in made:
            made[codec, rate] = (aac if codec == "aac" else mp3)(rate, folder)
        return made[codec, rate]

    return make


def grouped(frames, rate, codec="aac", count=SLOW):
    """Frames as calls of `count`, with the times that sample counting gives."""
    samples = 1024 if codec == "aac" else 1152 if rate >= 32000 else 576
    for number in range(0, len(frames), count):
        ticks = round(number * samples * 90_000 / rate)
        yield Access(b"".join(frames[number : number + count]), ticks, ticks, True)


def mux(path, muxer, pictures, sounds=(), start=0, segment=None):
    """Writes both tracks in order of DTS; a new segment before key frames of those numbers."""
    out = TsBuffer()
    number = 0
    queue = sorted(
        [(one.dts, 0, one) for one in pictures] + [(one.dts, 1, one) for one in sounds],
        key=lambda entry: entry[:2],
    )
    for _, track, one in queue:
        flags = AUDIO if track else SEGMENT if segment and number in segment else 0
        assert muxer.write(one.data, one.pts + start, one.dts + start, out, flags) > 0
        number += not track
    made = bytes(out.take())
    path.write_bytes(made)
    return made


def probe(path, *more):
    command = ["ffprobe", "-v", "warning", "-of", "json", *more, "-show_packets", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=100)
    assert done.stderr == b""
    return json.loads(done.stdout)["packets"]


def decode(path, *maps, silent=True):
    """Checksums of the decoded pictures or samples, without a word of complaint."""
    words = ffmpeg(
        *("-v", "warning", "-xerror", "-i", str(path), *maps, "-fps_mode", "passthrough"),
        *("-f", "framehash", "-hash", "crc32", "-y", str(path) + ".hash"),
    )
    assert words == "" or not silent
    lines = (path.parent / (path.name + ".hash")).read_text().splitlines()
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]


def check_times(packets, units, start=0):
    """The demuxer's packets are the units: same number, same order, same times."""
    assert [int(p["pts"]) % CLOCK for p in packets] == [
        (unit.pts + start + DELAY) % CLOCK for unit in units
    ]
    assert [int(p["dts"]) % CLOCK for p in packets] == [
        (unit.dts + start + DELAY) % CLOCK for unit in units
    ]


def check_pyav(path, units):
    """PyAV sees the same packets, and decodes a picture out of each."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        packets, pictures = [], 0
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                assert not packet.is_corrupt
                packets.append((packet.pts % CLOCK, packet.dts % CLOCK))
            pictures += len(packet.decode())
        assert packets == [((u.pts + DELAY) % CLOCK, (u.dts + DELAY) % CLOCK) for u in units]
        assert pictures == len(units)


def muxer_for(clip, form, audio=""):
    """A muxer, and the units in that form."""
    if form == "lengths":
        return TsMuxer(clip.codec, audio, video_config=clip.config), clip.units
    if form == "config in Annex B":
        units = [replace(one, data=start_codes(one.data)) for one in clip.units]
        return TsMuxer(clip.codec, audio, video_config=clip.sets()), units
    return TsMuxer(clip.codec, audio), clip.annex_b()


FORMS = [
    *((name, form) for name in VIDEO for form in ("Annex B", "lengths")),
    ("baseline", "config in Annex B"),
    ("hevc", "config in Annex B"),
]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_video(clips, tmp_path, name, form):
    clip = clips(name)
    muxer, units = muxer_for(clip, form)
    path = tmp_path / "made.ts"
    stream = read(mux(path, muxer, units))
    assert stream.faults == []
    assert [unit.random_access for unit in stream.units] == [unit.key for unit in units]
    packets = probe(path)
    check_times(packets, units)
    assert ["K" in p["flags"] for p in packets] == [unit.key for unit in units]
    assert decode(path) == decode(clip.path)
    check_pyav(path, units)


@pytest.mark.parametrize("rate", RATES)
def test_aac(tones, tmp_path, rate):
    frames = tones("aac", rate)
    calls = list(grouped(frames, rate))
    path = tmp_path / "made.ts"
    stream = read(mux(path, TsMuxer(audio="aac"), (), calls))
    assert stream.faults == []
    assert stream.types == {0x101: 0x0F}
    packets = probe(path)
    assert len(packets) == len(frames)  # a PES packet's frames are told apart by their headers
    check_times(packets[::SLOW], calls)
    plain = tmp_path / "plain.aac"
    plain.write_bytes(b"".join(frames))
    assert decode(path) == decode(plain, silent=False)  # it guesses a duration


@pytest.mark.parametrize("rate", [24000, 22050, 16000])
def test_he_aac(tones, tmp_path, rate):
    """Its frames have the times of their core's rate; players find out that they sound at twice
    that."""
    frames = [he_aac(frame) for frame in tones("aac", rate)]
    calls = list(grouped(frames, rate))
    path, plain = tmp_path / "made.ts", tmp_path / "plain.aac"
    stream = read(mux(path, TsMuxer(audio="aac"), (), calls))
    assert stream.faults == []
    check_times(probe(path)[::SLOW], calls)
    plain.write_bytes(b"".join(frames))
    with av.open(str(path)) as container:
        assert container.streams.audio[0].profile.startswith("HE-AAC")
        assert container.streams.audio[0].rate == 2 * rate
    assert decode(path) == decode(plain, silent=False)


@pytest.mark.parametrize("rate", [48000, 44100, 32000, 24000, 22050, 16000, 8000])
def test_mp3(tones, tmp_path, rate):
    frames = tones("mp3", rate)
    calls = list(grouped(frames, rate, "mp3", 1))
    path = tmp_path / "made.ts"
    stream = read(mux(path, TsMuxer(audio="mp3"), (), calls))
    assert stream.faults == []
    assert stream.types == {0x101: 0x03 if rate >= 32000 else 0x04}
    packets = probe(path)
    check_times(packets, calls)
    assert [int(p["size"]) for p in packets] == [len(frame) for frame in frames]
    assert len(decode(path)) >= len(frames) - 1


@pytest.mark.parametrize("audio", ["aac", "mp3"])
@pytest.mark.parametrize("name", ["high-b-frames", "hevc"])
def test_both_tracks(clips, tones, tmp_path, name, audio):
    clip, rate = clips(name), 44100
    muxer, units = muxer_for(clip, "Annex B", audio)
    calls = list(grouped(tones(audio, rate), rate, audio, 1))
    path = tmp_path / "made.ts"
    stream = read(mux(path, muxer, units, calls))
    assert stream.faults == []
    check_times(probe(path, "-select_streams", "v"), units)
    check_times(probe(path, "-select_streams", "a"), calls)
    assert decode(path, "-map", "0:v") == decode(clip.path)
    check_pyav(path, units)


@pytest.mark.parametrize("hours", [13, 26.5, 48])
def test_48_hours(clips, tones, tmp_path, hours):
    """33 bits hold 26.5 hours; the clip is laid over every wrap, and beside it."""
    start = round(hours * 3600) * 90_000
    clip = clips("high-b-frames")
    muxer, units = muxer_for(clip, "Annex B", "aac")
    calls = list(grouped(tones("aac", 48000), 48000, "aac", 1))
    path = tmp_path / "made.ts"
    stream = read(mux(path, muxer, units, calls, start))
    assert stream.faults == []
    check_times(probe(path, "-select_streams", "v"), units, start)
    check_times(probe(path, "-select_streams", "a"), calls, start)
    assert decode(path, "-map", "0:v") == decode(clip.path)


def test_wrap_within(clips, tmp_path):
    """PTS, DTS and PCR each pass 2^33 in the clip, at different pictures."""
    clip = clips("high-b-frames")
    muxer, units = muxer_for(clip, "Annex B")
    start = CLOCK - DELAY - 90_000
    path = tmp_path / "made.ts"
    stream = read(mux(path, muxer, units, (), start))
    assert stream.faults == []
    assert max(stream.pcrs) > CLOCK - 9000
    assert min(stream.pcrs) < 9000
    check_times(probe(path), units, start)
    assert decode(path) == decode(clip.path)


def test_segments_stand_alone_and_together(clips, tmp_path):
    """Cut at key frames, each segment decodes by itself, and their bytes joined are one stream."""
    clip = clips("multi-slice")
    muxer, units = muxer_for(clip, "Annex B")
    keys = [number for number, unit in enumerate(units) if unit.key]
    assert len(keys) > 1
    whole = mux(tmp_path / "whole.ts", muxer, units, segment=set(keys))
    stream = read(whole)
    assert stream.faults == []
    assert [n for n, unit in enumerate(stream.units) if unit.tables] == keys
    wanted = decode(clip.path)
    cuts = [*_places(whole, keys), len(whole)]
    for begin, end, first, last in zip(
        cuts[:-1], cuts[1:], keys, [*keys[1:], len(units)], strict=True
    ):
        path = tmp_path / f"{first}.ts"
        path.write_bytes(whole[begin:end])
        assert read(whole[begin:end]).faults == []
        assert decode(path) == wanted[first:last]


def _places(whole, keys):
    """Where the PATs stand."""
    return [at for at in range(0, len(whole), 188) if whole[at + 1 : at + 3] == b"\x40\x00"]
