"""The full runs: ``python -m tests.faults [name ...] [--seed N] [--record]``.

Each prints its counts and its seed; ``--record`` puts its row into RESULTS.md, in the place of the
row of its last run, and a failed run's seed belongs into seeds.txt. What cannot run here is skipped
with its reason, and counted.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ossmedia.emulator.serve import Emulator
from tests.faults import (
    allocations,
    blackhole,
    cgroup,
    checkpoints,
    clocks,
    disks,
    fleet,
    foreign,
    kills,
    memory,
    network,
    power,
    powercut,
    reads,
    rot,
)
from tests.faults.conftest import FAKETIME
from tests.faults.rig import Rig
from tests.faults.tally import Tally, fresh_seed

RESULTS = Path(__file__).with_name("RESULTS.md")
Run = Callable[[Rig, int, Path], Iterable[Tally]]


def _lost(rig: Rig, seed: int, _folder: Path) -> Iterable[Tally]:
    for operation in (*network.OPERATIONS, *network.CALLS):
        yield network.lost_answers(rig, seed, operation, 50)
        rig.cloud.reset()


def _resets(rig: Rig, seed: int, _folder: Path) -> Iterable[Tally]:
    for operation, mode in (*((name, "") for name in network.OPERATIONS), ("put", "xb")):
        for side in ("request", "answer"):
            yield network.resets(rig, seed, operation, side, 64, mode)


def _expiry(rig: Rig, seed: int, _folder: Path) -> Iterable[Tally]:
    for phase in foreign.PHASES:
        yield foreign.expiries(rig, seed, phase, 40)
    for told in (True, False):
        yield foreign.short_tokens(rig, seed, 600, 20, told=told, pause_s=0.4)


def _clocks(rig: Rig, seed: int, folder: Path) -> Iterable[Tally]:
    library = next(path for path in FAKETIME if path.exists())
    yield clocks.boots(rig, seed, library)
    yield clocks.jumps(rig, seed, library, folder, 60)
    yield clocks.spooled_lives(rig, seed, library, folder)


def _allocations(rig: Rig, seed: int, _folder: Path) -> Iterable[Tally]:
    yield allocations.in_c(rig, seed)
    yield allocations.in_python(rig, seed)


def _memory(rig: Rig, seed: int, folder: Path) -> Iterable[Tally]:
    yield memory.in_c(rig, seed, 1024)
    yield memory.in_python(rig, seed, 1024)
    yield memory.backlog(rig, seed, folder, 1024)


def _disks(rig: Rig, seed: int, folder: Path) -> Iterable[Tally]:
    yield disks.failing_calls(rig, seed, folder, 150)
    yield disks.short_writes(rig, seed, folder, 60)


def _rot(rig: Rig, seed: int, folder: Path) -> Iterable[Tally]:
    yield rot.damages(rig, seed, folder / "data", 150)
    yield rot.damages(rig, seed, folder / "state", 50, state=True)


def _full(rig: Rig, seed: int, folder: Path) -> Iterable[Tally]:
    for policy in disks.POLICIES:
        yield disks.full_disk(rig, seed, folder, policy)


def _power(rig: Rig, seed: int, folder: Path) -> Iterable[Tally]:
    yield power.cuts(rig, seed, folder, 200)
    yield power.failing_syncs(rig, seed, folder, 40)


def _kills(phase: str) -> Run:
    return lambda rig, seed, folder: [kills.killed(rig, seed, folder / phase, phase, 130)]


def _fleet(_rig: Rig, seed: int, folder: Path) -> Iterable[Tally]:
    yield fleet.fleet(seed, folder, cameras=1000, processes=2, seconds=600, outage_s=60)


def _strace_missing() -> str:
    return "" if shutil.which("strace") else "needs Debian's strace"


def _compiler_missing() -> str:
    if shutil.which("cc") and allocations.has_glibc():
        return ""
    return "needs a C compiler and glibc"


def _faketime_missing() -> str:
    return "" if any(path.exists() for path in FAKETIME) else "needs Debian's libfaketime"


def _nothing() -> str:
    return ""


RUNS: dict[str, tuple[Callable[[], str], Run]] = {
    "lost": (_nothing, _lost),
    "twice": (_nothing, lambda rig, seed, _: [network.twice(rig, seed, 300)]),
    "resets": (_nothing, _resets),
    "flips": (_nothing, lambda rig, seed, _: [network.flipped_bits(rig, seed, 2000)]),
    "reads": (_nothing, lambda rig, seed, _: [reads.cut_answers(rig, seed, 1000)]),
    "foreign": (_nothing, lambda rig, seed, _: [foreign.foreign_appends(rig, seed, 300)]),
    "clocks": (_faketime_missing, _clocks),
    "allocations": (_compiler_missing, _allocations),
    "checkpoints": (
        _strace_missing,
        lambda rig, seed, folder: [checkpoints.killed_uploads(rig, seed, folder, 200)],
    ),
    **{f"kills-{phase}": (_strace_missing, _kills(phase)) for phase in kills.PHASES},
    "disks": (lambda: _strace_missing() or _compiler_missing(), _disks),
    "rot": (_nothing, _rot),
    "full": (powercut.missing, _full),
    "power": (lambda: powercut.missing() or _strace_missing(), _power),
    "memory": (lambda: cgroup.missing() or _compiler_missing(), _memory),
    "expiry": (_nothing, _expiry),
    "blackhole": (
        _nothing,
        lambda rig, seed, folder: [blackhole.blackhole(rig, seed, folder, 600, lead_s=30)],
    ),
    "fleet": (_nothing, _fleet),
}


def _row(name: str, tally: Tally, took_s: float) -> str:
    date = datetime.datetime.now(datetime.UTC).date()
    notes = ", ".join(f"{what} {value}" for what, value in tally.notes.items())
    sums = f"{tally.lost}/{tally.doubled}/{tally.reordered}"
    why = "" if tally.good else " ".join(tally.wrong[0].replace("|", "/").split())[:200]
    state = "pass" if tally.good else f"**fail**: {why}"
    cells = (name, tally.name, tally.tried, sums, notes, tally.seed, f"{took_s:.0f}", date, state)
    return f"| {' | '.join(map(str, cells))} |\n"


def _record(row: str) -> None:
    """Rows stand in the order of RUNS; the run's last row goes."""
    name, run = (cell.strip() for cell in row.split("|")[1:3])
    with RESULTS.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        head, table, body = file.read().partition("|--:|---|---|\n")
        cells = ((line.split("|"), line) for line in body.splitlines(keepends=True))
        rows = [line for cell, line in cells if [cell[1].strip(), cell[2].strip()] != [name, run]]
        order = list(RUNS)
        rows = sorted([*rows, row], key=lambda line: order.index(line.split("|")[1].strip()))
        file.seek(0)
        file.write(head + table + "".join(rows))
        file.truncate()


def _play(name: str, seed: int, record: bool) -> int:
    """Runs one; returns how many of its tallies failed."""
    failed, folder = 0, Path(tempfile.mkdtemp(prefix="ossmedia-faults-"))
    try:
        with Emulator(buckets=["cams"]) as cloud, Rig(cloud, seed) as rig:
            started = time.monotonic()
            for tally in RUNS[name][1](rig, seed, folder):
                took = time.monotonic() - started
                print(f"{tally}  [{took:.1f} s]", flush=True)
                failed += not tally.good
                if record:
                    _record(_row(name, tally, took))
                started = time.monotonic()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(RUNS))
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--record", action="store_true", help="put rows into RESULTS.md")
    options = parser.parse_args()
    unknown = set(options.names) - set(RUNS)
    if unknown:
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    seed = fresh_seed() if options.seed is None else options.seed
    failed, skipped = 0, []
    for name in options.names or RUNS:
        missing = RUNS[name][0]()
        if missing:
            skipped.append(f"{name}: {missing}")
        else:
            failed += _play(name, seed, options.record)
    print("; ".join([f"seed {seed}: {failed} failed, {len(skipped)} skipped", *skipped]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
