"""An allocation that fails is told, leaves nothing behind, and can be made up for."""

from __future__ import annotations

import shutil

import pytest

from tests.faults import allocations

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not allocations.has_glibc(), reason="needs a C compiler and glibc"
)


def test_each_allocation_of_a_camera_in_c(rig, seed):
    tally = allocations.in_c(rig, seed)
    tally.check()
    assert tally.tried == 2 * int(tally.notes["allocations"]) >= 40


def test_each_allocation_of_the_core_under_python(rig, seed):
    tally = allocations.in_python(rig, seed)
    tally.check()
    assert tally.tried >= 8
    assert int(tally.notes["refused"]) >= 8
