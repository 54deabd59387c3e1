"""HLS that the camera encrypts, played through the application server's playlists: the index knows
where the keys are, ffmpeg fetches them there, and the server never sees one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ossmedia import SegmentKey
from ossmedia.server.reconcile import reconcile
from tests.elementary import camera
from tests.routes.archive_rig import Site, Viewer
from tests.routes.page_rig import Place, Screen, browser
from tests.routes.test_hls import pictures_of
from tests.routes.test_page import noon

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread
START, DATE = 1_750_000_000, "2025-06-15"
SECONDS = 6
PLAYER = ("-protocol_whitelist", "file,crypto,http,tcp")


class Keys:
    """Somebody's key server: a key for each path, and who asked for it."""

    def __init__(self) -> None:
        asked = self.asked = list[str]()
        keys = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "16")
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()
                self.wfile.write(keys.key(self.path))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @staticmethod
    def key(path: str) -> bytes:
        return path.encode().ljust(16, b"-")[:16]

    def give(self, sequence: int, _start: float) -> SegmentKey:
        """A new one for every other segment."""
        path = f"/k/{sequence // 2}"
        return SegmentKey(path, self.key(path), self.url + path)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def keys() -> Iterator[Keys]:
    made = Keys()
    yield made
    made.close()


@pytest.fixture
def site(cloud: Any, tmp_path: Path) -> Iterator[Site]:
    with Site(cloud, tmp_path) as made:
        yield made


def record(site: Site, key: str, stream: bytes, keys: Keys, start: int, **options: Any) -> None:
    with (
        site.bucket("cam-1", key) as bucket,
        bucket.record_hls(
            "cams/cam-1/live", "event", fps=25, segment_time=1, start=start, on_full="block",
            **options,
        ) as recorder,
    ):  # fmt: skip
        recorder.write(stream)


def played(viewer: Viewer, target: str, folder: Path) -> list[str]:
    """The pictures that ffmpeg sees by a playlist of the server's."""
    answer = viewer.get(target)
    assert answer.status == 200, answer
    path = folder / "played.m3u8"
    path.write_bytes(answer.body)
    return pictures_of(path, *PLAYER)


def test_encrypted_recordings_are_played_by_the_servers_playlists(
    site: Site, keys: Keys, tmp_path: Path
) -> None:
    """In the clear, then encrypted: a player sees every picture of both, and the database holds
    addresses of keys only."""
    key = site.device("cam-1")
    ann = site.viewer("ann", "cam-1")
    stream = camera(SECONDS)
    (tmp_path / "v.h264").write_bytes(stream)
    wanted = pictures_of(tmp_path / "v.h264")
    record(site, key, stream, keys, START)
    record(site, key, stream, keys, START + 60, key_provider=keys.give)
    assert reconcile(site.archive).noted == 2 * SECONDS
    whole = f"/v1/playlists/cam-1/live.m3u8?from={DATE}T00:00:00Z&to={DATE}T23:59:59Z"
    assert ann.get(whole).body.count(b"#EXT-X-KEY:METHOD=AES-128,") == SECONDS
    assert played(ann, whole, tmp_path) == 2 * wanted
    assert keys.asked
    later, first = ann.list("cam-1", DATE)
    assert played(ann, later["playlist"], tmp_path) == wanted
    assert b"EXT-X-KEY" not in ann.get(first["playlist"]).body
    held = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
    assert keys.url.encode() in held
    for path in set(keys.asked):
        assert keys.key(path) not in held


def test_the_live_playlist_names_keys_too(site: Site, keys: Keys, tmp_path: Path) -> None:
    """No report, no callback: the bucket is asked, and its answer tells of the key."""
    key = site.device("cam-1")
    ann = site.viewer("ann", "cam-1")
    stream = camera(3)
    (tmp_path / "v.h264").write_bytes(stream)
    record(site, key, stream, keys, int(site.clock.now()) - 10, key_provider=keys.give)
    answer = ann.get("/v1/playlists/cam-1/live.m3u8")
    assert answer.body.count(b"#EXT-X-KEY:METHOD=AES-128,") == 3
    path = tmp_path / "live.m3u8"
    path.write_bytes(answer.body + b"#EXT-X-ENDLIST\n")
    assert pictures_of(path, *PLAYER) == pictures_of(tmp_path / "v.h264")


def test_the_page_plays_what_is_encrypted(oss_emulator: Any, keys: Keys, tmp_path: Path) -> None:
    """Chromium gets the keys from where ``page.media_origins`` lets it."""
    oss_emulator.reset()
    with (
        browser() as chrome,
        Place(oss_emulator, tmp_path, page={"media_origins": [keys.url]}) as site,
    ):
        key = site.device("cam-1")
        site.person("anna", "cam-1")
        record(site, key, camera(SECONDS), keys, int(noon()), key_provider=keys.give)
        site.index()
        screen = Screen(chrome, site.url)
        screen.sign_in("anna")
        screen.rows().locator(".row-play").click()
        screen.plays(2.2)
        assert len(set(keys.asked)) > 1
        screen.quiet()
        screen.close()
