"""Attacks on the recordings: names that would be markup, addresses that lead elsewhere, other
people's cameras."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest

from ossmedia import errors
from ossmedia.server.oss_access import OssAccess, OssUnavailable
from ossmedia.server.reconcile import reconcile
from ossmedia.server.settings import OssSettings
from tests.routes.archive_rig import Site, Viewer
from tests.unit.server.rig import Answer, send

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread
DAY_MS = 1_749_945_600_000  # 2025-06-15
DATE = "2025-06-15"

NAMES = [
    "<script>alert(1)</script>.mp4",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>.mp4",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>.svg",
    '"><script>alert(1)</script>.mp4',
    "'><script>alert(1)</script>.mp4",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=data:text/html,<script>alert(1)</script>>",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//.mp4",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "<body onload=alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import'//evil.example'</style>",
    "<form action=//evil.example><input type=submit>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<x onclick=alert(1)>x",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\u003cscript\\u003ealert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "`;alert(1)//`.mp4",
    '";alert(1);//x',
    "';alert(1);//x",
    "a.html",
    "a.svg",
    "a.xhtml",
    "\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>",
    "\u202e4pm.<script>alert(1)</script>",
    "\ufeff<script>alert(1)</script>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "<scr\tipt>alert(1)</scr\nipt>",
    "\x01<script>alert(1)</script>",
]


class Elements(HTMLParser):
    """What a browser would see that takes an answer for HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


