"""A camera that films at its own pace into a spool: ``python -m tests.faults.filming '<json>'``.

In flow its orders, out flow a line each second (how many bytes wait for the network) and at the end
how long its writes took, its receipt and its memory. Frames come when they come: a write that is
late does not make the next one later.
"""

from __future__ import annotations

import json
import sys
import time

from ossmedia import Bucket, Credentials, Retry, Spool
from tests.faults.camera import peak_mib, tell, video


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def film(orders: dict, spool: Spool, file) -> None:
    """Writes frame by frame; tells once a second what is not yet delivered."""
    fps, took = orders["fps"], []
    start = time.monotonic()
    for number, frame in enumerate(video(orders["seed"], orders["frames"], orders["size"])):
        due = start + number / fps
        time.sleep(max(0.0, due - time.monotonic()))
        before = time.perf_counter()
        file.write(frame)
        took.append(time.perf_counter() - before)
        if number % fps == 0:
            status = spool.status()
            tell(second=number // fps, spooled=status.spooled, balance=status.balance)
    tell(p99_ms=percentile(took, 0.99) * 1000, max_ms=max(took) * 1000, writes=len(took))


def main() -> int:
    orders = json.loads(sys.argv[1])
    with Spool(orders["folder"], **orders.get("spool", {})) as spool:
        with Bucket(
            orders["bucket"],
            endpoint=orders["endpoint"],
            region=orders["region"],
            credentials=Credentials.from_json(orders["credentials"]),
            connect_timeout_s=orders["timeout_s"],
            io_timeout_s=orders["timeout_s"],
            retry=Retry(base_s=0.1, cap_s=orders["timeout_s"]),
            spool=spool,
        ) as bucket:
            with bucket.open(orders["key"], "ab") as file:
                film(orders, spool, file)
            tell(drained=spool.drain(orders["drain_s"]))
        (delivered,) = spool.receipts()
        tell(receipt=delivered.receipt.to_json(), tombstones=len(spool.tombstones()))
    tell(peak_mib=peak_mib(), ended=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
