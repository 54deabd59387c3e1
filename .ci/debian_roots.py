"""Another Debian, as far as a test needs it: a root, its Python, our wheel in it.

In flow a release and an architecture, out flows a script that is that root's Python, under
qemu-user where the architecture is foreign. No chroot, no binfmt, no root rights. Needs mmdebstrap,
and qemu-user-static for ARM.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "roots"
DIST = ROOT / "dist"
PACKAGES = (
    *("libc6", "python3", "python3-venv", "python3-cffi", "python3-cffi-backend"),
    *("python3-httptools", "python3-cryptography", "openssl", "ca-certificates"),
    *("dash", "bash", "coreutils", "sed", "grep"),
)
# Python alone, newer than the roots have; whatever holds machine code comes from Debian.
PURE = (
    *("pytest", "pluggy", "iniconfig", "packaging", "pygments", "pytest-timeout"),
    *("pytest-benchmark", "py-cpuinfo", "hypothesis<6.150", "sortedcontainers", "attrs"),
    *("aliyun-python-sdk-core", "aliyun-python-sdk-sts", "aliyun-python-sdk-vod", "jmespath"),
    *("starlette", "uvicorn", "anyio", "sniffio", "idna", "click", "h11", "typing-extensions"),
    *("tqdm",),
)

# qemu-user finds the root's files for most system calls, but not for listxattr and (which 32-bit
# Debian's stat is since trixie) statx; a virtual environment that is being made reads no .pth.
CUSTOM = """
import os, sys
os.__dict__.pop("listxattr", None)
if "ensurepip" in sys.orig_argv:
    real, wheels = os.stat, "/usr/share/python-wheels/"

    def stat(path, **more):
        inside = not isinstance(path, int) and os.fsdecode(path).startswith(wheels)
        return real("{root}" + os.fsdecode(path) if inside else path, **more)

    os.stat = stat
"""


class NoRootError(Exception):
    """A Debian release could not be had: the mirror's own words."""


class Machine(NamedTuple):
    """A Debian release on an architecture: apt's name, the wheel's, qemu's ("": our own), Python's
    version."""

    suite: str
    apt: str
    wheel: str
    qemu: str
    python: str

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.apt}"

    @property
    def root(self) -> Path:
        return BUILD / self.name

    @property
    def site(self) -> Path:
        return BUILD / f"{self.name}-site"

    @property
    def script(self) -> Path:
        """This root's Python, for us and for tests that start one."""
        return self.root / "usr/bin/python-from-outside"


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("bookworm", "armhf", "armv7l", "qemu-arm-static", "3.11"),
        Machine("bookworm", "arm64", "aarch64", "qemu-aarch64-static", "3.11"),
        Machine("trixie", "armhf", "armv7l", "qemu-arm-static", "3.13"),
        Machine("trixie", "arm64", "aarch64", "qemu-aarch64-static", "3.13"),
        Machine("forky", "armhf", "armv7l", "qemu-arm-static", "3.14"),
    )
}