@pytest.fixture(scope="module")
def site(oss_emulator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    oss_emulator.reset()
    with Site(oss_emulator, tmp_path_factory.mktemp("site")) as made:
        made.device("cam-1")
        for number, name in enumerate(NAMES):
            kind = "text/html" if number % 2 else "image/svg+xml"
            made.store(f"cams/cam-1/{name}", start=DAY_MS + number, content_type=kind)
            stream = name.replace("/", "_")
            key = f"cams/cam-1/{stream}/20250615/20250615T000000000Z-{number:08d}.ts"
            made.store(key, start=DAY_MS + number, duration=6000, content_type=kind)
        reconcile(made.archive)
        yield made


@pytest.fixture(scope="module")
def ann(site: Site) -> Viewer:
    return site.viewer("ann", "cam-1")


def check_inert(answer: Answer) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "html" not in answer.headers["content-type"]
    assert Elements(answer.body.decode()).found == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def entries(ann: Viewer) -> list[dict[str, Any]]:
    found = ann.list("cam-1", DATE, limit=200)
    assert len(found) == 2 * len(NAMES) >= 90
    return found


def test_lists_and_details(ann: Viewer) -> None:
    check_inert(ann.get("/v1/recordings", camera="cam-1", day=DATE, limit=200))
    keys = {entry["key"] for entry in entries(ann) if entry["kind"] == "file"}
    assert keys >= {f"cams/cam-1/{name}" for name in NAMES}, "told as they are"
    for entry in entries(ann):
        one = ann.get(f"/v1/recordings/{entry['id']}")
        check_inert(one)
        assert one.json == entry
        assert re.fullmatch(r"[A-Za-z0-9_-]*~?[0-9a-f]{24}", entry["id"])
    for path in ("/v1/cameras", "/v1/days?camera=cam-1&month=2025-06"):
        check_inert(ann.get(path))


def test_errors(site: Site, ann: Viewer) -> None:
    for name in NAMES:
        told = quote(name, safe="")
        for path in (
            f"/{told}",
            f"/v1/recordings/{told}",
            f"/v1/recordings?{told}=1",
            f"/v1/recordings?cursor={told}",
            f"/v1/recordings?camera={told}",
            f"/v1/recordings?day={told}&camera=cam-1",
            f"/v1/days?camera=cam-1&month={told}",
            f"/v1/playlists/{told}/{told}.m3u8",
            f"/v1/playlists/cam-1/live.m3u8?from={told}&to={told}",
        ):
            answer = ann.get(path)
            assert 400 <= answer.status < 500, path
            check_inert(answer)
        body = json.dumps({"bucket": name, "object": name, "session": name, name: name})
        check_inert(send(site.url, "POST", "/v1/callbacks/oss", body.encode()))


def test_downloads_and_players(ann: Viewer) -> None:
    """Whatever the camera said its object is, a browser is told to store it, or that it is a
    video; and the header is one header."""
    for entry in entries(ann):
        for download in (0, 1):
            answer = ann.get(f"/v1/recordings/{entry['id']}/url", download=download)
            check_inert(answer)
            if entry["kind"] == "hls":
                continue
            with urlopen(answer.json["url"], timeout=10) as given:
                told = given.headers
            (kind,), (named,) = (
                told.get_all(name) for name in ("content-type", "content-disposition")
            )
            assert re.fullmatch(r"video/\w+|application/octet-stream", kind)
            if download or kind == "application/octet-stream":
                assert re.fullmatch(r'attachment; filename="[A-Za-z0-9][A-Za-z0-9._-]*"', named)


def test_playlists(ann: Viewer) -> None:
    """No stream's name stands in a playlist, and a line is a tag or an address of the bucket."""
    for entry in entries(ann):
        if entry["kind"] == "hls":
            answer = ann.get(entry["playlist"])
            check_inert(answer)
            lines = answer.body.decode().split("\n")
            urls = [line for line in lines if line and not line.startswith("#EXT")]
            assert len(urls) == answer.body.count(b"#EXTINF:") >= 1
            assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/cams/[!-~]+", url) for url in urls)


# -- addresses that lead elsewhere ---------------------------------------------------------------

ELSEWHERE = [
    "evil.example",
    "evil.example/",
    "//evil.example/x",
    "http://evil.example/x",
    "https://evil.example/x",
    "HTTP://evil.example/x",
    "http:\\\\evil.example\\x",
    "@evil.example/x",
    "x@evil.example",
    ":80@evil.example/",
    "?x-oss-process=style/x&url=http://evil.example",
    "#@evil.example/",
    "../../../evil.example",
    "..%2f..%2fevil.example",
    "\\\\evil.example\\share",
    "127.0.0.1:1/x",
    "[::1]:1/x",
    "169.254.169.254/latest/meta-data",
    "100.100.100.200/latest/meta-data",
    "localhost:1",
    "0x7f000001",
    "2130706433",
    "evil.example%00.aliyuncs.com",
    "evil.example#.aliyuncs.com",
    "evil.example?.aliyuncs.com",
    "oss-cn-hangzhou.aliyuncs.com.evil.example",
    "oss-cn-hangzhou.aliyuncs.com@evil.example",
    "evil\uff0eexample",
    "file:///etc/passwd",
    "gopher://evil.example:70/_x",
    " evil.example",
    "\r\nHost: evil.example",
]


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """Every address that this process connects to, the server's included."""
    seen: set[Any] = set()
    connect = socket.socket.connect
    look_up = socket.getaddrinfo

    def noted(self: socket.socket, address: Any) -> None:
        seen.add(address)
        connect(self, address)

    def looked_up(host: Any, *args: Any, **named: Any) -> Any:
        seen.add(("looked up", host))
        return look_up(host, *args, **named)

    monkeypatch.setattr(socket.socket, "connect", noted)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return seen


def allowed(site: Site) -> set[Any]:
    places = {urlsplit(url) for url in (site.url, site.cloud.endpoint)}
    known: set[Any] = {(place.hostname, place.port) for place in places}
    return known | {("looked up", "127.0.0.1")}


def test_no_name_leads_the_server_elsewhere(site: Site, ann: Viewer, peers: set[Any]) -> None:
    assert len(ELSEWHERE) >= 30
    link = site.link("cam-2", site.device("cam-2"))
    clip = ann.list("cam-1", DATE)[0]
    for place in ELSEWHERE:
        told = link.ask("/v1/reports", {"objects": [{"key": f"cams/cam-2/{place}"}]})
        assert told["objects"][0]["state"] == "missing"
        with pytest.raises(errors.AccessDenied):
            link.ask("/v1/reports", {"objects": [{"key": place}]})
        host = re.sub(r"[^!-~]", "", place)
        spoofed = {"X-Forwarded-Host": host, "Forwarded": f"host={host}", **ann.headers}
        answer = send(site.url, "GET", f"/v1/recordings/{clip['id']}/url", b"", spoofed)
        url = answer.json["url"]
        assert url.startswith((site.cloud.endpoint + "/cams/", "/v1/playlists/")), url
        ann.get(f"/v1/playlists/cam-1/{quote(place)}.m3u8")
        body = json.dumps({"bucket": place, "object": place, "session": place, "endpoint": place})
        send(site.url, "POST", "/v1/callbacks/oss", body.encode())
    assert peers <= allowed(site)


@pytest.mark.parametrize("place", ELSEWHERE)
def test_settings_name_a_host_and_nothing_else(place: str) -> None:
    """What is taken for a host is asked as that host; all else is refused by name."""
    try:
        access = OssAccess(OssSettings("cams", place, "cn-hangzhou"), {})
    except ValueError as error:
        refusal = str(error)
        assert refusal.startswith(("endpoint", "region"))
        return
    address = access._own.endpoint
    access.close()
    assert re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", address)
    assert place.removesuffix("/").lower().removeprefix("http://") in address


class Hostile:
    """An endpoint that sends everybody elsewhere."""

    def __init__(self, status: int, where: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 0\r\n"
        self._answer = (head + "Connection: close\r\n\r\n").encode()
        self.asked = 0
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            peer, _ = self._listener.accept()
            with peer:
                if self._ended:
                    return
                self.asked += 1
                with suppress(OSError):
                    peer.recv(65_536)
                    peer.sendall(self._answer)

    def close(self) -> None:
        self._ended = True
        with socket.create_connection(("127.0.0.1", self.port)):
            self._thread.join()
        self._listener.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    trap = Hostile(200, "")
    hostile = Hostile(status, f"http://127.0.0.1:{trap.port}/trap")
    environ = {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "secret"}
    settings = OssSettings("cams", f"http://127.0.0.1:{hostile.port}", "cn-hangzhou")
    access = OssAccess(settings, environ)
    for call in (
        lambda: access.head("a"),
        lambda: next(access.pages("a")),
        lambda: access.delete(["a"]),
        lambda: access.delete(["a\x01"]),
        access.lifecycle,
    ):
        with pytest.raises(OssUnavailable):
            call()
    access.close()
    assert hostile.asked >= 5
    assert trap.asked == 0
    hostile.close()
    trap.close()


# -- other people's cameras ----------------------------------------------------------------------

PEOPLE = 20


@pytest.fixture
def town(cloud: Any, tmp_path: Path) -> Iterator[tuple[Site, list[Viewer], list[str]]]:
    """Twenty people with a camera each, each camera with a clip and a segment."""
    with Site(cloud, tmp_path) as made:
        for number in range(PEOPLE):
            made.device(f"cam-{number}")
            head = f"cams/cam-{number}/"
            made.store(f"{head}clip.mp4", start=DAY_MS)
            name = "live/20250615/20250615T000000000Z-00000001.ts"
            made.store(head + name, start=DAY_MS, duration=6000, content_type="video/mp2t")
        reconcile(made.archive)
        viewers = [made.viewer(f"p{number}", f"cam-{number}") for number in range(PEOPLE)]
        ids = []
        for number, viewer in enumerate(viewers):
            ids += [entry["id"] for entry in viewer.list(f"cam-{number}", DATE)]
        yield made, viewers, ids


def test_nobody_gets_anything_of_a_camera_that_was_not_granted(
    town: tuple[Site, list[Viewer], list[str]],
) -> None:
    site, viewers, ids = town
    assert len(set(ids)) == 2 * PEOPLE
    tried = 0
    for number, viewer in enumerate(viewers):
        own = f"cam-{number}"
        connection = HTTPConnection(site.url.removeprefix("http://"))
        changing = {**viewer.headers, "x-ossmedia-csrf": viewer.csrf}

        def ask(
            method: str,
            path: str,
            body: str = "",
            connection: HTTPConnection = connection,
            changing: dict[str, str] = changing,
        ) -> tuple[int, bytes]:
            connection.request(method, path, body, changing)
            response = connection.getresponse()
            return response.status, response.read()

        lists = ("/v1/cameras", "/v1/recordings", "/v1/recordings?limit=200&day=2025-06-15")
        for path in (*lists, "/v1/days?month=2025-06"):
            status, told = ask("GET", path)
            assert status == 200
            assert set(re.findall(rb"cam-\d+", told)) <= {own.encode()}
        assert json.loads(ask("GET", "/v1/days?month=2025-06")[1])["days"][0]["count"] == 2
        missing = ask("GET", "/v1/recordings/" + "0" * 24)
        for other in range(PEOPLE):
            if other == number:
                continue
            camera = f"cam-{other}"
            for path in (
                f"/v1/recordings?camera={camera}",
                f"/v1/recordings?camera={camera}&day={DATE}",
                f"/v1/days?camera={camera}&month=2025-06",
                f"/v1/timeline?camera={camera}&day={DATE}",
                f"/v1/playlists/{camera}/live.m3u8",
                f"/v1/playlists/{camera}/live.m3u8?from={DATE}T00:00:00Z&to={DATE}T01:00:00Z",
            ):
                assert ask("GET", path) == missing, path
                tried += 1
            for foreign in ids[2 * other : 2 * other + 2]:
                path = f"/v1/recordings/{foreign}"
                for method, tail, body in (
                    ("GET", "", ""),
                    ("GET", "/url", ""),
                    ("GET", "/url?download=1", ""),
                    ("DELETE", "", ""),
                    ("PUT", "/keep", '{"keep": true}'),
                ):
                    assert ask(method, path + tail, body) == missing, (method, path)
                    tried += 1
        connection.close()
    assert tried == PEOPLE * (PEOPLE - 1) * 16
    for number, viewer in enumerate(viewers):
        mine = viewer.list(f"cam-{number}", DATE)
        assert len(mine) == 2, "nothing was deleted"
        assert not any(entry["keep"] for entry in mine)


def test_who_is_not_signed_in_gets_nothing(town: tuple[Site, list[Viewer], list[str]]) -> None:
    site, viewers, ids = town
    for method, path in (
        *(("GET", f"/v1/{name}") for name in ("cameras", "days", "timeline", "recordings")),
        ("GET", f"/v1/recordings/{ids[0]}"),
        ("GET", f"/v1/recordings/{ids[0]}/url"),
        ("DELETE", f"/v1/recordings/{ids[0]}"),
        ("PUT", f"/v1/recordings/{ids[0]}/keep"),
        ("GET", "/v1/playlists/cam-0/live.m3u8"),
    ):
        for cookie in ({}, {"Cookie": "ossmedia=" + "x" * 43}):
            assert send(site.url, method, path, b"", cookie).code == "signed-out"
    for csrf in ("", "x", viewers[1].csrf):
        told = viewers[0].change("DELETE", f"/v1/recordings/{ids[0]}", csrf=csrf)
        assert told.code == "not-this-page"
    assert len(viewers[0].list("cam-0", DATE)) == 2
