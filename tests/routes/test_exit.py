"""The interpreter ends with writers open: no crash, no waiting for a dead network."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from ossmedia import Bucket, Credentials
cams = Bucket("cams", endpoint=sys.argv[1], region="cn-hangzhou", block_size=102400)
live = cams.open("exit/live", "ab")
live.write(bytes(300_000))
clip = cams.open("exit/clip", "wb")
clip.write(bytes(300_000))
how = sys.argv[2]
if how == "cycle":
    live.itself, clip.itself = live, clip
elif how == "raise":
    raise SystemExit(3)
elif how == "error":
    raise KeyError("camera")
elif how == "at once":
    os._exit(4)
"""
STATUS = {"plain": 0, "cycle": 0, "raise": 3, "error": 1, "at once": 4}


@pytest.mark.parametrize("network", ["good", "stalled"])
@pytest.mark.parametrize("how", list(STATUS))
def test_open_writers_at_exit(oss_emulator, how, network):
    oss_emulator.reset()
    if network == "stalled":
        oss_emulator.fault(action="stall", seconds=60, times=0, key="exit/*")
    keys = {
        "OSS_ACCESS_KEY_ID": oss_emulator.access_key_id,
        "OSS_ACCESS_KEY_SECRET": oss_emulator.access_key_secret,
    }
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SCRIPT, oss_emulator.endpoint, how],
        env={**os.environ, **keys},
        capture_output=True,
        text=True,
        timeout=30,  # far below the stall
        check=False,
    )
    oss_emulator.clear_faults()
    assert done.returncode == STATUS[how], done.stderr
    assert "Fatal" not in done.stderr
