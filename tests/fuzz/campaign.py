"""Runs the libFuzzer programs for a bounded time or number of executions, and keeps the figures.

In flow the programs that ``make fuzz`` builds, libfuzzer_parsers.py where atheris is installed, and
the corpora beside this file; out flow what the fuzzers found (build/fuzz/found), the executions so
far (build/fuzz/executions.json) and, with ``--record``, the rows in RESULTS.md. It never changes
the corpora in the tree, and ends at the first crash, time-out or leak with the fuzzer's own words.

    python -m tests.fuzz.campaign --seconds 60
    python -m tests.fuzz.campaign --executions 20000000 --seconds 590 --record response
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "fuzz"
COUNTS = BUILD / "executions.json"
# What reads bytes from elsewhere, with the largest input in bytes; and what only works on them.
PARSERS = {
    "answer": 1024,
    "date": 64,
    "endpoint": 600,
    "request": 1024,
    "response": 1024,
    "text": 256,
    "ts": 2048,
    "xml": 1024,
}
OTHERS = {"hash": 2048, "sign": 1024}
IN_PYTHON = {
    "spool_file": 512,
    "spool_block": 64,
    "spool_search": 1024,
    "ticket": 1200,
    "credentials": 400,
    "checkpoint": 600,
}
SIZES = PARSERS | OTHERS | IN_PYTHON
MARK = "<!-- table -->\n"
# A unit that runs for so long on a busy machine is a hang.
HANG_S = 10
# Stacks of each allocation and a long quarantine cost half the speed and find nothing more here:
# no harness keeps memory from one input to the next.
ASAN = "malloc_context_size=2:quarantine_size_mb=8:detect_leaks=1"


def program(name: str) -> str:
    """Its name in the table, and its corpus's."""
    return f"parser_{name}" if name in IN_PYTHON else f"fuzz_{name}"


def start(name: str) -> list[str]:
    if name in IN_PYTHON:
        return [sys.executable, "-m", "tests.fuzz.libfuzzer_parsers", name.replace("_", " ")]
    return [str(BUILD / program(name))]


def run_one(name: str, executions: int, seconds: int) -> dict[str, float]:
    """One program until either bound is met; raises SystemExit with its output if it found
    something."""
    found = BUILD / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    command = [
        *start(name),
        f"-runs={executions}",
        f"-max_total_time={seconds}",
        f"-timeout={HANG_S}",
        f"-max_len={SIZES[name]}",
        "-print_final_stats=1",
        f"-artifact_prefix={found.parent}/{name}-",
        str(found),
        str(HERE / "corpus" / program(name)),
    ]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=HERE.parent.parent,
        env={**os.environ, "ASAN_OPTIONS": ASAN},
    )
    if done.returncode:
        raise SystemExit(f"{program(name)} found something:\n{done.stdout}{done.stderr[-4000:]}")
    ran = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    edges = re.findall(r"cov: (\d+)", done.stderr)
    if ran is None or not edges:
        raise SystemExit(f"{program(name)} said nothing of its run:\n{done.stderr[-2000:]}")
    return {"executions": int(ran[1]), "edges": int(edges[-1])}


def add(name: str, ran: dict[str, float]) -> dict[str, dict[str, float]]:
    """The sums of all runs so far, this one included."""
    sums = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    before = sums.get(name, {"executions": 0})
    sums[name] = {
        "executions": before["executions"] + ran["executions"],
        "edges": ran["edges"],
    }
    COUNTS.write_text(json.dumps(sums, indent=1, sort_keys=True))
    return sums


def record(name: str, sums: dict[str, dict[str, float]]) -> None:
    """Writes one program's row of RESULTS.md anew; the others stay as their own runs left them."""
    head, mark, table = (HERE / "RESULTS.md").read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise SystemExit(f"RESULTS.md has no {MARK.strip()} line")
    rows = {
        found[1]: found[0] for found in re.finditer(r"^\| (\w+_\w+) \|.*$", table, re.MULTILINE)
    }
    mine = sums[name]
    rows[program(name)] = (
        f"| {program(name)} | {mine['executions']:,} | {mine['edges']} | 0 | 0 | "
        f"{datetime.now(UTC):%Y-%m-%d} |"
    )
    lines = [
        f"{platform.machine()}; fuzz_: C, clang with ASan and UBSan; parser_: Python, atheris:",
        "",
        "| program | executions | edges reached | crashes | hangs | day |",
        "|---|---:|---:|---:|---:|---|",
        *[rows[program(name)] for name in SIZES if program(name) in rows],
    ]
    (HERE / "RESULTS.md").write_text(head + mark + "\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of one program, at most")
    parser.add_argument(
        "--executions", type=int, default=0, help="of one program in all runs; 0: only --seconds"
    )
    parser.add_argument("--record", action="store_true", help="write RESULTS.md")
    parser.add_argument("names", nargs="*", choices=[[], *SIZES], metavar="name")
    given = parser.parse_args()
    for name in given.names or [*SIZES]:
        if name in IN_PYTHON and importlib.util.find_spec("atheris") is None:
            sys.stdout.write(f"{program(name)}: not run, atheris is not installed\n")
            continue
        sums = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
        left = given.executions - int(sums.get(name, {"executions": 0})["executions"])
        if given.executions and left <= 0:
            continue
        ran = run_one(name, left if given.executions else -1, given.seconds)
        sums = add(name, ran)
        sys.stdout.write(
            f"{program(name)}: {ran['executions']:,} executions, {sums[name]['executions']:,.0f} "
            f"in all, {ran['edges']} edges, no crash, no hang\n"
        )
        sys.stdout.flush()
        if given.record:
            record(name, sums)


if __name__ == "__main__":
    main()
