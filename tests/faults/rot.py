"""Rotten disks: bits that turned, tails that are torn, files that are gone, in a spool that waits
for its network. All of it is found, what is whole is delivered, and the next life always comes."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

from tests.faults.rig import Rig
from tests.faults.spooled import SpooledCamera
from tests.faults.tally import Tally

__all__ = ["DAMAGES", "damages"]


def _flip(path: Path, dice) -> None:
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


def _cut(path: Path, dice) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(max(0, size - dice.randint(1, 4096)))


def _garble(path: Path, dice) -> None:
    data = bytearray(path.read_bytes())
    count = min(len(data), dice.randint(1, 4096))
    data[-count:] = bytes(count) if dice.random() < 0.5 else dice.randbytes(count)
    path.write_bytes(data)


def _remove(path: Path, _dice) -> None:
    path.unlink()


DAMAGES = {"flip": _flip, "cut": _cut, "garble": _garble, "remove": _remove}


def damages(rig: Rig, seed: int, folder: Path, count: int, *, state: bool = False) -> Tally:
    """One damage to one file of a full spool each, then the next life delivers.

    Args:
        state: to the state's files instead of the video's.
    """
    tally = Tally(f"damage to the {'state' if state else 'data'} of a spool", seed)
    dice = tally.dice()
    folder.mkdir(parents=True, exist_ok=True)
    full = SpooledCamera(rig, folder / "full", seed, file_size=64 << 10)
    assert full.live("write"), full.stderr
    for number in range(count):
        rig.cloud.reset()
        camera = SpooledCamera(rig, folder / f"{number}", seed, file_size=64 << 10)
        full.copy_to(camera.folder)
        camera.witness = copy.deepcopy(full.witness)
        files = sorted((camera.folder / "data").iterdir())
        if state:
            files = [path for path in sorted(camera.folder.glob("state.db*")) if _counts(path)]
        victim = dice.choice(files)
        damage = dice.choice(list(DAMAGES))
        DAMAGES[damage](victim, dice)
        tally.tried += 1
        tally.add(damage)
        where = f"{number}: {damage} of {victim.name}"
        if not _set_aside(tally, camera, where):
            _judge(tally, camera, where)
        _judge_later(rig, tally, camera, where)
        shutil.rmtree(camera.folder)
    return tally


def _counts(path: Path) -> bool:
    return path.stat().st_size > 0 and "reserve" not in path.name and "shm" not in path.name


def _set_aside(tally: Tally, camera: SpooledCamera, where: str) -> bool:
    """Without a readable state nobody knows what the files are: all of them are in the quarantine
    then, and it says so. False: the state was readable."""
    ended = camera.live("drain")
    tally.expect(ended, f"{where}: the next life died: {camera.last_words()}")
    status = camera.witness.last("status")
    if status is None or status["quarantined"] == 0 or status["written"] > 0:
        return False
    kept = sum(path.stat().st_size for path in (camera.folder / "quarantine").glob("*.oms"))
    least = sum(len(piece) for key in camera.orders["keys"] for piece in camera.witness.pieces(key))
    tally.expect(kept >= least - 4096, f"{where}: {kept} of {least} bytes in the quarantine")
    tally.expect(bool(camera.witness.last("recovered")), f"{where}: not a word of it")
    tally.add("quarantines")
    return True


def _judge_later(rig: Rig, tally: Tally, camera: SpooledCamera, where: str) -> None:
    """What is recorded afterwards is delivered as if nothing had been."""
    later = SpooledCamera(rig, camera.folder, 1, keys=("later/0",))
    tally.expect(later.live("write"), f"{where}: no later recording: {later.last_words()}")
    tally.expect(later.live("drain"), f"{where}: no later delivery: {later.last_words()}")
    later.check_law(tally, where)
    later.witness.judge(tally, "later/0", later.delivered().get("later/0", b""))


def _judge(tally: Tally, camera: SpooledCamera, where: str) -> None:
    """Delivered is all but what the tombstones name, byte by byte; a further life finds nothing
    more to do."""
    tally.expect(camera.live("drain"), f"{where}: a further life died: {camera.last_words()}")
    tally.expect(camera.witness.last("drained") is True, f"{where}: not drained")
    camera.check_law(tally, where)
    stones = camera.witness.last("tombstones") or []
    tally.add("tombstones", len(stones))
    objects = camera.delivered()
    for key in camera.orders["keys"]:
        written = b"".join(camera.witness.pieces(key))
        gaps = sorted((first, last) for name, first, last, _ in stones if name == key)
        for first, last in reversed(gaps):
            written = written[:first] + written[last:]
        tally.compare(written, objects.get(key, b""), f"{where}: {key} without {gaps}")
