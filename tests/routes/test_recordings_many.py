"""A camera with 100,000 recordings: its list comes in pages, and the server's memory and work for a
page do not grow with the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.recordings import GOAL_BYTES, GOAL_S, Browser, make, mark, serving, spent

COUNT = 100_000
PAGES = COUNT // 200


@pytest.mark.timeout(300)
def test_a_hundred_thousand_recordings(tmp_path: Path) -> None:
    """Every page of a day that holds them all, from the first to the last; the goal of the first
    byte's time is held against the server's own work for a page, which no other program slows."""
    token = make(tmp_path, COUNT, ["day"])
    with serving(tmp_path) as (port, pid):
        browser = Browser(port, token)
        for _ in range(20):
            browser.get("/v1/recordings?camera=none&day=2025-06-15")
        before, began = mark(pid), spent(pid)
        ids: set[str] = set()
        pages, last = 0, ""
        for _, data in browser.pages("day", "&day=2025-06-15"):
            pages += 1
            starts = [row["start"] for row in data["recordings"]]
            assert starts == sorted(starts, reverse=True)
            assert not last or starts[0] <= last, "newest first, over all pages"
            last = starts[-1]
            ids.update(row["id"] for row in data["recordings"])
            assert len(ids) == min(200 * pages, COUNT), "each once"
        assert (len(ids), pages) == (COUNT, PAGES)
        assert (spent(pid) - began) / pages <= GOAL_S
        assert mark(pid) - before <= GOAL_BYTES
        browser.close()
