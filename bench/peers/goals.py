"""The goals, and what a run says of each: met when the rounds' median and their best both meet it.

In flow figures by scenario and name, one for each round; out flow lines of Markdown. Nothing is
measured here, and no figure is written by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from bench.peers.table import against

__all__ = ["GOALS", "NEVER", "Goal", "Judged", "judge", "markdown"]

Figures = dict[str, list[float | None]]


@dataclass(frozen=True)
class Goal:
    """``name``'s figure in ``where`` (a scenario, whose names are peers, or an extra) is at most
    ``limit``; at least, with ``least``; over ``over``'s of the same round, when that is given."""

    number: str
    what: str
    where: str
    limit: float
    over: str = ""
    name: str = "ossmedia"
    unit: str = ""
    least: bool = False


def _ratios(
    number: str, what: str, where: str, limits: dict[str, float], name: str = "ossmedia"
) -> list[Goal]:
    return [Goal(number, f"{what} / {over}", where, n, over, name) for over, n in limits.items()]


def _streams(number: str, what: str, where: str, limits: dict[str, float]) -> list[Goal]:
    """For appends that are stored when the call returns, and for the writer in the background."""
    return [
        *_ratios(number, what, where, limits),
        *_ratios(number, f"{what}, in the background", where, limits, "ossmedia writer"),
    ]


SDKS_40 = {"oss2": 1 / 40, "alibabacloud-oss-v2": 1 / 40, "boto3": 1 / 35}
SDKS_10 = {"oss2": 1 / 10, "alibabacloud-oss-v2": 1 / 10, "boto3": 0.4}
SDKS_11 = {"oss2": 1 / 11, "alibabacloud-oss-v2": 1 / 11, "boto3": 0.3}
WRITE, BUSY = "write of 1 KiB, ns", "write of 1 KiB beside a busy thread, ns"
ARM, CALLS, TLS_CALLS = "instructions on aarch64", "system calls", "system calls over TLS 1.3"
PUT_1K, PUT_64K, A_MIB = "PUT of 1 KiB", "PUT of 64 KiB", "MiB of 16 MiB PUTs from memory"
FRAME = "camera frame of 22 KiB on average"

GOALS: tuple[Goal, ...] = (
    *_ratios("G1", "64 KiB PUT", "put-64k", {"raw": 1.35, "libcurl+v4+crc": 0.65, **SDKS_40}),
    *_ratios("G1", "64 KiB PUT, no CRC", "put-64k-nocrc", {"obstore": 0.5}),
    *_ratios("G2", "1 GiB from memory", "put-1g", {"raw": 1.1, **SDKS_10}),
    *_ratios("G2", "1 GiB from memory, no CRC", "put-1g-nocrc", {"raw": 1.05}),
    *_ratios("G3", "multipart, 4 x 8 MiB from a file", "parts-1g", {"raw+crc": 1.05, **SDKS_11}),
    *_streams(
        "G4",
        "256 KiB append",
        "append-256k",
        {"raw+v4+crc": 1.1, "oss2": 1 / 28, "alibabacloud-oss-v2": 1 / 13},
    ),
    *_streams(
        "G5",
        "camera's frames",
        "camera",
        {"raw": 1.2, "oss2": 1 / 14, "alibabacloud-oss-v2": 0.21, "obstore": 1.0},
    ),
    *(
        goal
        for suite, label in (("aes", "AES-128-GCM"), ("chacha", "ChaCha20"))
        for goal in (
            *_ratios(
                "G6",
                f"1 GiB, {label}",
                f"put-1g-{suite}",
                {"raw+crc": 0.95, "libcurl+v4+crc": 0.85},
            ),
            *_ratios(
                "G6",
                f"64 KiB PUT, {label}",
                f"put-64k-{suite}",
                {"libcurl+v4+crc": 0.65, "obstore": 0.5},
            ),
        )
    ),
    Goal(
        "G6",
        "1 MiB on a CPU without AES / a client that takes AES, armv7l instructions",
        "own",
        0.25,
        "the same with AES all the same",
        "TLS without AES hardware, armv7l, instructions",
    ),
    Goal(
        "G7",
        "write of 1 KiB / io.BufferedWriter",
        "own",
        1.3,
        "the same into BufferedWriter",
        WRITE,
    ),
    Goal("G7", "write of 1 KiB beside a busy thread", "own", 1000, name=BUSY, unit="ns"),
    Goal("G8", "import, CPU over bare Python", "own", 8, name="import, ms CPU", unit="ms"),
    Goal("G8", "import, resident over bare Python", "own", 3.5, name="import, MiB", unit="MiB"),
    Goal("G9", "64 KiB PUTs, resident", "put-64k", 20, name="ossmedia peak", unit="MiB"),
    Goal(
        "G9",
        "growth of a writer of 4 blocks of 1 MiB",
        "own",
        6,
        name="growth of a writer of 4 blocks of 1 MiB, MiB",
        unit="MiB",
    ),
    Goal(
        "G9", "first HTTPS PUT over bare Python", "own", 8, name="first HTTPS PUT, MiB", unit="MiB"
    ),
    Goal(
        "G10", "1 KiB PUT, the core alone, aarch64", "counts", 17_000, name=f"core, {ARM}: {PUT_1K}"
    ),
    Goal("G10", "1 KiB PUT through Python, aarch64", "counts", 24_000, name=f"{ARM}: {PUT_1K}"),
    Goal("G10", "a MiB with CRC, aarch64", "counts", 660_000, name=f"{ARM}: {A_MIB}"),
    Goal(
        "G10", "camera frame of 22 KiB with CRC, aarch64", "counts", 20_000, name=f"{ARM}: {FRAME}"
    ),
    Goal("G11", "system calls of a 64 KiB PUT", "counts", 2, name=f"{CALLS}: {PUT_64K}"),
    Goal("G11", "system calls of a MiB", "counts", 4.1, name=f"{CALLS}: {A_MIB}"),
    Goal("G11", "system calls of a 64 KiB PUT, TLS", "counts", 3, name=f"{TLS_CALLS}: {PUT_64K}"),
    Goal("G11", "system calls of a MiB, TLS", "counts", 4.2, name=f"{TLS_CALLS}: {A_MIB}"),
    *(
        Goal(
            "G12",
            f"CRC-64 of {size}: {peer}'s time over ours",
            "own",
            limit,
            f"CRC-64 of {size}, us/MiB",
            f"{peer}'s of {size}",
            least=True,
        )
        for size in ("64 KiB", "4 MiB")
        for peer, limit in (("liblzma", 2.5), ("crcmod", 50))
    ),
    Goal(
        "G12",
        "CRC-64 on aarch64, instructions a byte",
        "own",
        0.65,
        name="CRC-64 on aarch64, instructions a byte",
    ),
    Goal(
        "G12",
        "CRC-64 by tables, aarch64, instructions a byte",
        "own",
        4.3,
        name="CRC-64 by tables there, instructions",
    ),
    Goal("G13", "1,000 cameras: threads", "crowd", 16, name="threads"),
    Goal("G13", "1,000 cameras: descriptors each", "crowd", 3, name="descriptors"),
    Goal("G13", "1,000 cameras: memory each", "crowd", 300 * 1024, name="bytes", unit="B"),
    Goal("G13", "1,000 cameras / one, one thread", "crowd", 1.3, "one", "many"),
    Goal("G13", "1,000 cameras / eight, 8 threads", "crowd", 1.3, "few8", "many8"),
)
# What no run here can say, and why.
NEVER = (
    ("G1-G5", "next to the OSS C SDK and the OSS Media C SDK", "they are on no package index"),
)


