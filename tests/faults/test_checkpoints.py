"""An upload by ticket survives kill -9 at any system call."""

from __future__ import annotations

from tests.faults import checkpoints


def test_killed_at_system_calls(rig, seed, strace, tmp_path):
    tally = checkpoints.killed_uploads(rig, seed, tmp_path, 20)
    tally.check()
    assert tally.tried >= 15
