"""kill -9 while a camera records and delivers: nothing that a call took is lost, doubled or out of
order."""

from __future__ import annotations

import random
import secrets

import pytest

from tests.routes.spool_camera import Witness, kill_after, life
from tests.spool_rig import check, content, joined, lawful


@pytest.fixture
def cloud(oss_emulator):
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


def held(cloud, folder):
    """What the cloud holds for each key that was confirmed; nobody else writes: nothing forks."""
    found = {}
    with lawful(folder) as spool:
        for done in spool.receipts():
            key = done.receipt.key
            assert [part.key for part in done.receipt.generations] == [key], done
            found[key] = joined(cloud, done.receipt)
            assert content(cloud, key) == found[key]
    return found


@pytest.mark.parametrize("lives", [3, 6, 9])
def test_killed_again_and_again(cloud, tmp_path, lives):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    dice, witness, folder = random.Random(seed), Witness(), tmp_path / "spool"
    for number in range(lives):
        process = life(cloud, folder, f"life{number}", dice.getrandbits(32))
        kill_after(process, witness, dice.randrange(1, 60), dice.random() / 50)
    process = life(cloud, folder, "drain", 0)
    assert process.wait(90) == 0
    process.stdout.close()
    witness.judge(held(cloud, folder))
    with lawful(folder) as spool:
        assert check(spool).dropped == 0
        assert check(spool).acked == check(spool).written
