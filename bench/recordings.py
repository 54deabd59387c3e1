"""The page's lists over 100,000 recordings: how long until the first byte, how much memory.

In flow a number of recordings, out flow milliseconds and bytes. Run as
``python -m bench.recordings [--count N] [--json]``.

The rule: the application server is a process of its own with SQLite. For each kind of question a
fresh server is warmed by the same questions over an empty camera, then asked on kept connections:
every page of the list once, from the first to the last, and each other question 40 times. "First
byte" is from the sent request to the first byte of the answer's head. Memory is the growth of the
server's high-water mark over all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.sink import ROOT

__all__ = ["GOAL_BYTES", "GOAL_S", "measure"]

GOAL_S, GOAL_BYTES = 1.0, 50 << 20
DAY = 1_749_945_600.0  # 2025-06-15
ASKED = 40
VIEWERS = 50
_BATCH = 2000

SETTINGS = """
database = "sqlite:///{folder}/server.db"
key_file = "{folder}/server.key"
[http]
port = 0
[sts]
role_arn = "acs:ram::1234567890123456:role/uploader"
[oss]
bucket = "cams"
endpoint = "http://127.0.0.1:1"
region = "cn-hangzhou"
[recordings]
reconcile_s = 0
"""


KINDS = ("day", "month", "hls")


def make(folder: Path, count: int, cameras: Sequence[str] = KINDS) -> str:
    """A database: a camera whose recordings all lie on one day, one with a month of files, one that
    records HLS without end. Returns the token of somebody who may see them."""
    from sqlalchemy import insert

    from ossmedia.server.database import Database
    from ossmedia.server.devices import Registry
    from ossmedia.server.parts import open_registry
    from ossmedia.server.passwords import Cost
    from ossmedia.server.people import People
    from ossmedia.server.schema import recordings
    from ossmedia.server.sealing import make_key_file
    from ossmedia.server.sessions import Sessions
    from ossmedia.server.settings import Settings

    path = folder / "ossmedia.toml"
    path.write_text(SETTINGS.format(folder=folder))
    settings = Settings.load(path, {})
    make_key_file(settings.key_file)
    database = Database(settings.database)
    database.upgrade()
    database.close()
    registry: Registry
    database, _, registry = open_registry(settings)
    for camera in ("none", *KINDS):
        registry.add(camera, key=False)

    for camera in cameras:
        for start in range(0, count, _BATCH):
            some = range(start, min(count, start + _BATCH))
            with database.writing() as connection:
                connection.execute(insert(recordings), [_row(camera, n, count) for n in some])
    person = People(database, cost=Cost(2, 1, 1)).add("ann", "a long password", admin=True)
    token = Sessions(database, 1e6, 1e6).begin(person)
    database.close()
    return token


def _row(camera: str, number: int, count: int) -> dict[str, Any]:
    """A row of the index."""
    from ossmedia.server.recordings import recording_id

    at = {"day": 86_400 / count, "month": 30 * 86_400 / count, "hls": 6.0}[camera] * number
    hls = camera == "hls"
    name = f"live/20250615/{number:08d}.ts" if hls else f"{number:07d}.mp4"
    key = f"cams/{camera}/{name}"
    return {
        "id": recording_id("cams", key),
        "bucket": "cams",
        "key": key,
        "camera": camera,
        "kind": "segment" if hls else "file",
        "size": 1 << 20,
        "etag": "0123456789ABCDEF0123456789ABCDEF",
        "crc64": "12345678901234567890",
        "position": None,
        "content_type": "video/mp2t" if hls else "video/mp4",
        "modified_at": DAY + at,
        "start_at": DAY + at,
        "duration_s": 6.0,
        "stream": "live" if hls else "",
        "sequence": number if hls else None,
        "discontinuity": False,
        "title": None,
        "state": "ready",
        "keep": False,
        "seen_by": "report",
        "seen_at": DAY + at,
        "created_at": DAY + at,
        "changed_at": DAY + at,
    }


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and process id."""
    words = [sys.executable, "-m", "ossmedia", "serve", "-c", str(folder / "ossmedia.toml")]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ}
    )
    try:
        assert process.stdout is not None
        port = int(json.loads(process.stdout.readline())["listening"].rpartition(":")[2])
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def spent(pid: int) -> float:
    """A process's own time in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def mark(pid: int) -> int:
    """A process's high-water mark of resident memory in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


