"""``ossmedia vod``: words in, lines and exit codes out, against the local cloud."""

from __future__ import annotations

import json
import os
import urllib.request

import pytest

from ossmedia import UploadTicket, cli, crc64
from ossmedia.device_auth import DeviceKey


def run(*words):
    try:
        return cli.main(["vod", *map(str, words)])
    except SystemExit as stop:
        return int(str(stop.code))


@pytest.fixture
def cloud(oss_emulator, monkeypatch):
    oss_emulator.reset()
    for name in [name for name in os.environ if name.startswith(("OSS", "ALIBABA"))]:
        monkeypatch.delenv(name)
    for name, value in (
        ("OSS_ACCESS_KEY_ID", oss_emulator.access_key_id),
        ("OSS_ACCESS_KEY_SECRET", oss_emulator.access_key_secret),
        ("OSSMEDIA_VOD_ENDPOINT", oss_emulator.vod_endpoint),
        ("OSSMEDIA_ENDPOINT", oss_emulator.endpoint),
        ("OSSMEDIA_REGION", oss_emulator.region),
    ):
        monkeypatch.setenv(name, value)
    yield oss_emulator
    oss_emulator.reset()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "gate.mp4"
    path.write_bytes(os.urandom(300_000))
    return path


def test_upload_and_info(cloud, clip, capsys):
    assert run("upload", clip, "--title", "At the gate", "--tag", "a", "--tag", "b", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["size"], shown["crc64"]) == (300_000, crc64(clip.read_bytes()))
    assert run("info", shown["VideoId"], "--json", "--play") == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["Title"], info["Tags"], info["Status"]) == ("At the gate", "a,b", "Normal")
    with urllib.request.urlopen(info["PlayURL"][0]) as reply:
        assert reply.read() == clip.read_bytes()
    assert run("info", shown["VideoId"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Title:                At the gate" in lines
    assert "Size:                 300000" in lines


def test_the_title_is_the_files_name_by_default(cloud, clip, capsys):
    assert run("upload", clip) == 0
    out, err = capsys.readouterr()
    video, _, rest = out.partition(":")
    assert rest.strip() == f"300000 bytes, CRC-64 {crc64(clip.read_bytes())}"
    assert err == ""
    assert run("info", video) == 0
    assert "gate.mp4" in capsys.readouterr().out


def test_refresh_prints_a_ticket(cloud, clip, capsys):
    assert run("upload", clip, "--json") == 0
    video = json.loads(capsys.readouterr().out)["VideoId"]
    assert run("refresh", video) == 0
    data = json.loads(capsys.readouterr().out)
    assert UploadTicket.from_json(data, allowed_hosts=(cloud.endpoint,)).media_id == video


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("info", "nobody"), 4, "InvalidVideo.NotFound"),
        (("refresh", "nobody"), 4, "InvalidVideo.NotFound"),
        (("upload", "missing.mp4"), 4, "No such file"),
        (("upload", "gate.exe"), 2, "file_name: must end with a video or audio format"),
        (("upload", "gate.mp4", "--title", "t" * 129), 2, "title: must be at most 128"),
        (("info", "a b"), 2, "video_id: must be 1-128"),
        ((), 2, "ACTION"),
    ],
)
def test_exit_codes(cloud, clip, capsys, monkeypatch, words, code, text):
    monkeypatch.chdir(clip.parent)
    clip.with_suffix(".exe").write_bytes(b"x")
    cloud.reset_counters()
    assert run(*words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert code == 4 or cloud.counters()["connections"] == 0


def test_a_ticket_leads_nowhere_else(cloud, clip, capsys, monkeypatch):
    monkeypatch.delenv("OSSMEDIA_ENDPOINT")
    assert run("upload", clip) == 2
    assert "UploadAddress.Endpoint: " in capsys.readouterr().err
    assert run("upload", clip, "--endpoint", cloud.endpoint) == 0


def test_credentials_and_region(cloud, clip, capsys, monkeypatch):
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "canary")
    assert run("upload", clip) != 0
    assert "canary" not in "".join(capsys.readouterr())
    monkeypatch.delenv("OSS_ACCESS_KEY_SECRET")
    assert run("upload", clip) == 3
    monkeypatch.delenv("OSSMEDIA_REGION")
    assert run("upload", clip) == 2
    assert "--region" in capsys.readouterr().err


def test_whose_key_it_is(cloud, clip, capsys):
    assert run("upload", clip, "--access-key-env", "--json") == 0
    assert json.loads(capsys.readouterr().out)["size"] == 300_000
    assert run("upload", clip, "--access-key-env", "--server", "https://127.0.0.1:1") == 2
    assert run("upload", clip, "--device", "cam-1") == 2
    assert "--device, --device-key: only with --server" in capsys.readouterr().err
    assert run("upload", clip, "--server", "https://127.0.0.1:1") == 2
    assert "--device: needed with --server" in capsys.readouterr().err


def test_http_must_be_asked_for(cloud, clip, tmp_path, capsys):
    key = tmp_path / "device.key"
    key.write_text(DeviceKey.new().text())
    words = ("upload", clip, "--device", "cam-1", "--device-key", key, "--server")
    cloud.reset_counters()
    assert run(*words, "http://127.0.0.1:1") == 2
    assert "url: must begin with https://" in capsys.readouterr().err
    assert cloud.counters()["connections"] == 0


def test_a_checkpoint_goes_on(cloud, tmp_path, capsys):
    clip, mark = tmp_path / "long.mp4", tmp_path / "mark"
    clip.write_bytes(os.urandom(5 << 20))
    words = ("upload", clip, "--json", "--checkpoint", mark)
    cloud.fault("status", operation="UploadPart", status=403, after=3, times=0)
    assert run(*words) == 3
    assert mark.exists()
    cloud.clear_faults()
    cloud.reset_counters()
    capsys.readouterr()
    assert run(*words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["crc64"] == crc64(clip.read_bytes())
    assert cloud.counters()["requests"]["UploadPart"] == 2
    assert not mark.exists()
