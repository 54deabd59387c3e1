"""What the spool costs: a recording through it next to one straight to OSS in the same rounds, how
long 1 GiB of backlog takes to open, and how much is written to the disk for a byte of video.

Two counts of the disk: what this process made the kernel write (``write_bytes`` of /proc/self/io,
SQLite and its log included), and what stands in the spool's directory at the end. The file system's
own journal is in neither.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN
from bench.rounds import compare, record
from bench.sink import ROOT
from ossmedia import Bucket, Credentials, Spool

MIB = 1 << 20
RECORDING = 64 * MIB
FRAME = 22 * 1024
FRAMES = [random.Random(number).randbytes(FRAME) for number in range(64)]
PICTURES = 25  # a second


def write(there: Bucket, key: str, mode: str) -> None:
    with there.open(key, mode) as file:
        for number in range(RECORDING // FRAME):
            file.write(FRAMES[number % len(FRAMES)])


@pytest.fixture
def plain(sink):
    """The bench's sink: plain HTTP at the speed of memory."""
    return {
        "endpoint": sink.endpoint,
        "region": REGION,
        "credentials": Credentials(KEY_ID, KEY_SECRET, TOKEN),
    }


@pytest.fixture
def https(tmp_path):
    """The local cloud over TLS, in a process of its own; it keeps no content."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is needed to make a certificate")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    make += " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    command = [*make.split(), "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    command = [sys.executable, "-m", "ossmedia.emulator", "--discard", "--bucket", BUCKET]
    command += ["--port", "0", "--tls-cert", certificate, "--tls-key", key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as cloud:
        try:
            told = json.loads(cloud.stdout.readline())
            yield {
                "endpoint": told["endpoint"],
                "region": told["region"],
                "credentials": Credentials(told["access_key_id"], told["access_key_secret"]),
                "ca_file": certificate,
            }
        finally:
            cloud.terminate()


@pytest.mark.parametrize("clock", [time.perf_counter, time.process_time], ids=["wall", "cpu"])
@pytest.mark.parametrize("mode", ["wb", "ab"])
@pytest.mark.parametrize("server", ["https", "plain"])
def test_throughput(benchmark, request, tmp_path, server, mode, clock):
    """From the first frame until OSS has confirmed the last, the disk included: what ``direct`` is
    of it is the share of the throughput that is left. ``disk``: the same frames into a bare file
    and ``fdatasync``, with no header, no CRC and no delivery; no spool can be quicker."""
    options = request.getfixturevalue(server)
    keys = iter(range(1_000_000))

    def direct():
        with Bucket(BUCKET, **options) as there:
            write(there, f"direct/{mode}/{clock.__name__}/{next(keys)}", mode)
        return RECORDING // MIB

    def disk():
        path = tmp_path / "bare"
        with path.open("wb", buffering=0) as file:
            for number in range(RECORDING // FRAME):
                file.write(FRAMES[number % len(FRAMES)])
            os.fdatasync(file.fileno())
        path.unlink()
        return RECORDING // MIB

    with Spool(tmp_path / "spool") as spool, Bucket(BUCKET, spool=spool, **options) as there:

        def spooled():
            write(there, f"spooled/{mode}/{clock.__name__}/{next(keys)}", mode)
            assert spool.drain(120), spool.status()
            return RECORDING // MIB

        compare(
            benchmark,
            f"{RECORDING // MIB} MiB through the spool, {server}, {mode}, {clock.__name__}",
            spooled,
            {"direct": direct, "disk": disk},
            clock=clock,
            unit="ms a MiB",
        )
        assert spool.status().balance == 0


KILLED = """
import os, sys
from ossmedia import Spool
frame = os.urandom(22 * 1024)
spool = Spool(sys.argv[1], max_bytes=2 << 30, min_free=0)
for number in range(16):
    f = spool.open("cams", f"clip-{number}", "ab")
    for _ in range((64 << 20) // len(frame)):
        f.write(frame)
    if number < 15:
        f.close()
os._exit(0)  # as kill -9 would: nothing is closed
"""


def test_opening_a_gibibyte(benchmark, tmp_path):
    """Fifteen recordings that had ended and one that was killed, none of it in memory."""
    full = tmp_path / "full"
    subprocess.run([sys.executable, "-c", KILLED, str(full)], check=True, cwd=ROOT, timeout=300)
    size = sum(path.stat().st_size for path in (full / "data").iterdir())
    assert size >= 1000 * MIB
    rounds = iter(range(1000))
    times = []

    def fresh():
        copy = tmp_path / f"copy-{next(rounds)}"
        (copy / "data").mkdir(parents=True, mode=0o700)
        for path in (full / "data").iterdir():
            os.link(path, copy / "data" / path.name)
            forget(path)
        for path in full.glob("state.db*"):
            shutil.copy(path, copy)
        return (copy,), {}

    def opened(copy):
        begin = time.perf_counter()
        spool = Spool(copy, max_bytes=2 << 30, min_free=0)
        times.append(time.perf_counter() - begin)
        status = spool.status()
        spool.close()
        shutil.rmtree(copy)
        assert (status.waiting, status.balance, status.torn) == (16, 0, 0)
        assert status.spooled == status.written >= 1000 * MIB

    benchmark.pedantic(opened, setup=fresh, rounds=5)
    middle = {"median": sorted(times)[2], "longest": max(times)}
    record(benchmark, f"opening a spool of {size / 2**30:.2f} GiB after a kill", "s", middle, {})


def forget(path: Path) -> None:
    """The file's pages leave the kernel's memory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def written() -> int:
    """Bytes that this process caused to be written to a disk."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def on_disk(folder: Path) -> int:
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and "reserve" not in path.name
    )


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
@pytest.mark.parametrize("mbit", [1, 2, 8])
def test_flash_wear(benchmark, plain, tmp_path, mbit, online):
    """A minute of H.264, one large picture a second and small ones between, a commit each second;
    "online": it is delivered meanwhile."""
    folder = tmp_path / "spool"
    dice = random.Random(mbit)
    bytes_a_second = mbit * 1_000_000 // 8
    small = bytes_a_second * 8 // 10 // (PICTURES - 1)
    sizes = {}

    def film():
        with Spool(folder, commit_interval=3600.0, min_free=0) as spool:
            began, stood = written(), on_disk(folder)
            there = Bucket(BUCKET, spool=spool, **plain) if online else None
            total = 0
            file = spool.open(BUCKET, "live", "ab", linger_s=0.0)
            for _ in range(60):
                for picture in range(PICTURES):
                    large = bytes_a_second - small * (PICTURES - 1)
                    size = large if picture == 0 else int(small * dice.uniform(0.7, 1.3))
                    total += file.write(FRAMES[0] * (size // FRAME) + FRAMES[1][: size % FRAME])
                spool.commit()
            file.close()
            if there is not None:
                assert spool.drain(60)
                there.close()
            spool.commit()
            sizes["written"] = (written() - began) / total
            sizes["in the directory"] = (on_disk(folder) - stood) / total

    benchmark.pedantic(film, rounds=1)
    record(
        benchmark,
        f"bytes on the disk for a byte of video, {mbit} Mbit/s, {'on' if online else 'off'}line",
        "bytes",
        {name: value for name, value in sizes.items() if value > 0.5},
        {},
    )
    assert 0.9 < sizes["written"] <= (1.02 if mbit > 1 else 1.03)  # pages, no times
