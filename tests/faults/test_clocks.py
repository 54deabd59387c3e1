"""No wall clock, however wrong, loses a byte or costs more than one request."""

from __future__ import annotations

from tests.faults import clocks


def test_boot_in_any_year(rig, seed, faketime):
    clocks.boots(rig, seed, faketime).check()


def test_jumps_while_uploading(rig, seed, faketime, tmp_path):
    tally = clocks.jumps(rig, seed, faketime, tmp_path, 8)
    tally.check()
    assert tally.tried >= 3


def test_the_clock_really_lies(rig, seed, faketime, tmp_path):
    """Without a correction a boot in 1970 costs the one extra request: it is seen to be made."""
    tally = clocks.boots(rig, seed, faketime, dates=("1970-01-01 00:00:07",))
    tally.check()
    assert tally.notes["most extra ab"] == 1


def test_a_spool_whose_lives_are_in_other_years(rig, seed, faketime, tmp_path):
    clocks.spooled_lives(rig, seed, faketime, tmp_path).check()
