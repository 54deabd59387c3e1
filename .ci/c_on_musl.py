"""The C tests as static musl programs for ARM, under qemu-user: no Python, no root, no glibc.

In flows csrc and tests/c, out flow ctest's results per architecture. Needs qemu-user-static.

Usage: c_on_musl.py [armv7l-musl] [aarch64-musl] [-- CTEST ARGUMENTS]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from camera_tests import RESULTS
from debian_roots import BUILD, ROOT
from wheels import TARGETS, zig_environment

# Its malloc that fails takes libc's place by name; in a static program it does so inside libc, too.
LEFT_OUT = "^test_nomem$"
QEMU = {"armv7l-musl": "qemu-arm-static", "aarch64-musl": "qemu-aarch64-static"}


def tool(name: str) -> str:
    """cmake, ctest and ninja of the package index stand beside this Python."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if found is None:
        raise SystemExit(f"{name} is missing (pip install cmake ninja)")
    return found


def configure(name: str, folder: Path, variables: dict[str, str]) -> None:
    """OpenSSL is loaded by a dynamic program only: this build has no TLS."""
    qemu = shutil.which(QEMU[name])
    if qemu is None:
        raise SystemExit(f"{QEMU[name]} is missing; install qemu-user-static")
    options = {
        "CMAKE_MAKE_PROGRAM": tool("ninja"),
        "CMAKE_TOOLCHAIN_FILE": str(ROOT / "csrc/cross/zig.cmake"),
        "CMAKE_CROSSCOMPILING_EMULATOR": qemu,
        "CMAKE_EXE_LINKER_FLAGS": "-static",
        "CMAKE_BUILD_TYPE": "Release",
        "Python3_EXECUTABLE": sys.executable,
        "OSSMEDIA_SANITIZE": "none",
        "OSSMEDIA_TLS": "none",
        "OSSMEDIA_WERROR": "ON",
    }
    words = [f"-D{option}={value}" for option, value in options.items()]
    command = [tool("cmake"), "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", *words]
    subprocess.run([*command, "--log-level=WARNING"], check=True, env=variables)


def run(name: str, more: list[str]) -> int:
    """ctest's status; the results stay as RESULTS/c-``name``/c.xml."""
    folder = BUILD / f"c-{name}"
    results = RESULTS / f"c-{name}" / "c.xml"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    variables = zig_environment(TARGETS[name])
    configure(name, folder, variables)
    subprocess.run([tool("cmake"), "--build", str(folder)], check=True, env=variables)
    command = [tool("ctest"), "--test-dir", str(folder), "--output-on-failure"]
    command += ["--timeout", "600", "--output-junit", str(results), "-E", LEFT_OUT, *more]
    return subprocess.run(command, check=False).returncode


def main(arguments: list[str]) -> int:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    names, more = arguments[:cut] or list(QEMU), arguments[cut + 1 :]
    for name in names:
        if name not in QEMU:
            print(f"no such target: {name}; known: {', '.join(QEMU)}")
            return 2
    statuses = [run(name, more) for name in names]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
