"""The described interface against the running server, by schemathesis: whatever it makes up, as a
stranger, as a device that signs, as a person who is signed in, the server answers without a fault
of its own, and as /openapi.json says.

It runs as a program of its own: its pytest plugin would be loaded into every other run.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia.server.budget import MemorySchedule
from ossmedia.server.edge import ACCESS_LOG
from ossmedia.server.passwords import Cost
from ossmedia.server.people import People
from tests.routes.vod_rig import VodServer
from tests.unit.server.rig import send

PROGRAM = Path(sysconfig.get_path("scripts"), "schemathesis")
HOOKS = Path(__file__).with_name("schemathesis_device.py")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,unsupported_method,"
    "allow_header_conformance"
)
EXAMPLES = int(os.environ.get("OSSMEDIA_FUZZ_EXAMPLES", "3"))  # of each operation and phase
SEED = 20261123
DEVICES = r"^/v1/(credentials|reports|vod/(uploads|credentials))"
PEOPLE = r"^/v1/(session|cameras|days|timeline|recordings|playlists)"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def server(oss_emulator: Any, tmp_path: Path) -> Iterator[VodServer]:
    """On the local cloud; no limit of numbers is in the way, so that no 503 is to be expected."""
    if not PROGRAM.exists():
        pytest.skip("schemathesis is not installed: pip install 'ossmedia[test]'")
    oss_emulator.reset()
    folder = tmp_path / "server"
    folder.mkdir()
    limits = {"devices": {"requests_per_15_min": 100_000}}
    with VodServer(oss_emulator, folder, events=True, vod={"wait_s": 10}, **limits) as made:
        made.parts.enrolments = MemorySchedule(100_000)
        yield made


class Seen(logging.Handler):
    """The server's access log: how often each operation answered with each status."""

    def __init__(self, url: str) -> None:
        super().__init__(logging.INFO)
        self._operations = {
            name: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(name)))
            for name in described(url)
        }
        self.counts: Counter[tuple[str, int]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(record.getMessage())
        asked = f"{line['method']} {line['path']}"
        for name, form in self._operations.items():
            if form.fullmatch(asked):
                self.counts[(name, line["status"])] += 1

    def reached(self, status: int) -> set[str]:
        return {operation for operation, seen in self.counts if seen == status}


@pytest.fixture
def seen(server: VodServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    made, log = Seen(server.url), logging.getLogger(ACCESS_LOG)
    monkeypatch.setattr(log, "handlers", [made])
    monkeypatch.setattr(log, "propagate", False)
    level = log.level
    log.setLevel(logging.INFO)
    yield made
    log.setLevel(level)


def fuzz(folder: Path, url: str, *words: str, device: str = "") -> None:
    """One run without a finding."""
    line = [
        *(str(PROGRAM), "run", f"{url}/openapi.json", "--no-color", "--warnings", "off"),
        *("--max-examples", str(EXAMPLES), "--seed", str(SEED), "--max-failures", "20"),
        *("--generation-database", "none", "--phases", "coverage,fuzzing"),
        *words,
    ]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "OSSMEDIA_TEST_DEVICE": device}
    done = subprocess.run(
        line, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def described(url: str) -> dict[str, Any]:
    """Operations by method and path."""
    paths = send(url, "GET", "/openapi.json").json["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_strangers(server: VodServer, seen: Seen, tmp_path: Path) -> None:
    """Every operation; what needs somebody's word is closed to them."""
    fuzz(tmp_path, server.url, "--checks", f"{CHECKS},ignored_auth")
    operations = described(server.url)
    assert {operation for operation, _ in seen.counts} >= set(operations)
    closed = {name for name, operation in operations.items() if operation.get("security")}
    assert len(closed) > 10
    assert closed <= seen.reached(401)
    assert not closed & seen.reached(200)
    assert server.cloud.counters()["requests"].get("Rpc", 0) == 0


def test_a_device(server: VodServer, seen: Seen, tmp_path: Path) -> None:
    """Signed requests: what lies behind authentication is reached, and holds."""
    words = ["--checks", CHECKS, "--include-path-regex", DEVICES]
    fuzz(tmp_path, server.url, *words, device=f"cam-1 {server.key('cam-1')}")
    assert {"POST /v1/credentials", "POST /v1/vod/credentials"} <= seen.reached(200)
    assert {"POST /v1/credentials", "POST /v1/reports"} <= seen.reached(400)
    assert not any(status >= 500 for _, status in seen.counts)


def test_a_person(server: VodServer, seen: Seen, tmp_path: Path) -> None:
    """Somebody who may see all cameras."""
    people = People(server.database, server.parts.clock, Cost(2, 1, 1))
    people.add("anna", "a long password", admin=True)
    server.key("0")  # a camera with a name that is soon found
    sign_in = json.dumps({"name": "anna", "password": "a long password"}).encode()
    told = send(server.url, "POST", "/v1/session", sign_in, {"Content-Type": "application/json"})
    cookie = told.headers["set-cookie"].split(";")[0]
    words = ["--checks", CHECKS, "--include-path-regex", PEOPLE]
    words += ["--exclude-operation-id", "signOut", "-H", f"Cookie:{cookie}"]
    words += ["-H", f"x-ossmedia-csrf:{told.json['csrf']}"]
    fuzz(tmp_path, server.url, *words)
    assert {"GET /v1/cameras", "GET /v1/recordings"} <= seen.reached(200)
    assert "GET /v1/recordings/{id}" in seen.reached(404)
    assert not any(status >= 500 for _, status in seen.counts)
    still = send(server.url, "GET", "/v1/session", b"", {"Cookie": cookie})
    assert still.json["person"]["name"] == "anna"  # the session held to the end
