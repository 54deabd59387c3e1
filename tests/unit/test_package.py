"""What a plain install brings: cffi alone, one exported symbol, the clip, nothing of an extra."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from importlib.resources import files

import pytest

import ossmedia._core

HEAVY = ("ssl", "http", "logging", "typing", "dataclasses", "inspect", "urllib", "json", "socket")


def test_the_base_install_depends_on_cffi_alone():
    needed = [line for line in importlib.metadata.requires("ossmedia") if "extra ==" not in line]
    assert needed
    assert {re.match(r"[\w-]+", line)[0] for line in needed} == {"cffi"}


@pytest.mark.skipif(not shutil.which("nm"), reason="needs binutils' nm")
def test_the_module_exports_one_symbol():
    module = ossmedia._core.__file__
    lines = subprocess.run(
        ["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert [line.split()[-1] for line in lines if line] == ["PyInit__core"]


def test_the_camera_path_stays_light():
    code = f"""
import sys
before = set(sys.modules)
from ossmedia import Bucket, Credentials
cams = Bucket("cams", endpoint="http://127.0.0.1:1", region="x", credentials=Credentials("a", "b"))
print(sorted(set({HEAVY!r}) & (set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_package_data():
    assert (files("ossmedia") / "py.typed").is_file()
    assert (files("ossmedia") / "data" / "clip.mp4").read_bytes()[4:8] == b"ftyp"
