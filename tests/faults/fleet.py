"""A fleet of cameras in a few processes, behind a bad network, with short tokens, a cloud that is
killed twice, and an outage."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from tests.faults.proxy import FaultProxy
from tests.faults.tally import Tally

__all__ = ["fleet"]

ROOT = Path(__file__).parent.parent.parent
SIZE, INTERVAL_S = 64 << 10, 5.0
RESET, LOST, UNAVAILABLE = 0.01, 0.01, 0.005


class Cloud:
    """The fleet's cloud in a process of its own."""

    def __init__(self, folder: Path, seed: int, life_s: float) -> None:
        self.token = folder / "token.json"
        self._orders = {
            "data": str(folder / "cloud"),
            "port": 0,
            "token": str(self.token),
            "life_s": life_s,
            "unavailable": UNAVAILABLE,
            "seed": seed,
        }
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.faults.fleet_cloud", json.dumps(self._orders)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.endpoint = json.loads(self._process.stdout.readline())["endpoint"]
        self._orders["port"] = int(self.endpoint.rpartition(":")[2])

    def restart(self) -> None:
        """kill -9, and a new life on the same port and data."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._process.stdout.close()

    def objects(self) -> dict[str, tuple[int, int]]:
        """Size and CRC-64 of each object, from the stopped cloud's own table."""
        with closing(sqlite3.connect(f"{self._orders['data']}/cloud.db")) as db:
            rows = db.execute("SELECT key, size, crc FROM objects")
            return {bytes(key).decode(): (size, int(crc)) for key, size, crc in rows}


def fleet(
    seed: int,
    folder: Path,
    *,
    cameras: int,
    processes: int,
    seconds: float,
    outage_s: float,
    life_s: float = 60,
    limit_mib: float = 320,
) -> Tally:
    """All of them film for so long; restarts at 1/4 and 3/4 of the time, the outage at half.

    Args:
        life_s: of each token. limit_mib: for all client processes together.
    """
    tally = Tally(f"fleet of {cameras} cameras, {seconds:.0f} s", seed)
    folder.mkdir(parents=True, exist_ok=True)
    cloud = Cloud(folder, seed, life_s)
    with FaultProxy(cloud.endpoint, seed=seed) as proxy:
        faults = [
            proxy.fault("reset", side="request", at=30_000, times=0, chance=RESET / 2),
            proxy.fault("reset", side="answer", at=100, times=0, chance=RESET / 2),
            proxy.fault("swallow", times=0, chance=LOST),
        ]
        lives = [
            _start(folder, cloud, proxy, seed, number, cameras // processes, seconds)
            for number in range(processes)
        ]
        heard: list[list[dict]] = [[] for _ in lives]
        readers = [
            threading.Thread(target=_hear, args=(life, into))
            for life, into in zip(lives, heard, strict=True)
        ]
        for reader in readers:
            reader.start()
        _trouble(tally, cloud, proxy, seconds, outage_s)
        for reader in readers:
            reader.join()
        for life in lives:
            life.wait()
        tally.tried = sum(fault.hits for fault in faults) + 3
        tally.notes["requests"] = len(proxy.exchanges)
    cloud.stop()
    _judge(tally, cloud.objects(), [line for lines in heard for line in lines], cameras)
    used = tally.notes["client MiB"]
    tally.expect(used <= limit_mib, f"{used} MiB of client memory")
    return tally


def _start(folder, cloud, proxy, seed, number, count, seconds) -> subprocess.Popen[str]:
    orders = {
        "folder": str(folder / f"spool{number}"),
        "endpoint": proxy.endpoint,
        "token": str(cloud.token),
        "keys": [f"fleet/{number}-{camera}.ts" for camera in range(count)],
        "seed": seed + number,
        "size": SIZE,
        "interval_s": INTERVAL_S,
        "seconds": seconds,
        "spool": {"max_bytes": 4 << 30, "commit_interval": 10.0},
        "drain_s": 300,
    }
    command = [sys.executable, "-m", "tests.faults.fleet_camera", json.dumps(orders)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _hear(life: subprocess.Popen[str], into: list[dict]) -> None:
    assert life.stdout is not None
    with life.stdout:
        into.extend(json.loads(line) for line in life.stdout)


def _trouble(tally: Tally, cloud: Cloud, proxy: FaultProxy, seconds: float, outage_s: float):
    """Kills the cloud at 1/4 and 3/4; at half every connection is refused for a while."""
    start = time.monotonic()
    _wait_until(start + seconds / 4)
    normal = len(proxy.exchanges) / (seconds / 4)
    cloud.restart()
    _wait_until(start + seconds / 2)
    before = proxy.connections + len(proxy.exchanges)
    proxy.refuse()
    _wait_until(start + seconds / 2 + outage_s)
    tried = proxy.connections + len(proxy.exchanges) - before
    proxy.heal()
    share = tried / outage_s / normal
    tally.notes["rate in the outage"] = round(share, 3)
    if outage_s >= 30:  # back-off needs some time to grow
        tally.expect(share <= 0.2, f"requests in the outage: {share:.2f} of the normal rate")
    _wait_until(start + seconds * 3 / 4)
    cloud.restart()


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _judge(tally: Tally, objects: dict, heard: list[dict], cameras: int) -> None:
    told = {line["camera"]: (line["size"], line["crc"]) for line in heard if "camera" in line}
    tally.expect(len(told) == cameras, f"{len(told)} of {cameras} cameras came to their end")
    for key, wrote in told.items():
        if objects.get(key) != wrote:
            tally.lost += 1
            tally.expect(False, f"{key}: wrote {wrote}, stored {objects.get(key)}")
    ends = [line for line in heard if "drained" in line]
    tally.expect(all(line["drained"] and not line["balance"] for line in ends), f"{ends}")
    peaks = [line["peak_mib"] for line in heard if "peak_mib" in line]
    tally.notes["client MiB"] = round(sum(peaks))
    tally.notes["threads"] = sum(line.get("threads", 0) for line in heard)
    tally.notes["forks"] = sum(line.get("forks", 0) for line in heard)
    tally.notes["GiB"] = round(sum(size for size, _ in told.values()) / (1 << 30), 2)
