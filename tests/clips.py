"""Real video and audio for the judges: made by ffmpeg's encoders, small, at test time.

Names of clips flow in, access units with exact times flow out, as cameras and containers hand them
over. It never touches the muxer.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_X264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"
_HIGH = "-c:v libx264 -preset fast -profile:v high -bf 3 -b_strategy 0 -g 50 -pix_fmt yuv420p"
_X265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none"
_SIZE = "320x240"

# name: (size, frame rate, seconds, encoder)
VIDEO = {
    "baseline": (_SIZE, "25", 4, f"{_X264} -profile:v baseline -g 25"),
    "high-b-frames": (_SIZE, "30000/1001", 4, _HIGH),
    "multi-slice": (_SIZE, "25", 2, f"{_X264} -x264-params slices=4:keyint=25:bframes=0"),
    "delimiters": (_SIZE, "25", 2, f"{_X264} -x264-params aud=1:keyint=20"),
    "4k": ("3840x2160", "25", 0.4, f"{_X264} -g 5 -b:v 40M"),
    "slow": (_SIZE, "4", 5, f"{_X264} -g 8"),
    "hevc": (_SIZE, "25", 3, f"{_X265}:keyint=25:bframes=2"),
    "hevc-open-gop": (_SIZE, "25", 2, f"{_X265}:keyint=10:bframes=2:open-gop=1:slices=2"),
}


@dataclass(frozen=True)
class Access:
    """One access unit, or audio frames; times in ticks of 90 kHz."""

    data: bytes
    pts: int
    dts: int
    key: bool


@dataclass(frozen=True)
class Clip:
    """A video track as a container keeps it: NAL units behind lengths of four bytes."""

    path: Path
    codec: str  # "h264", "h265"
    config: bytes
    units: list[Access]

    def annex_b(self) -> list[Access]:
        """As a camera hands it over: start codes, parameter sets before the first key frame."""
        units = [replace(unit, data=start_codes(unit.data)) for unit in self.units]
        units[0] = replace(units[0], data=self.sets() + units[0].data)
        return units

    def sets(self) -> bytes:
        """The parameter sets behind start codes."""
        return b"".join(b"\0\0\0\1" + one for one in parameter_sets(self.codec, self.config))


def start_codes(framed: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(framed):
        size = int.from_bytes(framed[at : at + 4], "big")
        out += b"\0\0\0\1" + framed[at + 4 : at + 4 + size]
        at += 4 + size
    return bytes(out)


def parameter_sets(codec: str, config: bytes) -> list[bytes]:
    """The NAL units in avcC or hvcC."""
    found = []

    def take(at: int, count: int) -> int:
        for _ in range(count):
            size = int.from_bytes(config[at : at + 2], "big")
            found.append(config[at + 2 : at + 2 + size])
            at += 2 + size
        return at

    if codec == "h264":
        at = take(6, config[5] & 0x1F)
        take(at + 1, config[at])
        return found
    at = 23
    for _ in range(config[22]):
        at = take(at + 3, int.from_bytes(config[at + 1 : at + 3], "big"))
    return found


def ffmpeg(*arguments: str) -> str:
    """Runs ffmpeg; its words on stderr."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, timeout=100)
    return done.stderr.decode()


def missing() -> str:
    """Why nothing can be made here; "" when it can."""
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        return "needs Debian's package ffmpeg"
    return ""


def video(name: str, folder: Path) -> Clip:
    size, rate, seconds, encoder = VIDEO[name]
    path = folder / f"{name}.mp4"
    source = f"testsrc2=size={size}:rate={rate}:duration={seconds}"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", source, *encoder.split(), "-y", str(path))
    return track(path)


def track(path: Path) -> Clip:
    """The video track of an MP4 file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        units = [
            Access(bytes(p), _ticks(p.pts, p.time_base), _ticks(p.dts, p.time_base), p.is_keyframe)
            for p in container.demux(stream)
            if p.size
        ]
        codec = {"h264": "h264", "hevc": "h265"}[context.name]
        return Clip(path, codec, bytes(context.extradata), units)


def _ticks(time: int, base: Fraction) -> int:
    return round(time * base * 90_000)


def aac(rate: int, folder: Path, seconds: float = 2, bit_rate: str = "32k") -> list[bytes]:
    """Frames of mono AAC LC with their ADTS headers."""
    path = folder / f"{rate}.aac"
    source = f"sine=frequency=440:sample_rate={rate}:duration={seconds}"
    tone = ("-f", "lavfi", "-i", source, "-c:a", "aac", "-b:a", bit_rate)
    ffmpeg("-v", "error", *tone, "-f", "adts", "-y", str(path))
    frames, data, at = [], path.read_bytes(), 0
    while at < len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames.append(data[at : at + size])
        at += size
    return frames


def mp3(rate: int, folder: Path, seconds: float = 2) -> list[bytes]:
    """MP3 frames, and none of a Xing header."""
    path = folder / f"{rate}.mp3"
    source = f"sine=frequency=440:sample_rate={rate}:duration={seconds}"
    tone = ("-f", "lavfi", "-i", source, "-c:a", "libmp3lame", "-b:a", "64k")
    ffmpeg("-v", "error", *tone, "-write_xing", "0", "-id3v2_version", "0", "-y", str(path))
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams.audio[0]) if p.size]


def he_aac(frame: bytes) -> bytes:
    """A frame of HE-AAC out of one of AAC LC: with the smallest spectral band replication there is,
    in a fill element before the end (ISO/IEC 14496-3, 4.4.2.8). ADTS tells the core's rate, half
    of what is heard."""
    bits = f"{int.from_bytes(frame[7:], 'big'):0{8 * (len(frame) - 7)}b}"
    end = bits.rindex("1") - 2  # ID_END is 111; zeros up to a whole byte follow
    header = "1" + f"1{5:04b}{9:04b}{0:03b}{0:04b}"  # amplitude, first and last band, crossover
    grid = "0" + "00000" + "00" + "0000"  # one envelope of low resolution, no filtering
    replication = "1101" + header + grid + f"{40:07b}"  # and no change from band to band
    bits = bits[:end] + "110" + f"{14:04b}" + replication.ljust(14 * 8, "0") + "111"
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    size = 7 + len(bits) // 8
    head = bytearray(frame[:7])
    head[3:6] = head[3] & 0xFC | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | head[5] & 0x1F
    return bytes(head) + int(bits, 2).to_bytes(len(bits) // 8, "big")
