"""terminal.py: what people see, and what Ctrl-C does; with the command line and the local cloud."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Bucket, cli
from ossmedia.terminal import StopKey, printable, stamp


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_texts() -> None:
    assert printable("clips/ü 1.mp4") == "clips/ü 1.mp4"
    assert printable("a\x1b[2J\n\u202eb") == "a\\x1b[2J\\n\\u202eb"
    assert stamp(1717175317.9) == "2024-05-31T17:08:37Z"


# Ctrl-C


def test_the_key_ends_waiting_and_nothing_else() -> None:
    before = signal.getsignal(signal.SIGINT)
    source, sink = os.pipe()
    with StopKey(True) as key:
        os.write(sink, b"x")
        assert key.wait(source)
        os.kill(os.getpid(), signal.SIGINT)  # while it is not waiting
        assert key.pressed
        assert not key.wait(source)
    assert os.read(source, 10) == b"x"
    assert signal.getsignal(signal.SIGINT) is before
    with StopKey(True) as key:
        press = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        press.start()
        assert not key.wait(source)
        press.join()
    with StopKey(False), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    os.close(source)
    os.close(sink)


def read(bucket: Bucket, key: str) -> bytes:
    with bucket.open(key) as f:
        return f.read()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def size_of(bucket: Bucket, key: str) -> int:
    return next((row.size for row in bucket.list(key) if row.key == key), 0)


def start_put(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "ossmedia", "put", "-", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_ctrl_c_ends_an_append_and_says_what_is_stored(cloud: Any, bucket: Bucket) -> None:
    with start_put("oss://cams/live", "--append") as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdin.write(b"one ")
        program.stdin.flush()
        wait_for(lambda: size_of(bucket, "live") == 4)
        program.stdin.write(b"two")
        program.stdin.flush()
        wait_for(lambda: size_of(bucket, "live") == 7)
        program.send_signal(signal.SIGINT)
        assert program.wait(120) == 0
        assert b"oss://cams/live: 7 bytes" in program.stdout.read()
        assert program.stderr.read() == b"interrupted: what was read is stored\n"
    assert read(bucket, "live") == b"one two"


def test_ctrl_c_leaves_no_half_object(cloud: Any, bucket: Bucket) -> None:
    with start_put("oss://cams/k") as program:
        assert program.stdin is not None
        assert program.stderr is not None
        program.stdin.write(bytes(2_500_000))
        program.stdin.flush()
        wait_for(lambda: cloud.counters()["requests"].get("UploadPart", 0) >= 2)
        program.send_signal(signal.SIGINT)
        assert program.wait(120) == 1
        assert b"error: interrupted" in program.stderr.read()
    assert list(bucket.list()) == []
    assert cloud.counters()["requests"]["AbortMultipartUpload"] == 1


# Progress and colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for value, coloured in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", value)
        monkeypatch.setattr(sys, "stderr", Terminal())
        assert run("cat", "oss://cams/none") == 4
        assert ("\x1b[31m" in sys.stderr.getvalue()) is coloured


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_progress_on_a_terminal(
    cloud: Any, clip: Path, monkeypatch: pytest.MonkeyPatch, with_tqdm: bool
) -> None:
    clip.write_bytes(bytes(4_000_000))
    monkeypatch.setattr(sys, "stderr", Terminal())
    if not with_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    assert run("put", clip, "oss://cams/k") == 0
    shown = sys.stderr.getvalue()
    if with_tqdm:
        assert "\r" in shown
        assert "k: " in shown
    else:
        steps = [int(line.split()[1]) for line in shown.splitlines()]
        assert steps == sorted(set(steps))
        assert steps[-1] == 100
        assert all(step % 5 == 0 for step in steps)


@pytest.mark.parametrize("word", ["-q", "--json"])
def test_no_progress_where_nobody_wants_it(
    cloud: Any, clip: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run("put", word, clip, "oss://cams/k") == 0
    assert sys.stderr.getvalue() == ""


def test_a_real_terminal(cloud: Any, clip: Path) -> None:
    leader, follower = pty.openpty()
    if not os.isatty(follower):
        pytest.skip("isatty() cannot tell: qemu-user lacks TCGETS2, which glibc 2.42 asks")
    done = subprocess.run(
        [sys.executable, "-m", "ossmedia", "put", str(clip), "oss://cams/k"],
        stderr=follower,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert b"25600 bytes" in done.stdout
    assert select.select([leader], [], [], 10)[0]  # the kernel hands it over when it has time
    assert b"k: " in os.read(leader, 10_000)
    os.close(follower)
    os.close(leader)
