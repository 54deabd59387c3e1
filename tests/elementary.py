"""Elementary streams for tests: pictures and audio frames that are right as far as a muxer looks,
made in no time; and real ones from ffmpeg, where something is to be decoded."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

# A stream parameter set and a picture parameter set as x264 writes them (64x48, baseline).
SPS = bytes.fromhex("0000000167 42c00ada1125cf80b500f123c0".replace(" ", ""))
PPS = bytes.fromhex("0000000168ce0fc8")
STEP = 3600  # ticks of 90 kHz: 25 frames a second


def picture(key: bool, number: int = 0, size: int = 200, *, sets: bool = True) -> bytes:
    """An access unit of H.264: with parameter sets if it is a key frame."""
    body = (number.to_bytes(4, "big") * (size // 4 + 1))[:size].replace(b"\0", b"\x55")
    if key:
        return (SPS + PPS if sets else b"") + b"\0\0\0\1\x65\x88" + body
    return b"\0\0\0\1\x41\x9a" + body


def pictures(count: int, gop: int = 25, size: int = 200) -> list[bytes]:
    return [picture(number % gop == 0, number, size) for number in range(count)]


def adts(number: int = 0, size: int = 60, rate_index: int = 3) -> bytes:
    """A frame of AAC LC, mono, 48 kHz by default."""
    length = size + 7
    head = [0xFF, 0xF1, 1 << 6 | rate_index << 2, 1 << 6 | length >> 11, length >> 3 & 255]
    head += [(length & 7) << 5 | 0x1F, 0xFC]
    return bytes(head) + bytes([number % 251]) * size


@functools.cache
def encoded(*arguments: str, kind: str = "h264") -> bytes:
    """What ffmpeg makes of its test picture or tone."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        command = ["ffmpeg", "-nostdin", "-v", "error", *arguments, "-f", kind, str(path)]
        subprocess.run(command, check=True, timeout=60)
        return path.read_bytes()


def camera(seconds: int, gop: int = 25) -> bytes:
    """H.264 as a camera's: 25 frames a second, no B-frames."""
    source = f"testsrc2=size=160x120:rate=25:duration={seconds}"
    return encoded(
        "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0",
        "-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0", "-b:v", "100k",
    )  # fmt: skip


def tone(seconds: int) -> bytes:
    """AAC, 48 kHz, as ADTS."""
    source = f"sine=frequency=440:sample_rate=48000:duration={seconds}"
    return encoded("-f", "lavfi", "-i", source, "-c:a", "aac", "-b:a", "64k", kind="adts")
