"""The C core under TSan and valgrind, where `make test` does not go already.

    tsan      the C tests with threads, built by clang with TSan
    valgrind  one upload of each kind, as built for production

Each ends at the first report. The builds are below build/; nothing else is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BIN = Path(sys.executable).parent
THREADED = [
    *("store_threads", "stream_threads", "stream_random", "stream", "http", "http_faults"),
    *("store", "append", "upload_parts", "tls", "tls_common", "crc64_once", "stream_stay"),
]
SMOKE = ["upload", "append", "stream"]


def run(*command: object, **environment: str) -> None:
    words = [str(word) for word in command]
    print("+", *words[:12], "..." if len(words) > 12 else "", flush=True)
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode:
        raise SystemExit(f"{words[0]}: exit code {done.returncode}")


def cmake(folder: str, *options: str) -> Path:
    made = BUILD / folder
    run(
        *(BIN / "cmake", "-S", ROOT, "-B", made, "-G", "Ninja", "--log-level=WARNING"),
        *(f"-DCMAKE_MAKE_PROGRAM={BIN / 'ninja'}", f"-DPython3_EXECUTABLE={sys.executable}"),
        *options,
    )
    return made


def tsan() -> None:
    if not shutil.which("clang"):
        raise SystemExit("tsan: needs clang (Debian: clang)")
    made = cmake(
        "tsan",
        *("-DCMAKE_C_COMPILER=clang", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"),
        *("-DOSSMEDIA_SANITIZE=thread", "-DOSSMEDIA_WERROR=ON"),
    )
    names = [f"test_{name}" for name in THREADED]
    run(BIN / "ninja", "-C", made, *names)
    for name in names:
        # Without random addresses: clang 14's TSan knows fewer layouts than new kernels make.
        run("setarch", "-R", made / name, TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1")


def valgrind() -> None:
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind: needs valgrind (Debian: valgrind)")
    made = cmake("plain", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DOSSMEDIA_SANITIZE=none")
    names = [f"test_{name}" for name in SMOKE]
    run(BIN / "ninja", "-C", made, *names)
    for name in names:
        run(
            *("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--track-fds=no"),
            *("--errors-for-leak-kinds=definite,indirect", made / name),
        )


def main() -> None:
    what = {"tsan": tsan, "valgrind": valgrind}
    for name in sys.argv[1:] or [*what]:
        what[name]()
        print(f"{name}: 0 reports", flush=True)


if __name__ == "__main__":
    main()
