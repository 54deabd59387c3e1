"""The camera's part of the test suite on ARM: Debian roots, the distribution's Python and cffi, our
wheel, qemu-user.

In flow wheels of dist/, out flow pytest's results per root and one figure line each. No chroot, no
binfmt, no root rights: qemu runs the root's Python, and a wrapper stands in for ``sys.executable``.
Needs mmdebstrap and qemu-user-static.

Usage: arm.py [ROOT ...] [-- PYTEST ARGUMENTS]   e.g. arm.py bookworm-armhf -- -k writer
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "arm"
DIST = ROOT / "dist"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    *("libc6", "python3", "python3-cffi-backend", "python3-httptools", "python3-cryptography"),
    *("openssl", "ca-certificates", "dash", "bash", "coreutils"),
)
# Python alone, newer than the roots have; whatever holds machine code comes from Debian.
PURE = (
    *("pytest", "pluggy", "iniconfig", "packaging", "pygments", "pytest-timeout"),
    *("pytest-benchmark", "py-cpuinfo", "hypothesis<6.150", "sortedcontainers", "attrs"),
    *("aliyun-python-sdk-core", "aliyun-python-sdk-sts", "jmespath"),
    *("starlette", "uvicorn", "anyio", "sniffio", "idna", "click", "h11", "typing-extensions"),
)


class Machine(NamedTuple):
    """A Debian release on an architecture: apt's name, the wheel's, qemu's, Python's version."""

    suite: str
    apt: str
    wheel: str
    qemu: str
    python: str

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.apt}"


MACHINES = [
    Machine("bookworm", "armhf", "armv7l", "qemu-arm-static", "3.11"),
    Machine("bookworm", "arm64", "aarch64", "qemu-aarch64-static", "3.11"),
    Machine("trixie", "armhf", "armv7l", "qemu-arm-static", "3.13"),
    Machine("trixie", "arm64", "aarch64", "qemu-aarch64-static", "3.13"),
]

CAMERA = (
    *("address", "app_server", "bucket", "checkpoint", "clock", "credentials", "errors", "headers"),
    *("listing", "model", "native", "policy", "reader", "retry", "session", "terminal"),
    *("ticket", "upload", "writer"),
)
ROUTES = ("frame", "foreign_bytes", "https", "exit", "secrets")


def camera_part() -> list[str]:
    units = [f"tests/unit/test_{name}.py" for name in CAMERA]
    return units + [f"tests/routes/test_{name}.py" for name in ROUTES]


def make_root(machine: Machine) -> Path:
    """A Debian root, extracted and not configured; made once."""
    made = BUILD / machine.name
    if not (made / "usr/bin/python3").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.parent.mkdir(parents=True, exist_ok=True)
        command = ["mmdebstrap", "--variant=extract", f"--architectures={machine.apt}"]
        command += [f"--include={','.join(PACKAGES)}", machine.suite, str(made), MIRROR]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return made


def install(machine: Machine) -> Path:
    """Our wheel and pure Python packages in a folder of their own, unpacked by this machine's pip:
    an emulated one takes half a minute for that."""
    site = BUILD / f"{machine.name}-site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    pip += ["--only-binary", ":all:", "--python-version", machine.python, "--implementation", "cp"]
    if not site.exists():
        subprocess.run([*pip, "--platform", "any", "--abi", "none", *PURE], check=True)
    (wheel,) = DIST.glob(f"ossmedia-*-manylinux_2_17_{machine.wheel}.whl")
    shutil.rmtree(site / "ossmedia", ignore_errors=True)
    for old in site.glob("ossmedia-*.dist-info"):
        shutil.rmtree(old)
    tags = ["--platform", f"manylinux_2_17_{machine.wheel}", "--abi", "abi3"]
    subprocess.run([*pip, "--upgrade", *tags, str(wheel)], check=True)
    (site / "sitecustomize.py").write_text(
        'import os, sys\nsys.executable = os.environ["OSSMEDIA_ARM_PYTHON"]\n'
    )
    return site


def copy_tests() -> Path:
    """The tests without the package's sources, which would be found before the wheel."""
    work = BUILD / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(ROOT / "tests", work / "tests")
    shutil.copy(ROOT / "pyproject.toml", work)
    return work


def write_python(machine: Machine, root: Path, site: Path) -> Path:
    """A script that is this root's Python, for us and for tests that start one."""
    script = BUILD / f"{machine.name}-python"
    paths = f"{site}:{root}/usr/lib/python3/dist-packages"
    qemu = shutil.which(machine.qemu)
    if qemu is None:
        raise SystemExit(f"{machine.qemu} is missing; install qemu-user-static")
    # Programs of this machine must not see the root's settings: they are qemu's arguments.
    script.write_text(
        "#!/bin/sh\n"
        f'exec {qemu} -L {root} -E PYTHONPATH="${{OSSMEDIA_MORE:-}}{paths}" \\\n'
        f"  -E PYTHONDONTWRITEBYTECODE=1 -E OSSMEDIA_ARM_PYTHON={script} \\\n"
        f"  -E SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \\\n"
        f'  {root}/usr/bin/python{machine.python} "$@"\n'
    )
    script.chmod(0o755)
    return script


def run(machine: Machine, arguments: list[str]) -> tuple[str, int]:
    """All of the camera's tests in one root. Returns pytest's last line and its status."""
    root = make_root(machine)
    python = write_python(machine, root, install(machine))
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-q", "-o", "timeout=600"]
    environment = {**os.environ, "HYPOTHESIS_MAX_EXAMPLES": "10"}
    done = subprocess.run(
        [*command, *camera_part(), *arguments],
        check=False,
        cwd=copy_tests(),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    print(done.stdout)
    last = re.findall(r"^.*(?:passed|failed|error).*$", done.stdout, re.MULTILINE)
    return (last[-1] if last else "no result"), done.returncode


def main(arguments: list[str]) -> int:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    wanted, more = arguments[:cut], arguments[cut + 1 :]
    known = {machine.name: machine for machine in MACHINES}
    unknown = set(wanted) - set(known)
    if unknown:
        print(f"no such root: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return 2
    results = []
    for name in wanted or known:
        began = time.monotonic()
        line, status = run(known[name], more)
        results.append((name, line, status, time.monotonic() - began))
    print(f"on {platform.machine()}, under qemu-user:")
    for name, line, _, seconds in results:
        print(f"  {name:16} {line.strip('= ')} ({seconds:.0f} s with the root)")
    return int(any(status for _, _, status, _ in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
