"""kill -9 at any instant: what was acknowledged is there, what was not is whole or absent."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from ossmedia.emulator import crc64
from ossmedia.emulator.serve import Emulator


@pytest.fixture
def start(tmp_path, client_of):
    """Starts the program on one data directory; gives the process and a client."""
    running = []

    def begin():
        process = subprocess.Popen(
            [sys.executable, "-m", "ossmedia.emulator", "--data", tmp_path, "--bucket", "cams"],
            stdout=subprocess.PIPE,
            text=True,
        )
        facts = json.loads(process.stdout.readline())
        client = client_of(SimpleNamespace(**facts))
        running.append((process, client))
        return process, client

    yield begin
    for process, client in running:
        client.connection.close()
        process.kill()
        process.communicate()


def test_acknowledged_writes_and_tokens_survive_a_kill(start):
    process, client = start()
    client.put("k", b"content", **{"x-oss-meta-a": "b"})
    client.append("log", 0, b"abc")
    client.append("log", 3, b"def")
    upload = client.initiate("m")
    etag = client.part("m", upload, 1, b"part").headers["ETag"]
    process.kill()
    process.wait()
    _, again = start()
    assert again.key == client.key
    assert again.get("k").body == b"content"
    assert again.head("k").headers["x-oss-meta-a"] == "b"
    assert again.append("log", 6, b"ghi").headers["x-oss-hash-crc64ecma"] == str(
        crc64.update(0, b"abcdefghi")
    )
    assert again.complete("m", upload, [(1, etag)]).status == 200
    assert again.get("m").body == b"part"


def test_killed_while_appending(start, tmp_path):
    """After each kill the length is one that was acknowledged, or one piece more that was whole."""
    generator = random.Random(11)
    sent = b""
    acknowledged = 0
    for _ in range(4):
        process, client = start()
        head = client.head("log")
        if head.status == 200:
            stored = int(head.headers["Content-Length"])
            assert stored >= acknowledged
            assert head.headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, sent[:stored]))
            assert client.get("log").body == sent[:stored]
            sent, acknowledged = sent[:stored], stored
        killer = threading.Timer(0.05 + generator.random() * 0.1, process.kill)
        killer.start()
        try:
            while True:
                piece = generator.randbytes(generator.choice((10, 5000, 400_000)))
                base, sent = len(sent), sent + piece
                reply = client.append("log", base, piece)
                assert reply.status == 200
                acknowledged = base + len(piece)
        except (OSError, http.client.HTTPException):
            pass
        killer.join()
        process.wait()
    assert acknowledged > 0


def test_killed_while_replacing(start):
    versions = [bytes([n]) * 300_000 for n in range(3)]
    process, client = start()
    client.put("k", versions[0])
    for _ in range(3):
        killer = threading.Timer(0.08, process.kill)
        killer.start()
        try:
            for turn in range(100_000):
                client.put("k", versions[turn % 3])
        except (OSError, http.client.HTTPException):
            pass
        killer.join()
        process.wait()
        process, client = start()
        assert client.get("k").body in versions


def test_nothing_of_an_unfinished_body_stays(start, tmp_path):
    process, client = start()
    with client.raw("PUT", "k", 3_000_000, os.urandom(2_000_000)) as connection:
        counted = 0
        while counted < 256 * 1024:
            files = list((tmp_path / "content").rglob("*/*"))
            counted = sum(path.stat().st_size for path in files)
        process.kill()
        process.wait()
        connection.close()
    _, client = start()
    assert client.head("k").status == 404
    assert [path for path in (tmp_path / "content").rglob("*/*") if path.is_file()] == []


def test_a_large_object_passes_in_bounded_memory(start):
    """64 MiB in 1 MiB pieces: the process must not grow by more than a few of them."""
    process, client = start()
    piece = os.urandom(1024 * 1024)
    client.put("warm", piece)
    before = _peak_kib(process.pid)
    size = 64
    connection = client.raw("PUT", "big", size * len(piece), b"")
    for _ in range(size):
        connection.sendall(piece)
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    connection.close()
    client.connection.request("GET", "/cams/big", headers=client.signed("GET", "big"))
    answer = client.connection.getresponse()
    crc, wanted = 0, crc64.update(0, piece)
    for _ in range(size):
        assert answer.read(len(piece)) == piece
        crc = crc64.combine(crc, wanted, len(piece))
    assert answer.headers["x-oss-hash-crc64ecma"] == str(crc)
    assert _peak_kib(process.pid) - before < 16 * 1024


def _peak_kib(process_id):
    with open(f"/proc/{process_id}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def test_sessions_survive_a_restart(tmp_path):
    with Emulator(data=tmp_path) as cloud:
        role = cloud.cloud.identities.find_role(cloud.role_arn)
        now = cloud.cloud.clock.now()
        session = cloud.cloud.identities.issue_session(
            role, "cam-01", duration_seconds=900, now=now
        )
    with Emulator(data=tmp_path) as again:
        found = again.cloud.identities.find_session(session.access_key_id)
        assert found == session
        assert (again.access_key_id, again.access_key_secret) == (
            cloud.access_key_id,
            cloud.access_key_secret,
        )
