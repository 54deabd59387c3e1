"""A machine without libssl: everything but https works, and https says what to install. The library
is hidden by the kernel, in a mount namespace of the process's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CAMERA = """
import sys
from ossmedia import Bucket, Credentials, Retry, crc64

endpoint, key_id, key_secret = sys.argv[1:]
given = {"region": "cn-hangzhou", "credentials": Credentials(key_id, key_secret)}
given["retry"] = Retry(attempts=1)
with Bucket("cams", endpoint=endpoint, **given) as cams:
    with cams.open("plain", "wb") as f:
        f.write(b"without TLS")
    assert f.result.crc64 == crc64(b"without TLS")
    assert "x-oss-signature=" in cams.presign("plain", expires_s=60)
with Bucket("cams", endpoint="https://127.0.0.1:9", **given) as cams:
    try:
        cams.stat("plain")
    except Exception as error:
        print(type(error).__name__, error)
"""


def hiding() -> list[str]:
    """The words that start a program without libssl."""
    folders = [Path(folder) for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64")]
    found = {os.path.realpath(path) for folder in folders for path in folder.rglob("libssl.so.*")}
    hide = "".join(f"mount --bind /dev/null '{path}'; " for path in sorted(found))
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *user, "sh", "-ec", hide + 'exec "$@"', "sh"]


def test_all_but_https_works(cloud: Any) -> None:
    try:
        subprocess.run([*hiding(), "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("needs unshare (Debian: util-linux) and the right to make a mount namespace")
    command = [sys.executable, "-I", "-c", CAMERA, cloud.endpoint]
    done = subprocess.run(
        [*hiding(), *command, cloud.access_key_id, cloud.access_key_secret],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TlsError TLS: no OpenSSL 1.1.1 or later found, install ")
    assert "libssl.so.3 cannot be loaded; libssl.so.1.1 cannot be loaded\n" in done.stdout
    assert done.stdout.count("\n") == 1
