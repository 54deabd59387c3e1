"""What the fault tests share: a rig per test, a seed per session, and a summary that counts what
was skipped and why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.faults.rig import Rig
from tests.faults.tally import gate_seed

SEED = gate_seed()
FAKETIME = [
    Path(folder) / "faketime" / "libfaketimeMT.so.1"
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib")
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These run processes, disks and deadlines of their own: a busy machine needs more time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def seed() -> int:
    """The same in each run; FAULTS_SEED=n plays another one."""
    return SEED


@pytest.fixture
def rig(oss_emulator):
    with Rig(oss_emulator, SEED) as made:
        yield made


@pytest.fixture(scope="session")
def strace() -> str:
    """The program, where it may trace."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("needs Debian's strace")
    return found


@pytest.fixture(scope="session")
def faketime() -> Path:
    """The library that lies about the wall clock."""
    found = [path for path in FAKETIME if path.exists()]
    if not found:
        pytest.skip("needs Debian's libfaketime")
    return found[0]


@pytest.fixture(scope="session")
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a file system, or makes a cgroup")


def pytest_terminal_summary(terminalreporter) -> None:
    """The seed, and how many fault tests were skipped for which reason."""
    ours = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "tests/faults" in str(report.nodeid)
    ]
    reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in ours})
    terminalreporter.write_line(
        f"faults: seed {SEED} (FAULTS_SEED={SEED} plays it), {len(ours)} skipped"
        + "".join(f"; {reason}" for reason in reasons)
    )
