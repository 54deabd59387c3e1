"""The x86-64 wheel in every Python from 3.11 to 3.14 that can be had here, and the camera's tests
in each.

In flows the wheel of dist/ (``--from-source``: the sdist), out flow pytest's results per version.
A version is taken from the
machine (PATH, pyenv), else from a Debian release that has it (mmdebstrap); which one was used is
printed, and a version that cannot be had is a failure unless ``--skip-missing``. "3.14t" is the
free-threaded build: abi3 is not for it, so it takes ``--from-source`` and a C compiler.

Usage: pythons.py [--skip-missing] [--from-source] [--record] [--parts NAMES] [VERSION ...]
                  [-- PYTEST ARGUMENTS]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from camera_tests import PARTS, run_part
from debian_roots import BUILD, DIST, PURE, Machine, NoRootError, environment, our_wheel, prepare
from record import record, summary

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
DEBIAN = {
    "3.11": Machine("bookworm", "amd64", "x86_64", "", "3.11"),
    "3.13": Machine("trixie", "amd64", "x86_64", "", "3.13"),
    "3.14": Machine("forky", "amd64", "x86_64", "", "3.14"),
}
BINARY = ("cffi", "httptools", "cryptography")


def on_this_machine(version: str) -> str | None:
    """A Python of the version that starts and can make virtual environments."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    number = version.rstrip("t")
    found = [str(path) for path in sorted(pyenv.glob(f"{number}.*/bin/python{version}"))]
    found += [path] if (path := shutil.which(f"python{version}")) else []
    check = f"import ensurepip, sys; assert sys.version_info[:2] == ({number.replace('.', ',')})"
    for python in found:
        done = subprocess.run([python, "-c", check], check=False, capture_output=True)
        if done.returncode == 0:
            return python
    return None


def our_sdist() -> Path:
    found = list(DIST.glob("ossmedia-*.tar.gz"))
    if len(found) != 1:
        raise SystemExit(f"dist/ needs one sdist, not {len(found)}: make wheels")
    return found[0]


def make_environment(version: str, python: str, *, from_source: bool) -> Path:
    """A virtual environment with ours and what the tests need from the package index."""
    made = BUILD / f"python-{version}"
    inside = made / "bin/python"
    pip = [str(inside), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    stamp, wanted = made / "packages", " ".join((*PURE, *BINARY))
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(made, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(made)], check=True)
        subprocess.run([*pip, *PURE, *BINARY], check=True, env=environment())
        stamp.write_text(wanted)
    ours = our_sdist() if from_source else our_wheel(Machine("", "", "x86_64", "", version))
    command = [*pip, "--force-reinstall", "--no-deps", "--no-cache-dir", str(ours)]
    subprocess.run(command, check=True, env=environment())
    return inside


def find(version: str, *, from_source: bool = False) -> tuple[Path, str] | None:
    """The Python with ours in it, and where it is from."""
    python = on_this_machine(version)
    if python is not None:
        return make_environment(version, python, from_source=from_source), python
    if version in DEBIAN and not from_source and shutil.which("mmdebstrap"):
        prepare(DEBIAN[version])
        return DEBIAN[version].script, f"Debian {DEBIAN[version].suite}"
    return None


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--skip-missing", action="store_true")
    parser.add_argument("--from-source", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments[:cut])
    for name in options.parts.split(","):
        if name not in PARTS:
            parser.error(f"no such part: {name}; known: {', '.join(PARTS)}")
    return options, arguments[cut + 1 :]


def main(arguments: list[str]) -> int:
    options, more = parse(arguments)
    failed = []
    for version in options.versions or VERSIONS:
        name, began = f"python-{version}", time.monotonic()
        try:
            found = find(version, from_source=options.from_source)
        except NoRootError as error:
            print(error)
            found = None
        if found is None:
            print(f"== {version}: neither on this machine nor in a Debian release known here")
            failed += [] if options.skip_missing else [version]
            continue
        print(f"== {version}: {found[1]}", flush=True)
        for part in options.parts.split(","):
            if run_part(found[0], name, part, more):
                failed.append(f"{version} {part}")
        print(f"== {version}: {time.monotonic() - began:.0f} s; {summary(name)}", flush=True)
    if options.record:
        record()
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
