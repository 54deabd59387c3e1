"""A writer under random faults against a bytes model: what OSS holds at the end is what was
written, in order, once.

`run(cloud, seed)` plays one sequence; the hypothesis machine in test_stream_machine.py and `python
-m tests.routes.stream_model` (many seeds) use the same moves.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys

from ossmedia import Bucket, Credentials, Retry, crc64
from ossmedia.errors import StreamBroken

BLOCK = 102_400
UNBUFFERED = "ab, buffering=0"
QUICK = Retry(attempts=8, base_s=0.0005, cap_s=0.002, give_up_after_s=30)

MODES = ("wb", "xb", "ab", UNBUFFERED)

# What goes wrong, for how many requests. Each leaves the upload able to finish.
FAULTS = {
    "lost answer": {"action": "drop", "when": "after"},
    "dropped before": {"action": "drop", "when": "before"},
    "reset after storing": {"action": "reset", "when": "after"},
    "reset in the body": {"action": "reset", "body_bytes": 1000},
    "500 without effect": {"action": "status", "status": 500},
    "503 after storing": {
        "action": "status",
        "status": 503,
        "code": "ServiceUnavailable",
        "when": "after",
    },
    "garbage after storing": {"action": "garbage", "status": 502, "when": "after"},
    "token expired": {"action": "expire"},
    "wrong clock": {"action": "skew", "seconds": 0},
    "early answer": {
        "action": "early",
        "status": 503,
        "code": "ServiceUnavailable",
        "body_bytes": 500,
    },
    "connection closed": {"action": "close"},
    "no CRC in the answer": {"action": "drop_crc", "operation": "[!H]*"},
}


def session(cloud, name: str) -> Credentials:
    """Temporary credentials as STS would issue them, without the round trip."""
    identities = cloud.cloud.identities
    issued = identities.issue_session(
        identities.find_role(cloud.role_arn),
        name,
        duration_seconds=900,
        now=cloud.cloud.clock.now(),
    )
    return Credentials(issued.access_key_id, issued.secret, issued.token, issued.expires_at)


# A clock that is wrong again right after it was corrected is final, and so is damage that comes
# back three times in a row.
ONCE = {"wrong clock", "no CRC in the answer"}


class Run:
    """One writer, its model, and the cloud it writes to."""

    def __init__(self, cloud, mode: str, *, blocks: int = 2, parallel: int = 2) -> None:
        self.cloud = cloud
        self.mode = mode
        self.model = bytearray()
        self.used: set[str] = set()
        self.renewals = 0
        self.key = f"model/{secrets.token_hex(8)}"  # hypothesis seeds `random`
        self.bucket = Bucket(
            cloud.buckets[0],
            endpoint=cloud.endpoint,
            region=cloud.region,
            credentials=self._provide,
            retry=QUICK,
        )
        blocked = {"block_size": BLOCK, "blocks": blocks, "parallel": parallel, "linger_s": 0.001}
        options = {"buffering": 0} if mode == UNBUFFERED else blocked
        self.writer = self.bucket.open(self.key, mode[:2], **options)

    def _provide(self) -> Credentials:
        self.renewals += 1
        return session(self.cloud, f"run-{self.renewals}")

    def write(self, data: bytes) -> None:
        assert self.writer.write(data) == len(data)
        self.model += data

    def fault(self, name: str, times: int = 1, after: int = 0) -> None:
        if name in self.used and name in ONCE:
            return
        self.used.add(name)
        times = 1 if name in ONCE else times
        self.cloud.fault(key=f"{self.key}*", times=times, after=after, **FAULTS[name])

    def close(self) -> None:
        """Closes, then compares every byte, the CRC-64 and the receipt."""
        self.writer.close()
        self.cloud.clear_faults()
        result = self.writer.result
        joined = bytearray()
        for part in result.generations:
            with self.bucket.open(part.key) as reader:
                held = reader.read()
            assert part.start == len(joined)
            joined += held[part.base : part.base + part.size]
        assert joined == self.model, f"{len(joined)} of {len(self.model)} bytes"
        assert result.size == len(self.model)
        assert result.crc64 == crc64(bytes(self.model))
        self.bucket.close()

    def drop(self) -> None:
        self.cloud.clear_faults()
        (self.writer.close if self.mode == UNBUFFERED else self.writer.abort)()
        self.bucket.close()


def run(cloud, seed: int) -> int:
    """One random sequence; returns the number of faults it met."""
    rng = random.Random(seed)
    play = Run(
        cloud,
        rng.choice(MODES),
        blocks=rng.choice([2, 3, 5]),
        parallel=rng.choice([1, 2, 3]),
    )
    faults = 0
    try:
        for _ in range(rng.randint(1, 12)):
            move = rng.random()
            if move < 0.55:
                size = rng.choice(
                    [0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, rng.randint(1, 3 * BLOCK)]
                )
                play.write(rng.randbytes(size))
            elif move < 0.9:
                play.fault(rng.choice(sorted(FAULTS)), rng.choice([1, 1, 2]), rng.randint(0, 2))
                faults += 1
            elif play.mode == "ab":
                play.writer.sync(30)
            else:
                play.writer.flush()
        play.close()
    except BaseException:
        play.drop()
        raise
    return faults


def main() -> int:
    from ossmedia.emulator.serve import Emulator

    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    met, bad = 0, []
    with Emulator(buckets=["cams"]) as cloud:
        for seed in range(args.seed, args.seed + args.runs):
            try:
                met += run(cloud, seed)
            except (AssertionError, StreamBroken) as error:
                bad.append(seed)
                print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
    print(f"{args.runs} sequences from seed {args.seed}, {met} faults, {len(bad)} failed: {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
