"""``python -m bench.peers [scenario ...]``: every client at the same work, round by round.

In flow names of scenarios, out flow a table, JSON, and with ``--plot`` a picture. It fails only
when ossmedia or the raw limit cannot run, never for a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from bench.peers import extra, goals
from bench.peers.measure import CORES, VENV, Failed, Place, Served, missing, pinned, run
from bench.peers.plot import svg
from bench.peers.scenarios import MISSING_HERE, MUST_RUN, PEERS, SCENARIOS, SHORT
from bench.peers.table import Found, Rows, broken, markdown, rows
from bench.peers.watch import Watch
from bench.sink import FOLDER, build, build_peers


def rounds_of(name: str, place: Place, given: argparse.Namespace) -> Rows:
    """All rounds of one scenario: A B C ... A B C ..., the first one changing."""
    scenario = SCENARIOS[name]
    unit = "CPU us" if scenario.per == "request" else "CPU s/GiB"
    table = Rows(scenario.title, unit, scenario.base)
    present = []
    for peer in scenario.peers:
        if given.peers and peer not in (*given.peers, scenario.base):
            continue
        reason = missing(PEERS[peer])
        if reason:
            table.reasons[peer] = [reason]
        else:
            present.append(peer)
            table.figures[peer], table.more[peer] = [], []
    try:
        with Served(scenario, place, spin=not given.sleepy) as sink:
            for number in range(given.rounds):
                turn = number % max(len(present), 1)
                for peer in present[turn:] + present[:turn]:
                    try:
                        done = run(PEERS[peer], scenario, sink, place, given.scale)
                    except Failed as why:
                        table.figures[peer].append(None)
                        table.reasons.setdefault(peer, []).append(str(why))
                        continue
                    table.figures[peer].append(done.value)
                    table.more[peer].append(done.used)
                    print(f"{name} round {number + 1} {peer}: {done.value:,.4g}", file=sys.stderr)
    except Failed as why:
        for peer in present:
            table.reasons[peer] = [str(why)]
    return table


def circumstances(given: argparse.Namespace, watch: Watch) -> list[str]:
    """What a reader must know before any figure."""
    now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    system = f"Linux {platform.release()}, CPython {platform.python_version()}"
    lines = [
        f"- {now} UTC, {platform.machine()}, {os.cpu_count()} cores, {system}",
        f"- {given.rounds} rounds, scale {given.scale:g} of the full work",
        *watch.told(),
    ]
    if not pinned(CORES[0]):
        lines.append("- **not pinned**: fewer than two cores, or no taskset")
    else:
        lines.append(f"- sink on core {CORES[0]}, clients on core {CORES[-1]}")
    lines.append(f"- never run here, on no package index: {', '.join(MISSING_HERE)}")
    return lines


def versions() -> str:
    """Of the peers' environment."""
    if not VENV.exists():
        return "no .venv-peers: make peers"
    code = "import importlib.metadata as m\nfor n in " + repr(extra.PACKAGES)
    code += ":\n try: print(n, m.version(n), end='; ')\n except Exception: pass"
    return subprocess.run([VENV, "-c", code], capture_output=True, text=True, check=True).stdout


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("scenario", nargs="*", default=list(SHORT))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full work")
    parser.add_argument("--peers", nargs="*", default=[], help="only these, and the base")
    parser.add_argument("--sleepy", action="store_true", help="the sink sleeps between requests")
    parser.add_argument("--json", type=Path, default=FOLDER / "peers.json")
    parser.add_argument("--plot", type=Path, nargs="?", const=Path("bench/peers.svg"))
    parser.add_argument("--record", type=Path, nargs="?", const=Path("bench/RESULTS.md"))
    given = parser.parse_args()
    every = [*SCENARIOS, *extra.EXTRAS]
    if given.scenario == ["all"]:
        given.scenario = every
    for name in given.scenario:
        if name not in every:
            parser.error(f"scenario: must be all or some of {', '.join(every)}, not {name!r}")
    for name in given.peers:
        if name not in PEERS:
            parser.error(f"--peers: must be some of {', '.join(PEERS)}, not {name!r}")
    if given.rounds < 1 or not 0 < given.scale <= 1:
        parser.error("--rounds must be 1 or more, --scale above 0 and at most 1")
    return given


def judged(tables: dict[str, Rows], others: dict[str, Found]) -> list[str]:
    """The goals' table."""
    figures = {name: dict(table.figures) for name, table in tables.items()}
    for name, table in tables.items():
        for peer, used in table.more.items():
            figures[name][f"{peer} peak"] = [one["peak"] / (1 << 20) for one in used]
    figures |= {name: found.figures for name, found in others.items()}
    reasons = {
        (name, row.peer): row.why
        for name, table in tables.items()
        for row in rows(table)
        if row.why
    }
    return goals.markdown(figures, reasons)


def report(
    given: argparse.Namespace, watch: Watch, tables: dict[str, Rows], others: dict[str, Found]
) -> str:
    """The whole run as Markdown, the goals first."""
    command = "python -m bench.peers " + " ".join(sys.argv[1:])
    lines = ["# Figures", "", f"`{command}`", "", *circumstances(given, watch)]
    lines += [f"- {versions()}", "", *judged(tables, others), ""]
    for table in tables.values():
        lines += [*markdown(table), ""]
    for found in others.values():
        lines += [*found.lines, ""]
    return "\n".join(lines)


def kept(tables: dict[str, Rows], others: dict[str, Found]) -> str:
    """The same as JSON."""
    found: dict[str, object] = {
        name: [vars(row) | {"rounds": table.figures.get(row.peer, [])} for row in rows(table)]
        for name, table in tables.items()
    }
    return json.dumps(found | {name: one.figures for name, one in others.items()}, indent=1)


def main() -> int:
    given = arguments()
    watch = Watch()
    build()
    build_peers()
    place = Place(FOLDER / "work")
    place.folder.mkdir(parents=True, exist_ok=True)
    tables = {n: rounds_of(n, place, given) for n in given.scenario if n in SCENARIOS}
    others = {n: extra.EXTRAS[n](place, given) for n in given.scenario if n in extra.EXTRAS}
    text = report(given, watch, tables, others)
    print(text)
    given.json.write_text(kept(tables, others))
    if given.plot:
        given.plot.write_text(svg([(t.title, t.base, rows(t)) for t in tables.values()]))
    if given.record:
        given.record.write_text(text)
    failed = [line for table in tables.values() for line in broken(table, MUST_RUN)]
    failed += [line for found in others.values() for line in found.broken]
    print("\n".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
