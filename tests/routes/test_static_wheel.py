"""The wheel of `make static`: OpenSSL in it, and https on a machine that has none."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import _cffi_backend
import pytest

from ossmedia.emulator.serve import Emulator
from tests.routes.test_https import make_certificate
from tests.routes.test_without_libssl import hiding

WHEELS = Path(__file__).parents[2] / "build" / "static-wheel"
CAMERA = """
import sys
site, cffi, endpoint, authority, key_id, key_secret = sys.argv[1:]
sys.path += [site, cffi]
import ossmedia._core
from ossmedia import Bucket, Credentials, crc64

assert ossmedia._core.__file__.startswith(site)
key = Credentials(key_id, key_secret)
with Bucket(
    "cams", endpoint=endpoint, region="cn-hangzhou", credentials=key, ca_file=authority
) as cams:
    with cams.open("clip", "wb", block_size=102_400) as f:
        f.write(bytes(300_000))
    assert f.result.crc64 == crc64(bytes(300_000)) == cams.stat("clip").crc64
with open("/proc/self/maps") as maps:
    print([line.split()[-1] for line in maps if "/libssl." in line])
"""


def test_https_without_libssl(tmp_path: Path) -> None:
    wheels = list(WHEELS.glob("ossmedia-*.whl"))
    if not wheels:
        pytest.skip("no wheel in build/static-wheel: make static OPENSSL_SOURCE=...")
    try:
        subprocess.run([*hiding(), "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("needs unshare (Debian: util-linux) and the right to make a mount namespace")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(tmp_path / "site")
    authority = make_certificate(tmp_path, "authority", ca=True)
    make_certificate(tmp_path, "good", issuer=authority)
    with Emulator(
        buckets=["cams"], tls_cert=tmp_path / "good.pem", tls_key=tmp_path / "good.key"
    ) as cloud:
        words = [tmp_path / "site", Path(_cffi_backend.__file__).parent, cloud.endpoint]
        words += [tmp_path / "authority.pem", cloud.access_key_id, cloud.access_key_secret]
        done = subprocess.run(
            # -S: what is installed here, the editable ossmedia too, stays out.
            [*hiding(), sys.executable, "-I", "-S", "-c", CAMERA, *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
