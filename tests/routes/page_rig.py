"""What the tests of the page work with: Debian's Chromium, a site with recordings, and a person in
front of it whose browser may say nothing on its console."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ossmedia.demo import CLIP
from ossmedia.server.reconcile import reconcile
from tests.routes.archive_rig import Site

PASSWORD = "correct horse battery"
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
CHROMIUM = "/usr/bin/chromium"
ZONE = "Asia/Shanghai"
EAST_MIN = 480
WAIT_S = 60
WIDTHS = {1440: 900, 360: 780}


def chromium() -> str:
    """Debian's Chromium, or the reason why there is no test."""
    if not Path(CHROMIUM).exists():
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    pytest.importorskip("playwright", reason="playwright is not installed: pip install playwright")
    return CHROMIUM


@contextmanager
def browser() -> Iterator[Any]:
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.getuid() == 0 else []
        started = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield started
        finally:
            started.close()


@cache
def segments() -> list[tuple[float, bytes]]:
    """The clip as MPEG-TS segments of about 2 s: duration and bytes of each."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    with TemporaryDirectory() as folder:
        # The clip's sound has holes, at which a player may wait; this one has none.
        sound = ["-f", "lavfi", "-i", "sine=d=8:r=48000", "-map", "0:v", "-map", "1:a"]
        words = ["-v", "error", "-i", str(CLIP), *sound, "-c:v", "copy", "-c:a", "aac"]
        last = ["-f", "hls", "-hls_time", "2", "-hls_list_size", "0", f"{folder}/index.m3u8"]
        subprocess.run([program, *words, *last], check=True, timeout=60)
        lines = Path(folder, "index.m3u8").read_text().splitlines()
        lengths = [float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF:")]
        names = [line for line in lines if line.endswith(".ts")]
        return [
            (length, Path(folder, name).read_bytes())
            for length, name in zip(lengths, names, strict=True)
        ]


def stamp(seconds: float) -> str:
    """20261123T101500123Z, as it stands in keys."""
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{moment}{int(seconds * 1000) % 1000:03d}Z"


class Place(Site):
    """A site whose bucket lets its own page play HLS, and whose people have passwords."""

    def __init__(self, cloud: Any, folder: Path, **tables: Any) -> None:
        super().__init__(cloud, folder, recordings={"reconcile_s": 0}, **tables)
        from oss2.models import CorsRule

        self.archive.oss.set_cross_origin([CorsRule([self.url], ["GET"], ["range"], [], 60)])

    def clip(self, camera: str, start: float, name: str = "", **meta: Any) -> str:
        """The packaged clip, as if the camera had recorded it then."""
        key = f"cams/{camera}/{name or stamp(start)}.mp4"
        told = {"start": int(start * 1000), "duration": 8000}
        return self.store(key, CLIP.read_bytes(), **{**told, **meta})

    def stream(self, camera: str, start: float, first: int = 1, name: str = "live") -> None:
        """The clip as a run of HLS segments."""
        for number, (length, data) in enumerate(segments(), first):
            day = time.strftime("%Y%m%d", time.gmtime(start))
            key = f"cams/{camera}/{name}/{day}/{stamp(start)}-{number:08d}.ts"
            told = {"start": int(start * 1000), "duration": int(length * 1000)}
            self.store(key, data, content_type="video/mp2t", sequence=number, keyframe=1, **told)
            start += length

    def index(self) -> None:
        """What was stored becomes known."""
        reconcile(self.archive)

    def person(self, name: str, *cameras: str, admin: bool = False) -> None:
        self.people.add(name, PASSWORD, admin=admin, cameras=cameras)


class Screen:
    """One browser window, and whatever its console says."""

    def __init__(self, chrome: Any, url: str, width: int = 1440, scheme: str = "light") -> None:
        self.url, self.width, self.scheme = url, width, scheme
        self.context = chrome.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            color_scheme=scheme,
            timezone_id=ZONE,
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(WAIT_S * 1000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def sign_in(self, name: str, place: str = "") -> None:
        page = self.page
        page.goto(f"{self.url}/{place}")
        page.fill("#name", name)
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_selector(".home")

    def rows(self) -> Any:
        """The list, once it is there."""
        self.page.wait_for_selector(".row")
        return self.page.locator(".row")

    def plays(self, beyond_s: float = 0.5) -> float:
        """Waits until the player has moved beyond a second."""
        self.until(f"document.querySelector('video')?.currentTime > {beyond_s}")
        return float(self.page.evaluate("document.querySelector('video').currentTime"))

    def until(self, condition: str) -> None:
        """Waits until an expression is true; the page's own policy lets nobody evaluate text."""
        deadline = time.monotonic() + WAIT_S
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, (condition, self.page.inner_text("body"))
            self.page.wait_for_timeout(20)

    def count(self, number: int) -> None:
        """Waits until there are so many rows."""
        self.until(f"document.querySelectorAll('.row').length === {number}")

    def focus(self) -> str:
        """What has the focus, in words."""
        name = "e => e.getAttribute('aria-label') || e.textContent || e.id || e.tagName"
        return str(self.page.evaluate(f"({name})(document.activeElement)")).strip()

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}-{self.width}-{self.scheme}.png"
        self.page.screenshot(path=str(path), full_page=self.width == 360)

    def close(self) -> None:
        self.context.close()

    def quiet(self) -> None:
        """Nothing stood on the console, no dialog of the browser's own was seen."""
        assert self.complaints == []
        assert self.dialogs == []
