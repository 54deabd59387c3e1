"""Every code block of the README runs, in order, against the local cloud."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ossmedia import Bucket, Credentials
from ossmedia.demo import CLIP
from ossmedia.demo_frames import AUDIO, VIDEO, Clip

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_code_comes_early():
    assert README.split("\n").index("```python") < 25


def test_every_block_is_one_that_runs_here():
    assert {language for language, _ in BLOCKS} <= {"python", "sh"}


def annex_b(clip):
    """The clip's pictures as most encoders hand them out."""
    config, at, sets = clip.config, 6, b""
    for count in (config[5] & 31, 1):  # SPS, PPS
        for _ in range(count):
            size = int.from_bytes(config[at : at + 2])
            sets += b"\0\0\0\1" + config[at + 2 : at + 2 + size]
            at += 2 + size
        at += 1
    for frame in clip.frames:
        if frame.track == VIDEO:
            data, at = sets, 0
            while at < len(frame.data):
                size = int.from_bytes(frame.data[at : at + 4])
                data += b"\0\0\0\1" + frame.data[at + 4 : at + 4 + size]
                at += 4 + size
            yield frame._replace(data=data)


def test_python_blocks(cloud, tmp_path):
    clip = Clip(CLIP)
    names = {
        "FOLDER": tmp_path / "spool",
        "h264": list(annex_b(clip)),
        "aac": [frame for frame in clip.frames if frame.track == AUDIO],
        "ENDPOINT": cloud.endpoint,
        "STS_ENDPOINT": cloud.sts_endpoint,
        "ROLE_ARN": cloud.role_arn,
        "VOD_ENDPOINT": cloud.vod_endpoint,
        "CLIP": CLIP,
        "KEY_ID": cloud.access_key_id,
        "KEY_SECRET": cloud.access_key_secret,
        "encoder": [b"frame one" * 100, b"frame two" * 100],
    }
    for language, code in BLOCKS:
        if language == "python" and "AppServerCredentials" not in code:
            exec(compile(code, "README.md", "exec"), names)
    assert names["tail"] == (b"frame two" * 100)[-16:]
    assert names["url"].startswith(cloud.endpoint)
    names["test_upload"](cloud)
    assert names["status"].acked == names["status"].written == 47
    assert names["receipt"].size == CLIP.stat().st_size
    token = Credentials.from_json(names["wire"])
    with Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=token) as cams:
        with cams.open("cams/cam-01/token.bin", "wb") as f:
            f.write(b"by token")
        with pytest.raises(PermissionError):
            cams.stat("cams/cam-01/token.bin")


def play(mark, folder, monkeypatch):
    """Runs the shell block that holds `mark`."""
    (script,) = [code for language, code in BLOCKS if language == "sh" and mark in code]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    done = subprocess.run(
        ["bash", "-c", "set -e\n" + script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_application_server(cloud, tmp_path, monkeypatch):
    from ossmedia.server import Settings
    from ossmedia.server.parts import Parts
    from ossmedia.server.serve import Running

    monkeypatch.setenv("ROLE_ARN", cloud.role_arn)
    monkeypatch.setenv("STS_ENDPOINT", cloud.sts_endpoint)
    assert "cam-01" in play("ossmedia device add", tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    settings = Settings.load("ossmedia.toml")
    settings = replace(settings, http=replace(settings.http, port=0))
    (code,) = [code for _, code in BLOCKS if "AppServerCredentials(" in code]
    with Running(Parts(settings)) as server:
        exec(compile(code, "README.md", "exec"), {"SERVER": server.url, "ENDPOINT": cloud.endpoint})
    owner = Credentials(cloud.access_key_id, cloud.access_key_secret)
    with Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=owner) as cams:
        assert cams.stat("cams/cam-01/morning.mp4").size == 51


def test_the_command_line(cloud, tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"not really a clip" * 1000)
    play("ossmedia put", tmp_path, monkeypatch)
    assert (tmp_path / "back.mp4").read_bytes() == (tmp_path / "clip.mp4").read_bytes()


def test_no_shell_block_is_left_out():
    scripts = [code for language, code in BLOCKS if language == "sh"]
    assert len(scripts) == 2
    assert all("ossmedia put" in code or "ossmedia device add" in code for code in scripts)
