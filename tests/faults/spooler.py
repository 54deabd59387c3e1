"""A camera with a spool, as a process of its own, to be killed: ``python -m tests.faults.spooler
'<json>'``.

In flow its orders, out flow lines for the witness: before and after each write, after each sync,
and the spool's own figures. Phases: "write" (no network, no token), "online" (writes while it
delivers), "drain" (delivers what earlier lives left).
"""

from __future__ import annotations

import json
import os
import sys

from ossmedia import Bucket, Credentials, Retry, Spool
from tests.faults.camera import tell, video

QUICK = Retry(attempts=8, base_s=0.001, cap_s=0.02)


def bucket_of(orders: dict, spool: Spool) -> Bucket:
    return Bucket(
        orders["bucket"],
        endpoint=orders["endpoint"],
        region=orders["region"],
        credentials=Credentials.from_json(orders["credentials"]),
        retry=QUICK,
        spool=spool,
    )


def figures(spool: Spool) -> dict:
    """The law in numbers."""
    status = spool.status()
    names = ("written", "acked", "spooled", "dropped", "balance", "tombstones", "quarantined")
    return {name: getattr(status, name) for name in names}


def write(orders: dict, spool: Spool, opened) -> None:
    """Each piece into each file; every ``sync_every``-th round all are synced."""
    options = {"block_size": 102_400, "write_timeout_s": orders.get("write_timeout_s", 1.0)}
    files = {
        key: opened(key, "wb" if key.startswith("w") else "ab", **options) for key in orders["keys"]
    }
    videos = {
        key: video(f"{orders['seed']} {key}", orders["pieces"], orders["size"]) for key in files
    }
    for number in range(orders["pieces"]):
        for key, file in files.items():
            tell(trying=[key, number])
            try:
                file.write(next(videos[key]))
            except OSError as error:
                tell(refused=key, why=f"{type(error).__name__}: {error}")
            else:
                tell(wrote=[key, number])
        if number % orders.get("sync_every", 2) == 0:
            sync(files)
    for key, file in files.items():
        try:
            file.close()
        except OSError as error:
            tell(unclosed=key, why=f"{type(error).__name__}: {error}")
    tell(closed=True, status=figures(spool))


def sync(files: dict) -> None:
    for key, file in files.items():
        try:
            file.sync(30)
        except OSError as error:
            tell(unsynced=key, why=f"{type(error).__name__}: {error}")
        else:
            tell(synced=[key])


def drain(orders: dict, spool: Spool) -> None:
    tell(recovered=list(spool.recovered), status=figures(spool))
    with bucket_of(orders, spool):
        done = spool.drain(orders.get("drain_s", 30))
        tell(drained=done, error=spool.status().error, status=figures(spool))
    receipts = [delivered.receipt.to_json() for delivered in spool.receipts()]
    stones = [[stone.key, stone.first, stone.last, stone.reason] for stone in spool.tombstones()]
    tell(receipts=receipts, tombstones=stones)


def main() -> int:
    orders = json.loads(sys.argv[1])
    if orders.get("pretends"):  # a disk that says "done" and is not: the judge must find out
        os.fdatasync = lambda _: None
    with Spool(orders["folder"], **orders.get("spool", {})) as spool:
        if orders["phase"] == "write":
            write(
                orders,
                spool,
                lambda key, *rest, **more: spool.open(orders["bucket"], key, *rest, **more),
            )
        elif orders["phase"] == "online":
            with bucket_of(orders, spool) as bucket:
                write(orders, spool, bucket.open)
                tell(drained=spool.drain(30), status=figures(spool))
        else:
            drain(orders, spool)
    tell(ended=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
