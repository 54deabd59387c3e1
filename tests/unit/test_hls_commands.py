"""`ossmedia record --hls`: streams from files and pipes, and what the shell sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Bucket
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


def test_two_pipes_of_one_program_do_not_block_one_another(
    bucket: Bucket, cloud: Any, tmp_path: Path
) -> None:
    """One writer gives all video first, the other all sound; and each pipe holds 64 KiB."""
    pipes = {tmp_path / "v": camera(8), tmp_path / "a": tone(8)}
    writers = []
    for path, data in pipes.items():
        os.mkfifo(path)
        writers.append(threading.Thread(target=path.write_bytes, args=(data,)))
        writers[-1].start()
    video, audio = pipes
    assert run("record", "--hls", video, URL, "--audio", audio, "--segment-time", 2, "-q") == 0
    for writer in writers:
        writer.join()
    assert check(bucket) == []


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
    assert "B-frames need timestamps" in capsys.readouterr().err


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
