"""Attacks on the page in Debian's Chromium: names that would be markup, scripts that would run,
pages that would frame it or speak in its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from ossmedia.server.page import ASSETS
from ossmedia.server.recordings import VOD, Found
from tests.routes.page_rig import Place, Screen, browser
from tests.routes.test_recordings_attacks import NAMES
from tests.unit.server.rig import send

DAY_S = 1_749_974_400.0  # 2025-06-15, 16:00 where the browser is
HERE = "#/cam-1/2025-06-15"

# Elements that the page itself never makes, and attributes that would run something.
ALIEN = """
() => [...document.querySelectorAll("*")].filter((node) =>
  ["iframe", "object", "embed", "base", "math", "style", "source", "details"]
    .includes(node.localName)
  || (node.localName === "script" && !node.src.endsWith("/app.js"))
  || [...node.attributes].some(({ name, value }) => /^on/.test(name)
    || (/^(href|src|action|data)$/.test(name) && /^\\s*(javascript|data):/i.test(value))),
).map((node) => node.outerHTML.slice(0, 200))
"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def site(oss_emulator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    oss_emulator.reset()
    folder: Path = tmp_path_factory.mktemp("attacked")
    with Place(oss_emulator, folder) as made:
        made.device("cam-1")
        made.person("anna", "cam-1")
        for number, name in enumerate(NAMES):
            told = {"start": int(DAY_S * 1000) + number * 1000, "content_type": "text/html"}
            made.store(f"cams/cam-1/{name}", b"<script>alert(1)</script>", **told)
            stream = f"cams/cam-1/{name.replace('/', '_')}/20250615"
            made.store(f"{stream}/20250615T090000000Z-{number:08d}.ts", b"x", duration=2000)
            found = Found(
                bucket="vod:cn-hangzhou",
                key=f"{number:032x}",
                camera="cam-1",
                kind=VOD,
                size=1,
                etag="",
                modified_at=DAY_S + 7200 + number,
                title=name,
            )
            made.archive.index.record(found)
        made.index()
        yield made


@pytest.fixture
def screen(chrome: Any, site: Place) -> Iterator[Screen]:
    made = Screen(chrome, site.url)
    yield made
    made.close()


def all_rows(screen: Screen) -> Any:
    rows = screen.rows()
    while screen.page.locator(".more").is_visible():
        before = rows.count()
        screen.page.click(".more")
        screen.until(f"document.querySelectorAll('.row').length > {before}")
    return rows


def test_names_are_text_and_nothing_else(site: Place, screen: Screen) -> None:
    asked: list[str] = []
    screen.page.on("request", lambda request: asked.append(request.url))
    screen.sign_in("anna", HERE)
    rows = all_rows(screen)
    assert rows.count() == 3 * len(NAMES)
    shown = set(screen.page.locator(".row-title").all_text_contents())
    assert len(NAMES) >= 45
    assert set(NAMES) <= shown, "titles are shown as they are"
    assert screen.page.evaluate(ALIEN) == []
    for number in range(0, rows.count(), 4):
        rows.nth(number).locator(".row-play").click()
        rows.nth(number).locator("[aria-label^=Delete]").click()
        screen.page.wait_for_selector("dialog[open]")
        assert screen.page.evaluate(ALIEN) == []
        screen.page.keyboard.press("Escape")
        screen.page.wait_for_selector("dialog", state="detached")
    assert screen.page.evaluate(ALIEN) == []
    assert screen.dialogs == []
    known = {urlsplit(site.url).netloc, urlsplit(site.cloud.endpoint).netloc}
    assert {urlsplit(url).netloc for url in asked} <= known, "nobody else was asked for anything"


def test_addresses_that_would_be_markup(screen: Screen) -> None:
    screen.sign_in("anna")
    screen.page.wait_for_selector(".camera")
    for name in NAMES:
        for place in (name, f"#/{name}", f"#/cam-1/{quote(name)}/{quote(name)}", f"{HERE}/{name}"):
            screen.page.evaluate("place => { location.hash = place; }", place)
    screen.page.wait_for_selector(".camera-title:has-text('cam-1')")
    assert screen.page.evaluate(ALIEN) == []
    assert screen.dialogs == []