class Browser:
    """A kept connection of somebody who is signed in."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: 127.0.0.1:{port}\r\nCookie: ossmedia={token}\r\n\r\n"

    def get(self, target: str) -> tuple[float, dict[str, Any]]:
        """Seconds until the first byte, and the answer."""
        request = f"GET {target} HTTP/1.1\r\n{self._head}".encode()
        began = time.perf_counter()
        self._connection.sendall(request)
        data = self._connection.recv(65_536)
        seconds = time.perf_counter() - began
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), data[:300]
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self._connection.recv(65_536)
        return seconds, json.loads(body)

    def pages(self, camera: str, query: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """Every page of a list: seconds until its first byte, and what it holds."""
        cursor = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            seconds, data = self.get(f"/v1/recordings?camera={camera}&limit=200{query}{more}")
            yield seconds, data
            cursor = data["next"]

    def close(self) -> None:
        self._connection.close()


def _questions(camera: str) -> dict[str, str]:
    return {
        "first page of a day": f"/v1/recordings?camera={camera}&day=2025-06-15",
        "first page of all": f"/v1/recordings?camera={camera}",
        "days of a month": f"/v1/days?camera={camera}&month=2025-06",
        "timeline of a day": f"/v1/timeline?camera={camera}&day=2025-06-15",
        "cameras": "/v1/cameras",
    }


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]


def measure(count: int) -> dict[str, Any]:
    """By camera and question, p95 of the first byte and the server's own time for one, in seconds;
    and the growth in bytes."""
    told: dict[str, Any] = {"count": count, "questions": {}}

    def note(question: str, times: list[float], cpu_s: float) -> None:
        told["questions"][question] = {"p95_s": _p95(times), "cpu_s": cpu_s / len(times)}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token = make(folder, count)
        with serving(folder) as (port, pid):
            browser = Browser(port, token)
            for target in _questions("none").values():
                for _ in range(20):
                    browser.get(target)
            before = mark(pid)
            for camera in KINDS:
                for question, target in _questions(camera).items():
                    began = spent(pid)
                    times = [browser.get(target)[0] for _ in range(ASKED)]
                    note(f"{camera}: {question}", times, spent(pid) - began)
                query = "&day=2025-06-15" if camera == "day" else ""
                began = spent(pid)
                times = [seconds for seconds, _ in browser.pages(camera, query)]
                note(f"{camera}: every page", times, spent(pid) - began)
            told["growth"] = mark(pid) - before
            began, times = spent(pid), _crowd(port, token)
            note(f"{VIEWERS} viewers at once", times, spent(pid) - began)
            told["growth with viewers"] = mark(pid) - before
            browser.close()
    return told


def _crowd(port: int, token: str) -> list[float]:
    """First bytes while many ask at once, each for the first page of a day of files."""

    def look(_: int) -> list[float]:
        browser = Browser(port, token)
        target = _questions("day")["first page of a day"]
        times = [browser.get(target)[0] for _ in range(20)]
        browser.close()
        return times

    with ThreadPoolExecutor(VIEWERS) as pool:
        return [seconds for times in pool.map(look, range(VIEWERS)) for seconds in times]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.recordings")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    told = measure(args.count)
    if args.json:
        print(json.dumps(told))
        return 0
    for question, told_of in told["questions"].items():
        first, own = told_of["p95_s"] * 1000, told_of["cpu_s"] * 1000
        goal = GOAL_S * 1000
        print(f"{question:32} p95 {first:8.1f} ms (goal {goal:.0f}), own time {own:7.1f} ms")
    for name in ("growth", "growth with viewers"):
        print(f"{name:32} {told[name]:,} bytes (goal {GOAL_BYTES:,})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
