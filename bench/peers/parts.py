"""Figures of our own parts that the goals ask for: small writes, the import, CRC-64, a writer's
memory, kernels on ARM; each of the suite or program that measures it by itself.

In flow a place and the command line's options, out flow lines of Markdown and figures by round. It
measures nothing itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from bench.peers.measure import Failed, Place
from bench.peers.table import Found
from bench.sink import ROOT

__all__ = ["suite", "table"]

TIMEOUT_S = 900
MIB = 1 << 20
PYTEST = ["-m", "pytest", "-q", "--benchmark-only"]
# Of a suite: the test, the name of the case there, the figure's name here, and in what it is told.
SUITES: dict[tuple[str, ...], tuple[tuple[str, str, str, float], ...]] = {
    ("bench/border.py", "-k", "write and 1024 and not send"): (
        ("test_write[1024-alone]", "ossmedia", "write of 1 KiB, ns", 1),
        ("test_write[1024-alone]", "BufferedWriter", "the same into BufferedWriter", 1),
        ("test_write[1024-busy]", "ossmedia", "write of 1 KiB beside a busy thread, ns", 1),
        ("test_write[1024-busy]", "BufferedWriter", "the same into BufferedWriter, busy", 1),
    ),
    ("bench/imports.py",): (
        ("test_import", "ossmedia, CPU ms", "import, ms CPU", 1),
        ("test_import", "ossmedia, resident", "import, MiB", MIB),
        ("test_first_https_put", "ossmedia, resident", "first HTTPS PUT, MiB", MIB),
    ),
    ("bench/hashes.py",): (
        ("test_crc64[64K]", "ossmedia", "CRC-64 of 64 KiB, us/MiB", 1),
        ("test_crc64[64K]", "liblzma", "liblzma's of 64 KiB", 1),
        ("test_crc64[64K]", "crcmod", "crcmod's of 64 KiB", 1),
        ("test_crc64[4M]", "ossmedia", "CRC-64 of 4 MiB, us/MiB", 1),
        ("test_crc64[4M]", "liblzma", "liblzma's of 4 MiB", 1),
        ("test_crc64[4M]", "crcmod", "crcmod's of 4 MiB", 1),
    ),
}
# Of a program that prints JSON: the path to the value, the figure's name here, and in what.
PROGRAMS: dict[str, tuple[tuple[tuple[str, ...], str, float], ...]] = {
    "bench.memory": ((("growth",), "growth of a writer of 4 blocks of 1 MiB, MiB", MIB),),
    "bench.no_aes": (
        (("armv7l, Cortex-A7", "own choice"), "TLS without AES hardware, armv7l, instructions", 1),
        (("armv7l, Cortex-A7", "AES-128-GCM"), "the same with AES all the same", 1),
    ),
    "bench.kernels": (
        (("aarch64", "CRC-64, pmull, a byte"), "CRC-64 on aarch64, instructions a byte", 1),
        (("aarch64", "CRC-64, tables, a byte"), "CRC-64 by tables there, instructions", 1),
    ),
}


def _run(words: list[str]) -> str:
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(words)}: no end within {TIMEOUT_S} s") from None
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["no word why"]
        raise Failed(f"{' '.join(words)}: {said[-1][:200]}")
    return done.stdout


def suite(path: str, place: Place, *options: str) -> dict[str, dict[str, Any]]:
    """What a suite's tests told of themselves, by their names.

    Raises:
        Failed: one of them failed, or it did not end in time.
    """
    report = Path(place.folder, "suite.json")
    report.unlink(missing_ok=True)
    _run([*PYTEST, path, *options, f"--benchmark-json={report}"])
    if not report.exists():
        raise Failed(f"{path}: nothing could be measured")
    return {one["name"]: one["extra_info"] for one in json.loads(report.read_text())["benchmarks"]}


def _of_suite(words: tuple[str, ...], place: Place, found: Found) -> None:
    told = suite(words[0], place, *words[1:])
    for test, case, name, unit in SUITES[words]:
        if test not in told:  # it was skipped: what it is compared with is not installed
            continue
        found.figures[name] = [value / unit for value in told[test]["rounds"][case]]


def _of_program(module: str, found: Found) -> None:
    told = json.loads(_run(["-m", module, "--json"]))
    for path, name, unit in PROGRAMS[module]:
        value = told
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            found.figures[name] = [value / unit]


def table(place: Place, _: argparse.Namespace) -> Found:
    """All of them; a suite that fails is named, the others are still told."""
    found = Found(["### Own parts", "", "| what | median | least | most | rounds |"])
    found.lines.append("|---|--:|--:|--:|--:|")
    for words in SUITES:
        try:
            _of_suite(words, place, found)
        except Failed as why:
            found.broken.append(str(why))
    for module in PROGRAMS:
        try:
            _of_program(module, found)
        except Failed as why:
            found.broken.append(str(why))
    for name, values in found.figures.items():
        good = [value for value in values if value is not None]
        cells = [*(format(f(good), ",.4g") for f in (median, min, max)), str(len(good))]
        found.lines.append(f"| {name} | {' | '.join(cells)} |")
    commands = [" ".join(["python", *PYTEST, *words]) for words in SUITES]
    commands += [f"python -m {module}" for module in PROGRAMS]
    found.lines += ["", "By " + ", ".join(f"`{each}`" for each in commands) + "."]
    found.lines += ["", *(f"- **failed**: {why}" for why in found.broken)]
    return found
