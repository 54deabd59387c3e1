"""System calls and user-space instructions of every client: counts, which no load disturbs.

In flow the marks of a client (its calls of getppid), out flows the slope between two lengths of the
same work, so that starting and connecting are left out. Instructions are counted by a plugin of
qemu-user (count.c), system calls by strace.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.peers.measure import Failed, Place, Served, command, environment, missing
from bench.peers.scenarios import PEERS, SCENARIOS, Peer, Scenario
from bench.peers.table import Found
from bench.sink import ROOT, build_plugin, build_static

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CASES", "slope", "system_calls", "table"]

KIB, MIB = 1 << 10, 1 << 20
TIMEOUT_S = 280
ARM_ROOT = ROOT / "build/roots/bookworm-arm64"
PUT, APPEND, CAMERA = SCENARIOS["put-64k"], SCENARIOS["append-256k"], SCENARIOS["camera"]
# Title, work, bytes of one, two lengths, what one unit of the result is in lengths.
CASES: tuple[tuple[str, Scenario, int, tuple[int, int], float], ...] = (
    ("PUT of 1 KiB", PUT, KIB, (20, 60), 1),
    ("PUT of 64 KiB", PUT, 64 * KIB, (20, 60), 1),
    ("append of 256 KiB", APPEND, 256 * KIB, (8, 24), 1),
    ("camera frame of 22 KiB on average", CAMERA, 1, (480, 1440), 1),
    ("MiB of 16 MiB PUTs from memory", PUT, 16 * MIB, (1, 3), 1 / 16),
)
OWN = ("ossmedia core", "ossmedia", "ossmedia writer")
WHO = ("raw", "raw+v4+crc", "libcurl+v4+crc", *OWN, "obstore", "oss2", "alibabacloud-oss-v2")
TLS_WHO = ("raw+crc", "libcurl+v4+crc", *OWN, "obstore")
REPEATS = 3  # of system calls: a slow reader makes a sender wait, and ask whether it may go on
# ``rep movsb`` would count once a byte: copies are counted as vectors.
TUNABLES = ":".join(f"glibc.cpu.x86_rep_{name}_threshold=1073741824" for name in ("movsb", "stosb"))

if TYPE_CHECKING:
    Count = Callable[[list[str], Path], int]


def instructions(words: list[str], folder: Path) -> int:
    """Between a program's two marks, in all its threads.

    Raises:
        Failed: there is no qemu-user with plugins, or the program ended badly.
    """
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        raise Failed("qemu-x86_64 is not installed (Debian's qemu-user)")
    out = folder / "instructions"
    program = shutil.which(words[0]) or words[0]
    given = [emulator, "-plugin", f"{build_plugin()},out={out}", program, *words[1:]]
    return _between(out, given)


def _between(out: Path, words: list[str]) -> int:
    _run(words, {"GLIBC_TUNABLES": TUNABLES})
    marks = [int(line.split()[0]) for line in out.read_text().splitlines()]
    if len(marks) != 2:
        raise Failed(f"{len(marks)} marks instead of two")
    return marks[1] - marks[0]


def instructions_aarch64(words: list[str], folder: Path) -> int:
    """The same on aarch64: of the core's program by a cross compiler; and of the wheel in the root
    that ``make arm`` left.

    Raises:
        Failed: there is no compiler, root or qemu-user with plugins, or the program ended badly.
    """
    emulator, out = shutil.which("qemu-aarch64"), folder / "instructions"
    if emulator is None:
        raise Failed("qemu-aarch64 is not installed (Debian's qemu-user)")
    machine = [emulator, "-cpu", "max", "-plugin", f"{build_plugin()},out={out}"]
    if words[1] == "-m":
        return _python_aarch64(machine, words, out)
    try:
        program = build_static("core.c", "aarch64")
    except (FileNotFoundError, subprocess.CalledProcessError) as reason:
        raise Failed(str(reason)) from reason
    return _between(out, [*machine, str(program), *words[1:]])


def _python_aarch64(machine: list[str], words: list[str], out: Path) -> int:
    python = ARM_ROOT / "usr/bin/python3.11"
    site = ARM_ROOT.with_name(ARM_ROOT.name + "-site")
    if not python.exists() or not (site / "ossmedia").exists():
        raise Failed(f"needs {ARM_ROOT.relative_to(ROOT)}: make arm")
    # Out of the tree, whose own ossmedia would hide the wheel's, and out of what the root shadows.
    with tempfile.TemporaryDirectory() as elsewhere:
        copies = Path(elsewhere, "bench", "peers")
        copies.mkdir(parents=True)
        for name in ("__init__", "client", "own"):
            shutil.copy(Path(__file__).with_name(f"{name}.py"), copies)
        given = ["-L", str(ARM_ROOT), "-E", f"PYTHONPATH={site}:{elsewhere}"]
        return _between(out, [*machine, *given, str(python), "-P", *words[1:]])


def system_calls(words: list[str], folder: Path) -> int:
    """Between a program's two marks, in all its threads.

    Raises:
        Failed: there is no strace, or the program ended badly.
    """
    if shutil.which("strace") is None:
        raise Failed("strace is not installed")
    out = folder / "calls"
    _run(["strace", "-f", "-qq", "-o", str(out), *words], {})
    count, marks = 0, 0
    for line in out.read_text(errors="replace").splitlines():
        name = re.match(r"\d+\s+(\w+)\(", line)  # a call that goes on counts where it began
        if name and name[1] == "getppid":
            marks += 1
        elif name and marks == 1:
            count += 1
    if marks != 2:
        raise Failed(f"{marks} marks instead of two")
    return count


def _run(words: list[str], more: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=environment() | more,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no end within {TIMEOUT_S} s") from None
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["no word why"])[-1][:200])


def slope(
    count: Count,
    peer: Peer,
    case: tuple[str, Scenario, int, tuple[int, int], float],
    where: Place,
    tls: str = "",
) -> float:
    """Of one unit of the case's work; with a suite over TLS.

    Raises:
        Failed: it could not be counted.
    """
    _, scenario, size, lengths, unit = case
    if peer.slow > 1 and lengths[0] >= 20:  # seconds of emulation for each request
        lengths = (lengths[0] // 4, lengths[1] // 4)
    found = []
    with Served(replace(scenario, size=size, tls=tls), where, spin=False) as sink:
        for length in lengths:
            frames = where.frames(length)[0] if scenario.what == "camera" else ""
            given: dict[str, object] = {
                "endpoint": sink.endpoint,
                "what": scenario.what,
                "size": size,
                "count": length,
                "payload": where.payload(max(size * min(length, 8), 1 << 22)),
                "frames": frames,
                "ca": sink.ca,
                "crc": 0 if peer.program else 1,
            }
            found.append(count(command(peer, given), where.folder))
    return (found[1] - found[0]) / (lengths[1] - lengths[0]) * unit


def _cells(
    count: Count, name: str, place: Place, tls: str, reasons: list[str]
) -> list[float | None]:
    """One for each case, None where it cannot be counted."""
    cells: list[float | None] = []
    for case in CASES:
        cells.append(None)
        if case[1].what == "append" and name == "obstore":
            continue
        times = REPEATS if count is system_calls else 1
        try:
            cells[-1] = median(slope(count, PEERS[name], case, place, tls) for _ in range(times))
        except Failed as why:
            reasons.append(f"- **{name}**, {case[0]}: {why}")
    return cells


def table(place: Place, given: argparse.Namespace) -> Found:
    """Both counts of everybody, as Markdown; ossmedia's as figures."""
    found = Found(["### Counts of x86_64, and instructions of ossmedia on aarch64", ""])
    found.lines.append("| client | " + " | ".join(c[0] for c in CASES) + " |")
    found.lines.append("|---|" + "--:|" * len(CASES))
    reasons: list[str] = []
    kinds = (
        ("instructions", instructions, WHO, ""),
        ("instructions on aarch64", instructions_aarch64, OWN, ""),
        ("system calls", system_calls, WHO, ""),
        ("system calls over TLS 1.3", system_calls, TLS_WHO, "aes"),
    )
    for title, count, names, tls in kinds:
        for name in names:
            if given.peers and name not in given.peers:
                continue
            absent = missing(PEERS[name])
            if absent:
                reasons.append(f"- **{name}**: not run: {absent}")
                continue
            cells = _cells(count, name, place, tls, reasons)
            told = ["-" if cell is None else f"{cell:,.1f}" for cell in cells]
            found.lines.append(f"| {name}, {title} | " + " | ".join(told) + " |")
            if name in ("ossmedia", "ossmedia core"):
                alone = "core, " * (name != "ossmedia")
                for case, cell in zip(CASES, cells, strict=True):
                    found.figures[f"{alone}{title}: {case[0]}"] = [] if cell is None else [cell]
    found.lines += ["", *dict.fromkeys(reasons)]
    return found
