"""cli.py: words in, lines and exit codes out, against the local cloud."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Bucket, Credentials, cli, crc64

Run = Callable[..., int]


def run(*words: object) -> int:
    """What the shell would see."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return int(str(stop.code))


def read(bucket: Bucket, key: str) -> bytes:
    with bucket.open(key) as f:
        return f.read()


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Puts bytes on standard input."""
    opened: list[io.TextIOBase] = []

    def feed(data: bytes) -> None:
        source, sink = os.pipe()
        os.write(sink, data)
        os.close(sink)
        opened.append(os.fdopen(source))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    yield feed
    for stream in opened:
        stream.close()


# Objects


def test_a_file_there_and_back(
    cloud: Any, bucket: Bucket, clip: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("put", clip, "oss://cams/a/b.mp4") == 0
    out, err = capsysbinary.readouterr()
    assert b"oss://cams/a/b.mp4: 25600 bytes, CRC-64" in out
    assert err == b""
    assert bucket.stat("a/b.mp4").content_type == "video/mp4"
    assert run("cat", "oss://cams/a/b.mp4") == 0
    assert capsysbinary.readouterr().out == clip.read_bytes()
    assert run("rm", "oss://cams/a/b.mp4") == 0
    assert run("rm", "oss://cams/a/b.mp4") == 0
    assert run("cat", "oss://cams/a/b.mp4") == 4
    assert b"NoSuchKey" in capsysbinary.readouterr().err


@pytest.mark.parametrize(
    ("key", "content_type"),
    [
        ("a.ts", "video/mp2t"),
        ("a.M3U8", "application/vnd.apple.mpegurl"),
        ("a.m4s", "video/iso.segment"),
        ("a.mp4", "video/mp4"),
        ("a.h264", "video/h264"),
        ("a.jpg", "image/jpeg"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_content_types_by_the_keys_ending(
    cloud: Any, bucket: Bucket, clip: Path, key: str, content_type: str
) -> None:
    assert run("put", "-q", clip, f"oss://cams/{key}") == 0
    assert bucket.stat(key).content_type == content_type


@pytest.mark.parametrize(
    ("url", "key"),
    [("oss://cams/x/", "x/clip.mp4"), ("oss://cams", "clip.mp4"), ("oss://cams/y", "y")],
)
def test_a_key_that_ends_with_a_slash_gets_the_files_name(
    cloud: Any, bucket: Bucket, clip: Path, url: str, key: str
) -> None:
    assert run("put", "-q", clip, url) == 0
    assert [row.key for row in bucket.list()] == [key]


def test_json_receipts(cloud: Any, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("put", "--json", clip, "oss://cams/k") == 0
    receipt = json.loads(capsys.readouterr().out)
    assert (receipt["size"], receipt["crc64"]) == (25600, crc64(clip.read_bytes()))
    assert run("put", "-q", clip, "oss://cams/k") == 0
    assert capsys.readouterr() == ("", "")


def test_standard_input(
    cloud: Any,
    bucket: Bucket,
    feed: Callable[[bytes], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    feed(b"piped")
    assert run("put", "-", "oss://cams/k.ts") == 0
    assert read(bucket, "k.ts") == b"piped"
    assert bucket.stat("k.ts").content_type == "video/mp2t"
    feed(b"x")
    assert run("put", "-", "oss://cams/dir/") == 2
    assert "the key is missing" in capsys.readouterr().err


def test_appending_and_not_overwriting(
    cloud: Any, bucket: Bucket, clip: Path, feed: Callable[[bytes], None]
) -> None:
    feed(b"first ")
    assert run("put", "-q", "-", "oss://cams/live", "--append") == 0
    clip.write_bytes(b"second")
    assert run("put", "-q", clip, "oss://cams/live", "--append") == 0
    assert read(bucket, "live") == b"first second"
    assert bucket.stat("live").type == "Appendable"
    assert run("put", "-q", clip, "oss://cams/once", "--no-overwrite") == 0
    clip.write_bytes(b"third")
    assert run("put", "-q", clip, "oss://cams/once", "--no-overwrite") == 1
    feed(b"fourth")
    assert run("put", "-q", "-", "oss://cams/once", "--no-overwrite") == 1
    assert read(bucket, "once") == b"second"
    assert run("put", clip, "oss://cams/x", "--append", "--no-overwrite") == 2


def test_a_content_type(cloud: Any, bucket: Bucket, clip: Path) -> None:
    assert run("put", "-q", clip, "oss://cams/k", "--content-type", "video/x-own") == 0
    assert bucket.stat("k").content_type == "video/x-own"


def test_ls(cloud: Any, bucket: Bucket, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("a/1", "a/b/2", "a/\x1b[31mred"):
        run("put", "-q", clip, f"oss://cams/{key}")
    assert run("ls", "oss://cams/a/") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["a/\\x1b[31mred", "a/1", "a/b/2"]
    assert lines[0].split()[:1] == ["25600"]
    assert lines[0].split()[2] == "Normal"
    assert run("ls", "-d", "oss://cams/a/") == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["a/b/"]
    assert run("ls", "--json", "oss://cams") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["key"] for row in rows] == ["a/\x1b[31mred", "a/1", "a/b/2"]
    assert run("ls", "oss://none") == 4


def test_stat(cloud: Any, bucket: Bucket, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bucket.open("k", "wb", metadata={"camera": "c1"}) as f:
        f.write(b"12345")
    assert run("stat", "oss://cams/k") == 0
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["size"].strip() == "5"
    assert lines["metadata camera"].strip() == "c1"
    assert run("stat", "--json", "oss://cams/k") == 0
    assert json.loads(capsys.readouterr().out)["crc64"] == crc64(b"12345")
    assert run("stat", "oss://cams/none") == 4


def test_sign(cloud: Any, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from urllib.request import urlopen

    run("put", "-q", clip, "oss://cams/a b.mp4")
    assert run("sign", "oss://cams/a b.mp4", "--expires", "60") == 0
    with urlopen(capsys.readouterr().out.strip(), timeout=10) as answer:
        assert answer.read() == clip.read_bytes()
    assert run("sign", "--json", "oss://cams/a b.mp4") == 0
    assert json.loads(capsys.readouterr().out)["expires_s"] == 3600
    assert run("sign", "oss://cams/k", "--expires", "0") == 2
    assert run("sign", "oss://cams/k", "--method", "PATCH") == 2


# Tokens


def token(cloud: Any, *words: str) -> int:
    common = ["--bucket", "cams", "--role-arn", cloud.role_arn, "--allow-http"]
    return run("token", *common, "--sts-endpoint", cloud.sts_endpoint, *words)


def test_a_token_as_json(cloud: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert token(cloud, "--device", "c1", "--mode", "rw", "--ttl", "900", "--json") == 0
    given = Credentials.from_json(json.loads(capsys.readouterr().out))
    with Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=given) as mine:
        with mine.open("cams/c1/x", "wb") as f:
            f.write(b"mine")
        assert read(mine, "cams/c1/x") == b"mine"
        with pytest.raises(PermissionError):
            mine.stat("cams/c2/x")


def test_a_token_for_a_shell(cloud: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert token(cloud, "--device", "c1", "--path", "cams/c1/one.mp4") == 0
    lines = capsys.readouterr().out
    shell = lines + 'printf "%s\\n" "$OSS_ACCESS_KEY_ID" "$OSS_SESSION_TOKEN"'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("STS.")
    assert len(done.stdout.splitlines()[1]) > 20


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--device", "../c", "--ttl", "900"], 2),
        (["--device", "c1", "--ttl", "899"], 2),
        (["--device", "c1", "--mode", "x"], 2),
        (["--device", "c1", "--path", "/*"], 2),
        (["--device", "c1", "--role-arn", "acs:ram::1234567890123456:role/none"], 4),
        ([], 2),
    ],
)
def test_tokens_that_are_refused(cloud: Any, words: list[str], code: int) -> None:
    assert token(cloud, *words) == code


# Exit codes


def test_usage(cloud: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        [],
        ["nonsense"],
        ["put", "x"],
        ["cat", "cams/k"],
        ["cat", "oss://cams"],
        ["stat", "oss://CAMS/k"],
        ["rm", "oss://cams/"],
        ["cat", "oss://cams/a\nb"],
        ["ls", "--endpoint", "ftp://x", "oss://cams"],
    ):
        assert run(*words) == 2, words
    assert run("--version") == 0
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("0.1.0\n")
    assert "emulator" in out
    assert "demo" in out


def test_credentials(
    cloud: Any,
    monkeypatch: pytest.MonkeyPatch,
    feed: Callable[[bytes], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "wrong-canary")
    assert run("ls", "oss://cams") == 3
    monkeypatch.delenv("OSS_ACCESS_KEY_SECRET")
    assert run("ls", "oss://cams") == 3
    monkeypatch.delenv("OSS_ACCESS_KEY_ID")
    assert run("ls", "oss://cams") == 3
    feed(b"x")
    assert run("put", "-", "oss://cams/k") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("error: ") == 4
    assert "canary" not in err


def test_missing_files(cloud: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("put", tmp_path / "none", "oss://cams/k") == 4
    assert run("put", tmp_path / "none", "oss://cams/k", "--append") == 4
    assert run("put", tmp_path, "oss://cams/k") == 2
    assert run("ls", "--ca-file", tmp_path / "none.pem", "oss://cams") == 4
    assert "ca_file" in capsys.readouterr().err


def test_no_connection(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ossmedia import retry

    monkeypatch.setattr(retry.Retry, "delay", lambda *_: 0.0)
    assert run("ls", "--endpoint", "http://127.0.0.1:9", "oss://cams") == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_logging_shows_no_secret(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.fault("expire", method="GET")
    cloud.fault("status", method="GET", after=1)
    code = "import sys; from ossmedia.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "ls", "-vv", "oss://cams"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # A long-lived key cannot be renewed, so the refusal is final.
    assert done.returncode == 3
    cloud.clear_faults()
    cloud.fault("status", method="GET", times=1)
    done = subprocess.run(
        [sys.executable, "-c", code, "ls", "-vv", "oss://cams"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "WARNING failure 1 in a row" in done.stderr
    assert cloud.access_key_secret not in done.stderr


# Programs


def test_emulator_and_demo_get_their_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def program(argv: list[str]) -> int:
        asked.append(argv)
        return 7

    fake: Any = types.SimpleNamespace(main=program)
    monkeypatch.setitem(sys.modules, "ossmedia.emulator.__main__", fake)
    monkeypatch.setitem(sys.modules, "ossmedia.demo", fake)
    assert run("emulator", "--port", "0", "--help") == 7
    assert run("demo", "-x") == 7
    assert asked == [["--port", "0", "--help"], ["-x"]]


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ossmedia", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0.1.0\n"


def test_a_reader_that_goes_away_is_no_traceback(cloud: Any, bucket: Bucket) -> None:
    with bucket.open("big", "wb") as f:
        f.write(bytes(3_000_000))
    program = subprocess.Popen(
        [sys.executable, "-m", "ossmedia", "cat", "oss://cams/big"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.read(10)
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 1
