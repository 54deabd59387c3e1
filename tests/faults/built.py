"""The harness's C programs, built from their sources: an allocator that fails, writes that fall
short, and a camera in C that is linked with the library's own sources and no sanitizer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["driver", "shim"]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FOLDER = ROOT / "build" / "faults"


def _run(*command: object) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()


def _newer(made: Path, *sources: Path) -> bool:
    return made.exists() and all(
        made.stat().st_mtime >= source.stat().st_mtime for source in sources
    )


def shim(name: str) -> Path:
    """malloc.so or short.so, to be preloaded.

    Raises:
        FileNotFoundError: there is no C compiler.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    made, source = FOLDER / f"{name}.so", HERE / f"{name}.c"
    if not _newer(made, source):
        warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-fno-builtin"]
        _run("cc", *warnings, "-shared", "-fPIC", "-o", made, source, "-ldl")
    return made


def driver() -> Path:
    """The camera in C.

    Raises:
        FileNotFoundError: there is no cmake or C compiler.
    """
    tool = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if tool is None:
        raise FileNotFoundError("tests/faults/driver.c: cmake is needed (pip install cmake)")
    library, made = FOLDER / "libossmedia_c.a", FOLDER / "driver"
    configure = ["-S", ROOT, "-B", FOLDER, "-DOSSMEDIA_SANITIZE=none", "--log-level=WARNING"]
    _run(tool, *configure, f"-DPython3_EXECUTABLE={sys.executable}")
    _run(tool, "--build", FOLDER, "--target", "ossmedia_c")
    source = HERE / "driver.c"
    if not _newer(made, source, library):
        warnings = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O1"]
        paths = ["-I", ROOT / "csrc", "-o", made, source, library]
        _run("cc", *warnings, *paths, "-lpthread", "-ldl", "-lm")
    return made
