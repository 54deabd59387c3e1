"""One Python peer's process: does the work, measures itself, prints it as one line of JSON.

In flow a peer's name and the work, out flows what it used. It never talks to the network itself.
Run as ``python -m bench.peers.client PEER --endpoint ...``, with the arguments of raw.c.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import resource
import sys
import time
from typing import Any

__all__ = ["BUCKET", "KEY_ID", "KEY_SECRET", "REGION", "TOKEN", "main", "places"]

BUCKET, REGION = "bench-bucket", "cn-hangzhou"
KEY_ID, KEY_SECRET, TOKEN = "STS.bench", "bench-secret", "bench-token"
BLOBS, STEP = 8, 1 << 20
MODULES = {
    "ossmedia": ("bench.peers.own", "Own"),
    "ossmedia writer": ("bench.peers.own", "Background"),
    "oss2": ("bench.peers.sdk", "Oss2"),
    "alibabacloud-oss-v2": ("bench.peers.sdk", "V2"),
    "boto3": ("bench.peers.s3", "Boto"),
    "boto3+crt": ("bench.peers.s3", "BotoCrt"),
    "obstore": ("bench.peers.s3", "Obstore"),
    "opendal": ("bench.peers.s3", "Opendal"),
}


def high_water() -> int:
    """This process's high-water mark of resident memory in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def used() -> dict[str, float]:
    """What this process has used until now."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu": time.process_time(),
        "user": own.ru_utime,
        "sys": own.ru_stime,
        "wall": time.perf_counter(),
        "switches": own.ru_nvcsw + own.ru_nivcsw,
        "growth": high_water(),
    }


def read(path: str, size: int) -> bytes:
    with open(path, "rb", buffering=0) as f:
        data = f.read(size)
    if len(data) != size:
        raise SystemExit(f"--payload: {len(data)} bytes where {size} are needed")
    return data


def places(sizes: list[int]) -> dict[int, int]:
    """Where a camera's frames lie in the payload, by their size: one behind the other, the smallest
    first. Frames of one size are the same bytes; work.h lays them out the same way."""
    offset, found = 0, {}
    for size in sorted(set(sizes)):
        found[size] = offset
        offset += size
    return found


def paced(frames: list[bytes], rate: int) -> Any:
    """The frames, each at its time."""
    start = time.perf_counter()
    for number, frame in enumerate(frames):
        left = start + number / rate - time.perf_counter()
        if left > 0:
            time.sleep(left)
        yield frame


def prepared(peer: Any, given: argparse.Namespace) -> tuple[Any, str]:
    """The work as a callable, and the key that the driver will look at."""
    name, count, size = f"peers-{os.getpid()}", given.count, given.size
    first = f"{name}-0"
    if given.what == "file":
        return lambda: peer.file(first, given.payload, size), first
    if given.what == "parts":
        return lambda: peer.parts(first, given.payload, size, count, 4), first
    if given.what == "camera":
        with open(given.frames) as f:
            sizes = [int(line) for line in f][:count]
        offsets = places(sizes)
        data = read(given.payload, sum(offsets))
        of_size = {n: data[at : at + n] for n, at in offsets.items()}
        del data
        frames = [of_size[n] for n in sizes]
        return lambda: peer.camera(
            name, paced(frames, given.pace) if given.pace else frames, STEP
        ), name
    blobs = [read(given.payload, size * min(count, BLOBS))]
    if count > 1:
        whole = memoryview(blobs[0])
        blobs = [bytes(whole[at : at + size]) for at in range(0, len(whole), size)]
    if given.what == "append":
        return lambda: peer.appends(name, [blobs[i % len(blobs)] for i in range(count)]), name

    def puts() -> None:
        keys = [f"{name}-{i}" for i in range(BLOBS)]
        for i in range(count):
            peer.put(keys[i % BLOBS], blobs[i % len(blobs)])

    return puts, first


def main(arguments: list[str]) -> int:
    """Args: as raw.c; ``--pace`` frames a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=MODULES)
    for name in ("endpoint", "what", "payload", "frames", "ca"):
        parser.add_argument(f"--{name}", default="")
    for name in ("size", "count", "crc", "sign", "pace"):
        parser.add_argument(f"--{name}", type=int, default=0)
    given = parser.parse_args(arguments)
    module, cls = MODULES[given.peer]
    peer = getattr(importlib.import_module(module), cls)(given.endpoint, given.ca, bool(given.crc))
    work, key = prepared(peer, given)
    gc.collect()
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    before = used()
    os.getppid()  # a mark for what counts instructions and system calls
    work()
    os.getppid()
    after = used()
    peer.close()
    found = {name: after[name] - before[name] for name in after}
    print(json.dumps(found | {"peak": after["growth"], "key": key}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
