"""The operator's commands, as the shell sees them, and a server that is a process."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ossmedia import cli
from tests.unit.server.rig import ROLE, Camera, Time, send

TOML = f"""
[http]
port = 0
[sts]
role_arn = "{ROLE}"
endpoint = "http://127.0.0.1:9"
[oss]
bucket = "cams"
endpoint = "https://oss-cn-hangzhou.aliyuncs.com"
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "ossmedia.toml"
    path.write_text(TOML)
    assert run("db", "upgrade", "-c", path) == 0
    return str(path)


def run(*words: object) -> int:
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return int(str(stop.code))


def read(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert run(*words, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines]


def test_the_life_of_a_device(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = read(capsys, "device", "add", "cam-1", "-c", config, "--modes", "ra", "--ttl", "900")
    assert made["prefix"] == "cams/cam-1"
    assert made["device_key"].startswith("omdk_")
    read(capsys, "device", "add", "cam-2", "-c", config, "--no-key", "--prefix", "other/cam-2")
    listed = read(capsys, "device", "list", "-c", config)
    assert [d["id"] for d in listed] == ["cam-1", "cam-2"]
    (rotated,) = read(capsys, "device", "rotate-key", "cam-1", "-c", config)
    assert rotated["device_key"] != made["device_key"]
    (shown,) = read(capsys, "device", "show", "cam-1", "-c", config)
    assert [key["id"] for key in shown["keys"]] == [
        made["device_key"].split("_")[1],
        rotated["device_key"].split("_")[1],
    ]
    assert (shown["modes"], shown["ttl_s"]) == (["a", "r"], 900)
    (code,) = read(capsys, "device", "enrol-code", "cam-2", "-c", config)
    assert len(code["code"]) == 19
    assert read(capsys, "device", "disable", "cam-1", "-c", config)[0]["state"] == "disabled"
    assert read(capsys, "device", "enable", "cam-1", "-c", config)[0]["state"] == "active"


def test_lines_for_people(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("device", "add", "cam-1", "-c", config) == 0
    key = capsys.readouterr().out
    assert key.startswith("omdk_")
    assert key.count("\n") == 1
    for words in (("list",), ("show", "cam-1"), ("disable", "cam-1")):
        assert run("device", *words, "-c", config) == 0
    out = capsys.readouterr().out
    assert "cams/cam-1" in out
    assert "cam-1: disabled" in out
    assert key.strip()[14:] not in out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("device", "show", "nobody"), 4, "not registered"),
        (("device", "add", "*"), 2, "device_id"),
        (("device", "add", "cam-1", "--ttl", "5"), 2, "ttl_s: must be 900-43200"),
        (("device", "add", "cam-1", "--modes", "z"), 2, "mode"),
        (("device", "add", "cam-1", "--prefix", "a//b"), 2, "path"),
        (("serve", "--port", "70000"), 2, "0-65535"),
        (("device",), 2, ""),
        (("db", "downgrade"), 2, ""),
    ],
)
def test_what_goes_wrong(
    config: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, text: str
) -> None:
    given = words if len(words) < 2 or words[1] == "downgrade" else (*words, "-c", config)
    assert run(*given) == code
    assert text in capsys.readouterr().err


def test_wrong_settings_name_key_value_and_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ossmedia.toml"
    path.write_text(TOML.replace("port = 0", "port = 99999"))
    assert run("serve", "-c", path) == 2
    error = capsys.readouterr().err
    assert all(part in error for part in ("http.port", "99999", "0-65535"))
    assert run("serve", "-c", tmp_path / "none.toml") == 1
    assert "none.toml" in capsys.readouterr().err


def test_the_tables_must_be_made_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ossmedia.toml"
    path.write_text(TOML)
    assert run("serve", "-c", path) == 2
    assert "ossmedia db upgrade" in capsys.readouterr().err


def test_a_lost_key_file_is_not_replaced(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "ossmedia.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert run("db", "upgrade", "-c", config) == 0
    assert key.read_bytes() == before
    run("device", "add", "cam-1", "-c", config)
    key.unlink()
    assert run("db", "upgrade", "-c", config) == 2
    assert "is missing, but this database needs it" in capsys.readouterr().err
    assert not key.exists()


@pytest.mark.parametrize("command", ["serve", "device", "db"])
def test_without_the_extra_it_is_named(command: str) -> None:
    code = (
        "import sys; sys.modules['sqlalchemy'] = None; from ossmedia.cli import main;"
        f"sys.exit(main([{command!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'ossmedia[server]'" in done.stderr
    assert "Traceback" not in done.stderr


class Process:
    """``ossmedia serve``."""

    def __init__(self, config: str) -> None:
        environ = {n: v for n, v in os.environ.items() if not n.startswith(("OSS", "ALIBABA"))}
        words = [sys.executable, "-m", "ossmedia", "serve", "-c", config]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
        )
        alarm = threading.Timer(60, self.process.kill)
        alarm.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        alarm.cancel()
        self.url = "http://" + json.loads(line)["listening"]

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


def test_replays_across_kill_and_restart(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Real processes: what one accepted, none accepts again, after kill -9 or beside it."""
    (made,) = read(capsys, "device", "add", "cam-1", "-c", config)
    first, beside = Process(config), Process(config)
    time = Time()
    import time as real

    time.seconds = real.time()
    camera = Camera(first.url, "cam-1", made["device_key"], time)
    # Signed for no port, so that each process would take them.
    headers = [camera.claim(host="cams").header() for _ in range(50)]
    try:
        assert {ask(first.url, header) for header in headers} == {503}  # known, but STS is away
        assert {ask(beside.url, header) for header in headers} == {401}
        code, _ = first.end(signal.SIGKILL)
        assert code == -signal.SIGKILL
        first = Process(config)
        assert {ask(first.url, header) for header in headers} == {401}
    finally:
        outcomes = [process.end(signal.SIGTERM) for process in (first, beside)]
    for code, log in outcomes:
        assert code == 0
        assert log.count('"code": "replayed"') == 50
        assert made["device_key"][14:] not in log


def ask(url: str, header: str) -> int:
    heads = {"Authorization": header, "Host": "cams"}
    return send(url, "POST", "/v1/credentials", b"{}", heads).status


def test_it_ends_gracefully(config: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = Process(config)
        assert send(process.url, "GET", "/healthz").status == 200
        code, log = process.end(number)
        assert code == 0
        assert "Traceback" not in log
        line = json.loads(log.splitlines()[0])
        assert (line["path"], line["status"]) == ("/healthz", 200)
