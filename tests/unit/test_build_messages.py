"""What a build from source, and an install, say when something is missing: one line that names
it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cmake() -> str:
    if not (ROOT / "CMakeLists.txt").exists():
        pytest.skip("the sources are not here")
    beside = str(Path(sys.executable).parent)
    found = shutil.which("cmake", path=f"{beside}:{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip("cmake is not installed (pip install cmake)")
    return found


def said(cmake: str, folder: Path, *options: str, **variables: str) -> str:
    """The error of a configuration that fails, as one line."""
    command = [cmake, "-S", str(ROOT), "-B", str(folder), *options]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )
    assert done.returncode != 0, done.stdout
    found = re.search(r"^CMake Error at .*?\n((?:  .*\n)+)", done.stderr, re.MULTILINE)
    assert found, done.stderr
    assert len(re.findall(r"^CMake Error at", done.stderr, re.MULTILINE)) == 1, done.stderr
    return " ".join(found[1].split())


def test_no_compiler(cmake: str, tmp_path: Path) -> None:
    message = said(cmake, tmp_path, CC="/nonexistent/cc")
    assert message == "ossmedia needs a C compiler (Debian: apt-get install gcc libc6-dev)"


def test_no_python_headers(cmake: str, tmp_path: Path) -> None:
    module = ("-DSKBUILD=2", f"-DPython_EXECUTABLE={sys.executable}", "-DPython_INCLUDE_DIR=/none")
    message = said(cmake, tmp_path, *module)
    version = re.escape(sys.version.split()[0])
    needed = rf"ossmedia needs the headers of Python {version}\S*"
    wanted = needed + r" \(Debian: apt-get install python3-dev\)"
    assert re.fullmatch(wanted, message)


def test_no_such_tls(cmake: str, tmp_path: Path) -> None:
    message = said(cmake, tmp_path, "-DOSSMEDIA_TLS=gnutls")
    assert message == "OSSMEDIA_TLS=gnutls: must be loader, system, static or none"


def test_another_openssl_than_the_pinned_one(cmake: str, tmp_path: Path) -> None:
    archive = tmp_path / "openssl.tar.gz"
    archive.write_bytes(b"something else")
    options = ("-DOSSMEDIA_TLS=static", f"-DOSSMEDIA_OPENSSL_SOURCE={archive}")
    message = said(cmake, tmp_path / "build", *options)
    assert re.search(r"openssl\.tar\.gz: not OpenSSL 3\.\d+\.\d+, whose SHA-256 is \w{64}", message)


SETTINGS = """
from pathlib import Path
from scikit_build_core.settings.skbuild_read_settings import SettingsReader

read = SettingsReader.from_file(Path("pyproject.toml"), {"cmake.define.OSSMEDIA_SMALL": "ON"})
print(sorted(f"{name}={value}" for name, value in read.settings.cmake.define.items()))
"""


def test_options_by_environment_reach_cmake_together() -> None:
    pytest.importorskip("scikit_build_core")
    given = {"OSSMEDIA_TLS": "static", "OSSMEDIA_OPENSSL_SOURCE": "/x.tar.gz"}
    command = [sys.executable, "-c", SETTINGS]
    environment = {**os.environ, **given, "OSSMEDIA_WERROR": "ON"}
    told = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment
    ).stdout
    wanted = {"OSSMEDIA_SANITIZE=default", "OSSMEDIA_SMALL=ON", "OSSMEDIA_WERROR=ON"}
    assert set(ast.literal_eval(told)) == wanted | {f"{name}={given[name]}" for name in given}


def pip(*words: str, folder: Path) -> str:
    """What pip says when it refuses."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, cwd=folder
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_a_wheel_of_another_platform(tmp_path: Path) -> None:
    wheel = tmp_path / "ossmedia-0.1.0-cp311-abi3-musllinux_1_2_riscv64.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("ossmedia/__init__.py", "")
    refused = pip("install", "--no-index", "--target", "there", str(wheel), folder=tmp_path)
    assert "is not a supported wheel on this platform" in refused


def test_an_old_python(tmp_path: Path) -> None:
    wheel = tmp_path / "ossmedia-0.1.0-cp311-abi3-manylinux_2_17_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("ossmedia/__init__.py", "")
    words = ("download", "--no-index", "--no-deps", "--only-binary", ":all:", "--find-links", ".")
    platform = ("--platform", "manylinux_2_17_x86_64", "--python-version", "3.10", "--abi", "abi3")
    refused = pip(*words, *platform, "ossmedia", folder=tmp_path)
    assert "No matching distribution found for ossmedia" in refused
    assert "(from versions: none)" in refused
