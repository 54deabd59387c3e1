"""The suites here, their fixtures, and the table of ratios at their end."""

from __future__ import annotations

import pytest

from bench.rounds import table
from bench.sink import Sink

SUITES = {
    "border.py",
    "hashes.py",
    "hls.py",
    "imports.py",
    "signing.py",
    "token.py",
    "upload.py",
}


def pytest_collect_file(file_path, parent):
    """The suites have no ``test_`` in their names. One that is named on the command line needs no
    help."""
    if file_path.name in SUITES and not parent.session.isinitpath(file_path):
        return pytest.Module.from_parent(parent, path=file_path)
    return None


@pytest.fixture(scope="session")
def sink():
    """A server that answers like OSS, CRC-64 included, and keeps nothing."""
    with Sink() as running:
        yield running


def pytest_terminal_summary(terminalreporter):
    lines = table()
    if lines:
        terminalreporter.section("medians of interleaved rounds (x: own / peer)")
        for line in lines:
            terminalreporter.write_line(line)
