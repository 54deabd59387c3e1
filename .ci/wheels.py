"""Builds the six wheels and the sdist into dist/ (musl's: dist/musl/), each checked as it comes.

In flows the tree, out flow files that pip can install; zig from the package index is the compiler
for every target, so that one machine makes them all. Nothing is uploaded.

Usage: wheels.py [TARGET ...]   e.g. wheels.py armv7l-glibc sdist; none: all six and the sdist.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import ziglang
from wheel_check import check_sdist, check_wheel

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "wheels"
DIST = ROOT / "dist"


class Target(NamedTuple):
    """One platform: zig's name for it, the wheel's, and the CPU's floor ("" is zig's own)."""

    triple: str
    tag: str
    cpu: str = ""

    @property
    def folder(self) -> Path:
        """Of the wheel. musl's have their own: ``pip install dist/*x86_64*.whl`` must find one."""
        return DIST / "musl" if self.tag.startswith("musl") else DIST


# Debian's armhf floor: without it zig would take NEON for granted.
ARMV7 = "generic+v7a+vfp3d16-neon-d32"
TARGETS = {
    "x86_64-glibc": Target("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64"),
    "aarch64-glibc": Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64"),
    "armv7l-glibc": Target("arm-linux-gnueabihf.2.17", "manylinux_2_17_armv7l", ARMV7),
    "x86_64-musl": Target("x86_64-linux-musl", "musllinux_1_2_x86_64"),
    "aarch64-musl": Target("aarch64-linux-musl", "musllinux_1_2_aarch64"),
    "armv7l-musl": Target("arm-linux-musleabihf", "musllinux_1_2_armv7l", ARMV7),
}


def python_headers() -> Path:
    """The build Python's headers with a pyconfig.h for any target, see csrc/cross/pyconfig.h."""
    made = BUILD / "python"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(sysconfig.get_path("include"), made, ignore=shutil.ignore_patterns("pyconfig*"))
    shutil.copy(ROOT / "csrc/cross/pyconfig.h", made)
    return made


@cache
def zig_tools() -> tuple[Path, Path]:
    """zig itself and a folder with its ``ar`` and ``ranlib``: CMake wants each as one word."""
    zig = Path(ziglang.__file__).parent / "zig"
    folder = BUILD / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ar", "ranlib"):
        tool = folder / name
        tool.write_text(f'#!/bin/sh\nexec "{zig}" {name} "$@"\n')
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return zig, folder


def zig_environment(target: Target) -> dict[str, str]:
    """What csrc/cross/zig.cmake reads."""
    zig, tools = zig_tools()
    return {
        **os.environ,
        "ZIG": str(zig),
        "ZIG_TOOLS": str(tools),
        "ZIG_TRIPLE": target.triple,
        "ZIG_CPU": target.cpu,
        "CMAKE_TOOLCHAIN_FILE": str(ROOT / "csrc/cross/zig.cmake"),
    }


def build(target: Target, headers: Path) -> Path:
    """One wheel."""
    tag = f"cp311-abi3-{target.tag}"
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    settings = {
        "build-dir": str(BUILD / target.triple),
        "wheel.tags": tag,
        "install.strip": "false",
        "cmake.define.OSSMEDIA_PYTHON_INCLUDE": str(headers),
        "cmake.define.OSSMEDIA_SMALL": "ON",
        "cmake.define.OSSMEDIA_WERROR": "ON",
    }
    for name, value in settings.items():
        command += ["-C", f"{name}={value}"]
    subprocess.run(
        [*command, "-w", str(target.folder), str(ROOT)], check=True, env=zig_environment(target)
    )
    (wheel,) = target.folder.glob(f"ossmedia-*-{tag}.whl")
    return wheel


def build_sdist() -> Path:
    code = "from scikit_build_core.build import build_sdist; print(build_sdist('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return DIST / done.stdout.split()[-1]


def make(name: str, headers: Path) -> str:
    """One wheel, or the sdist, checked. Returns a line about it."""
    if name == "sdist":
        return check_sdist(build_sdist())
    target = TARGETS[name]
    for old in target.folder.glob(f"ossmedia-*-{target.tag}.whl"):
        old.unlink()
    start = time.monotonic()
    return f"{check_wheel(build(target, headers), name)}, {time.monotonic() - start:.1f} s"


def main(names: list[str]) -> int:
    known = [*TARGETS, "sdist"]
    unknown = set(names) - set(known)
    if unknown:
        print(f"no such target: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    if not names:
        shutil.rmtree(DIST, ignore_errors=True)
    headers, began = python_headers(), time.monotonic()
    zig_tools()  # written before several read it
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        for line in workers.map(partial(make, headers=headers), names or known):
            print(line, flush=True)
    print(f"in all {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
