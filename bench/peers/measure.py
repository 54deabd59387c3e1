"""Runs one peer's process at one scenario's work, on a core of its own, and looks at the sink
afterwards whether the bytes arrived.

In flow a peer and a scenario, out flows what the process used, or the reason why not. A failed run
never becomes a figure.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from bench.peers.client import BUCKET, places
from bench.peers.scenarios import Peer, Scenario, scaled
from bench.sink import FOLDER, ROOT, build

__all__ = [
    "CORES",
    "Failed",
    "Place",
    "Run",
    "Served",
    "command",
    "environment",
    "missing",
    "pinned",
    "run",
    "whole",
]

TIMEOUT_S = 300
CORES = sorted(os.sched_getaffinity(0))
VENV = ROOT / ".venv-peers" / "bin" / "python"


class Failed(Exception):
    """Why a run gave no figure."""


@dataclass
class Run:
    """What one run used: seconds, bytes, counts; ``value`` in the scenario's unit."""

    used: dict[str, float]
    value: float


@dataclass
class Place:
    """Where the payloads, frames and certificates of a run lie, made once each."""

    folder: Path
    files: dict[str, str] = field(default_factory=dict)

    def payload(self, size: int) -> str:
        """A file of so many bytes that nobody can compress; the same for everyone."""
        path = self.folder / f"payload-{size}"
        if not path.exists():
            piece = Random(1).randbytes(1 << 22)
            with path.open("wb") as f:
                for at in range(0, size, len(piece)):
                    f.write(piece[: size - at])
        return str(path)

    def frames(self, count: int) -> tuple[str, list[int]]:
        """Sizes of frames: 8 to 60 KiB, 22 KiB on average, the large ones rare; and their file."""
        sizes = [round(8192 + 53_248 * (n / 63) ** 2.71) for n in range(64)]
        random = Random(2)
        chosen = [random.choice(sizes) for _ in range(count)]
        path = self.folder / f"frames-{count}"
        path.write_text("\n".join(map(str, chosen)))
        return str(path), chosen

    def authority(self) -> tuple[str, str]:
        """A certificate for 127.0.0.1 that is its own authority, and its key.

        Raises:
            Failed: there is no openssl program.
        """
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        if shutil.which("openssl") is None:
            raise Failed("the openssl program is needed to make a certificate")
        if not certificate.exists():
            make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
            make += " -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
            files = ["-keyout", str(key), "-out", str(certificate)]
            subprocess.run([*make.split(), *files], check=True, capture_output=True)
        return str(certificate), str(key)


