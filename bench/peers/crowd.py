"""Many cameras in one process: a ``Bucket`` each, and a few threads that send for all of them.

In flow an endpoint and how many, out flow what each costs. Run as ``python -m bench.peers.crowd
ENDPOINT CAMERAS``; it runs in the project's own environment.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN, high_water
from ossmedia import Bucket, Credentials

__all__ = ["main"]

THREADS, SIZE, ROUNDS = 8, 256 << 10, 4


def camera(endpoint: str, number: int) -> Bucket:
    token = f"{TOKEN}-{number}"
    mine = Credentials(KEY_ID, KEY_SECRET, token)
    return Bucket(BUCKET, endpoint=endpoint, region=REGION, credentials=mine)


def status(name: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


def sent(cameras: list[Bucket], rounds: int, data: bytes) -> tuple[float, int]:
    """CPU seconds per MiB of so many rounds of everybody, and threads at their end."""
    with ThreadPoolExecutor(THREADS) as pool:

        def send(number: int) -> int:
            receipt = cameras[number].put(f"crowd/{number}", data)
            assert receipt is not None
            return receipt.size

        begin = time.process_time()
        total = 0
        for _ in range(rounds):
            total += sum(pool.map(send, range(len(cameras))))
        cpu = time.process_time() - begin
        return cpu / (total / (1 << 20)), status("Threads:")


def main(arguments: list[str]) -> int:
    endpoint, count = arguments[0], int(arguments[1])
    data = os.urandom(SIZE)
    with camera(endpoint, 0) as alone:
        for _ in range(20):
            alone.put("crowd/warm", data)
        begin = time.process_time()
        for _ in range(count):
            alone.put("crowd/one", data)
        one = (time.process_time() - begin) / (count * SIZE / (1 << 20))
    gc.collect()
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    before, descriptors = high_water(), len(os.listdir("/proc/self/fd"))
    cameras = [camera(endpoint, number) for number in range(count)]
    many, threads = sent(cameras, ROUNDS, data)
    found = {
        "cameras": count,
        "threads": threads,
        "descriptors": (len(os.listdir("/proc/self/fd")) - descriptors) / count,
        "bytes": (high_water() - before) / count,
        "cpu_ms_per_mib": many * 1000,
        "one_cpu_ms_per_mib": one * 1000,
        "ratio": many / one,
    }
    for each in cameras:
        each.close()
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
