"""A camera in Python whose memory ends: ``python -m tests.faults.starved '<json>'``, with malloc.so
preloaded.

For each n it makes a recording while the n-th allocation of the C core fails, once or with all
behind it, then one with memory. (Python's own allocations are left alone: CPython's Thread.start
waits for ever when the new thread's first one fails.) Out flows a line for each: what it wrote and
how it ended. What it never does is hang: a watchdog dumps every thread and ends it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import json
import sys

from ossmedia import Bucket, Credentials, Retry

MODES = ("wb", "ab")
PIECE = bytes(range(256)) * 300
PIECES = 3
QUICK = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=5)
WATCHDOG_S = 30


def code_of_the_core() -> tuple[int, int]:
    """Where the C core's code stands in this process."""
    import ossmedia._core

    path = ossmedia._core.__file__
    with open("/proc/self/maps") as maps:
        rows = [line.split() for line in maps if path in line and "x" in line.split()[1]]
    low, _, _ = rows[0][0].partition("-")
    _, _, high = rows[-1][0].partition("-")
    return int(low, 16), int(high, 16)


class Core:
    """Failures of the C core's allocations, by the preloaded allocator."""

    def __init__(self) -> None:
        shim = ctypes.CDLL(None)
        self._arm, self._disarm = shim.faults_arm, shim.faults_disarm
        self._arm.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_long, ctypes.c_int)
        self._range = code_of_the_core()

    def arm(self, nth: int, for_ever: bool) -> None:
        self._arm(*self._range, nth, for_ever)

    def disarm(self) -> bool:
        return self._disarm() > 0


def record(bucket: Bucket, key: str, mode: str) -> None:
    with bucket.open(key, mode, linger_s=3600) as file:
        for _ in range(PIECES):
            file.write(PIECE)


def attempt(bucket: Bucket, core: Core, mode: str, nth: int, for_ever: bool) -> bool:
    """False: the recording needs fewer allocations than ``nth``."""
    key = f"starved/{mode}-{nth}-{for_ever:d}"
    end = "stored"
    core.arm(nth, for_ever)
    try:
        record(bucket, key, mode)
    except (MemoryError, OSError):
        end = "refused"
    hit = core.disarm()
    fields = {"key": key, "mode": mode, "end": end, "hit": hit, "piece": PIECE.hex()}
    print(json.dumps({**fields, "pieces": PIECES}), flush=True)
    record(bucket, f"{key}-again", "wb")  # with memory everything works again
    return hit


def starve(bucket: Bucket, core: Core) -> None:
    for mode in MODES:
        for for_ever in (False, True):
            for nth in itertools.count(1):
                faulthandler.dump_traceback_later(WATCHDOG_S, exit=True)
                hit = attempt(bucket, core, mode, nth, for_ever)
                faulthandler.cancel_dump_traceback_later()
                if not hit:
                    break


def main() -> int:
    orders = json.loads(sys.argv[1])
    with Bucket(
        orders["bucket"],
        endpoint=orders["endpoint"],
        region=orders["region"],
        credentials=Credentials.from_json(orders["credentials"]),
        retry=QUICK,
        block_size=102_400,
        blocks=3,
    ) as bucket:
        record(bucket, "starved/warm", "wb")
        record(bucket, "starved/warm-ab", "ab")
        starve(bucket, Core())
    return 0


if __name__ == "__main__":
    sys.exit(main())
