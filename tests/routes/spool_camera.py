"""A camera's process that records into a spool, tells a witness of every byte that was taken, and
is killed at any moment; and the witness's judgement of what OSS holds in the end.

Run as a program it records until it is killed, or with "drain" delivers what is there.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ossmedia import Bucket, Credentials, Retry, Spool
from tests.spool_rig import pattern

BLOCK = 102_400
ROOT = Path(__file__).parent.parent.parent


def stream(key: str, size: int) -> bytes:
    """What a camera writes to a key: known to everybody, different for every key."""
    return pattern(size, sum(key.encode()))


def record(spool: Spool, bucket: Bucket, life: str, seed: int, frames: int) -> None:
    """Two appended streams, and clips beside them; every call that returned is told."""
    dice = random.Random(seed)
    written = {f"{life}-live-{n}": 0 for n in range(2)}
    streams = {key: bucket.open(key, "ab", linger_s=0.0) for key in written}
    for number in range(frames):
        key = dice.choice(list(streams))
        size = dice.choice([1, 500, 4000, 22_000, 70_000])
        data = stream(key, written[key] + size)[written[key] :]
        streams[key].write(data)
        written[key] += size
        tell("w", key, written[key])
        kind = dice.random()
        if kind < 0.1:
            streams[key].sync()
            tell("s", key, written[key])
        elif kind < 0.2:
            clip(bucket, f"{life}-clip-{number}", dice)
    for key, writer in streams.items():
        writer.close()
        tell("e", key, written[key])


def clip(bucket: Bucket, key: str, dice: random.Random) -> None:
    size = dice.choice([0, 10, BLOCK, BLOCK * 3 + 5])
    data = stream(key, size)
    if dice.random() < 0.5:
        bucket.put(key, data)
    else:
        with bucket.open(key, dice.choice(["wb", "xb"])) as writer:
            for at in range(0, size, 30_000):
                writer.write(data[at : at + 30_000])
                tell("w", key, min(at + 30_000, size))
    tell("e", key, size)


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Witness:
    """Holds the truth: what each key's calls returned, in whatever process."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}
        self.ended: set[str] = set()
        self._rest = b""

    def hear(self, raw: bytes) -> int:
        """Returns how many calls it was told of."""
        *lines, self._rest = (self._rest + raw).split(b"\n")
        for line in lines:
            kind, key, size = line.decode().split()
            self.taken[key] = max(self.taken.get(key, 0), int(size))
            if kind == "e":
                self.ended.add(key)
        return len(lines)

    def forget_the_rest(self) -> None:
        self._rest = b""

    def judge(self, held: dict[str, bytes]) -> None:
        """Every byte that a call took is there, in order, once; and nothing but what was written:
        at most the one call that was under way when the process died."""
        for key, size in self.taken.items():
            if key in self.ended:
                assert key in held, f"{key}: {size} bytes are lost"
                assert len(held[key]) == size, key
            elif size:
                assert size <= len(held.get(key, b"")) <= size + 4 * BLOCK, key
        for key, data in held.items():
            assert data == stream(key, len(data)), f"{key}: other bytes"


def life(cloud: Any, folder: Path, name: str, seed: int, **more: Any) -> subprocess.Popen[bytes]:
    """The camera's process, begun."""
    words = [cloud.endpoint, cloud.region, cloud.access_key_id, cloud.access_key_secret]
    command = [sys.executable, "-m", "tests.routes.spool_camera", *words, str(folder), name]
    return subprocess.Popen(
        [*command, str(seed)], cwd=ROOT, stdout=subprocess.PIPE, bufsize=0, **more
    )


def kill_after(process: subprocess.Popen[bytes], witness: Witness, calls: int, delay_s: float):
    """kill -9 once the camera has told of so many calls, and a moment later."""
    assert process.stdout is not None
    while calls > 0:
        raw = process.stdout.read(65_536)
        if not raw:
            break
        calls -= witness.hear(raw)
    time.sleep(delay_s)
    process.kill()
    while raw := process.stdout.read(65_536):
        witness.hear(raw)
    witness.forget_the_rest()
    process.stdout.close()
    process.wait()


def main(endpoint: str, region: str, key_id: str, secret: str, folder: str, name: str, seed: str):
    quick = Retry(attempts=4, base_s=0.0005, cap_s=0.01, give_up_after_s=30)
    with Spool(folder, min_free=0, commit_interval=0.02, file_size=65_536) as spool:
        with Bucket(
            "cams",
            endpoint=endpoint,
            region=region,
            credentials=Credentials(key_id, secret),
            retry=quick,
            block_size=BLOCK,
            spool=spool,
        ) as bucket:
            assert spool.status().balance == 0
            if name != "drain":
                record(spool, bucket, name, int(seed), 10_000)
            assert spool.drain(60), spool.status()
            assert spool.status().balance == 0
            assert spool.status().spooled == 0, spool.status()


if __name__ == "__main__":
    main(*sys.argv[1:])
