"""The page in Debian's Chromium: sign in, see the cameras, play, keep, delete; with a mouse and
without one, on the real server and the local cloud."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia.demo import CLIP
from tests.routes.page_rig import EAST_MIN, Place, Screen, browser

HOUR = 3600.0
CLIP_SIZE = f"{round(CLIP.stat().st_size / 1000)} KB"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture
def site(oss_emulator: Any, tmp_path: Path) -> Iterator[Place]:
    oss_emulator.reset()
    with Place(oss_emulator, tmp_path) as made:
        made.device("front-door")
        made.device("garage")
        made.person("anna", "front-door", "garage")
        yield made


@pytest.fixture
def screen(chrome: Any, site: Place) -> Iterator[Screen]:
    made = Screen(chrome, site.url)
    yield made
    made.close()


def noon(days_ago: int = 1) -> float:
    """Noon of an earlier day, where the browser is."""
    day = (time.time() + EAST_MIN * 60) // 86_400 - days_ago
    return day * 86_400 - EAST_MIN * 60 + 12 * HOUR


def gone(site: Place, key: str) -> bool:
    return not bool(site.oss.object_exists(key))


def test_sign_in_see_play_keep_delete(site: Place, screen: Screen) -> None:
    key = site.clip("front-door", noon(2))
    site.index()
    screen.sign_in("anna")
    page = screen.page
    rows = screen.rows()
    assert rows.locator(".row-time").all_text_contents() == ["12:00:00"]
    assert f"8 s, {CLIP_SIZE}, File" in rows.first.text_content()
    ago = "1 day ago" if time.time() - noon(2) < 48 * HOUR else "2 days ago"
    assert [" ".join(t.split()) for t in page.locator(".camera").all_inner_texts()] == [
        f"front-door Not seen yet Recorded {ago}",
        "garage Not seen yet No recordings yet",
    ]
    rows.locator(".row-play").click()
    screen.plays()
    assert page.locator(".strip-head").is_visible()
    page.click("[aria-label^='Keep 12:00']")
    page.wait_for_selector("[aria-label^='Release 12:00'][aria-pressed=true]")
    page.locator("[aria-label^='Delete 12:00']").press("Enter")
    page.wait_for_selector("#status:has-text('Release it first')")
    assert not gone(site, key)
    page.click("[aria-label^='Release 12:00']")
    page.wait_for_selector("[aria-label^='Keep 12:00'][aria-pressed=false]")
    page.click("[aria-label^='Delete 12:00']")
    page.click("dialog button:has-text('Cancel')")
    assert not gone(site, key)
    page.click("[aria-label^='Delete 12:00']")
    page.click("dialog button:has-text('Delete')")
    page.wait_for_selector(".blank-title:has-text('Nothing was recorded')")
    assert gone(site, key)
    screen.quiet()


def test_hls_from_a_private_bucket(site: Place, screen: Screen) -> None:
    site.stream("front-door", noon())
    site.index()
    screen.sign_in("anna")
    (row,) = screen.rows().all()
    assert "HLS" in row.text_content()
    row.locator(".row-play").click()
    screen.plays(2.5)  # beyond the first segment
    screen.quiet()


def test_live(site: Place, screen: Screen) -> None:
    site.stream("front-door", time.time() - 10)
    site.index()
    screen.sign_in("anna")
    page = screen.page
    page.wait_for_selector(".camera:has-text('front-door') .badge.live")
    page.click("text=Watch live")
    screen.plays()
    assert page.locator(".stage-words .badge.live").is_visible()
    screen.quiet()


def test_download(site: Place, screen: Screen) -> None:
    site.clip("front-door", noon(), name="porch cam")
    site.index()
    screen.sign_in("anna")
    screen.rows()
    with screen.page.expect_download() as caught:
        screen.page.click("[aria-label^='Download']")
    assert caught.value.suggested_filename == "porch_cam.mp4"
    assert Path(caught.value.path()).read_bytes() == CLIP.read_bytes()
    screen.quiet()


def test_a_click_on_the_strip_plays_from_there(site: Place, screen: Screen) -> None:
    site.clip("front-door", noon(), duration=4 * 3600 * 1000)
    site.clip("front-door", noon() - 6 * HOUR)
    site.index()
    screen.sign_in("anna")
    screen.rows()
    page = screen.page
    bars = page.locator(".strip-bar")
    assert bars.count() == 2
    box = page.locator(".strip").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25 + 1, box["y"] + 20)
    page.wait_for_selector(".row.chosen .row-time:has-text('06:00:00')")
    screen.plays()
    # In the gap before noon: the next recording plays from its begin.
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + 20)
    page.wait_for_selector(".row.chosen .row-time:has-text('12:00:00')")
    screen.plays()
    # With the keyboard it is a slider that says what is there.
    strip = page.locator(".strip")
    strip.focus()
    page.keyboard.press("Home")
    assert strip.get_attribute("aria-valuetext") == "00:00, nothing recorded"
    for _ in range(6):
        page.keyboard.press("PageUp")
    assert strip.get_attribute("aria-valuetext") == "06:00, recorded"
    page.keyboard.press("Enter")
    page.wait_for_selector(".row.chosen .row-time:has-text('06:00:00')")
    assert page.url.count("/") == 6  # camera, day and recording are in the address
    page.go_back()
    page.wait_for_selector(".row.chosen .row-time:has-text('12:00:00')")
    screen.quiet()


def test_an_address_leads_to_a_recording(site: Place, screen: Screen) -> None:
    site.clip("garage", noon(3))
    site.index()
    screen.sign_in("anna")
    screen.page.click("a:has-text('garage')")
    screen.rows().locator(".row-play").click()
    screen.plays()
    screen.page.reload()
    screen.plays()
    assert "/garage/" in screen.page.url
    screen.quiet()


def test_more_than_one_page(site: Place, screen: Screen) -> None:
    for number in range(70):
        site.store(f"cams/front-door/{number}.mp4", start=int((noon() + number * 60) * 1000))
    site.index()
    screen.sign_in("anna")
    assert screen.rows().count() == 50
    assert screen.rows().first.locator(".row-time").text_content() == "13:09:00"
    screen.page.click("text=Show more")
    screen.count(70)
    assert not screen.page.locator("text=Show more").is_visible()
    assert "70 recordings" in screen.page.locator(".total").text_content()
    # A moment that stands on a page not yet shown is found.
    screen.page.reload()
    screen.rows()
    box = screen.page.locator(".strip").bounding_box()
    screen.page.mouse.click(box["x"] + box["width"] / 2 - 4, box["y"] + 20)
    screen.page.wait_for_selector(".row.chosen .row-time:has-text('12:00:00')")
    screen.quiet()


def test_what_is_new_shows_by_itself(site: Place, screen: Screen) -> None:
    site.clip("front-door", time.time() - 120)
    site.index()
    screen.page.clock.install()
    screen.sign_in("anna")
    screen.rows().locator(".row-play").focus()
    site.clip("front-door", time.time() - 60)
    site.index()
    screen.page.clock.fast_forward(21_000)
    screen.count(2)
    assert screen.focus().startswith(screen.rows().nth(1).locator(".row-time").text_content())
    screen.quiet()


def test_without_a_mouse(site: Place, screen: Screen) -> None:
    key = site.clip("front-door", noon())
    other = site.clip("front-door", noon() + HOUR)
    site.index()
    page, keys = screen.page, screen.page.keyboard
    page.goto(site.url)
    page.wait_for_selector("#name")
    keys.type("anna")
    keys.press("Tab")
    keys.type("correct horse battery")
    keys.press("Enter")
    screen.rows()
    keys.press("Shift+Tab")
    assert screen.focus().startswith("garage")
    keys.press("Shift+Tab")
    assert screen.focus().startswith("front-door")
    seen = [screen.focus()]
    while not screen.focus().startswith("13:00:00") and len(seen) < 40:
        keys.press("Tab")
        seen.append(screen.focus())
    assert "Time of day" in seen
    keys.press("Enter")
    screen.plays()
    for word in ("Keep", "Download", "Delete"):
        keys.press("Tab")
        assert screen.focus() == f"{word} 13:00:00"
    keys.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert screen.focus() == "Cancel"
    inside = set()
    for _ in range(6):
        keys.press("Tab")
        inside.add(screen.focus())
    page_behind = {word for word in seen if word} - {"BODY"}
    assert {"Cancel", "Delete"} <= inside
    assert not inside & (page_behind - {"Cancel", "Delete"})
    keys.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert screen.focus() == "Delete 13:00:00"
    keys.press("Enter")
    keys.press("Tab")
    assert screen.focus() == "Delete"
    keys.press("Enter")
    screen.count(1)
    assert screen.focus().startswith("12:00:00")
    assert gone(site, other)
    assert not gone(site, key)
    screen.quiet()


def test_days_with_the_arrow_keys(site: Place, screen: Screen) -> None:
    site.clip("front-door", noon(1))
    site.clip("front-door", noon(2))
    site.index()
    screen.sign_in("anna")
    screen.rows()
    page = screen.page
    chosen = "[role=radio][aria-checked=true]"
    page.wait_for_selector(f"{chosen}[aria-label*='1 recording']")  # it comes after the rows
    before = page.get_attribute(chosen, "aria-label")
    assert f"1 recording, 8 s, {CLIP_SIZE}" in before
    page.focus(chosen)
    if page.get_attribute(chosen, "aria-label").split()[1] == "1":
        page.click("[aria-label='Month before']")
        page.locator("[role=radio]").last.click()
    else:
        page.keyboard.press("ArrowLeft")
    other = f"[role=radio][aria-checked=true]:not([aria-label='{before}'])"
    page.wait_for_selector(other)
    page.wait_for_selector(f"{chosen}[aria-label*='1 recording']")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "radio"
    assert page.locator("[role=radio][tabindex='0']").count() == 1
    screen.quiet()


def test_a_sign_in_that_is_refused_and_a_session_that_ends(site: Place, screen: Screen) -> None:
    site.clip("front-door", noon())
    site.index()
    page = screen.page
    page.goto(site.url)
    page.fill("#name", "anna")
    page.fill("#password", "something else")
    page.click("button[type=submit]")
    page.wait_for_selector(".form-error:has-text('The name or the password is wrong.')")
    assert screen.focus() == "password"
    screen.sign_in("anna")
    screen.rows()
    site.people.set_password("anna", "another long password")
    page.click("a:has-text('garage')")
    page.wait_for_selector("form.sign-in:has-text('You were signed out')")
    assert page.locator(".row").count() == 0
    # A browser always notes on its console what was answered 401.
    assert all("401" in complaint for complaint in screen.complaints)


def test_signing_out(site: Place, screen: Screen) -> None:
    screen.sign_in("anna")
    screen.page.click("text=Sign out")
    screen.page.wait_for_selector("form.sign-in:has-text('You are signed out.')")
    screen.page.reload()
    screen.page.wait_for_selector("form.sign-in")
    screen.quiet()


def test_what_the_browser_cannot_play(site: Place, screen: Screen) -> None:
    site.store("cams/front-door/a.mp4", b"no video" * 100, start=int(noon() * 1000))
    site.store("cams/front-door/b.ts", b"x", content_type="video/mp2t", start=int(noon() * 1000))
    site.index()
    screen.sign_in("anna")
    screen.rows().nth(0).locator(".row-play").click()
    place = screen.page.locator(".stage-place [role=alert]")
    place.wait_for()
    first = place.text_content()
    screen.rows().nth(1).locator(".row-play").click()
    other = "Browsers" if first.startswith("This") else "This"
    screen.page.wait_for_selector(f".stage-place [role=alert]:has-text('{other} ')")
    told = {first, place.text_content()}
    assert len([text for text in told if text.startswith("This browser cannot play")]) == 1
    assert len([text for text in told if text.startswith("Browsers do not play single")]) == 1
    assert all(text.endswith("Download") for text in told)
    screen.quiet()


def test_only_granted_cameras_and_the_rest_for_administrators(site: Place, chrome: Any) -> None:
    site.person("bea", "garage")
    site.person("root", admin=True)
    site.store("elsewhere/a.mp4", start=int(noon() * 1000))
    site.clip("front-door", noon())
    site.index()
    for name, cameras in (("bea", ["garage"]), ("root", ["front-door", "garage"])):
        screen = Screen(chrome, site.url)
        screen.sign_in(name)
        screen.page.wait_for_selector(".camera")
        names = screen.page.locator(".camera-name bdi").all_text_contents()
        assert names == cameras
        screen.quiet()
        screen.close()
