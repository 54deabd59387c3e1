"""The page's player: what it plays one after another, what it says where it cannot, and how it goes
on when an address has ended."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from ossmedia.demo import CLIP
from ossmedia.server.recordings import VOD, Found
from tests.routes.page_rig import Place, Screen, browser
from tests.routes.test_page import noon


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture
def site(oss_emulator: Any, tmp_path: Path) -> Iterator[Place]:
    oss_emulator.reset()
    with Place(oss_emulator, tmp_path) as made:
        made.device("front-door")
        made.person("anna", "front-door")
        yield made


@pytest.fixture
def screen(chrome: Any, site: Place) -> Iterator[Screen]:
    made = Screen(chrome, site.url)
    yield made
    made.close()


def fail(screen: Screen) -> None:
    """What the browser reports when it could not get more of what it plays."""
    screen.page.evaluate(
        "() => { const video = document.querySelector('video');"
        " Object.defineProperty(video, 'error', { value: { code: 2 }, configurable: true });"
        " video.dispatchEvent(new Event('error')); delete video.error; }"
    )


def test_an_address_that_has_ended_is_asked_for_anew(site: Place, screen: Screen) -> None:
    site.clip("front-door", noon())
    site.index()
    asked: list[str] = []
    screen.page.on("request", lambda told: asked.append(told.url) if "/url?" in told.url else None)
    screen.sign_in("anna")
    screen.rows().locator(".row-play").click()
    before = screen.plays(1.2)
    assert len(asked) == 1
    fail(screen)
    screen.until(f"document.querySelector('video').currentTime >= {before - 0.2}")
    screen.plays(before + 0.3)
    assert len(asked) == 2
    # Not over and over at one place: then it says so.
    screen.page.evaluate("document.querySelector('video').pause()")
    fail(screen)
    screen.page.wait_for_selector(".stage-place [role=alert]")
    assert len(asked) == 2
    screen.quiet()


def test_what_goes_on_in_another_object_is_played_next(site: Place, screen: Screen) -> None:
    for number in (0, 1, 3):
        site.clip("front-door", noon() + 8 * number)
    site.index()
    screen.sign_in("anna")
    screen.rows().last.locator(".row-play").click()
    screen.plays(0.2)
    screen.page.evaluate("document.querySelector('video').currentTime = 7.7")
    screen.page.wait_for_selector(".row.chosen .row-time:has-text('12:00:08')")
    screen.until("document.querySelector('video').currentTime < 7")
    screen.plays(0.2)
    screen.page.evaluate("document.querySelector('video').currentTime = 7.7")
    screen.until("document.querySelector('video').ended")  # there is a gap behind it
    assert screen.page.locator(".row.chosen .row-time").text_content() == "12:00:08"
    screen.quiet()


def test_sound_without_a_picture_is_told(site: Place, screen: Screen) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    made = site.folder / "sound.mp4"
    words = ["-v", "error", "-i", str(CLIP), "-vn", "-c:a", "copy", str(made)]
    subprocess.run([program, *words], check=True, timeout=60)
    site.store("cams/front-door/a.mp4", made.read_bytes(), start=int(noon() * 1000))
    site.index()
    screen.sign_in("anna")
    screen.rows().locator(".row-play").click()
    screen.page.wait_for_selector(".stage-facts.warned:has-text('plays only the sound')")
    screen.quiet()


def png() -> bytes:
    """A red pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
        + chunk(b"IEND", b"")
    )


def test_a_still_picture_is_shown(site: Place, screen: Screen) -> None:
    told = {"content_type": "image/png", "start": int(noon() * 1000)}
    site.store("cams/front-door/still.png", png(), **told)
    site.index()
    screen.sign_in("anna")
    screen.rows().locator(".row-play").click()
    screen.page.wait_for_selector(".stage img")
    screen.until("document.querySelector('.stage img').naturalWidth === 1")
    screen.quiet()


def test_a_recording_that_went_away_meanwhile(site: Place, screen: Screen) -> None:
    key = site.clip("front-door", noon())
    site.index()
    screen.sign_in("anna")
    screen.rows()
    site.oss.delete_object(key)
    screen.rows().locator(".row-play").click()
    screen.page.wait_for_selector(".stage-place [role=alert]:has-text('not there any more')")
    assert all("404" in complaint for complaint in screen.complaints)


def test_what_belongs_to_no_camera_is_for_administrators(site: Place, chrome: Any) -> None:
    site.person("root", admin=True)
    found = Found(
        bucket="vod:cn-hangzhou",
        key="0123456789abcdef0123456789abcdef",
        camera="",
        kind=VOD,
        size=1000,
        etag="",
        modified_at=noon(),
        duration_s=61.0,
        title="Uploaded by hand",
    )
    site.archive.index.record(found)
    for name, shown in (("anna", ["front-door"]), ("root", ["front-door", "Other recordings"])):
        screen = Screen(chrome, site.url)
        screen.sign_in(name)
        screen.page.wait_for_selector(".camera")
        assert screen.page.locator(".camera-name bdi").all_text_contents() == shown
        if len(shown) > 1:
            screen.page.click("a:has-text('Other recordings')")
            screen.page.wait_for_selector(".row:has-text('Uploaded by hand')")
            assert screen.rows().first.locator(".row-line").text_content() == (
                "1 min 1 s, 1.0 KB, VOD"
            )
        screen.quiet()
        screen.close()
