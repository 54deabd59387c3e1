"""The C core under the sanitizers and valgrind, where `make test` does not go already.

    asan      the Python tests next to the core, with a module built with ASan and UBSan
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
# What moves bytes through the core. Not those that count memory or instructions: a sanitizer's own
# would count, too.
NEAR_THE_CORE = [
    "unit/test_native.py",
    "unit/test_put.py",
    "unit/test_reader.py",
    "unit/test_writer.py",
    "unit/test_upload.py",
    "unit/test_session.py",
    "unit/test_bucket.py",
    "unit/test_listing.py",
    "unit/test_ts.py",
    "unit/test_segments.py",
    "unit/test_hls.py",
    "unit/test_hls_trouble.py",
    "unit/test_resumable.py",
    "unit/test_spool.py",
    "unit/test_spool_blocks.py",
    "unit/test_completion_in_doubt.py",
    "routes/test_frame.py",
    "routes/test_https.py",
    "routes/test_hostile_answers.py",
    "routes/test_bad_certificates.py",
    "routes/test_crlf.py",
    "routes/test_secrets.py",
    "routes/test_hls.py",
    "routes/test_addressing.py",
    "routes/test_foreign_bytes.py",
    "fuzz/test_python_parsers.py",
]
THREADED = [
    *("store_threads", "stream_threads", "stream_random", "stream", "http", "http_faults"),
    *("store", "append", "upload_parts", "tls", "crc64_once", "stream_stay"),
]
SMOKE = ["upload", "append", "stream"]
# Leaks whose allocation the core did not make itself: the stacks are cut to two frames, so that a
# frame of Python below one of ours suppresses nothing.
NOT_OURS = """
leak:bin/python3
leak:libpython3
leak:_cffi_backend
leak:libcrypto
leak:libssl
leak:libsqlite3
leak:libc.so
leak:cpython-3
leak:libstdc++
leak:libexpat
leak:_rust.abi3.so
leak:libx265
leak:libavcodec
leak:ld-linux
""".strip()


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


def asan() -> None:
    """The module lives in a virtual environment of its own, above the packages of this one."""
    folder = BUILD / "asan"
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    own = next((folder / "venv").glob("lib/python*/site-packages"))
    ours = next(BIN.parent.glob("lib/python*/site-packages"))
    (own / "above.pth").write_text(f"{ours}\n")
    run(
        *(python, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps"),
        *("--force-reinstall", "-e", ".", f"-Cbuild-dir={folder / 'module'}"),
        "-Ccmake.define.OSSMEDIA_SANITIZE=address,undefined",
        *("-Ccmake.build-type=RelWithDebInfo", "-Cinstall.strip=false"),
        PATH=f"{BIN}:{os.environ['PATH']}",
    )
    suppressions = folder / "leaks.txt"
    suppressions.write_text(NOT_OURS + "\n")
    library = subprocess.run(
        [shutil.which("gcc") or "gcc", "-print-file-name=libasan.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    run(
        *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *(f"tests/{name}" for name in NEAR_THE_CORE),
        LD_PRELOAD=os.path.realpath(library),
        PYTHONMALLOC="malloc",
        ASAN_OPTIONS="detect_leaks=1:malloc_context_size=2:detect_stack_use_after_return=1",
        LSAN_OPTIONS=f"suppressions={suppressions}:print_suppressions=0",
        UBSAN_OPTIONS="print_stacktrace=1",
    )


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
    what = {"asan": asan, "tsan": tsan, "valgrind": valgrind}
    for name in sys.argv[1:] or [*what]:
        what[name]()
        print(f"{name}: 0 reports", flush=True)


if __name__ == "__main__":
    main()
