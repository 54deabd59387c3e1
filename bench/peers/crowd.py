"""Many cameras in one process: a ``Bucket`` each, and a few threads that send for all of them.

In flow an endpoint and how many, out flows what each costs. Many cameras are told next to few that
do the same work in the same way: the same loop, as many threads, as many PUTs, connections that are
open. Run as ``python -m bench.peers.crowd ENDPOINT CAMERAS [CA]``; it runs in the project's own
environment.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import threading
import time
from statistics import median

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN, high_water
from ossmedia import Bucket, Credentials

__all__ = ["main"]

THREADS, SIZE, TURNS = 8, 256 << 10, 3
FILES_EACH, FILES_MORE = 3, 100


def room(cameras: int) -> None:
    """Lets this process have as many files as its cameras may need.

    Raises:
        SystemExit: the system allows fewer.
    """
    need = cameras * FILES_EACH + FILES_MORE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        raise SystemExit(f"{cameras} cameras need {need} files, {hard} are allowed (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def camera(endpoint: str, number: int, ca: str) -> Bucket:
    token = f"{TOKEN}-{number}"
    mine = Credentials(KEY_ID, KEY_SECRET, token)
    return Bucket(BUCKET, endpoint=endpoint, region=REGION, credentials=mine, ca_file=ca)


def status(name: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


def sent(cameras: list[Bucket], puts: int, threads: int, data: bytes) -> tuple[float, int]:
    """CPU ms per MiB of ``puts`` PUTs by so many threads, each going round its own share of the
    cameras; and how many threads the process had then."""
    ready = threading.Barrier(threads + 1)
    failed: list[BaseException] = []

    def loop(mine: list[tuple[Bucket, str]]) -> None:
        ready.wait()
        try:
            for _ in range(puts // threads // len(mine)):
                for bucket, key in mine:
                    bucket.put(key, data)
        except BaseException as why:
            failed.append(why)

    named = [(bucket, f"crowd/{number}") for number, bucket in enumerate(cameras)]
    workers = [threading.Thread(target=loop, args=[named[n::threads]]) for n in range(threads)]
    for worker in workers:
        worker.start()
    had = status("Threads:")
    begin = time.process_time()
    ready.wait()
    for worker in workers:
        worker.join()
    cpu = time.process_time() - begin
    if failed:
        raise failed[0]
    return cpu * 1000 / (puts * len(data) / (1 << 20)), had


def main(arguments: list[str]) -> int:
    endpoint, count = arguments[0], int(arguments[1]) // THREADS * THREADS
    ca = arguments[2] if len(arguments) > 2 else ""
    room(count)
    data = os.urandom(SIZE)
    few = [camera(endpoint, number, ca) for number in range(THREADS)]
    sent(few[:1], 20, 1, data)
    sent(few, 20 * THREADS, THREADS, data)
    gc.collect()
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    before, descriptors = high_water(), len(os.listdir("/proc/self/fd"))
    many = [camera(endpoint, number, ca) for number in range(count)]
    first, threads = sent(many, count, THREADS, data)
    found: dict[str, float] = {
        "cameras": count,
        "threads": threads,
        "descriptors": (len(os.listdir("/proc/self/fd")) - descriptors) / count,
        "bytes": (high_water() - before) / count,
        "first": first,
    }
    turns: dict[str, list[float]] = {"one": [], "many": [], "few8": [], "many8": []}
    for _ in range(TURNS):
        for name, cameras in (("one", few[:1]), ("many", many), ("few8", few), ("many8", many)):
            how = THREADS if name.endswith("8") else 1
            turns[name].append(sent(cameras, count, how, data)[0])
    found |= {name: median(each) for name, each in turns.items()}
    for each in (*few, *many):
        each.close()
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
