"""Short, cut and lost answers to the calls that read: an object's bytes, its figures, a list, a
removal. What comes back is right or an error, never half."""

from __future__ import annotations

from ossmedia import crc64
from ossmedia.errors import OssMediaError
from tests.faults.rig import BLOCK, Rig
from tests.faults.tally import Tally

__all__ = ["cut_answers"]

CALLS = ("read", "range", "stat", "list", "delete")
METHODS = {"read": "GET", "range": "GET", "stat": "HEAD", "list": "GET", "delete": "DELETE"}


def cut_answers(rig: Rig, seed: int, count: int) -> Tally:
    """The answer of one to three exchanges in a row ends early, in order or by RST, or never
    comes."""
    tally = Tally("cut answers", seed)
    dice = tally.dice()
    written = {f"reads/{number}": dice.randbytes(dice.randint(1, 3 * BLOCK)) for number in range(5)}
    with rig.bucket(direct=True) as bucket:
        for key, data in written.items():
            with bucket.open(key, "wb") as file:
                file.write(data)
    with rig.bucket() as bucket:
        for number in range(count):
            call = dice.choice(CALLS)
            fault = rig.proxy.fault(
                dice.choice(["cut", "reset", "swallow"]),
                match=f"{METHODS[call]} *",
                at=dice.choice([dice.randint(0, 600), dice.randint(0, 2 * BLOCK)]),
                times=dice.randint(1, 3),
            )
            try:
                _call(tally, dice, bucket, call, written, number)
            except OssMediaError as error:
                tally.expect(error.retryable, f"{call}: {error!r}")
                tally.add("given up")
            tally.tried += rig.proxy.settle(fault)
            rig.clear()
    return tally


def _call(tally: Tally, dice, bucket, call: str, written: dict, number: int) -> None:
    key = dice.choice(list(written))
    data = written[key]
    if call == "read":
        with bucket.open(key) as file:
            tally.compare(data, file.read(), f"read {number}")
    elif call == "range":
        start, length = dice.randint(0, len(data) - 1), dice.randint(1, BLOCK)
        with bucket.open(key) as file:
            file.seek(start)
            tally.compare(data[start : start + length], file.read(length), f"range {number}")
    elif call == "stat":
        stat = bucket.stat(key)
        tally.expect((stat.size, stat.crc64) == (len(data), crc64(data)), f"stat {number}")
    elif call == "list":
        rows = {row.key: row.size for row in bucket.list("reads/", page_size=2)}
        sizes = {name: len(content) for name, content in written.items()}
        tally.expect(rows == sizes, f"list {number}: {rows}")
    else:
        bucket.delete(f"reads/none-{number}")