@dataclass(frozen=True)
class Judged:
    """A goal and what was found: ``middle`` and ``best`` of the rounds, None without any;
    ``met`` says yes, no, or why there is no answer."""

    goal: Goal
    middle: float | None
    best: float | None
    met: str


def judge(goal: Goal, figures: Figures, reason: str = "") -> Judged:
    """What a run's figures say of a goal.

    Args:
        figures: of the goal's scenario or extra, by name.
        reason: why a figure is missing, when that is known.
    """
    mine = [value for value in figures.get(goal.name, []) if value is not None]
    middle: float | None
    if goal.over:
        middle, best = against(figures, goal.name, goal.over)
    else:
        middle = median(mine) if mine else None
        best = (max if goal.least else min)(mine, default=None)
    if middle is None or best is None:
        return Judged(goal, None, None, f"not measured: {reason or 'no good round'}")
    good = [(v >= goal.limit if goal.least else v <= goal.limit) for v in (middle, best)]
    half = "no: the median is, the best is not" if good[0] else "no: the best is, the median is not"
    return Judged(goal, middle, best, {2: "yes", 0: "no"}.get(sum(good), half))


def _told(value: float | None, goal: Goal) -> str:
    if value is None:
        return "-"
    if goal.over and value < 0.2:
        return f"1/{1 / value:.3g}"
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def markdown(figures: dict[str, Figures], reasons: dict[tuple[str, str], str]) -> list[str]:
    """One table of every goal of which this run has the scenario, and a line for those it has not.

    Args:
        figures: by scenario or extra.
        reasons: why a figure is missing or a round failed, by scenario and peer.
    """
    lines = ["## Goals", "", "| | what | goal | median | best/best | met |"]
    lines.append("|---|---|--:|--:|--:|---|")
    for goal in GOALS:
        if goal.where not in figures:
            continue
        why = "; ".join(
            f"{name}: {reasons[goal.where, name]}"
            for name in (goal.name, goal.over)
            if reasons.get((goal.where, name))
        )
        found = judge(goal, figures[goal.where], why)
        limit = ("at least " if goal.least else "") + _told(goal.limit, goal)
        values = [_told(value, goal) for value in (found.middle, found.best)]
        met = found.met + (f" ({why})" if why and found.middle is not None else "")
        cells = [goal.number, goal.what, f"{limit} {goal.unit}".strip(), *values, met]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        f"| {number} | {what} | - | - | - | not measured: {why} |" for number, what, why in NEVER
    ]
    left = dict.fromkeys(goal.where for goal in GOALS if goal.where not in figures)
    if left:
        lines += ["", f"- not in this run: {', '.join(left)}, and what the goals ask of them"]
    return lines
