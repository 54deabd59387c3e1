"""The main job on one machine: a local cloud, an application server, a camera process that knows
nothing but its device key, and the page where its recordings are.

In flows the clip shipped with the package, out flows a receipt. It claims nothing it did not
compare: the exit status is 0 only if every line of the receipt holds. On a terminal it goes on
serving until it is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ossmedia import (
    AccessDenied,
    AppServerCredentials,
    Bucket,
    Credentials,
    StreamBroken,
    crc64,
    vod,
)
from ossmedia.demo_live import LIVE
from ossmedia.demo_site import BUCKET, CAMERA, Site, Visitor, fetch, site
from ossmedia.report import AppServerReports
from ossmedia.vod_tickets import AppServerTickets

CLIP = Path(__file__).parent / "data" / "clip.mp4"
PREFIX = f"cams/{CAMERA}"
WHOLE, GROWING = f"{PREFIX}/clip.mp4", f"{PREFIX}/live.mp4"
OUTSIDE = "cams/cam-02/clip.mp4"
CLIP_S = 8.0
PIECE = 1024  # bytes per write, about what an encoder hands out
PER_SYNC = 8
PAUSE_S = 0.1  # between syncs, so that a reader has something to follow
LOOKED_FOR_S = 60.0


def bucket_for(ready: dict[str, Any], credentials: Any) -> Bucket:
    return Bucket(
        BUCKET, endpoint=ready["endpoint"], region=ready["region"], credentials=credentials
    )


# -- the camera: a process with a device key and nothing else


def camera(endpoint: str, region: str, url: str, key_file: str) -> int:
    """Stores the clip in three ways and tries one key outside its scope; tells what it did as lines
    of JSON."""
    clip = CLIP.read_bytes()
    identity = (url, CAMERA, Path(key_file))
    token = AppServerCredentials(*identity, allow_insecure=True)
    with bucket_for({"endpoint": endpoint, "region": region}, token) as cams:
        began = time.time()
        with cams.open(WHOLE, "wb", content_type="video/mp4", block_size=102_400) as whole:
            whole.write(clip)
        assert whole.result is not None
        told = AppServerReports(*identity, allow_insecure=True)
        _say(reported=told.report(whole.result, start_at=began, duration_s=CLIP_S))
        _say(whole=whole.result.to_json())
        with cams.open(GROWING, "ab", content_type="video/mp4") as growing:
            for at in range(0, len(clip), PIECE):
                growing.write(clip[at : at + PIECE])
                if at // PIECE % PER_SYNC == PER_SYNC - 1:
                    growing.sync(30)
                    time.sleep(PAUSE_S)
        _say(growing=growing.result and growing.result.to_json())
        _say(vod=_to_vod(endpoint, *identity))
        try:
            with cams.open(OUTSIDE, "wb") as outside:
                outside.write(b"not mine")
        except StreamBroken as error:
            cause = error.__cause__
            _say(refused=isinstance(cause, AccessDenied), why=str(cause))
        else:
            _say(refused=False, why="it was stored")
        _say(stats=cams.stats())
    return 0


def _to_vod(endpoint: str, url: str, device: str, key_file: Path) -> dict[str, Any]:
    """The clip by a ticket of VOD that the application server asked for."""
    hosts = (endpoint,)
    tickets = AppServerTickets(url, device, key_file, allowed_hosts=hosts, allow_insecure=True)
    ticket = tickets.create("the door", CLIP.name, CLIP.stat().st_size)
    receipt = vod.upload(CLIP, ticket, refresh=tickets.refresh)
    return {"media_id": ticket.media_id, "size": receipt.size, "crc64": str(receipt.crc64)}


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def start_camera(place: Site, rounds: int = 0) -> subprocess.Popen[str]:
    """A process whose environment holds no credentials at all. ``rounds``: of the clip, live."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
        if name in os.environ
    }
    words = ["ossmedia.demo_live", str(CLIP), str(rounds)]
    command = [sys.executable, "-m", *(words if rounds else ["ossmedia.demo", "--camera"])]
    command += [place.cloud["endpoint"], place.cloud["region"], place.url, str(place.key_file)]
    return subprocess.Popen(  # ^C is for us; we end it in order
        command, stdout=subprocess.PIPE, text=True, env=kept, start_new_session=True
    )


# -- the reader and the receipt


def follow(cams: Bucket, key: str, process: subprocess.Popen[str]) -> tuple[bytes, int]:
    """Reads the object while it grows. Returns its bytes and in how many pieces they came."""
    seen, pieces = bytearray(), 0
    while True:
        ended = process.poll() is not None
        try:
            with cams.open(key) as reader:
                reader.seek(len(seen))
                more = reader.read()
        except FileNotFoundError:
            more = b""
        if more:
            seen += more
            pieces += 1
        elif ended:
            return bytes(seen), pieces
        time.sleep(PAUSE_S / 4)


