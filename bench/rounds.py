"""Comparing on a noisy machine: every round runs every case once, and only the ratios count.

In flow cases, which do some work and return how many operations that was; out flow medians, and
the median of the per-round ratios, for pytest-benchmark and for the table that ends a run. It
never compares times of different rounds.
"""

from __future__ import annotations

import time
from statistics import median

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Case = Callable[[], int]

__all__ = ["ROUNDS", "compare", "record", "table"]

ROUNDS = 9
OWN = "ossmedia"
_rows: list[tuple[str, str, dict[str, float], dict[str, float]]] = []


def compare(
    benchmark: Any,
    title: str,
    own: Case,
    peers: dict[str, Case],
    *,
    clock: Callable[[], float] = time.process_time,
    unit: str = "us CPU",
) -> dict[str, float]:
    """Times ``own`` and its peers in the same rounds; the peers' order changes by round.

    Args:
        unit: "us ..." or "ns ...", of one operation.

    Returns:
        The median over the rounds of own time / peer's time, by peer.
    """
    scale = {"ns": 1e9, "us": 1e6, "ms": 1e3}[unit[:2]]
    times: dict[str, list[float]] = {name: [] for name in (OWN, *peers)}
    order = list(peers)

    def run(name: str, case: Case) -> None:
        begin = clock()
        operations = case()
        times[name].append((clock() - begin) * scale / operations)

    def run_peers() -> None:
        for name in order:
            run(name, peers[name])
        order.append(order.pop(0))

    benchmark.pedantic(lambda: run(OWN, own), setup=run_peers, rounds=ROUNDS, warmup_rounds=1)
    times = {name: values[-ROUNDS:] for name, values in times.items()}  # without the warm-up
    middle = {name: median(values) for name, values in times.items()}
    ratios = {
        name: median(a / b for a, b in zip(times[OWN], times[name], strict=True)) for name in peers
    }
    record(benchmark, title, unit, middle, ratios)
    benchmark.extra_info["rounds"] = times
    return ratios


def record(
    benchmark: Any,
    title: str,
    unit: str,
    middle: dict[str, float],
    ratios: dict[str, float],
) -> None:
    """Keeps a comparison for pytest-benchmark's JSON and for the table."""
    _rows.append((title, unit, middle, ratios))
    benchmark.extra_info.update(unit=unit, median=middle, ratio=ratios)


def table() -> list[str]:
    """What was compared so far, a line for each title, as Markdown."""
    lines = []
    for title, unit, middle, ratios in _rows:
        cells = [
            f"{name} {value:,.4g}" + (f" (x {ratios[name]:.3g})" if name in ratios else "")
            for name, value in middle.items()
        ]
        lines.append(f"| {title} | {unit} | " + " | ".join(cells) + " |")
    return lines
