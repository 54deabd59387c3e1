"""Every state of the page, at both widths, light and dark: it fits, it can be read, and a picture
of it lies in build/screenshots."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia.server.recordings import VOD, Found
from tests.routes.page_rig import EAST_MIN, PASSWORD, WIDTHS, Place, Screen, browser

HOUR = 3600.0
ALL = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]

# The contrast of each visible text with what lies behind it, where it is below the wanted ratio.
CONTRAST = """
() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [...parts.slice(0, 3).map((part) => part * scale), parts[3] ?? 1];
  };
  const light = ([red, green, blue]) => [red, green, blue].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const shown = { opacityProperty: true, visibilityProperty: true };
    if (!own || !node.checkVisibility(shown)) continue;
    if (node.closest("svg, :disabled, [aria-disabled=true], .hidden, .skip, noscript")) continue;
    const style = getComputedStyle(node);
    const [one, other] = [light(parse(style.color)), light(behind(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const big = parseFloat(style.fontSize) >= 24;
    if (ratio < (big ? 3 : 4.5)) poor.push([node.textContent.trim(), style.color, ratio]);
  }
  return poor;
}
"""

# What is wider than the window, or smaller than a finger where it is to be touched.
FITS = """
() => {
  const wide = document.documentElement.scrollWidth > innerWidth ? [document.title] : [];
  for (const node of document.querySelectorAll("button, a.camera, input")) {
    if (!node.checkVisibility()) continue;
    const { width, height } = node.getBoundingClientRect();
    if (width < 30 || height < 30) wide.push([node.textContent, width, height]);
  }
  return wide;
}
"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def site(oss_emulator: Any, tmp_path_factory: Any) -> Iterator[Place]:
    """Cameras with some days of recordings of every kind."""
    oss_emulator.reset()
    folder: Path = tmp_path_factory.mktemp("looks")
    with Place(oss_emulator, folder) as made:
        for camera in ("front-door", "garage", "loading-bay", "roof"):
            made.device(camera)
        made.registry.disable("roof")
        made.person("anna", "front-door", "garage", "loading-bay", "roof")
        made.person("newcomer")
        fill(made)
        yield made


def fill(site: Place) -> None:
    midnight = (time.time() + EAST_MIN * 60) // 86_400 * 86_400 - EAST_MIN * 60
    for days in (1, 2, 3, 5, 8):
        for number in range(3 + days % 3):
            start = midnight - days * 86_400 + (5.2 + number * 2.7) * HOUR
            long = int(HOUR * 1000 * (0.2 + number % 3))
            site.clip("front-door", start, duration=long)
    yesterday = midnight - 86_400
    site.stream("front-door", yesterday + 15 * HOUR)
    site.store("cams/front-door/h265.mp4", b"?" * 5000, start=int((yesterday + 16 * HOUR) * 1000))
    found = Found(
        bucket="vod:cn-hangzhou",
        key="0123456789abcdef0123456789abcdef",
        camera="front-door",
        kind=VOD,
        size=48_000_000,
        etag="",
        modified_at=yesterday + 17 * HOUR,
        start_at=yesterday + 17 * HOUR,
        duration_s=95.0,
        title="Delivery at the front gate, both vans and the long one from the city",
    )
    site.archive.index.record(found)
    site.index()


@pytest.fixture(params=ALL, ids=lambda given: f"{given[0]}-{given[1]}")
def screen(request: Any, chrome: Any, site: Place) -> Iterator[Screen]:
    made = Screen(chrome, site.url, *request.param)
    yield made
    made.close()


def look(screen: Screen, name: str) -> None:
    """A picture, and that everything on it fits and can be read."""
    screen.shot(name)
    assert screen.page.evaluate(CONTRAST) == [], name
    assert screen.page.evaluate(FITS) == [], name


def test_signing_in(screen: Screen) -> None:
    page = screen.page
    page.goto(screen.url)
    page.wait_for_selector("form.sign-in")
    look(screen, "sign-in")
    page.fill("#name", "anna")
    page.fill("#password", "not this one")
    page.click("button[type=submit]")
    page.wait_for_selector(".form-error:not(:empty)")
    look(screen, "sign-in-refused")


def yesterday() -> str:
    at = time.gmtime(time.time() + EAST_MIN * 60 - 86_400)
    return time.strftime("%Y-%m-%d", at)


def test_a_day_and_what_is_played(screen: Screen) -> None:
    screen.sign_in("anna", f"#/front-door/{yesterday()}")
    rows = screen.rows()
    assert rows.count() == 7
    look(screen, "day")
    rows.locator("[aria-label^=Keep]").last.click()
    screen.page.wait_for_selector("[aria-pressed=true]")
    look(screen, "kept")
    rows.locator("[aria-label^=Release]").last.click()
    rows.locator(".row-play").nth(3).click()
    screen.plays()
    look(screen, "playing")
    screen.page.click(".row:has-text('16:00:00') .row-play")
    screen.page.wait_for_selector(".stage-place [role=alert]")
    look(screen, "cannot-play")
    screen.page.click(".row:has-text('16:00:00') [aria-label^=Delete]")
    screen.page.wait_for_selector("dialog[open]")
    look(screen, "delete")
    screen.quiet()


def test_live(screen: Screen, site: Place) -> None:
    camera = f"bay-{screen.width}-{screen.scheme}"
    site.device(camera)
    site.person(camera, camera)
    site.stream(camera, time.time() - 8)
    site.index()
    screen.sign_in(camera)
    screen.page.click("text=Watch live")
    screen.plays()
    look(screen, "live")
    screen.quiet()


def test_nothing_there(screen: Screen) -> None:
    screen.sign_in("anna", "#/garage")
    screen.page.wait_for_selector(".blank-title:has-text('Nothing was recorded')")
    look(screen, "empty-day")
    screen.quiet()


def test_no_camera(screen: Screen) -> None:
    screen.sign_in("newcomer")
    screen.page.wait_for_selector(".blank-title:has-text('No camera')")
    look(screen, "no-camera")
    screen.quiet()


def test_loading_and_failing(screen: Screen) -> None:
    page, waiting = screen.page, []

    def hold(route: Any) -> None:
        waiting.append(route)

    page.route("**/v1/recordings?*", hold)
    screen.sign_in("anna", f"#/front-door/{yesterday()}")
    page.wait_for_selector(".ghosts")
    assert page.get_attribute(".list-panel", "aria-busy") == "true"
    look(screen, "loading")
    assert page.evaluate("getComputedStyle(document.querySelector('.ghost')).animationName") == (
        "none"
    ), "who asked for less motion gets none"
    waiting.pop().abort()
    page.wait_for_selector(".list-place [role=alert]:has-text('cannot be reached')")
    look(screen, "failed")
    page.unroute("**/v1/recordings?*")
    page.click("text=Try again")
    screen.rows()
    assert all("ERR_FAILED" in complaint for complaint in screen.complaints)


def test_the_server_cannot_be_reached(screen: Screen) -> None:
    page = screen.page
    page.goto(screen.url)
    page.route("**/v1/cameras", lambda route: route.abort())
    page.fill("#name", "anna")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("[role=alert]:has-text('cannot be reached')")
    look(screen, "unreachable")
    page.unroute("**/v1/cameras")
    page.click("text=Try again")
    page.wait_for_selector(".camera")
