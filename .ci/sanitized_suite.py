"""The Python suite with the module under ASan and UBSan: `make asan` what is next to the core,
`make asan-full` the whole.

In flows the suite, out flow JUnit files (build/asan/results), whatever the sanitizers wrote
(build/asan/reports) and .ci/SANITIZERS.md. Its Python is a script that preloads libasan for itself
alone: what a test starts beside it (Chromium, nginx, PostgreSQL, a compiler) runs as ever, and a
Python that a test starts is sanitized, too. A report is a file, so that one in a process whose
status nobody looks at counts as well.

Usage: sanitized_suite.py [PART ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from record import read_part
from sanitizers import BIN, BUILD, ROOT, run

# What moves bytes through the core.
NEAR_THE_CORE = (
    "tests/unit/test_native.py",
    "tests/unit/test_appender.py",
    "tests/unit/test_put.py",
    "tests/unit/test_reader.py",
    "tests/unit/test_writer.py",
    "tests/unit/test_pump_stay.py",
    "tests/unit/test_upload.py",
    "tests/unit/test_session.py",
    "tests/unit/test_bucket.py",
    "tests/unit/test_listing.py",
    "tests/unit/test_ts.py",
    "tests/unit/test_segments.py",
    "tests/unit/test_hls.py",
    "tests/unit/test_hls_trouble.py",
    "tests/unit/test_resumable.py",
    "tests/unit/test_spool.py",
    "tests/unit/test_spool_blocks.py",
    "tests/unit/test_completion_in_doubt.py",
    "tests/routes/test_frame.py",
    "tests/routes/test_https.py",
    "tests/routes/test_hostile_answers.py",
    "tests/routes/test_bad_certificates.py",
    "tests/routes/test_crlf.py",
    "tests/routes/test_secrets.py",
    "tests/routes/test_hls.py",
    "tests/routes/test_addressing.py",
    "tests/routes/test_foreign_bytes.py",
    "tests/fuzz/test_python_parsers.py",
)
RESULTS, REPORTS = BUILD / "asan" / "results", BUILD / "asan" / "reports"
RECORD = ROOT / ".ci" / "SANITIZERS.md"
# What strace holds by ptrace, as the search for leaks would: it is off for these.
TRACED = (
    "tests/faults/test_checkpoints.py",
    "tests/faults/test_spool_faults.py::test_killed_at_system_calls",
    "tests/faults/test_spool_faults.py::test_kills_that_found_something",
    "tests/faults/test_spool_faults.py::test_syncs_that_fail",
    "tests/faults/test_spool_faults.py::test_system_calls_that_fail",
)
PARTS = {
    "unit": ("tests/unit/test_*.py",),
    "emulator": ("tests/unit/emulator",),
    "server": ("tests/unit/server",),
    "fuzz": ("tests/fuzz",),
    "routes": ("tests/routes",),
    "interop": ("tests/interop",),
    "faults": ("tests/faults",),
    "project": ("tests/test_*.py",),
    "traced": TRACED,
}
NEAR = "near"  # a part of its own, without a row
# What cannot run so, and why.
LEFT_OUT = {
    "tests/unit/test_instructions.py": "counts instructions with valgrind",
    "tests/unit/test_ts_instructions.py": "counts instructions with valgrind",
    "tests/unit/test_bench_peers.py": "counts memory and system calls",
    "tests/unit/test_bench_no_aes.py": "counts instructions in qemu",
    "tests/unit/test_writer_memory.py": "measures memory",
    "tests/unit/emulator/cloud/test_durability.py::test_a_large_object_passes_in_bounded_memory": (
        "measures memory"
    ),
    "tests/routes/test_reconnect.py::test_a_thousand_come_back": "measures memory",
    "tests/routes/test_recordings_many.py": "measures memory and processor time",
    "tests/routes/test_core_dump.py": "dumps all of a process's memory: ASan's shadow is terabytes",
    "tests/faults/test_memory.py": "limits memory",
    "tests/faults/test_allocations.py": "replaces malloc, as ASan does",
    "tests/faults/test_clocks.py": "libfaketime stands still in ASan's allocator",
    "tests/faults/test_spool_faults.py::test_backlog_in_little_memory": "measures memory",
}
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
LEAKS = "detected memory leaks"
MALLOC = "import ctypes; c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; "
PLANTED = {
    "heap-buffer-overflow": MALLOC + "ctypes.string_at(c.malloc(8), 64)",
    LEAKS: MALLOC + "[c.malloc(8) for _ in range(100)]",
}
HEAD = (
    "# The Python suite under ASan and UBSan",
    "",
    "Written by `make asan-full` from pytest's own results and the sanitizers' own reports. The",
    "module is built with both, libasan is preloaded, leaks are looked for at the end of every",
    "Python process but those of `traced`, which strace holds; a planted over-read is reported",
    "before each run, and planted leaks are where leaks are looked for.",
    "",
    "| part | passed | failed | skipped | reports | tests' time | day | commit |",
    "|---|---|---|---|---|---|---|---|",
)


def libasan() -> str:
    command = [shutil.which("gcc") or "gcc", "-print-file-name=libasan.so"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return os.path.realpath(done.stdout.strip())


def build() -> Path:
    """Builds the module; its Python lives in a virtual environment of its own, above the packages
    of this one."""
    folder = BUILD / "asan"
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    own = next((folder / "venv").glob("lib/python*/site-packages"))
    ours = next(BIN.parent.glob("lib/python*/site-packages"))
    (own / "above.pth").write_text(f"{ours}\n")
    schemathesis = python.with_name("schemathesis")  # tests look for it beside their Python
    schemathesis.unlink(missing_ok=True)
    schemathesis.symlink_to(BIN / "schemathesis")
    run(
        *(python, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps"),
        *("--force-reinstall", "-e", ".", f"-Cbuild-dir={folder / 'module'}"),
        "-Ccmake.define.OSSMEDIA_SANITIZE=address,undefined",
        *("-Ccmake.build-type=RelWithDebInfo", "-Cinstall.strip=false"),
        PATH=f"{BIN}:{os.environ['PATH']}",
    )
    return python


def settings_of(part: str) -> dict[str, str]:
    """The environment of a sanitized Python, but for the preloaded library."""
    suppressions = BUILD / "asan" / "leaks.txt"
    suppressions.write_text(NOT_OURS + "\n")
    leaks = int(part != "traced")
    log = f"log_path={REPORTS / part / 'report'}:log_exe_name=1"
    return {
        "PYTHONMALLOC": "malloc",
        # Up to gcc 13 a thread's variables in a library are taken for those of glibc 2.19 where
        # they begin 16 bytes into a page, and the search for leaks dies of what it reads there;
        # they are the heap's, which is searched in any case.
        "ASAN_OPTIONS": f"detect_leaks={leaks}:malloc_context_size=2:"
        "detect_stack_use_after_return=1:"
        f"intercept_tls_get_addr=0:{log}",
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
        "UBSAN_OPTIONS": f"print_stacktrace=1:{log}",
        # pycryptodome's own switch: what it asks of the linker, ASan refuses.
        "PYCRYPTODOME_DISABLE_DEEPBIND": "1",
    }


def write_python(real: Path, part: str) -> Path:
    """A script beside the virtual environment's Python that preloads libasan for itself alone."""
    script, site = real.with_name("python-asan"), next(real.parents[1].glob("lib/*/site-packages"))
    lines = [f"export {name}='{value}'" for name, value in settings_of(part).items()]
    lines += [f'export LD_PRELOAD="{libasan()}${{LD_PRELOAD:+ $LD_PRELOAD}}"']
    lines += [f'exec -a "$0" {real.resolve()} "$@"']
    script.write_text("#!/bin/bash\n" + "\n".join(lines) + "\n")
    script.chmod(0o755)
    command = real.with_name("ossmedia")
    command.write_text(command.read_text().replace(f"#!{real}\n", f"#!{script}\n"))
    (site / "sitecustomize.py").write_text(
        dedent(f"""\
            import os
            import sys

            kept = [name for name in os.environ.pop("LD_PRELOAD", "").split() if "asan" not in name]
            if kept:
                os.environ["LD_PRELOAD"] = " ".join(kept)


            def note():
                with open({str(REPORTS / part / "processes")!r}, "a") as file:
                    test = os.environ.get("PYTEST_CURRENT_TEST", "no test")
                    file.write(f"{{os.getpid()}} {{test}}: {{sys.orig_argv}}\\n")


            note()
            os.register_at_fork(after_in_child=note)
            """)
    )
    return script


