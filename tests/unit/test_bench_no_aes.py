"""bench.no_aes: without AES instructions ossmedia chooses ChaCha20, and that is cheaper."""

import shutil

import pytest

from bench.no_aes import MACHINES, OFFERS, Machine, count, words
from bench.peers.measure import Failed, Place

pytestmark = pytest.mark.timeout(300)  # it may have to build the sink first
NEHALEM = next(m for m in MACHINES if m.cpu == "Nehalem")


def test_without_aes_instructions_the_choice_is_chacha20(tmp_path):
    if shutil.which("qemu-x86_64") is None or shutil.which("openssl") is None:
        pytest.skip("needs qemu-x86_64 (Debian's qemu-user) and the openssl program")
    place = Place(tmp_path)
    found = {offer: count(NEHALEM, suites, place, (1,))[0] for offer, suites in OFFERS.items()}
    assert found["own choice"] == pytest.approx(found["ChaCha20"], rel=0.05)
    assert found["ChaCha20"] < 0.5 * found["AES-128-GCM"]


def test_a_root_that_was_not_made_is_named(tmp_path):
    if shutil.which("qemu-arm") is None:
        pytest.skip("needs qemu-arm (Debian's qemu-user)")
    machine = Machine("armv7l", "qemu-arm", "cortex-a7", "no-such-root")
    with pytest.raises(Failed, match="needs build/roots/no-such-root: make arm"):
        words(machine, tmp_path / "counted", tmp_path)


def test_an_emulator_that_is_not_there_is_named(tmp_path):
    machine = Machine("a machine", "qemu-of-nothing", "max")
    with pytest.raises(Failed, match="qemu-of-nothing is not installed"):
        words(machine, tmp_path / "counted", tmp_path)
