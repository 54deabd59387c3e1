"""The network's and the service's faults against the moving of bytes, and every seed that found
something once."""

from __future__ import annotations

import pytest

from ossmedia.emulator.serve import Emulator
from tests.faults import foreign, network, reads
from tests.faults.tally import Tally, known_seeds
from tests.routes.test_https import make_certificate

REPLAYS = {
    "twice": lambda rig, found: network.twice(rig, found, 40),
    "flips": lambda rig, found: network.flipped_bits(rig, found, 40),
    "foreign": lambda rig, found: foreign.foreign_appends(rig, found, 20),
    "between": lambda rig, found: foreign.expiries(rig, found, "between", 12),
    "resets": lambda rig, found: network.resets(rig, found, "put", "answer", 16),
}


@pytest.mark.parametrize("operation", [*network.OPERATIONS, *network.CALLS])
def test_lost_answers(rig, seed, operation):
    tally = network.lost_answers(rig, seed, operation, 50)
    tally.check()
    assert tally.tried == 50


def test_delivered_twice(rig, seed):
    tally = network.twice(rig, seed, 150)
    tally.check()
    assert tally.tried == 150


@pytest.mark.parametrize("side", ["request", "answer"])
@pytest.mark.parametrize("operation", ["append", "put", "part"])
def test_resets_at_64_offsets(rig, seed, operation, side):
    offsets = 64 if operation != "part" else 32
    tally = network.resets(rig, seed, operation, side, offsets)
    tally.check()
    assert tally.tried == offsets


def test_flipped_bits(rig, seed):
    tally = network.flipped_bits(rig, seed, 60)
    tally.check()
    assert tally.tried == 60


def test_standstills(rig, seed):
    tally = network.standstills(rig, seed, 24)
    tally.check()
    assert tally.tried == 24


def test_flipped_bits_under_tls(seed, tmp_path):
    """TLS tells: the connection breaks, the bytes go again, nothing damaged is ever stored."""
    authority = make_certificate(tmp_path, "authority", ca=True)
    make_certificate(tmp_path, "good", issuer=authority)
    certificate = {"tls_cert": tmp_path / "good.pem", "tls_key": tmp_path / "good.key"}
    with Emulator(buckets=["cams"], **certificate) as cloud:
        tally = network.flipped_under_tls(cloud, tmp_path / "authority.pem", seed, 40)
    tally.check()
    assert tally.tried == 40


def test_cut_answers_of_reads(rig, seed):
    tally = reads.cut_answers(rig, seed, 80)
    tally.check()
    assert tally.tried == 80


def test_foreign_appends(rig, seed):
    tally = foreign.foreign_appends(rig, seed, 60)
    tally.check()
    assert all(tally.notes[relation] for relation in foreign.SIZES)


@pytest.mark.parametrize("phase", foreign.PHASES)
def test_tokens_that_end(rig, seed, phase):
    tally = foreign.expiries(rig, seed, phase, 12)
    tally.check()
    assert tally.notes["refreshes"] == tally.tried == 12


@pytest.mark.parametrize("told", [True, False])
def test_tokens_that_end_all_the_time(rig, seed, told):
    foreign.short_tokens(rig, seed, 4, 1, told=told, pause_s=0.01).check()


def test_seeds_that_found_something(rig):
    """seeds.txt: each line once more."""
    replayed = 0
    for name, play in REPLAYS.items():
        for found in known_seeds(name):
            play(rig, found).check()
            rig.clear()
            replayed += 1
    assert replayed >= 1


def test_a_tally_tells_every_kind_of_loss():
    """The judge itself: what is planted is found."""
    for held, kind in ((b"ab", "lost"), (b"abcc", "doubled"), (b"acb", "reordered")):
        tally = Tally("planted", 1)
        assert tally.compare(b"abc", b"abc", "x")
        assert not tally.compare(b"abc", held, "x")
        assert [getattr(tally, name) for name in ("lost", "doubled", "reordered")] == [
            int(name == kind) for name in ("lost", "doubled", "reordered")
        ]
        with pytest.raises(AssertionError, match=f"x: {kind}.*seed 1|seed 1(.|\n)*x: {kind}"):
            tally.check()