class Served:
    """A sink for one scenario: on the first core, never asleep, as kind as can be to others."""

    def __init__(self, scenario: Scenario, place: Place, *, spin: bool) -> None:
        arguments = ["--honest" if scenario.crc else "--drop", *(["--spin"] if spin else [])]
        self.ca = ""
        if scenario.tls:
            self.ca, key = place.authority()
            arguments += ["--tls", self.ca, key, scenario.suite]
        self._process = subprocess.Popen(
            [*pinned(CORES[0]), "nice", "-n", "19", str(build()), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise Failed(self._process.stderr.read().decode().strip() or "the sink did not start")
        self.endpoint: str = json.loads(line)["endpoint"]

    def stored(self, key: str) -> tuple[int, int | None]:
        """Bytes of an object, and their CRC-64 when bodies are read."""
        host = self.endpoint.rpartition("/")[2]
        link: http.client.HTTPConnection
        if self.ca:
            context = ssl.create_default_context(cafile=self.ca)
            link = http.client.HTTPSConnection(host, timeout=10, context=context)
        else:
            link = http.client.HTTPConnection(host, timeout=10)
        try:
            link.request("HEAD", f"/{BUCKET}/{key}")
            answer = link.getresponse()
            if answer.status != 200:
                raise Failed(f"nothing was stored: HEAD of {key} answers {answer.status}")
            crc64 = answer.getheader("x-oss-hash-crc64ecma")
            return int(answer.getheader("content-length") or -1), int(crc64) if crc64 else None
        finally:
            link.close()

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pinned(core: int) -> list[str]:
    """The words before a command that keep it on a core; none where that cannot be."""
    if len(CORES) < 2 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(core)]


@functools.cache
def missing(peer: Peer) -> str:
    """Why a peer cannot run here; "" when it can."""
    if peer.program == "curl":
        return "" if shutil.which("curl") else "the curl program is not installed"
    if peer.program:
        made = (FOLDER / peer.program).exists()
        return "" if made else f"{peer.program} was not built: libcurl's headers are not there"
    if peer.own:
        return ""
    if not VENV.exists():
        return "no .venv-peers: make peers"
    found = subprocess.run(
        [VENV, "-c", f"import {peer.package}"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        return f"{peer.package} cannot be imported: {found.stderr.strip().splitlines()[-1]}"
    return ""


def command(peer: Peer, given: dict[str, object]) -> list[str]:
    """The peer's command line for the work."""
    words = [w for k, v in given.items() if v not in ("", 0) for w in (f"--{k}", str(v))]
    if peer.program:
        return [str(FOLDER / peer.program), *words, *peer.options]
    python = sys.executable if peer.own else str(VENV)
    return [python, "-m", "bench.peers.client", peer.name, *words]


def run(peer: Peer, scenario: Scenario, sink: Served, place: Place, scale: float) -> Run:
    """One run, checked.

    Raises:
        Failed: it ended badly, or what was stored is not what was sent.
    """
    size, count = scaled(scenario, scale, peer)
    frames, sizes = place.frames(count) if scenario.what == "camera" else ("", [])
    total = sum(sizes) if sizes else size * count
    from_file = scenario.what in ("file", "parts")
    # From memory the client reads at most eight blobs of it.
    payload = place.payload(total if from_file else max(size * min(count, 8), 1 << 22))
    given = {
        "endpoint": sink.endpoint,
        "what": scenario.what,
        "size": size,
        "count": count,
        "payload": payload,
        "frames": frames,
        "ca": sink.ca,
        "pace": scenario.pace,
        "crc": int(scenario.crc and not peer.program),
    }
    used = _curl(payload, sink) if peer.program == "curl" else _client(command(peer, given))
    _check(sink, str(used.pop("key")), scenario, payload, (size, count, sizes))
    gib = total / (1 << 30)
    value = used["cpu"] / gib if scenario.per == "GiB" else used["cpu"] * 1e6 / count
    return Run(used, value)


def environment() -> dict[str, str]:
    """A peer's: no proxy, no settings of the user's, nothing asked on the network."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    return kept | {
        "PYTHONHASHSEED": "0",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


def _client(words: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [*pinned(CORES[-1]), *words],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {TIMEOUT_S} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no word why"]
        raise Failed(f"status {done.returncode}: {lines[-1][:200]}")
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    return found


def whole(words: list[str]) -> dict[str, Any]:
    """What a process used from its start to its end, and what it printed as JSON.

    Raises:
        Failed: it ended badly, or not in time.
    """
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as out:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*pinned(CORES[-1]), *words], cwd=ROOT, env=environment(), stdout=out, stderr=errors
        )
        guard = threading.Timer(TIMEOUT_S, process.kill)
        guard.start()
        _, status, used = os.wait4(process.pid, 0)
        guard.cancel()
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise Failed(f"status {process.returncode}: {errors.read().decode().strip()[-200:]}")
        out.seek(0)
        printed: dict[str, Any] = {}
        for line in out.read().decode().splitlines():
            printed |= json.loads(line)
    # The kernel's own mark would count this process, which the child was before it was itself.
    known = {"growth": used.ru_maxrss * 1024, "peak": used.ru_maxrss * 1024} | {
        name: value for name, value in printed.items() if name in ("growth", "peak")
    }
    return {
        **printed,
        "cpu": used.ru_utime + used.ru_stime,
        "user": used.ru_utime,
        "sys": used.ru_stime,
        "wall": wall,
        "switches": used.ru_nvcsw + used.ru_nivcsw,
        **known,
    }


def _curl(path: str, sink: Served) -> dict[str, Any]:
    """The curl program: a process for the whole file, so its start counts, too."""
    trust = ["--cacert", sink.ca] if sink.ca else []
    url = f"{sink.endpoint}/{BUCKET}/peers-curl-0"
    words = ["curl", "-sS", "--fail", "-o", "/dev/null", *trust, "-T", path, url]
    return whole(words) | {"key": "peers-curl-0"}


def _check(
    sink: Served,
    key: str,
    scenario: Scenario,
    payload: str,
    work: tuple[int, int, list[int]],
) -> None:
    """What the sink holds under the key must be what was to be sent."""
    from ossmedia import crc64, crc64_combine

    size, count, sizes = work
    with open(payload, "rb") as f:
        data = f.read(size * min(count, 8) if scenario.what in ("put", "append") else -1)
    view = memoryview(data)
    if scenario.what == "camera":
        pieces = sizes
        crcs = {n: crc64(view[at : at + n]) for n, at in places(sizes).items()}
        each = [crcs[n] for n in sizes]
    elif scenario.what == "append":
        pieces = [size] * count
        blobs = [crc64(view[at : at + size]) for at in range(0, len(data), size)]
        each = [blobs[i % len(blobs)] for i in range(count)]
    else:
        pieces = [size if scenario.what == "put" else len(data)]
        each = [crc64(view[: pieces[0]])]
    length, crc = 0, 0
    for n, one in zip(pieces, each, strict=True):
        length, crc = length + n, crc64_combine(crc, one, n)
    found = sink.stored(key)
    if found[0] != length or found[1] not in (None, crc):
        raise Failed(f"stored were {found[0]} bytes, CRC-64 {found[1]}; sent {length}, {crc}")
