"""What making MPEG-TS costs in time and in bytes: next to a plain copy of the same bytes, and next
to ffmpeg's muxer through PyAV.

The overhead is that of real H.264 of 2 Mbit/s at three picture rates, with AAC of 64 kbit/s: what
the packets are longer than the elementary streams, both delimiters and parameter sets included.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest

from bench.mux_cases import copy, own, pictures, pyav
from bench.rounds import compare, record
from ossmedia._native_ts import AUDIO, SEGMENT, TsBuffer, TsMuxer
from tests.clips import Access, aac, ffmpeg, missing, track

COUNT = 400
SECONDS = 10


@pytest.mark.parametrize("size", [1_000, 10_000, 40_000])
def test_mux(benchmark, size):
    units = pictures(size, COUNT)

    def all_of(case):
        return lambda: sum(1 for _ in case(units))

    compare(
        benchmark,
        f"mux pictures of {size:,} B",
        all_of(own),
        {"a copy": all_of(copy), "PyAV": all_of(pyav)},
    )


def in_order(units: list[Access], sounds: list[Access]) -> list[tuple[int, int, Access]]:
    """Both tracks by DTS; video is 0, audio 1."""
    tracks = [*((one.dts, 0, one) for one in units), *((one.dts, 1, one) for one in sounds)]
    return sorted(tracks, key=lambda entry: entry[:2])


def own_size(units: list[Access], sounds: list[Access]) -> int:
    """Bytes of one segment after another, a new one at each key frame after 6 s."""
    muxer = TsMuxer("h264", "aac" if sounds else "")
    size, begun = 0, 0
    out = TsBuffer(4 << 20)
    for _, audio, one in in_order(units, sounds):
        if audio:
            size += muxer.write(one.data, one.pts, one.pts, out, AUDIO)
            continue
        flags = 0
        if one.key and one.dts - begun >= 6 * 90_000:
            flags, begun = SEGMENT, one.dts
        size += muxer.write(one.data, one.pts, one.dts, out, flags)
    return size


def ffmpegs_size(units: list[Access], sounds: list[Access], rate: int) -> int:
    """The same, by PyAV; tables and PCR as ffmpeg does by itself."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="mpegts") as container:
        streams = [container.add_stream("h264", rate=rate)]
        streams[0].width, streams[0].height = 1280, 720
        if sounds:
            streams.append(container.add_stream("aac", rate=48_000))
        for _, audio, one in in_order(units, sounds):
            packet = av.Packet(one.data)
            packet.stream = streams[audio]
            packet.time_base = Fraction(1, 90_000)
            packet.pts, packet.dts, packet.is_keyframe = one.pts, one.dts, one.key
            container.mux(packet)
    return len(sink.getvalue())


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("sound", [False, True], ids=["video", "both"])
@pytest.mark.parametrize("rate", [15, 25, 30])
def test_overhead(benchmark, tmp_path, rate, sound):
    path = tmp_path / "clip.mp4"
    source = f"testsrc2=size=1280x720:rate={rate}:duration={SECONDS},noise=alls=20:allf=t"
    encoder = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -b:v 2M -maxrate 2M -bufsize 2M"
    keys = ("-g", f"{2 * rate}", "-bf", "0")
    ffmpeg(*("-v", "error", "-f", "lavfi", "-i", source, *encoder.split(), *keys, "-y", str(path)))
    units = track(path).annex_b()
    frames = aac(48_000, tmp_path, SECONDS, bit_rate="64k") if sound else []
    singles = [Access(one, n * 1920, n * 1920, True) for n, one in enumerate(frames)]
    fours = [  # to a PES packet, as a recorder would give them; ffmpeg gathers by itself
        Access(b"".join(frames[n : n + 4]), n * 1920, n * 1920, True)
        for n in range(0, len(frames), 4)
    ]
    bytes_in = sum(len(one.data) for one in [*units, *fours])
    ours = benchmark.pedantic(lambda: own_size(units, fours), rounds=1)
    theirs = ffmpegs_size(units, singles, rate)
    percent = {
        "ossmedia": 100 * (ours / bytes_in - 1),
        "ffmpeg": 100 * (theirs / bytes_in - 1),
    }
    mbit = bytes_in * 8 / SECONDS / 1e6
    record(
        benchmark,
        f"overhead, {mbit:.2f} Mbit/s, {rate} pictures/s, {'with' if sound else 'no'} sound",
        "%",
        percent,
        {"ffmpeg": percent["ossmedia"] / percent["ffmpeg"]},
    )
    assert 2.1 < percent["ossmedia"] < percent["ffmpeg"]
