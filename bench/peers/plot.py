"""One picture of a run: client CPU of every peer over the raw limit's, as an SVG by hand.

In flow the tables' rows, out flows text. It needs no library, and shows no figure that the table
does not.
"""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from bench.peers.table import Row

__all__ = ["svg"]

LEFT, WIDTH, BAR, GAP = 190, 760, 15, 34
OWN, OTHER = "#0a7d55", "#9aa5b1"


def svg(tables: list[tuple[str, str, list[Row]]]) -> str:
    """Bars on a logarithmic scale.

    Args:
        tables: (title, base, rows) of each scenario.
    """
    shown = [(t, b, [r for r in rows if r.ratio is not None]) for t, b, rows in tables]
    most = max((r.ratio for _, _, rows in shown for r in rows if r.ratio), default=10)
    span = log10(max(most, 10)) - log10(0.5)
    body, y = [], 30
    for title, base, rows in shown:
        label = escape(f"{title}: client CPU, x {base} (bars are logarithmic)")
        body.append(f'<text x="8" y="{y}" class="t">{label}</text>')
        y += 10
        for row in rows:
            assert row.ratio is not None
            share = (log10(max(row.ratio, 0.5)) - log10(0.5)) / span
            length = max(round(share * (WIDTH - LEFT - 70)), 2)
            fill = OWN if row.peer == "ossmedia" else OTHER
            middle = y + BAR - 4
            body.append(f'<text x="{LEFT - 8}" y="{middle}" class="n">{escape(row.peer)}</text>')
            body.append(
                f'<rect x="{LEFT}" y="{y}" width="{length}" height="{BAR - 3}" fill="{fill}"/>'
            )
            figure = f"{row.ratio:.3g}"
            body.append(f'<text x="{LEFT + length + 6}" y="{middle}">{figure}</text>')
            y += BAR
        y += GAP
    style = (
        "text{font:12px sans-serif;fill:#24292f}.t{font-weight:bold}.n{text-anchor:end}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
        f'viewBox="0 0 {WIDTH} {y}" role="img" aria-label="client CPU against the raw limit">'
        f"<style>{style}</style>{''.join(body)}</svg>\n"
    )
