"""What the spool's tests share: a spool whose conservation law is checked at every look, and a
bucket of the local cloud that stands behind it.

In flow a folder and options, out flow a spool and what the cloud holds. It never hides a number.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path
from typing import Any

from ossmedia import Bucket, Credentials, Retry, Spool

QUICK = Retry(attempts=4, base_s=0.0005, cap_s=0.002, give_up_after_s=1)


def check(spool: Spool) -> Any:
    """The status; the law holds in it."""
    status = spool.status()
    assert status.balance == 0, status
    assert min(status.written, status.acked, status.spooled, status.dropped) >= 0, status
    return status


@contextlib.contextmanager
def lawful(folder: Path, **options: Any):
    """A spool that is checked at its beginning and its end, and closed."""
    options.setdefault("min_free", 0)
    with Spool(folder, **options) as spool:
        check(spool)
        try:
            yield spool
        finally:
            check(spool)


def bucket_of(cloud: Any, spool: Spool | None = None, **options: Any) -> Bucket:
    """The cloud's first bucket."""
    options.setdefault("credentials", Credentials(cloud.access_key_id, cloud.access_key_secret))
    options.setdefault("retry", QUICK)
    options.setdefault("block_size", 102_400)
    return Bucket(
        cloud.buckets[0], endpoint=cloud.endpoint, region=cloud.region, spool=spool, **options
    )


def content(cloud: Any, key: str) -> bytes:
    """What the cloud holds, read without the spool."""
    with bucket_of(cloud) as bucket, bucket.open(key) as reader:
        return reader.read()


def joined(cloud: Any, receipt: Any) -> bytes:
    """The bytes that a receipt speaks of."""
    return b"".join(
        content(cloud, part.key)[part.base : part.base + part.size] for part in receipt.generations
    )


def data_files(folder: Path) -> list[Path]:
    return sorted((folder / "data").iterdir())


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes that differ from their neighbours' at every place and seed."""
    block = bytes((seed * 31 + at * 7 + (at >> 8)) & 255 for at in range(4099))
    return (block * (size // 4099 + 1))[:size]


def until(what: Any) -> None:
    """Looks until it is so; a real thread or server must come round."""
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.001)


def tokens(cloud):
    """A provider that issues a new token each time."""
    identities = cloud.cloud.identities
    names = itertools.count()

    def provide():
        issued = identities.issue_session(
            identities.find_role(cloud.role_arn),
            f"spool-{next(names)}",
            duration_seconds=900,
            now=cloud.cloud.clock.now(),
        )
        return Credentials(issued.access_key_id, issued.secret, issued.token, issued.expires_at)

    return provide