def mirror() -> list[str]:
    """Where this machine takes its own packages from, without the updates; none: mmdebstrap's."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE)"]
    done = subprocess.run(
        [*command, "Created-By: Packages"], check=False, stdout=subprocess.PIPE, text=True
    )
    found = [line.split() for line in done.stdout.splitlines()]
    return [uri for uri, suite in found if "-" not in suite][:1]


def make_root(machine: Machine) -> None:
    """A Debian root, extracted and not configured; made once, and anew for other packages.

    Raises:
        NoRootError: it cannot be downloaded.
    """
    made, stamp = machine.root, BUILD / f"{machine.name}.packages"
    wanted = ",".join(PACKAGES)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(made, ignore_errors=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--variant=extract", f"--architectures={machine.apt}"]
    command += ['--aptopt=Acquire::Check-Valid-Until "false"']  # of testing, on a slow mirror
    command += [f"--include={wanted}", machine.suite, str(made), *mirror()]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise NoRootError(f"{machine.name} cannot be made:\n{done.stderr}")
    # qemu looks into the root first, and a root has no terminals: those are this machine's.
    shutil.rmtree(made / "dev")
    stamp.write_text(wanted)


def our_wheel(machine: Machine) -> Path:
    found = list(DIST.glob(f"ossmedia-*-manylinux_2_17_{machine.wheel}.whl"))
    if len(found) != 1:
        raise SystemExit(f"dist/ needs one {machine.wheel} wheel, not {len(found)}: make wheels")
    return found[0]


def install(machine: Machine) -> None:
    """Our wheel and pure Python packages in a folder of their own, unpacked by this machine's pip:
    an emulated one takes half a minute for that."""
    site = machine.site
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    pip += ["--only-binary", ":all:", "--python-version", machine.python, "--implementation", "cp"]
    stamp = site / "packages"
    if not stamp.exists() or stamp.read_text() != " ".join(PURE):
        shutil.rmtree(site, ignore_errors=True)
        subprocess.run([*pip, "--platform", "any", "--abi", "none", *PURE], check=True)
        stamp.write_text(" ".join(PURE))
    shutil.rmtree(site / "ossmedia", ignore_errors=True)
    for old in site.glob("ossmedia-*.dist-info"):
        shutil.rmtree(old)
    tags = ["--platform", f"manylinux_2_17_{machine.wheel}", "--abi", "abi3"]
    subprocess.run([*pip, "--upgrade", *tags, str(our_wheel(machine))], check=True)


def write_python(machine: Machine) -> None:
    """Writes :attr:`Machine.script`.

    It stands in the root and hands its own name on, so that a virtual environment can link to it
    and Python still finds the environment and its own library.
    """
    root, script = machine.root, machine.script
    # Python calls itself by the script's name, or what it starts would not run; and -I hides
    # PYTHONPATH.
    (root / "usr/lib/python3/dist-packages/from-outside.pth").write_text(
        "import os, sys; sys.prefix == sys.base_prefix and sys.__dict__.update("
        "dict.fromkeys(('executable', '_base_executable'), os.environ['OSSMEDIA_PYTHON']))\n"
        f"import os, sys; 'OSSMEDIA_BARE' in os.environ or sys.path.append('{machine.site}')\n"
    )
    custom = root / f"usr/lib/python{machine.python}/sitecustomize.py"
    custom.unlink(missing_ok=True)  # Debian's link, out of the root
    custom.write_text(CUSTOM.format(root=root))
    script.write_text(
        "#!/bin/sh\n"
        'name=$0\n[ -e "$(dirname "$0")/../pyvenv.cfg" ] || '
        f"name={root}/usr/bin/python{machine.python}\n"
        f'paths="{machine.site}"\n'
        '[ -z "${OSSMEDIA_BARE:-}" ] || paths=\n' + start(machine) + ' "$@"\n'
    )
    script.chmod(0o755)


def start(machine: Machine) -> str:
    """The line that starts the root's Python as $name with $paths."""
    root = machine.root
    settings = {
        "PYTHONPATH": '"$paths"',
        # Kept outside of the root: an emulated Python that compiles pytest needs half a minute.
        "PYTHONPYCACHEPREFIX": str(BUILD / f"{machine.name}-bytecode"),
        "OSSMEDIA_PYTHON": str(machine.script),
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    }
    python = f"{root}/usr/bin/python{machine.python}"
    if not machine.qemu:
        folders = f"{root}/usr/lib/x86_64-linux-gnu"
        words = [f"{name}={value}" for name, value in settings.items()]
        linker = f'{folders}/ld-linux-x86-64.so.2 --argv0 "$name" --library-path {folders}'
        return f"exec env {' '.join(words)} {linker} {python}"
    qemu = shutil.which(machine.qemu)
    if qemu is None:
        raise SystemExit(f"{machine.qemu} is missing; install qemu-user-static")
    # As qemu's arguments: programs of this machine must not see the root's settings.
    words = [f"-E {name}={value}" for name, value in settings.items()]
    return f'exec {qemu} -L {root} -0 "$name" {" ".join(words)} {python}'


def prepare(machine: Machine) -> None:
    make_root(machine)
    install(machine)
    write_python(machine)


def environment(**more: str) -> dict[str, str]:
    """This machine's, without what belongs to its own Python and cloud."""
    foreign = ("PYTHON", "VIRTUAL_ENV", "OSS_", "OSSMEDIA_", "ALIBABA_CLOUD_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **more}
