"""What a request and a MiB may cost, in user-space instructions: counts, not times, so they are
the same on a busy machine."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bench.instructions import GOALS

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(300)  # it may have to build the C core first


@pytest.fixture(scope="module")
def counts():
    command = [sys.executable, "-m", "bench.instructions", "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    if "skipped" in found:
        print("instructions are not counted:", found["skipped"])
        pytest.skip(found["skipped"])
    return found


@pytest.mark.parametrize("what", ["PUT of 1 KiB", "append of 1 KiB"])
def test_a_small_signed_request(counts, what):
    if platform.machine() != "x86_64":
        pytest.skip(f"the limit is one of x86_64, this is {platform.machine()}")
    assert 10_000 < counts[what] <= GOALS[what]


def test_a_large_put_costs_its_checksum(counts):
    assert counts["MiB of CRC-64 alone"] > 100_000, "the kernel reads every byte"
    assert 1 <= counts["MiB"] / counts["MiB of CRC-64 alone"] <= 1.05
