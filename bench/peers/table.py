"""Medians, ranges and ratios of interleaved rounds, as a table.

In flow the figures of every round, by peer; out flow rows and lines. A round that failed and a peer
that is missing stand in the table with their reason; no average hides them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

__all__ = ["Row", "Rows", "markdown", "rows"]


@dataclass
class Rows:
    """A scenario's rounds: by peer one figure a round, None where it failed; and the reasons."""

    title: str
    unit: str
    base: str
    figures: dict[str, list[float | None]] = field(default_factory=dict)
    more: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)


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


def _row(table: Rows, peer: str) -> Row:
    figures = table.figures.get(peer, [])
    base = table.figures.get(table.base, [])
    good = [value for value in figures if value is not None]
    base_good = [value for value in base if value is not None]
    pairs = [
        own / other for own, other in zip(figures, base, strict=False) if own is not None and other
    ]
    found = table.more.get(peer, [])
    names = found[0] if found else {}
    return Row(
        peer=peer,
        middle=_middle(good),
        least=min(good, default=None),
        most=max(good, default=None),
        ratio=_middle(pairs),
        best=min(good) / min(base_good) if good and base_good else None,
        failed=len(figures) - len(good),
        why="; ".join(dict.fromkeys(table.reasons.get(peer, []))),
        more={name: median(one[name] for one in found) for name in names},
    )


def rows(table: Rows) -> list[Row]:
    """One for each peer that ran or should have."""
    names = dict.fromkeys([*table.figures, *table.reasons])
    return [_row(table, peer) for peer in names]


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
    lines += [
        f"- **{row.peer}**: {f'{row.failed} rounds failed' if row.failed else 'not run'}: {row.why}"
        for row in found
        if row.why
    ]
    return lines


def _mib(value: float | None) -> float | None:
    return None if value is None else value / (1 << 20)
