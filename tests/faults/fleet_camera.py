"""Some hundred cameras in one process with one spool: ``python -m tests.faults.fleet_camera
'<json>'``.

Each writes a piece every few seconds, at its own moment, into its own growing object. Out flow the
size and the CRC-64 of what each wrote, and this process's peak memory and threads.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from pathlib import Path

from ossmedia import Bucket, Credentials, Retry, Spool, crc64
from tests.faults.camera import peak_mib, tell

POOL = 1 << 20


class Token:
    """The provider: what the file holds now."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.asked = 0

    def __call__(self) -> Credentials:
        self.asked += 1
        return Credentials.from_json(json.loads(self._path.read_text()))


def film(orders: dict, files: list) -> list[int]:
    """Writes at each camera's own times; returns the CRC-64 of each."""
    dice = random.Random(orders["seed"])
    pool = memoryview(dice.randbytes(POOL + orders["size"]))
    crcs = [0] * len(files)
    start, interval = time.monotonic(), orders["interval_s"]
    for round_ in range(int(orders["seconds"] / interval)):
        for number, file in enumerate(files):
            due = start + (round_ + number / len(files)) * interval
            time.sleep(max(0.0, due - time.monotonic()))
            at = dice.randrange(POOL)
            piece = pool[at : at + orders["size"]]
            file.write(piece)
            crcs[number] = crc64(piece, crcs[number])
    return crcs


def main() -> int:
    orders = json.loads(sys.argv[1])
    token = Token(orders["token"])
    with Spool(orders["folder"], **orders["spool"]) as spool:
        with Bucket(
            "cams",
            endpoint=orders["endpoint"],
            region="cn-hangzhou",
            credentials=token,
            connect_timeout_s=5,
            io_timeout_s=10,
            retry=Retry(base_s=0.2, cap_s=10),
            spool=spool,
        ) as bucket:
            files = [bucket.open(key, "ab") for key in orders["keys"]]
            tell(filming=len(files))
            crcs = film(orders, files)
            threads = threading.active_count()
            sizes = [file.tell() for file in files]
            for file in files:
                file.close()
            done = spool.drain(orders["drain_s"])
        status = spool.status()
        tell(drained=done, balance=status.balance, error=status.error, tokens=token.asked)
        tell(forks=sum(len(one.receipt.generations) > 1 for one in spool.receipts()))
    for key, size, crc in zip(orders["keys"], sizes, crcs, strict=True):
        tell(camera=key, size=size, crc=crc)
    tell(peak_mib=peak_mib(), threads=threads, ended=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
