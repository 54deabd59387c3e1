"""Every code block of the README runs, in order, against the local cloud."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ossmedia import Bucket, Credentials

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_code_comes_early():
    assert README.split("\n").index("```python") < 25


def test_every_block_is_one_that_runs_here():
    assert {language for language, _ in BLOCKS} <= {"python", "sh"}


def test_python_blocks(cloud):
    names = {
        "ENDPOINT": cloud.endpoint,
        "STS_ENDPOINT": cloud.sts_endpoint,
        "ROLE_ARN": cloud.role_arn,
        "KEY_ID": cloud.access_key_id,
        "KEY_SECRET": cloud.access_key_secret,
        "encoder": [b"frame one" * 100, b"frame two" * 100],
    }
    for language, code in BLOCKS:
        if language == "python":
            exec(compile(code, "README.md", "exec"), names)
    assert names["tail"] == (b"frame two" * 100)[-16:]
    assert names["url"].startswith(cloud.endpoint)
    names["test_upload"](cloud)
    token = Credentials.from_json(names["wire"])
    with Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=token) as cams:
        with cams.open("cams/cam-01/token.bin", "wb") as f:
            f.write(b"by token")
        with pytest.raises(PermissionError):
            cams.stat("cams/cam-01/token.bin")


def test_shell_blocks(cloud, tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"not really a clip" * 1000)
    script = "set -e\n" + "".join(code for language, code in BLOCKS if language == "sh")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "back.mp4").read_bytes() == (tmp_path / "clip.mp4").read_bytes()