def check(
    report: dict[str, Any], cams: Bucket, followed: tuple[bytes, int]
) -> list[tuple[str, str, bool]]:
    """The receipt: what was done, its figures, and whether it holds."""
    clip = CLIP.read_bytes()
    crc = crc64(clip)
    lines: list[tuple[str, str, bool]] = []
    for name, key in (("whole", WHOLE), ("growing", GROWING)):
        sent, stat = report[name], cams.stat(key)
        with cams.open(key) as reader:
            back = reader.read()
        good = (
            back == clip
            and stat.crc64 == crc == sent["crc64"]
            and stat.size == sent["size"] == len(clip)
        )
        text = (
            f"{stat.size} bytes, {stat.type}, {sent['requests']} requests, "
            f"CRC-64 camera {sent['crc64']} OSS {stat.crc64}"
        )
        lines.append((key, text, good))
    data, pieces = followed
    lines.append(
        ("read while it grew", f"{len(data)} bytes in {pieces} pieces", data == clip and pieces > 1)
    )
    absent = not list(cams.list(OUTSIDE.rsplit("/", 1)[0] + "/")) if report["refused"] else False
    lines.append((f"write to {OUTSIDE}", f"refused: {report['why']}", report["refused"] and absent))
    return lines


def look(visitor: Visitor, report: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """What a person sees on the page: the camera, its recordings, the clip behind a signed URL."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    end = time.monotonic() + LOOKED_FOR_S
    while True:
        found = visitor.ask("/v1/recordings", camera=CAMERA, day=day)["recordings"]
        rows = {row["key"]: row for row in found}
        kinds = sorted(row["kind"] for row in found)
        if ({WHOLE, GROWING} <= set(rows) and _has_all(found)) or time.monotonic() > end:
            break
        time.sleep(PAUSE_S)
    cameras = [row["id"] for row in visitor.ask("/v1/cameras")["cameras"]]
    url = visitor.ask(f"/v1/recordings/{rows[WHOLE]['id']}/url")["url"] if WHOLE in rows else ""
    played = bool(url) and fetch(url) == CLIP.read_bytes()
    text = f"{len(found)} recordings ({', '.join(kinds)}) of {', '.join(cameras)}"
    media = report["vod"]["media_id"]
    streams = [row for row in found if row["kind"] == "hls"]
    lists = [visitor.text(row["playlist"]) for row in streams]
    segments = sum(text.count("#EXTINF:") for text in lists)
    seconds = sum(row["duration_s"] for row in streams)
    live = f"{report['frames']} frames, {segments} segments in the page's playlist, {seconds:.2f} s"
    return [
        (LIVE, live, len(streams) == 1 and segments == len(report["segments"]) > 1),
        ("the page", text, cameras == [CAMERA] and {WHOLE, GROWING} <= set(rows)),
        ("a signed URL of the page", "the clip, byte for byte", played),
        ("VOD by ticket", f"medium {media}, {report['vod']['size']} bytes", "vod" in kinds),
        ("the camera's report", report["reported"], report["reported"] == "recorded"),
    ]


def _has_all(found: list[dict[str, Any]]) -> bool:
    """VOD's medium, and a stream as long as the clip."""
    vod = any(row["kind"] == "vod" for row in found)
    return vod and any(row["kind"] == "hls" and row["duration_s"] > CLIP_S - 0.5 for row in found)


def run() -> int:
    with site() as place:
        ready = place.cloud
        owner = Credentials(ready["access_key_id"], ready["access_key_secret"])
        print(f"local cloud      {ready['endpoint']} (OSS, STS, VOD), bucket {BUCKET}")
        print(f"app server       {place.url}, one device: {CAMERA}")
        print(f"camera           sends {CLIP.name} (H.264 + AAC); it has its device key alone")
        process, streaming = start_camera(place), start_camera(place, rounds=1)
        with bucket_for(ready, owner) as cams:
            followed = follow(cams, GROWING, process)
            report = {**told_by(process), **told_by(streaming)}
            lines = check(report, cams, followed) + look(Visitor(place), report)
        for name, text, good in lines:
            print(f"{'ok ' if good else 'NOT'}  {name}: {text}")
        print(f"     camera in all: {report['stats']}")
        print(f"page             {place.url}/ (name {place.person}, password {place.password})")
        if sys.stdout.isatty() and sys.stdin.isatty():
            _serve(place)
    return 0 if all(good for _, _, good in lines) else 1


def told_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    """All that a camera said."""
    assert process.stdout is not None
    report: dict[str, Any] = {}
    for line in process.stdout:
        report.update(json.loads(line))
    if process.wait() != 0:
        raise RuntimeError(f"a camera ended with status {process.returncode}")
    return report


def _serve(place: Site) -> None:
    """Goes on, the camera live, until somebody stops it."""
    streaming = start_camera(place, rounds=100_000)
    try:
        print("live on the page; ^C ends it", flush=True)
        streaming.wait()
    except KeyboardInterrupt:
        print()
    finally:
        streaming.terminate()
        streaming.wait()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="ossmedia demo", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument(
        "--camera", nargs=4, metavar=("ENDPOINT", "REGION", "URL", "KEY"), help=argparse.SUPPRESS
    )
    args = parser.parse_args(argv)
    return camera(*args.camera) if args.camera else run()


if __name__ == "__main__":
    sys.exit(main())
