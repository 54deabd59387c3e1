"""Medians, ranges and ratios of interleaved rounds, as a table.

In flow the figures of every round, by peer; out flow rows and lines. A round that failed and a peer
that is missing stand in the table with their reason; no average hides them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

__all__ = ["LAYERS", "Found", "Row", "Rows", "against", "broken", "layers", "markdown", "rows"]

# Each does what the one before it does, and one thing more.
LAYERS = (
    ("raw", "the bare requests"),
    ("raw+v4+crc", "signature and CRC-64"),
    ("ossmedia core", "the promises in C"),
    ("ossmedia", "Python"),
)


@dataclass
class Rows:
    """A scenario's rounds: by peer one figure a round, None where it failed; and the reasons."""

    title: str
    unit: str
    base: str
    figures: dict[str, list[float | None]] = field(default_factory=dict)
    more: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Found:
    """What is not told as rounds of peers: lines of Markdown; by name a figure for each round; and
    what failed that must not."""

    lines: list[str]
    figures: dict[str, list[float | None]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One peer: ``middle``, ``least`` and ``most`` of its figures; ``ratio``: the median over the
    rounds of its figure over the base's of the same round, None where no round has both; ``best``:
    its least over the base's least; ``failed`` rounds; medians of what else was measured."""

    peer: str
    middle: float | None
    least: float | None
    most: float | None
    ratio: float | None
    best: float | None
    failed: int
    why: str
    more: dict[str, float]


def _middle(values: list[float]) -> float | None:
    return median(values) if values else None


def against(
    figures: dict[str, list[float | None]], name: str, other: str
) -> tuple[float | None, float | None]:
    """The median over the rounds of one's figure over the other's of the same round, and its least
    over the other's least; None where no round has both."""
    mine, theirs = figures.get(name, []), figures.get(other, [])
    pairs = [a / b for a, b in zip(mine, theirs, strict=False) if a is not None and b]
    good, base = ([v for v in values if v is not None] for values in (mine, theirs))
    return _middle(pairs), min(good) / min(base) if good and base else None


def _row(table: Rows, peer: str) -> Row:
    figures = table.figures.get(peer, [])
    good = [value for value in figures if value is not None]
    ratio, best = against(table.figures, peer, table.base)
    found = table.more.get(peer, [])
    names = found[0] if found else {}
    return Row(
        peer=peer,
        middle=_middle(good),
        least=min(good, default=None),
        most=max(good, default=None),
        ratio=ratio,
        best=best,
        failed=len(figures) - len(good),
        why="; ".join(dict.fromkeys(table.reasons.get(peer, []))),
        more={name: median(one[name] for one in found) for name in names},
    )


def rows(table: Rows) -> list[Row]:
    """One for each peer that ran or should have."""
    names = dict.fromkeys([*table.figures, *table.reasons])
    return [_row(table, peer) for peer in names]


def broken(table: Rows, must_run: tuple[str, ...]) -> list[str]:
    """Those that must run and had a failed round, or none; with their reasons."""
    return [
        f"{table.title}: {row.peer}: {row.why}"
        for row in rows(table)
        if row.peer in must_run and (row.failed or row.middle is None)
    ]


def layers(table: Rows) -> str:
    """What ossmedia's figure is made of: the median over the rounds of what each of LAYERS costs
    more than the one before it; "" where one of them did not run."""
    every = zip(*(table.figures.get(peer, []) for peer, _ in LAYERS), strict=False)
    rounds = [[value for value in one if value is not None] for one in every]
    steps = [
        [one[0], *(b - a for a, b in pairwise(one))] for one in rounds if len(one) == len(LAYERS)
    ]
    if not steps:
        return ""
    shares = [median(step) for step in zip(*steps, strict=True)]
    told = [f"{_cell(n, '.3g')} {what}" for n, (_, what) in zip(shares, LAYERS, strict=True)]
    return f"- what ossmedia's {table.unit} are made of: {', '.join(told)}"


def _cell(value: float | None, form: str = ",.4g") -> str:
    return "-" if value is None else format(value, form)


def markdown(table: Rows) -> list[str]:
    """The table's lines, and one for each failure."""
    found = rows(table)
    more = "wall s | user s | sys s | growth MiB | peak MiB | switches"
    lines = [
        f"### {table.title}",
        "",
        f"| client | {table.unit} | range | x {table.base} | best/best | {more} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found:
        if row.middle is None:
            continue
        extra = row.more
        cells = [
            row.peer + (f" ({row.failed} rounds failed)" if row.failed else ""),
            _cell(row.middle),
            f"{_cell(row.least)} - {_cell(row.most)}",
            _cell(row.ratio, ".3g"),
            _cell(row.best, ".3g"),
            *(_cell(extra.get(name), ".3g") for name in ("wall", "user", "sys")),
            *(_cell(_mib(extra.get(name)), ",.1f") for name in ("growth", "peak")),
            _cell(extra.get("switches"), ",.0f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    made_of = layers(table)
    lines += [made_of] if made_of else []
    lines += [
        f"- **{row.peer}**: {f'{row.failed} rounds failed' if row.failed else 'not run'}: {row.why}"
        for row in found
        if row.why
    ]
    return lines


def _mib(value: float | None) -> float | None:
    return None if value is None else value / (1 << 20)
