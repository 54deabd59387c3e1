"""A camera with a spool under kill -9, power cuts, bad disks and a dead network: nothing that was
taken is lost, doubled or reordered, and the law holds in every status."""

from __future__ import annotations

import shutil

import pytest

from tests.faults import blackhole, cgroup, disks, fleet, kills, memory, power, powercut, rot
from tests.faults.tally import known_seeds

needs_disks = pytest.mark.skipif(bool(powercut.missing()), reason=powercut.missing() or "-")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
needs_cgroup = pytest.mark.skipif(bool(cgroup.missing()), reason=cgroup.missing() or "-")


@pytest.mark.parametrize("phase", kills.PHASES)
def test_killed_at_system_calls(rig, seed, strace, tmp_path, phase):
    tally = kills.killed(rig, seed, tmp_path, phase, 14)
    tally.check()
    assert tally.tried >= 12


@pytest.mark.parametrize("phase", kills.PHASES)
def test_kills_that_found_something(rig, strace, tmp_path, phase):
    for found in known_seeds(f"kill-{phase}"):
        kills.killed(rig, found, tmp_path / str(found), phase, 12).check()


@needs_disks
def test_power_cuts(rig, seed, tmp_path):
    tally = power.cuts(rig, seed, tmp_path, 12)
    tally.check()
    assert int(tally.notes["synced"]) > 0


@needs_disks
def test_a_camera_that_only_pretends_to_sync_is_found_out(rig, seed, tmp_path):
    tally = power.cuts(rig, seed, tmp_path, 6, pretends=True)
    assert tally.lost > 0, str(tally)


@needs_disks
def test_syncs_that_fail(rig, seed, strace, tmp_path):
    power.failing_syncs(rig, seed, tmp_path, 6).check()


def test_system_calls_that_fail(rig, seed, strace, tmp_path):
    disks.failing_calls(rig, seed, tmp_path, 12).check()


@needs_compiler
def test_short_writes(rig, seed, tmp_path):
    disks.short_writes(rig, seed, tmp_path, 6).check()


@needs_disks
@pytest.mark.parametrize("policy", disks.POLICIES)
def test_full_disk(rig, seed, tmp_path, policy):
    disks.full_disk(rig, seed, tmp_path, policy).check()


@pytest.mark.parametrize("state", [False, True], ids=["data", "state"])
def test_damaged_files(rig, seed, tmp_path, state):
    rot.damages(rig, seed, tmp_path, 8, state=state).check()


@needs_cgroup
def test_backlog_in_little_memory(rig, seed, tmp_path):
    memory.backlog(rig, seed, tmp_path, 80).check()


def test_blackhole(rig, seed, tmp_path):
    tally = blackhole.blackhole(rig, seed, tmp_path, 4, lead_s=1)
    tally.check()
    assert tally.tried == 1


def test_a_small_fleet(seed, tmp_path):
    tally = fleet.fleet(
        seed, tmp_path, cameras=40, processes=2, seconds=15, outage_s=3, life_s=6, limit_mib=200
    )
    tally.check()
