"""A writer's memory is its blocks and little more, whatever the object's size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(300)  # it may have to build the C core first
BLOCK_SIZE, BLOCKS = 1 << 20, 4


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the high-water mark cannot be set back"
)
@pytest.mark.skipif("san" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer is loaded")
def test_one_gib_in_four_blocks():
    command = [sys.executable, "-m", "bench.memory", "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    assert found["size"] == 1 << 30
    assert found["growth"] <= BLOCK_SIZE * BLOCKS + 256 * 1024
    assert found["growth"] >= BLOCK_SIZE * BLOCKS * 3 // 4, "the mark does not see the blocks"
