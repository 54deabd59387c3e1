"""What is not a stream of requests: a cold start, many cameras in one process, tokens, and counts
of system calls and instructions.

In flow a place and the command line's options, out flow lines of Markdown and figures. What cannot
run here is named with its reason.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from bench.peers import counts, parts
from bench.peers.measure import Failed, Place, Served, command, missing, whole
from bench.peers.scenarios import MUST_RUN, PEERS, SCENARIOS
from bench.peers.table import Found, Rows, broken, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EXTRAS", "PACKAGES"]

PACKAGES = ("oss2", "alibabacloud-oss-v2", "boto3", "awscrt", "obstore", "opendal")
CAMERAS = 1000  # at any scale: another number would be another figure
TLS_ROUNDS = 3  # a thousand handshakes in each
COLD = ("raw", "ossmedia", "oss2", "alibabacloud-oss-v2", "boto3", "boto3+crt", "obstore")


def cold(place: Place, given: argparse.Namespace) -> Found:
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
    return Found(markdown(table), {}, broken(table, MUST_RUN))


CROWD = (  # of crowd.py's figures: the column, its name there, and how it is written
    ("threads", "threads", ".0f"),
    ("descriptors each", "descriptors", ".2f"),
    ("bytes each", "bytes", ",.0f"),
    ("first PUT of each, its connection included", "first", ".3f"),
    ("one camera", "one", ".3f"),
    ("all", "many", ".3f"),
    ("x", "x", ".2f"),
    ("8 cameras, 8 threads", "few8", ".3f"),
    ("all, 8 threads", "many8", ".3f"),
    ("x", "x8", ".2f"),
)


def crowd(place: Place, given: argparse.Namespace) -> Found:
    """1,000 cameras in one process, next to few that send as much in the same way; plain and over
    TLS."""
    found = Found([])
    for scenario, rounds, label in (
        ("put-64k", given.rounds, ""),
        ("put-64k-aes", min(given.rounds, TLS_ROUNDS), "TLS "),
    ):
        title = f"{CAMERAS:,} cameras in one process, {label}256 KiB PUTs, CRC; CPU in ms/MiB"
        found.lines += [f"### {title}", "", f"| round | {' | '.join(c[0] for c in CROWD)} |"]
        found.lines.append("|---|" + "--:|" * len(CROWD))
        reasons = []
        for number in range(rounds):
            try:
                one = _crowd_round(scenario, place, given)
            except Failed as why:
                reasons.append(f"- **round {number + 1} failed**: {why}")
                found.broken.append(f"{title}: round {number + 1}: {why}")
                continue
            cells = [format(one[name], form) for _, name, form in CROWD]
            found.lines.append(f"| {number + 1} | {' | '.join(cells)} |")
            for _, name, _ in CROWD:
                found.figures.setdefault(label + name, []).append(one[name])
        found.lines += ["", *reasons]
    return found


def _crowd_round(scenario: str, place: Place, given: argparse.Namespace) -> dict[str, float]:
    with Served(SCENARIOS[scenario], place, spin=not given.sleepy) as sink:
        words = [sys.executable, "-m", "bench.peers.crowd", sink.endpoint, str(CAMERAS)]
        one = whole([*words, *([sink.ca] if sink.ca else [])])
    return one | {"x": one["many"] / one["one"], "x8": one["many8"] / one["few8"]}


def token(place: Place, given: argparse.Namespace) -> Found:
    """Token issue: bench/token.py's own comparison with a bare route."""
    title = ["### Token issue (bench/token.py)", ""]
    try:
        compared = parts.suite("bench/token.py", place)
    except Failed as why:
        return Found([*title, f"- **failed**: {why}"], {}, [f"token: {why}"])
    return Found([*title, *(f"- {name}: {json.dumps(info)}" for name, info in compared.items())])


EXTRAS: dict[str, Callable[[Place, argparse.Namespace], Found]] = {
    "cold": cold,
    "crowd": crowd,
    "token": token,
    "own": parts.table,
    "counts": counts.table,
}
