"""The whole way as one command: local cloud, application server, a camera with its device key, the
page's own interface. It ends by itself without a terminal, and goes on serving with one."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from ossmedia.demo import CLIP
from ossmedia.demo_frames import AUDIO, TICKS, VIDEO, Clip
from tests.routes.page_rig import WAIT_S, browser

COMMAND = [sys.executable, "-m", "ossmedia.demo"]
LONGEST_S = 400  # eight processes start before it is ready: a slow machine takes minutes
# The session's own terminal, so that ^C is its signal.
ON_TERMINAL = """
import fcntl, sys, termios
from ossmedia.demo import main
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(main([]))
"""
pytestmark = pytest.mark.timeout(LONGEST_S + 100)


def test_it_ends_by_itself_after_verifying() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if line.startswith("ok ")]) == 9, done.stdout
    assert not [line for line in lines if line.startswith("NOT")]
    assert re.search(
        r"^page +http://127\.0\.0\.1:\d+/ \(name demo, password \S+\)$", done.stdout, re.M
    )


@pytest.fixture(scope="module")
def page() -> Iterator[tuple[str, str]]:
    """On a terminal it goes on serving until it is stopped: its page's address and password."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        text = _read_until(master, "live on the page")
        found = re.search(r"page +(http://[\d.:]+/) \(name demo, password (\S+)\)", text)
        assert found, text
        yield found[1], found[2]
        os.write(master, b"\x03")  # ^C, which the terminal sends to all that run on it
        text += _rest(master)
        assert process.wait(timeout=60) == 0, text
        assert "Traceback" not in text
    finally:
        if process.poll() is None:  # what it started shall end, too
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
        process.kill()
        process.wait()
        os.close(master)


def test_on_a_terminal_it_goes_on_serving(page: tuple[str, str]) -> None:
    connection = HTTPConnection(urlsplit(page[0]).netloc, timeout=60)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 200
    assert b"<!doctype html>" in answer.read().lower()
    connection.close()


def test_its_page_shows_the_camera_live(page: tuple[str, str]) -> None:
    """Further than all that a live playlist held when it began."""
    url, password = page
    with browser() as chrome:
        tab = chrome.new_page()
        tab.set_default_timeout(WAIT_S * 1000)
        tab.goto(url)
        tab.fill("#name", "demo")
        tab.fill("#password", password)
        tab.keyboard.press("Enter")
        tab.click(".camera:has-text('cam-01')")
        tab.click("text=Watch live")
        video = tab.wait_for_selector("video")
        end = time.monotonic() + WAIT_S
        while video.evaluate("video => video.currentTime") <= 12:
            assert video.evaluate("video => video.error?.message") is None
            assert time.monotonic() < end
            tab.wait_for_timeout(200)
        assert video.evaluate("video => video.videoWidth") == 480
        assert tab.locator(".stage-words .badge.live").is_visible()


def _read_until(master: int, words: str) -> str:
    text, end = "", time.monotonic() + LONGEST_S
    while words not in text:
        left = end - time.monotonic()
        assert left > 0, text
        if select.select([master], [], [], left)[0]:
            try:
                text += os.read(master, 65_536).decode()
            except OSError:  # Linux's end of file
                raise AssertionError(text) from None
    return text


def _rest(master: int) -> str:
    """What is still written until nobody holds the terminal any more."""
    text = ""
    while select.select([master], [], [], 120)[0]:
        try:
            more = os.read(master, 65_536)
        except OSError:  # Linux's end of file
            break
        text += more.decode()
    return text


def test_the_clip_is_taken_apart_whole() -> None:
    clip = Clip(CLIP)
    video = [frame for frame in clip.frames if frame.track == VIDEO]
    audio = [frame for frame in clip.frames if frame.track == AUDIO]
    assert len(video) == 200
    assert clip.duration == 8 * TICKS
    assert [frame.pts for frame in audio] == [number * 1920 for number in range(len(audio))]
    for frame in audio:
        size = (frame.data[3] & 3) << 11 | frame.data[4] << 3 | frame.data[5] >> 5
        assert frame.data[:2] == b"\xff\xf1"
        assert size == len(frame.data)
    for frame in video:
        at = 0
        while at < len(frame.data):
            at += 4 + int.from_bytes(frame.data[at : at + 4])
        assert at == len(frame.data)
