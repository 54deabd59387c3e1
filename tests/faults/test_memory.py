"""No camera needs more memory than the issue's limits, whatever it uploads."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.faults import cgroup, memory

pytestmark = [
    pytest.mark.skipif(bool(cgroup.missing()), reason=cgroup.missing() or "-"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler"),
]


def test_the_limit_kills_what_needs_more():
    """The ruler itself."""
    with cgroup.MemoryLimit(24 << 20) as group:
        greedy = group.inside(sys.executable, "-c", "b'x' * (48 << 20)")
        done = subprocess.run(greedy, check=False)
    assert done.returncode == -9
    assert group.kills == 1


def test_c_driver(rig, seed):
    memory.in_c(rig, seed, 128).check()


def test_python_process(rig, seed):
    memory.in_python(rig, seed, 96).check()
