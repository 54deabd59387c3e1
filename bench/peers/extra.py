"""What is not a stream of requests: a cold start, many cameras in one process, tokens, and counts
of system calls and instructions.

In flow a place and the command line's options, out flow lines of Markdown. What cannot run here is
named with its reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.peers import counts
from bench.peers.measure import Failed, Place, Served, command, missing, whole
from bench.peers.scenarios import PEERS, SCENARIOS
from bench.peers.table import Rows, markdown
from bench.sink import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EXTRAS", "PACKAGES"]

PACKAGES = ("oss2", "alibabacloud-oss-v2", "boto3", "awscrt", "obstore", "opendal")
CAMERAS = 1000
COLD = ("raw", "ossmedia", "oss2", "alibabacloud-oss-v2", "boto3", "boto3+crt", "obstore")


def cold(place: Place, given: argparse.Namespace) -> list[str]:
    """From the start of a process until it has stored 64 KiB and ended."""
    table = Rows("Cold start: process, import, one 64 KiB PUT, end", "CPU ms", "raw")
    work = {
        "what": "put",
        "size": 65536,
        "count": 1,
        "payload": place.payload(1 << 22),
    }
    with Served(SCENARIOS["put-64k"], place, spin=not given.sleepy) as sink:
        for _ in range(given.rounds):
            for name in COLD:
                reason = missing(PEERS[name])
                if reason:
                    table.reasons[name] = [reason]
                    continue
                words = command(PEERS[name], {"endpoint": sink.endpoint, **work})
                figures = table.figures.setdefault(name, [])
                try:
                    used = whole(words)
                    used.pop("key")
                    figures.append(used["cpu"] * 1000)
                    table.more.setdefault(name, []).append(used)
                except Failed as why:
                    figures.append(None)
                    table.reasons.setdefault(name, []).append(str(why))
    return markdown(table)


def crowd(place: Place, given: argparse.Namespace) -> list[str]:
    """1,000 cameras in one process, next to one that sends as much."""
    count = max(round(CAMERAS * given.scale), 20)
    words = [sys.executable, "-m", "bench.peers.crowd"]
    lines = [
        f"### {count} cameras in one process, 256 KiB PUTs, CRC",
        "",
        "| round | threads | descriptors each | bytes each | CPU ms/MiB | one camera's | x |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    with Served(SCENARIOS["put-64k"], place, spin=not given.sleepy) as sink:
        for number in range(given.rounds):
            try:
                found = whole([*words, sink.endpoint, str(count)])
            except Failed as why:
                lines.append(f"- **round {number + 1} failed**: {why}")
                continue
            lines.append(
                f"| {number + 1} | {found['threads']} | {found['descriptors']:.2f} "
                f"| {found['bytes']:,.0f} | {found['cpu_ms_per_mib']:.3f} "
                f"| {found['one_cpu_ms_per_mib']:.3f} | {found['ratio']:.2f} |"
            )
    return lines


def token(place: Place, given: argparse.Namespace) -> list[str]:
    """Token issue: bench/token.py's own comparison with a bare route."""
    report = place.folder / "token.json"
    report.unlink(missing_ok=True)
    words = [sys.executable, "-m", "pytest", "-q", "bench/token.py", "--benchmark-only"]
    done = subprocess.run(
        [*words, f"--benchmark-json={report}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    lines = ["### Token issue (bench/token.py)", ""]
    if done.returncode or not report.exists():
        last = (done.stdout.strip().splitlines() or ["no word why"])[-1]
        return [*lines, f"- **failed**: {last[:200]}"]
    compared = json.loads(report.read_text())["benchmarks"]
    return lines + [f"- {one['name']}: {json.dumps(one['extra_info'])}" for one in compared]


EXTRAS: dict[str, Callable[[Place, argparse.Namespace], list[str]]] = {
    "cold": cold,
    "crowd": crowd,
    "token": token,
    "counts": counts.table,
}
