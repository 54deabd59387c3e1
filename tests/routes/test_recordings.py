"""The recordings of cameras, whole: stored in the local cloud, known to the application server,
listed, played, kept and deleted by people."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ossmedia import AppServerReports
from ossmedia.server.reconcile import reconcile
from tests.routes.archive_rig import Site, Viewer
from tests.unit.server.rig import send

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread
DAY = 1_750_000_000 // 86_400 * 86_400.0  # 2025-06-15
DATE = "2025-06-15"


@pytest.fixture
def site(cloud: Any, tmp_path: Path) -> Iterator[Site]:
    with Site(cloud, tmp_path) as made:
        yield made


@pytest.fixture
def key(site: Site) -> str:
    return site.device("cam-1")


@pytest.fixture
def ann(site: Site, key: str) -> Viewer:
    return site.viewer("ann", "cam-1")


def segment(site: Site, start: float, number: int, seconds: float = 6.0, **more: Any) -> str:
    """A segment as the recorder stores it."""
    name = time.strftime("%Y%m%dT%H%M%S", time.gmtime(start)) + f"{int(start * 1000) % 1000:03d}Z"
    stream = more.pop("stream", "live")
    told = {"start": int(start * 1000), "duration": int(seconds * 1000), "sequence": number}
    return site.store(
        f"cams/cam-1/{stream}/{name[:8]}/{name}-{number:08d}.ts",
        bytes([number % 256]) * 188,
        content_type="video/mp2t",
        **{**told, **more},
    )


def fetch(url: str) -> tuple[bytes, dict[str, str]]:
    with urlopen(url, timeout=10) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def test_a_clip_from_the_camera_to_the_screen(site: Site, key: str, ann: Viewer) -> None:
    """Stored with a token, reported, listed, played, downloaded, kept, deleted."""
    with site.bucket("cam-1", key) as bucket:
        with bucket.open("cams/cam-1/a/clip.mp4", "wb", content_type="video/mp4") as f:
            f.write(b"video" * 1000)
        receipt = f.result
    reports = AppServerReports(site.url, "cam-1", key, allow_insecure=True)
    assert reports.report(receipt, start_at=DAY + 3600.5, duration_s=12.5) == "recorded"
    (entry,) = ann.list("cam-1", DATE)
    assert entry == {
        "id": entry["id"],
        "camera": "cam-1",
        "kind": "file",
        "title": "clip.mp4",
        "key": "cams/cam-1/a/clip.mp4",
        "start": f"{DATE}T01:00:00.500Z",
        "duration_s": 12.5,
        "size": 5000,
        "state": "ready",
        "keep": False,
        "content_type": "video/mp4",
        "playlist": None,
        "discontinuities": 0,
    }
    path = f"/v1/recordings/{entry['id']}"
    assert ann.get(path).json == entry
    shown, head = fetch(ann.get(f"{path}/url").json["url"])
    assert (shown, head["content-type"]) == (b"video" * 1000, "video/mp4")
    assert head["content-disposition"] == "inline"
    _, head = fetch(ann.get(f"{path}/url", download=1).json["url"])
    assert head["content-disposition"] == 'attachment; filename="clip.mp4"'
    assert ann.change("PUT", f"{path}/keep", {"keep": True}).json["keep"] is True
    assert ann.change("DELETE", path).code == "kept"
    assert ann.change("PUT", f"{path}/keep", {"keep": False}).json["keep"] is False
    gone = ann.change("DELETE", path)
    assert (gone.status, gone.json) == (200, {"id": entry["id"], "state": "gone"})
    assert ann.list("cam-1", DATE) == []
    assert ann.get(path).code == "not-found"
    assert site.archive.oss.head("cams/cam-1/a/clip.mp4") is None


def test_addresses_live_for_five_minutes(site: Site, ann: Viewer) -> None:
    site.store("cams/cam-1/clip.mp4")
    reconcile(site.archive)
    (entry,) = ann.get("/v1/recordings").json["recordings"]
    before = time.time()
    told = ann.get(f"/v1/recordings/{entry['id']}/url").json
    (life,) = re.findall(r"x-oss-expires=(\d+)", told["url"])
    assert int(life) == 300
    expires_at = time.mktime(time.strptime(told["expires_at"], "%Y-%m-%dT%H:%M:%S.000Z"))
    assert before + 298 <= expires_at - time.timezone <= time.time() + 300


def test_a_run_of_segments(site: Site, ann: Viewer) -> None:
    for number in range(10):
        segment(site, DAY + 7200 + 6 * number, number)
    segment(site, DAY + 7200 + 200, 10, discontinuity=1)
    segment(site, DAY + 7200 + 206, 11)
    assert reconcile(site.archive).noted == 12
    later, first = ann.list("cam-1", DATE)
    assert (first["kind"], first["duration_s"], first["size"]) == ("hls", 60.0, 1880)
    assert (later["start"], later["duration_s"]) == (f"{DATE}T02:03:20.000Z", 12.0)
    text = ann.get(first["playlist"]).body.decode()
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert text.count("#EXTINF:6.000,") == 10
    urls = re.findall(r"^http.*$", text, re.MULTILINE)
    assert [fetch(url)[0] for url in urls] == [bytes([n]) * 188 for n in range(10)]
    assert fetch(urls[0])[1]["content-type"] == "video/mp2t"
    whole = ann.get(f"/v1/playlists/cam-1/live.m3u8?from={DATE}T00:00:00Z&to={DATE}T23:59:59Z")
    assert whole.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert whole.body.count(b"#EXT-X-DISCONTINUITY\n") == 1
    assert whole.body.count(b"#EXTINF") == 12
    path = f"/v1/recordings/{first['id']}"
    assert ann.get(f"{path}/url").json["url"] == first["playlist"]
    assert ann.get(f"{path}/url", download=1).code == "not-a-file"
    kept = ann.change("PUT", f"{path}/keep", {"keep": True}).json
    assert kept == {**first, "keep": True}
    assert ann.change("DELETE", path).code == "kept"
    ann.change("PUT", f"{path}/keep", {"keep": False})
    assert ann.change("DELETE", path).json["state"] == "gone"
    assert [entry["id"] for entry in ann.list("cam-1", DATE)] == [later["id"]]
    assert reconcile(site.archive).listed == 2


def test_what_is_live_needs_nobody_to_tell(site: Site, ann: Viewer) -> None:
    """No report, no callback, no reconcile: the bucket is asked."""
    now = time.time()
    for number in range(8):
        segment(site, now - 48 + 6 * number, number, discontinuity=1 if number == 6 else 0)
    text = ann.get("/v1/playlists/cam-1/live.m3u8").body.decode()
    assert "#EXT-X-MEDIA-SEQUENCE:3\n" in text
    assert "ENDLIST" not in text
    assert text.count("#EXTINF") == 5
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:0\n" in text
    (camera,) = ann.get("/v1/cameras").json["cameras"]
    assert (camera["live"], camera["streams"]) == (True, ["live"])
    (run,) = ann.get("/v1/recordings").json["recordings"]
    assert run["state"] == "growing"
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in ann.get(run["playlist"]).body.decode()


def test_live_asks_the_bucket_seldom_however_many_watch(site: Site, ann: Viewer) -> None:
    segment(site, time.time() - 6, 0)
    site.cloud.reset_counters()
    for _ in range(20):
        assert ann.get("/v1/playlists/cam-1/live.m3u8").status == 200
    asked = site.cloud.counters()["requests"]
    assert asked["ListObjectsV2"] <= 3
    assert asked["HeadObject"] == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/playlists/cam-1/none.m3u8", 404),
        ("/v1/playlists/cam-1/a/b%00c.m3u8", 404),
        ("/v1/playlists/cam-1/" + "x" * 900 + ".m3u8", 404),
        ("/v1/playlists/cam-2/live.m3u8", 404),
        ("/v1/playlists/cam-1/live.m3u8?from=2025-06-15T00:00:00Z", 400),
        ("/v1/playlists/cam-1/live.m3u8?from=x&to=y", 400),
        (f"/v1/playlists/cam-1/live.m3u8?from={DATE}T00:00:00Z&to={DATE}T01:00:00Z", 404),
        ("/v1/recordings/%00", 404),
        ("/v1/recordings/live~0123456789abcdef01234567", 404),
        ("/v1/recordings?camera=cam-1&day=x", 400),
        ("/v1/recordings?cursor=AAAA", 400),
        ("/v1/timeline?camera=cam-1", 400),
        ("/v1/days?camera=cam-1&month=2025-13", 400),
        ("/v1/timeline?day=2025-06-15", 404),
    ],
)
def test_what_is_not_there_or_cannot_be(ann: Viewer, path: str, status: int) -> None:
    assert ann.get(path).status == status


def test_days_and_spans_of_ones_own_clock(site: Site, ann: Viewer) -> None:
    site.store("cams/cam-1/early.mp4", start=int((DAY + 60) * 1000), duration=30_000)
    site.store("cams/cam-1/late.mp4", start=int((DAY + 86_340) * 1000), duration=120_000)
    for number in range(20):
        segment(site, DAY + 43_200 + 6 * number, number)
    reconcile(site.archive)
    days = ann.get("/v1/days", camera="cam-1", month=DATE[:7]).json["days"]
    sums = {"count": 3, "bytes": 20 * 188 + 10, "seconds": 270.0}
    assert days == [{"day": DATE, **sums}]
    shifted = ann.get("/v1/days", camera="cam-1", month=DATE[:7], tz_offset_min=-60).json["days"]
    assert [(day["day"], day["count"]) for day in shifted] == [("2025-06-14", 1), (DATE, 2)]
    spans = ann.get("/v1/timeline", camera="cam-1", day=DATE).json["spans"]
    assert spans == [
        {"from": 60.0, "to": 90.0, "kind": "file"},
        {"from": 43_200.0, "to": 43_320.0, "kind": "hls"},
        {"from": 86_340.0, "to": 86_400.0, "kind": "file"},
    ]
    after = ann.get("/v1/timeline", camera="cam-1", day="2025-06-16").json["spans"]
    assert after == [{"from": 0.0, "to": 60.0, "kind": "file"}]


def test_pages_hold_everything_once(site: Site, ann: Viewer) -> None:
    for number in range(23):
        site.store(f"cams/cam-1/{number}.mp4", start=int((DAY + 300 * (number // 2)) * 1000))
    for number in range(7):
        segment(site, DAY + 1000 * number, number)
    reconcile(site.archive)
    for query in ({"day": DATE}, {}):
        seen: list[dict[str, Any]] = []
        cursor = ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = ann.get("/v1/recordings", camera="cam-1", limit=4, **query, **more).json
            assert 1 <= len(page["recordings"]) <= 4
            seen += page["recordings"]
            cursor = page["next"]
            if cursor is None:
                break
        assert len({entry["id"] for entry in seen}) == len(seen) == 30
        assert [e["start"] for e in seen] == sorted((e["start"] for e in seen), reverse=True)


def test_many_days_in_one_list(site: Site, ann: Viewer) -> None:
    for number in range(6):
        site.store(f"cams/cam-1/{number}.mp4", start=int((DAY - 20 * 86_400 * number) * 1000))
    reconcile(site.archive)
    first = ann.get("/v1/recordings", limit=3).json
    rest = ann.get("/v1/recordings", limit=3, cursor=first["next"]).json
    names = [entry["title"] for entry in first["recordings"] + rest["recordings"]]
    assert names == [f"{number}.mp4" for number in range(6)]
    assert rest["next"] is None


def test_a_camera_is_seen_when_it_asks(site: Site, key: str, ann: Viewer) -> None:
    assert ann.get("/v1/cameras").json["cameras"][0]["last_seen"] is None
    site.link("cam-1", key).ask("/v1/credentials", {})
    deadline = time.monotonic() + 60
    while not (seen := ann.get("/v1/cameras").json["cameras"][0]["last_seen"]):
        assert time.monotonic() < deadline
    assert abs(time.time() - _epoch(seen)) < 60


def _epoch(text: str) -> float:
    from ossmedia.clock import from_iso_date

    return from_iso_date(text)


def test_a_vanished_object_is_told_when_it_is_asked_for(site: Site, ann: Viewer) -> None:
    site.store("cams/cam-1/clip.mp4")
    reconcile(site.archive)
    (entry,) = ann.get("/v1/recordings").json["recordings"]
    site.oss.delete_object("cams/cam-1/clip.mp4")
    assert ann.get(f"/v1/recordings/{entry['id']}/url").code == "not-found"
    assert ann.get("/v1/recordings").json["recordings"] == []


def test_a_link_to_another_cameras_recording_is_not_shown(site: Site, ann: Viewer) -> None:
    """An object that was a recording and is now a symbolic link is not signed, nor listed."""
    site.device("cam-2")
    site.store("cams/cam-2/secret.mp4", b"secret")
    site.store("cams/cam-1/clip.mp4")
    reconcile(site.archive)
    (entry,) = ann.get("/v1/recordings").json["recordings"]
    site.oss.put_symlink("cams/cam-2/secret.mp4", "cams/cam-1/clip.mp4")
    assert ann.get(f"/v1/recordings/{entry['id']}/url").code == "not-found"
    site.oss.put_symlink("cams/cam-2/secret.mp4", "cams/cam-1/other.mp4")
    reconcile(site.archive)
    assert ann.get("/v1/recordings").json["recordings"] == []


def test_while_oss_does_not_answer_lists_still_do(site: Site, ann: Viewer) -> None:
    site.store("cams/cam-1/clip.mp4")
    reconcile(site.archive)
    (entry,) = ann.get("/v1/recordings").json["recordings"]
    site.cloud.fault("status", status=503, code="ServiceUnavailable", times=1000)
    path = f"/v1/recordings/{entry['id']}"
    told = ann.get(f"{path}/url")
    assert (told.code, told.headers["retry-after"]) == ("oss-unavailable", "5")
    assert ann.list("cam-1", entry["start"][:10]) == [entry]
    waits = ann.change("DELETE", path)
    assert (waits.status, waits.json["state"]) == (202, "deleting")
    assert ann.get(path).json["state"] == "deleting"
    site.cloud.clear_faults()
    assert ann.change("DELETE", path).json["state"] == "gone"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"keep":1}', b'{"keep":true,"x":1}', b"[true]"])
def test_keep_is_true_or_false(site: Site, ann: Viewer, body: bytes) -> None:
    site.store("cams/cam-1/clip.mp4")
    reconcile(site.archive)
    (entry,) = ann.get("/v1/recordings").json["recordings"]
    headers = {**ann.headers, "x-ossmedia-csrf": ann.csrf}
    answer = send(site.url, "PUT", f"/v1/recordings/{entry['id']}/keep", body, headers)
    assert answer.status == 400
    assert ann.get(f"/v1/recordings/{entry['id']}").json["keep"] is False
