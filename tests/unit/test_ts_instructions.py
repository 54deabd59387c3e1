"""What a transport packet may cost, in user-space instructions: counts, not times, so they are the
same on a busy machine."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def counts():
    command = [sys.executable, "-m", "bench.mux_instructions", "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    if "skipped" in found:
        print("instructions are not counted:", found["skipped"])
        pytest.skip(found["skipped"])
    if platform.machine() != "x86_64":
        pytest.skip(f"the limits are those of x86_64, this is {platform.machine()}")
    return found


def test_a_packet_costs_a_copy_and_a_header(counts):
    assert 10 < counts["copy of a packet's bytes"] < counts["packet"]
    assert counts["packet over 1.3 copies"] <= 60


def test_a_picture_costs_less_than_in_ffmpeg(counts):
    sizes = ("10,000", "20,000", "40,000", "110,000")
    for size in sizes:
        assert counts[f"{size} B: PyAV / own"] >= 5
