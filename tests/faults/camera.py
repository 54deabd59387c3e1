"""A camera as a process of its own, to be killed, starved or lied to: ``python -m
tests.faults.camera '<json>'``.

In flow its orders as one JSON argument, and with ``step`` a line on stdin before each piece; out
flow lines on stdout: what was confirmed, and the receipts. Its video is made from a seed, so that
whoever reads the lines knows every byte that it wrote.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator

from ossmedia import Bucket, Credentials, Retry

__all__ = ["peak_mib", "tell", "video"]

PATIENT = Retry(attempts=10, base_s=0.001, cap_s=0.05, give_up_after_s=60)


def video(seed: int | str, pieces: int, size: int) -> Iterator[bytes]:
    """The pieces a camera with this seed writes, in bytes."""
    dice = random.Random(f"video {seed}")
    for _ in range(pieces):
        yield dice.randbytes(size)


def tell(**fields: object) -> None:
    """One line for the witness, written at once: it stays in the pipe when this process dies."""
    print(json.dumps(fields), flush=True)


def peak_mib() -> float:
    """The most memory this process ever had resident. (getrusage would tell the parent's, from
    before the exec.)"""
    with open("/proc/self/status") as status:
        rows = dict(line.split(":", 1) for line in status)
    return int(rows["VmHWM"].split()[0]) / 1024


def record(bucket: Bucket, orders: dict) -> None:
    """Writes the pieces; tells each confirmed length, then the receipt."""
    written = 0
    options = {"block_size": 102_400, "linger_s": 3600, **orders.get("options", {})}
    with bucket.open(orders["key"], orders["mode"], **options) as file:
        for piece in video(orders["seed"], orders["pieces"], orders["size"]):
            if orders.get("step"):
                tell(waits=written)
                sys.stdin.readline()
            file.write(piece)
            written += len(piece)
            if orders["mode"] == "ab":
                file.sync(60)
                tell(confirmed=written)
    assert file.result is not None
    tell(receipt=file.result.to_json())


def main() -> int:
    orders = json.loads(sys.argv[1])
    with Bucket(
        orders["bucket"],
        endpoint=orders["endpoint"],
        region=orders["region"],
        credentials=Credentials.from_json(orders["credentials"]),
        retry=PATIENT,
    ) as bucket:
        record(bucket, orders)
        tell(requests=bucket.stats()["requests"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
