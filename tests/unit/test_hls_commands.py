"""`ossmedia record --hls`: streams from files and pipes, and what the shell sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Bucket
from ossmedia.hls_commands import _pour
from tests.elementary import camera, encoded, tone
from tests.hls_rules import Media, check_playlist
from tests.hls_segments import check_segments
from tests.unit.test_cli import feed, run

__all__ = ["feed"]

URL = "oss://cams/cams/cam-01/live"
INDEX = "cams/cam-01/live/index.m3u8"


def body(bucket: Bucket, key: str) -> bytes:
    with bucket.open(key) as file:
        return bytes(file.read())


def check(bucket: Bucket) -> list[str]:
    text = body(bucket, INDEX).decode()
    prefix = INDEX.rpartition("/")[0]
    names = [row["uri"] for row in Media(text).rows]
    return check_playlist(text) + check_segments(
        text, {name: body(bucket, f"{prefix}/{name}") for name in names}
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    video, audio = tmp_path / "v.h264", tmp_path / "a.aac"
    video.write_bytes(camera(8))
    audio.write_bytes(tone(8))
    return video, audio


def test_a_file_becomes_a_recording(
    bucket: Bucket, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    video, audio = files
    words = ("record", "--hls", video, URL, "--audio", audio, "--segment-time", 2)
    assert run(*words, "--mode", "event") == 0
    assert check(bucket) == []
    rows = Media(body(bucket, INDEX).decode()).rows
    assert [row["seconds"] for row in rows] == [2, 2, 2, 2]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith(f"{URL}/{rows[0]['uri']}: 2.000 s, ")
    assert lines[-1] == f"{URL}/index.m3u8"


def test_standard_input(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, sink = os.pipe()
    stream = camera(8)

    def write() -> None:
        with os.fdopen(sink, "wb") as out:
            out.write(stream)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(source) as opened:
        monkeypatch.setattr(sys, "stdin", opened)
        assert run("record", "--hls", "-", URL, "--json", "--segment-time", 2) == 0
    writer.join()
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["sequence"] for row in told] == [0, 1, 2, 3]
    assert {row["duration_s"] for row in told} == {2.0}
    assert check(bucket) == []


@pytest.mark.parametrize("first", ["v", "a"])
def test_two_pipes_of_one_program_do_not_block_one_another(
    bucket: Bucket, tmp_path: Path, first: str
) -> None:
    """The program gives all of one first, then all of the other; and each pipe holds 64 KiB."""
    streams = {"v": camera(12), "a": tone(12)}
    pipes = {name: tmp_path / name for name in streams}
    for path in pipes.values():
        os.mkfifo(path)

    def write() -> None:
        with pipes["v"].open("wb") as video, pipes["a"].open("wb") as audio:
            sinks = {"v": video, "a": audio}
            for name in sorted(streams, key=lambda name: name != first):
                sinks[name].write(streams[name])
                sinks[name].close()

    writer = threading.Thread(target=write)
    writer.start()
    words = ("--audio", pipes["a"], "--segment-time", 2, "--mode", "event", "-q")
    assert run("record", "--hls", pipes["v"], URL, *words) == 0
    writer.join()
    assert check(bucket) == []
    assert [row["seconds"] for row in Media(body(bucket, INDEX).decode()).rows] == [2.0] * 6


class Sink:
    """What would be recorded: bytes of each, in their order."""

    video_time = audio_time = 0

    def __init__(self) -> None:
        self.order: list[str] = []

    def write(self, video: bytes = b"", audio: bytes = b"", *, whole: bool = True) -> None:
        self.order += ["video"] * bool(video) + ["audio"] * bool(audio)
        self.video_time += 60 * bool(video)
        self.audio_time += 25 * bool(audio)


def test_a_sound_that_never_comes_does_not_hold_pictures_back_for_ever() -> None:
    """Its pipe stays open: pictures wait for it in 4 MiB of memory, and then no more."""
    (video, to_video), (audio, to_audio) = os.pipe(), os.pipe()
    sink, pieces = Sink(), 100

    def write() -> None:
        with os.fdopen(to_video, "wb") as out:
            out.write(bytes(pieces << 16))
        end = time.monotonic() + 20
        while sink.order.count("video") < pieces - 64 and time.monotonic() < end:
            time.sleep(0.001)
        os.close(to_audio)

    writer = threading.Thread(target=write)
    writer.start()
    _pour([video, audio], sink)  # type: ignore[arg-type]
    writer.join()
    assert set(sink.order) == {"video"}
    os.close(video)
    os.close(audio)


def test_the_stream_that_is_behind_comes_first() -> None:
    (video, to_video), (audio, to_audio) = os.pipe(), os.pipe()
    for sink, pieces in ((to_video, 3), (to_audio, 10)):
        with os.fdopen(sink, "wb") as out:
            out.write(bytes(pieces))
    order = Sink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ossmedia.hls_commands._PIECE", 1)
        _pour([video, audio], order)  # type: ignore[arg-type]
    assert order.order == [
        "video",
        *["audio"] * 3,
        "video",
        *["audio"] * 2,
        "video",
        *["audio"] * 3,
    ]
    os.close(video)
    os.close(audio)


def test_a_second_run_goes_on(bucket: Bucket, files: tuple[Path, Path]) -> None:
    for _ in range(2):
        assert run("record", "--hls", files[0], URL, "--segment-time", 2, "--list-size", 9) == 0
    rows = Media(body(bucket, INDEX).decode()).rows
    assert [row["discontinuity"] for row in rows] == [False] * 4 + [True] + [False] * 3
    assert check(bucket) == []


def test_ctrl_c_is_an_end(bucket: Bucket, cloud: Any) -> None:
    """The pipe stays open: only the key ends the recording."""
    command = [sys.executable, "-m", "ossmedia", "record", "--hls", "-", URL]
    command += ["--segment-time", "1", "--json"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(camera(4))
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(first)["sequence"] == 0
    media = Media(body(bucket, INDEX).decode())
    assert media.ended
    assert media.rows
    assert check(bucket) == []
    assert rest.count(b"\n") == len(media.rows) - 1


def test_b_frames_are_refused(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.h264"
    source = "testsrc2=size=160x120:rate=25:duration=1"
    path.write_bytes(encoded("-f", "lavfi", "-i", source, "-c:v", "libx264", "-bf", "2"))
    assert run("record", "--hls", path, URL) == 1
    assert "(B-frames) need timestamps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("record", "v.h264", URL), 2, "--hls"),
        (("record", "--hls", "/no/such", URL), 4, "/no/such"),
        (("record", "--hls", "/dev/null", "oss://cams"), 2, "key is missing"),
        (("record", "--hls", "/dev/null", URL, "--fps", "0"), 2, "fps"),
        (("record", "--hls", "/dev/null", URL, "--segment-time", "0"), 2, "segment_time"),
        (("record", "--hls", "/dev/null", URL, "--audio", "/no/such"), 4, "/no/such"),
        (("record", "--hls", "/dev/null", URL, "--codec", "mjpeg"), 2, "mjpeg"),
    ],
)
def test_wrong_words(
    cloud: Any, capsys: pytest.CaptureFixture[str], words: tuple, code: int, text: str
) -> None:
    assert run(*words) == code
    assert text in capsys.readouterr().err
    assert "PutObject" not in cloud.counters()["requests"]


def test_credentials_that_are_refused(
    cloud: Any, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "wrong")
    assert run("record", "--hls", files[0], URL, "--segment-time", 2) == 3
    assert "SignatureDoesNotMatch" in capsys.readouterr().err
