"""A spool under random faults against a model of bytes: whatever happens on the disk, on the way
and in OSS, what was written is in OSS, in order, once, or named by a tombstone, or still in the
spool.

`Run` makes the moves; the hypothesis machine in test_spool_machine.py and ``python -m
tests.routes.spool_model`` (many seeds) use the same.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from ossmedia import Bucket, Retry, Spool, SpoolFull, StreamBroken
from tests.faults.proxy import FaultProxy
from tests.routes.stream_model import FAULTS as EMULATED
from tests.spool_rig import check, pattern, tokens, until

BLOCK = 102_400
SIZES = (0, 1, 100, 4064, 4097, 65_536, BLOCK, 150_001)
ROOMS = (512 << 10, 1 << 30)
QUICK = Retry(attempts=8, base_s=0.0005, cap_s=0.002, give_up_after_s=30)

# On the way, in bytes of the request or the answer.
ON_THE_WAY = {
    "damaged body": {"action": "flip", "side": "request", "at": 1500},
    "damaged request": {"action": "flip", "side": "request", "at": 300},
    "damaged answer": {"action": "flip", "side": "answer", "at": 120},
    "reset in the answer": {"action": "reset", "side": "answer", "at": 40},
    "request cut": {"action": "cut", "side": "request", "at": 2000},
    "answer swallowed": {"action": "swallow"},
    "delivered twice": {"action": "twice", "sees": "second"},
}
REFUSED = {"action": "status", "status": 403, "code": "AccessDenied"}
IN_OSS = {
    **EMULATED,
    "refused": REFUSED,
    "wrong CRC": {**EMULATED["no CRC in the answer"], "action": "wrong_crc"},
}
FAULTS = sorted([*IN_OSS, *ON_THE_WAY])
# OSS holds something, or says that it does, that nobody can call the camera's own: an appended
# object goes on in another, and xb must not go over it.
DAMAGING = set(ON_THE_WAY) & {"damaged body", "damaged request", "damaged answer"}


class Run:
    """One spool, its lives, and everything that was ever written to it."""

    def __init__(self, cloud, policy: str, max_bytes: int, file_size: int) -> None:
        cloud.reset()
        self.cloud, self.policy = cloud, policy
        self.root = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.options = {
            "min_free": 0,
            "policy": policy,
            "max_bytes": max_bytes,
            "file_size": file_size,
            "commit_interval": 3600.0,
        }
        self.lives = self.keys = 0
        self.model: dict[str, bytearray] = {}
        self.open: dict[str, object] = {}
        self.ended: set[str] = set()  # closed, so that even an empty one is an object
        self.damaged = self.blind = False
        self.bucket: Bucket | None = None
        self.proxy = FaultProxy(cloud.endpoint)
        self.proxy.start()
        self.spool = Spool(self.root / "0", **self.options)

    # -- moves

    def _key(self, kind: str) -> str:
        self.keys += 1
        return f"{self.keys}-{kind}"

    def begin(self, mode: str) -> None:
        key = self._key(mode)
        self.model[key] = bytearray()
        self.open[key] = self.spool.open(
            self.cloud.buckets[0], key, mode, block_size=BLOCK, linger_s=0.0, write_timeout_s=0.001
        )

    def write(self, key: str, size: int) -> None:
        """A full spool refuses, or drops, as its policy says; nothing else may happen."""
        piece = pattern(size, len(self.model[key]) % 251)
        try:
            taken = self.open[key].write(piece)
        except SpoolFull as full:
            assert self.policy in ("block", "reject")
            taken = full.characters_written
        except StreamBroken:
            assert self.policy.startswith("drop")
            assert not key.endswith("ab")
            self.open.pop(key).close()
            return
        else:
            assert taken == size
        self.model[key] += piece[:taken]

    def sync(self, key: str) -> None:
        self.open[key].sync(30)

    def end(self, key: str, *, abort: bool = False) -> None:
        writer = self.open.pop(key)
        if abort and writer.mode != "ab":
            writer.abort()
            del self.model[key]
            return
        writer.close()
        self.ended.add(key)

    def put(self, size: int) -> None:
        key = self._key("put")
        data = pattern(size, size % 251)
        try:
            self.spool.put(self.cloud.buckets[0], key, data, timeout_s=0.001)
        except SpoolFull:
            assert self.policy in ("block", "reject")
            return
        self.model[key] = bytearray(data)
        self.ended.add(key)

    def fault(self, name: str, times: int, after: int) -> None:
        if name in ON_THE_WAY:
            self.proxy.fault(**ON_THE_WAY[name], times=times, after=after)
        else:
            self.cloud.fault(**IN_OSS[name], times=times, after=after)
        self.damaged |= name in DAMAGING
        self.blind |= name == "refused"  # who may not ask goes on elsewhere

    def online(self) -> None:
        if self.bucket is None:
            self.bucket = Bucket(
                self.cloud.buckets[0],
                endpoint=self.proxy.endpoint,
                region=self.cloud.region,
                credentials=tokens(self.cloud),
                retry=QUICK,
                block_size=BLOCK,
                io_timeout_s=1.0,  # a length that was damaged is waited for
                spool=self.spool,
            )

    def offline(self) -> None:
        if self.bucket is not None:
            self.bucket.close()
            self.bucket = None

    def look(self) -> None:
        check(self.spool)

    def kill(self) -> None:
        """What kill -9 leaves is what stands in the folder: a copy of it, taken while nothing moves
        (offline, and no commit under way)."""
        self.offline()
        until(lambda: not self.spool._committer._due())
        self.lives += 1
        copy = self.root / str(self.lives)
        shutil.copytree(self.root / str(self.lives - 1), copy)
        self._forget_writers()
        self.spool.close()
        self.spool = Spool(copy, **self.options)
        check(self.spool)

    def _forget_writers(self) -> None:
        for writer in self.open.values():
            writer._closed = True
        self.open.clear()

    # -- the judgement

    def finish(self) -> None:
        """Ends everything, lets the cloud be well again, delivers, and compares every byte."""
        for key in list(self.open):
            self.end(key)
        self.online()
        self.spool.drain(1)  # with the faults that are left
        self.cloud.clear_faults()
        self.proxy.clear()
        for _ in range(3):  # what was refused is asked for again
            if self.spool.drain(20):
                break
        status = check(self.spool)
        assert status.torn == status.quarantined == 0, status
        left = self.spool._shelf.all()
        for item in left:
            self._judge_parked(item)
        kept = {item.key for item in left}
        receipts = {done.receipt.key: done.receipt for done in self.spool.receipts()}
        stones = [stone for stone in self.spool.tombstones() if stone.reason != "aborted"]
        assert not stones or self.policy.startswith("drop"), stones
        for key in set(self.model) - kept:
            gaps = sorted((stone.first, stone.last) for stone in stones if stone.key == key)
            self._judge(key, receipts.get(key), gaps)

    def _judge_parked(self, item) -> None:
        """Nothing else may be left than an xb over bytes that nobody can tell from somebody else's,
        and it is whole."""
        assert item.final, f"{item.key}: {item.error}"
        assert item.key.endswith("xb"), f"{item.key}: {item.error}"
        assert self.damaged, f"{item.key}: {item.error}"
        assert "another object stands there" in item.error
        assert item.content() == self.model[item.key]

    def _judge(self, key: str, receipt, gaps: list[tuple[int, int]]) -> None:
        written = bytes(self.model[key])
        if gaps and not key.endswith("ab"):
            assert receipt is None, f"{key}: dropped and stored"
            return
        for first, last in reversed(gaps):
            written = written[:first] + written[last:]
        if receipt is None:
            never = not self.model[key] and key not in self.ended
            assert never or (gaps and not written), f"{key}: {len(written)} bytes are lost"
            return
        held = b"".join(self._held(p.key)[p.base : p.base + p.size] for p in receipt.generations)
        assert held == written, f"{key}: {len(held)} of {len(written)} bytes"
        assert receipt.size == len(written)
        names = {part.key for part in receipt.generations}
        assert names == {key} or self.damaged or self.blind, (
            f"{key}: forked without a reason: {names}"
        )

    def _held(self, key: str) -> bytes:
        store = self.cloud.cloud.store
        found = store.object(self.cloud.buckets[0], key)
        assert found is not None, f"{key}: confirmed, and not there"
        return b"".join(store.blobs.read(found.segments, 0, found.size))

    def close(self) -> None:
        self._forget_writers()
        self.cloud.clear_faults()
        self.proxy.clear()
        self.offline()
        self.spool.close()
        self.proxy.stop()
        shutil.rmtree(self.root)


def move(run: Run, dice: random.Random) -> None:
    """One random move."""
    kind = dice.random()
    if kind < 0.15 and len(run.open) < 3:
        run.begin(dice.choice(["wb", "xb", "ab"]))
    elif kind < 0.55 and run.open:
        run.write(dice.choice(sorted(run.open)), dice.choice(SIZES))
    elif kind < 0.6 and run.open:
        run.sync(dice.choice(sorted(run.open)))
    elif kind < 0.67 and run.open:
        run.end(dice.choice(sorted(run.open)), abort=dice.random() < 0.2)
    elif kind < 0.73:
        run.put(dice.choice(SIZES))
    elif kind < 0.87:
        run.fault(dice.choice(FAULTS), dice.choice([1, 1, 2, 5]), dice.randint(0, 3))
    elif kind < 0.93:
        run.online() if run.bucket is None else run.offline()
    elif kind < 0.96:
        run.look()
    else:
        run.kill()


def play(cloud, seed: int) -> None:
    """One random sequence, judged."""
    dice = random.Random(seed)
    policies = ["block", "block", "reject", "drop_oldest", "drop_newest"]
    run = Run(cloud, dice.choice(policies), dice.choice(ROOMS), dice.choice([65_536, 8 << 20]))
    try:
        for _ in range(dice.randint(5, 60)):
            move(run, dice)
        run.finish()
    finally:
        run.close()


def main() -> int:
    from ossmedia.emulator.serve import Emulator

    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    bad = []
    with Emulator(buckets=["cams"]) as cloud:
        for seed in range(args.seed, args.seed + args.runs):
            try:
                play(cloud, seed)
            except Exception as error:
                bad.append(seed)
                print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
    print(f"{args.runs} sequences from seed {args.seed}, {len(bad)} failed: {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
