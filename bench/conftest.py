"""Fixtures of the benchmarks, and the table of ratios at their end."""

from __future__ import annotations

import pytest

from bench.rounds import table
from bench.sink import Sink


@pytest.fixture(scope="session")
def sink():
    """A server that answers like OSS, CRC-64 included, and keeps nothing."""
    with Sink() as running:
        yield running


def pytest_terminal_summary(terminalreporter):
    lines = table()
    if lines:
        terminalreporter.section("ratios: own / peer, median of interleaved rounds")
        for line in lines:
            terminalreporter.write_line(line)