def test_what_the_policy_forbids_does_not_happen(screen: Screen) -> None:
    """The last line of defence: even a page that were made to insert markup would run none."""
    screen.page.goto(screen.url)
    screen.page.wait_for_selector("form.sign-in")
    tries = {
        "innerHTML": "document.body.innerHTML = '<img src=x onerror=alert(1)>'",
        "eval": "window.setTimeout('alert(1)', 0)",
        "src": "document.createElement('script').src = 'data:,alert(1)'",
        "policy": "trustedTypes.createPolicy('mine', {})",
    }
    for name, code in tries.items():
        run = f"() => {{ try {{ {code}; return 'done'; }} catch (error) {{ return error.name; }} }}"
        assert screen.page.evaluate(run) in ("TypeError", "EvalError"), name
    screen.page.evaluate("document.body.setAttribute('style', 'color: red')")
    assert screen.page.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"
    refused = "fetch('http://127.0.0.1:9/').then(() => 'asked', () => 'refused')"
    assert screen.page.evaluate(refused) == "refused"
    told = [text for text in screen.complaints if "Content Security Policy" in text]
    assert [text for text in told if "connect-src" in text]
    assert screen.dialogs == []


def test_no_page_frames_it(site: Place, screen: Screen) -> None:
    page = screen.page
    page.set_content(f"<iframe src='{site.url}/'></iframe>")
    (frame,) = (frame for frame in page.frames if frame.parent_frame is not None)
    frame.wait_for_load_state()
    assert frame.locator("form.sign-in").count() == 0
    assert any("frame-ancestors" in text for text in screen.complaints)


def test_no_page_speaks_in_its_name(site: Place, screen: Screen) -> None:
    """A page of another origin on the same host, where the browser might send the cookie."""
    screen.sign_in("anna", HERE)
    screen.rows()
    ident = site.archive.catalogue.listing(["cam-1"], None, 1, None)[0][0].id
    page = screen.page
    page.goto(site.cloud.endpoint + "/cams/none")
    for method in ("DELETE", "PUT", "POST", "GET"):
        asked = (
            "([url, method]) => fetch(url, {method, credentials: 'include', mode: 'cors',"
            " headers: {'x-ossmedia-csrf': '0'.repeat(64)}}).then(() => 'read', () => 'refused')"
        )
        for path in (f"/v1/recordings/{ident}", "/v1/session", f"/v1/recordings/{ident}/keep"):
            assert page.evaluate(asked, [site.url + path, method]) == "refused"
    blind = (
        "url => fetch(url, {method: 'POST', credentials: 'include', mode: 'no-cors',"
        " body: '{}'}).then(() => 'sent', () => 'refused')"
    )
    assert page.evaluate(blind, site.url + "/v1/session") in ("sent", "refused")
    assert site.archive.catalogue.find(ident) is not None
    page.goto(site.url)
    page.wait_for_selector(".camera")  # still signed in


def test_the_page_has_no_door_for_markup() -> None:
    folder = files("ossmedia.server").joinpath("page")
    doors = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|"
        r"setHTMLUnsafe|createContextualFragment|DOMParser|javascript:|https?://(?!www\.w3\.org)"
    )
    for name in ASSETS:
        text = folder.joinpath(name).read_text(encoding="utf-8")
        assert re.search(doors, text) is None, name
    present = {path.name for path in folder.iterdir()}
    assert present == {*ASSETS, "index.html"}, "every file is given out, and no other"
    index = folder.joinpath("index.html").read_text(encoding="utf-8")
    assert "style=" not in index
    assert re.findall(r"<script[^>]*>(.*?)</script>", index) == [""]


def test_only_the_pages_own_files(site: Place) -> None:
    index = send(site.url, "GET", "/").body.decode()
    (version,) = set(re.findall(r"/assets/([0-9a-f]{16})/", index))
    for name, kind in ASSETS.items():
        answer = send(site.url, "GET", f"/assets/{version}/{name}")
        assert answer.status == 200
        assert answer.headers["content-type"].split(";")[0] == kind
        assert "immutable" in answer.headers["cache-control"]
    bad = ["../page.py", "..%2fpage.py", "%2e%2e/page.py", "%2e%2e%2fpage.py", "..\\page.py"]
    bad += ["app.js%00", "app.js/", "./app.js", "APP.JS", "app.js.map", "index.html", "", "%"]
    bad += ["../../settings.py", "..;/page.py", "//etc/passwd", "%252e%252e%252fpage.py", "."]
    bad += ["....//page.py", "..%c0%afpage.py", "..%5cpage.py", "/etc/passwd", "~root", "app.js~"]
    for name in bad:
        for path in (f"/assets/{version}/{name}", f"/assets/{name}", f"/{name}"):
            if path != "/":
                assert send(site.url, "GET", path).status == 404, path
    assert send(site.url, "GET", f"/assets/{'0' * 16}/app.js").status == 404
    tag = send(site.url, "GET", "/").headers["etag"]
    assert send(site.url, "GET", "/", headers={"If-None-Match": tag}).status == 304