def reports_of(part: str) -> list[Path]:
    return sorted((REPORTS / part).glob("report*"))


def processes_of(report: Path) -> str:
    """What ran in the process of a report, and for which test."""
    pid = report.name.rpartition(".")[2]
    lines = (report.parent / "processes").read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith(f"{pid} "))


def check(python: Path, part: str) -> None:
    """A planted over-read and planted leaks must be reported, or nothing else would be."""
    for report, code in PLANTED.items():
        if part == "traced" and report == LEAKS:
            continue
        subprocess.run([python, "-c", code], check=False, cwd=ROOT, stderr=subprocess.DEVNULL)
        found = reports_of(part)
        if len(found) != 1 or report not in found[0].read_text():
            raise SystemExit(f"planted, but not reported: {report}")
        found[0].unlink()


def commit() -> str:
    """What is tested: the commit, and whether anything but the record differs from it."""

    def git(*words: str) -> str:
        command = [shutil.which("git") or "git", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    if not (ROOT / ".git").exists():
        return "no repository"
    changed = git("status", "--porcelain", "-uno", "--", ".", f":!{RECORD.relative_to(ROOT)}")
    return git("rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def run_part(real: Path, part: str) -> bool:
    """Whether all passed and nothing was reported."""
    shutil.rmtree(REPORTS / part, ignore_errors=True)
    (REPORTS / part).mkdir(parents=True)
    RESULTS.mkdir(exist_ok=True)
    python, results = write_python(real, part), RESULTS / f"{part}.xml"
    check(python, part)
    results.unlink(missing_ok=True)
    results.with_suffix(".commit").write_text(commit())
    patterns = PARTS.get(part, NEAR_THE_CORE)
    left_out = (*LEFT_OUT, *(() if part == "traced" else TRACED))
    paths = [
        *(str(path) for pattern in patterns for path in sorted(ROOT.glob(pattern))),
        *(pattern for pattern in patterns if "::" in pattern),
    ]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"]
    command += [f"--deselect={name}" for name in left_out]
    done = subprocess.run([*command, f"--junitxml={results}", *paths], cwd=ROOT, check=False)
    for path in reports_of(part):
        text = path.read_text(errors="replace")[:3000]
        print(f"== {path.name}:\n{processes_of(path)}\n{text}", flush=True)
    return done.returncode == 0 and not reports_of(part)


def kept() -> dict[str, tuple[str, list[str]]]:
    """Of each part in the record: its row, and what is told of it."""
    lines = RECORD.read_text().splitlines() if RECORD.exists() else []
    return {
        part: (
            next((line for line in lines if line.startswith(f"| {part} |")), ""),
            [line for line in lines if line.startswith(f"- {part}: ")],
        )
        for part in PARTS
    }


def ran_here(part: str) -> tuple[str, list[str]]:
    ran, tested = read_part(RESULTS / f"{part}.xml"), RESULTS / f"{part}.commit"
    row = (
        f"| {part} | {ran.passed} | {len(ran.failed)} | {len(ran.skipped)} | "
        f"{len(reports_of(part))} | {ran.seconds:.0f} s | {ran.day} | {tested.read_text()} |"
    )
    told = [f"- {part}: FAILED {test}" for test in ran.failed]
    return row, told + [f"- {part}: skipped {test}: {reason}" for test, reason in ran.skipped]


def record(parts: list[str]) -> None:
    """Writes .ci/SANITIZERS.md; what is told of other parts stays as their own runs left it."""
    known = kept() | {part: ran_here(part) for part in parts}
    lines = [*HEAD]
    lines += [known[part][0] or f"| {part} | not run | | | | | | |" for part in PARTS]
    lines += ["", "## Left out", ""]
    lines += [f"- {name}: {reason}" for name, reason in LEFT_OUT.items()]
    lines += ["", "## Failed or skipped", ""]
    lines += [line for part in PARTS for line in known[part][1]] or ["- nothing"]
    RECORD.write_text("\n".join(lines) + "\n")


def main() -> None:
    parts = sys.argv[1:] or [*PARTS]
    if unknown := set(parts) - {*PARTS, NEAR}:
        raise SystemExit(f"no such part: {', '.join(unknown)}; known: {', '.join(PARTS)}, {NEAR}")
    real = build()
    bad = []
    for part in parts:
        bad += [] if run_part(real, part) else [part]
        if part in PARTS and (RESULTS / f"{part}.xml").exists():
            record([part])
    if bad:
        raise SystemExit(f"failed or reported: {', '.join(bad)}")
    print(f"{', '.join(parts)}: 0 reports")


if __name__ == "__main__":
    main()
