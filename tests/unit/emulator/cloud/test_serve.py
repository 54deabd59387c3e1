"""The cloud as a program and as a context manager: how it starts, what it prints, how it ends."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ossmedia.emulator.__main__ import main
from ossmedia.emulator.serve import Emulator

FIELDS = {
    *("endpoint", "sts_endpoint", "vod_endpoint", "control_endpoint"),
    *("access_key_id", "access_key_secret", "region", "buckets", "role_arn"),
}


@contextlib.contextmanager
def program(*options):
    """The program, running; gives the process and its line of JSON."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ossmedia.emulator", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_line_of_json_and_a_clean_end(number):
    with program("--bucket", "cams", "--bucket", "clips", "--region", "cn-beijing") as (
        process,
        facts,
    ):
        assert set(facts) == FIELDS
        assert facts["buckets"] == ["cams", "clips"]
        assert facts["region"] == "cn-beijing"
        connection = http.client.HTTPConnection(facts["endpoint"].partition("://")[2])
        connection.request("GET", "/cams/")
        assert connection.getresponse().status == 403
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
        connection.close()
    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_temporary_directory_goes_away():
    before = set(Path(tempfile.gettempdir()).glob("ossmedia-emulator-*"))
    with Emulator(buckets=["cams"]):
        during = set(Path(tempfile.gettempdir()).glob("ossmedia-emulator-*"))
        assert len(during - before) == 1
    assert not (during - before) & set(Path(tempfile.gettempdir()).glob("ossmedia-emulator-*"))


def _run(*options):
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        status = main(options)
    return status, errors.getvalue()


@pytest.fixture
def kept_signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("kept_signals")
@pytest.mark.parametrize(
    ("options", "status", "named"),
    [
        (["--host", "0.0.0.0"], 2, "access_key_id"),
        (["--access-key-id", "x"], 2, "access_key_secret"),
        (["--tls-cert", "x"], 2, "tls_key"),
        (["--cname", "x"], 2, "--cname"),
        (["--role", "nonsense"], 2, "role ARN"),
        (["--max-session", "1"], 2, "max_session_duration"),
        (["--bucket", "No"], 1, "InvalidBucketName"),
        (["--nonsense"], 2, "--nonsense"),
        (["--port", "x"], 2, "--port"),
    ],
)
def test_options_that_cannot_be(options, status, named):
    got, errors = _run(*options)
    assert got == status
    assert named in errors


@pytest.mark.usefixtures("kept_signals")
def test_a_port_or_directory_in_use(tmp_path):
    with Emulator(data=tmp_path) as cloud:
        port = cloud.endpoint.rpartition(":")[2]
        status, errors = _run("--port", port)
        assert status == 1
        assert "in use" in errors
        status, errors = _run("--data", str(tmp_path))
        assert status == 1
        assert "in use" in errors


def test_beyond_loopback_with_keys_given():
    with Emulator(host="0.0.0.0", access_key_id="ak", access_key_secret="sk") as cloud:
        port = int(cloud.endpoint.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/-/control/counters")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_second_stop_is_harmless(client_of):
    cloud = Emulator(buckets=["cams"]).start()
    client = client_of(cloud)
    assert client.put("k", b"x").status == 200
    cloud.stop()
    cloud.stop()
    client.close()
    with pytest.raises(ConnectionError):
        client.put("k", b"x")


def test_ledger_mode_keeps_sums_and_no_bytes(client_of, tmp_path):
    with Emulator(buckets=["cams"], discard=True, data=tmp_path) as cloud:
        client = client_of(cloud)
        put = client.put("k", b"x" * 1_000_000)
        for position in (0, 3, 6):
            assert client.append("log", position, b"abc").status == 200
        upload = client.initiate("m")
        etag = client.part("m", upload, 1, b"y").headers["ETag"]
        assert client.complete("m", upload, [(1, etag)]).status == 200
        assert list(cloud.cloud.store.blobs.names()) == []
        head = client.head("k").headers
        assert head["Content-Length"] == "1000000"
        assert head["x-oss-hash-crc64ecma"] == put.headers["x-oss-hash-crc64ecma"]
        assert client.head("log").headers["x-oss-next-append-position"] == "9"
        for key in ("k", "log", "m"):
            reply = client.get(key)
            assert (reply.status, reply.code) == (501, "NotImplemented")
        client.close()


def test_https(client_of, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("the openssl program is missing")
    with Emulator(buckets=["cams"], tls_cert=certificate, tls_key=key) as cloud:
        assert cloud.endpoint.startswith("https://")
        client = client_of(cloud)
        context = ssl.create_default_context(cafile=certificate)
        address = cloud.endpoint.partition("://")[2]
        client.connection = http.client.HTTPSConnection(address, context=context)
        data = os.urandom(1_000_000)
        assert client.put("k", data).status == 200
        assert client.get("k").body == data
        reply = client.append("k", 5, b"x" * 100_000)
        assert reply.code == "ObjectNotAppendable"
        client.close()


def test_two_clouds_do_not_know_each_other(client_of):
    with Emulator(buckets=["cams"]) as one, Emulator(buckets=["cams"]) as two:
        first, second = client_of(one), client_of(two)
        assert first.put("k", b"x").status == 200
        assert second.head("k").status == 404
        second.key = first.key
        assert second.get("k").code == "InvalidAccessKeyId"
        first.close()
        second.close()


def test_what_is_no_http_is_refused_in_xml(emulator):
    import socket

    host, _, port = emulator.endpoint.partition("://")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>BadRequest</Code>" in answer


def test_the_package_imports_nothing_of_the_client():
    code = (
        "import sys, ossmedia.emulator.__main__, ossmedia.emulator.pytest_plugin\n"
        "own = sorted(m for m in sys.modules if m.startswith('ossmedia.'))\n"
        "print([m for m in own if not m.startswith('ossmedia.emulator')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
