"""The figures of the TICKET route: a device, its application server and the local cloud's VOD, with
tickets that live 3 seconds, kill -9 at random moments, and refreshes that fail in every way.

``python -m tests.routes.ticket_figures`` prints one line for each figure and ends with 1 if one
does not hold. Everything is real: processes, sockets, seconds.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ossmedia import Retry, UploadTicket, crc64, errors, vod
from ossmedia.emulator.serve import Emulator
from tests.routes.vod_rig import VodServer

TICKET_S = 3
PARALLEL = 2
MIB = 1 << 20
SMALL = 102_400

DEVICE = """
import sys
from pathlib import Path
from ossmedia import AppServerTickets, vod
url, key, endpoint, clip, mark = sys.argv[1:]
tickets = AppServerTickets(url, "cam-1", Path(key), allow_insecure=True, allowed_hosts=(endpoint,))
begun = vod.unfinished(mark, clip)
ticket = tickets.refresh(begun) if begun else tickets.create("t", "a.mp4", client_token="clip-1")
vod.upload(clip, ticket, refresh=tickets.refresh, checkpoint=mark, block_size=102_400, parallel=2)
print(ticket.media_id)
"""


class Figures:
    """What was measured; ``good`` as long as everything held."""

    def __init__(self) -> None:
        self.good = True

    def tell(self, name: str, text: str, good: bool) -> None:
        self.good = self.good and good
        print(f"{'ok ' if good else 'NOT'}  {name}: {text}", flush=True)


@contextmanager
def world(folder: Path) -> Iterator[VodServer]:
    """A cloud and an application server of their own."""
    folder.mkdir()
    with Emulator() as cloud, VodServer(cloud, folder) as server:
        yield server


def requests(server: VodServer, name: str = "UploadPart") -> int:
    return int(server.cloud.counters()["requests"].get(name, 0))


def refused(server: VodServer) -> int:
    return int(server.cloud.counters()["statuses"].get("403", 0))


def is_stored(server: VodServer, ticket: UploadTicket, clip: Path) -> bool:
    """Whether VOD's bucket holds the file's very bytes, and nothing else is left of it."""
    store = server.cloud.cloud.store
    found = store.object(ticket.bucket, ticket.key)
    data = clip.read_bytes()
    return found is not None and (found.size, found.crc) == (len(data), crc64(data))


# -- tickets that end on the way


def expiries(figures: Figures, folder: Path, mib: int) -> None:
    clip = folder / "clip.mp4"
    clip.write_bytes(random.randbytes(mib * MIB))
    with world(folder / "expiries") as server:
        server.cloud.set_vod(ticket_s=TICKET_S)
        server.cloud.fault("stall", operation="UploadPart", seconds=0.25, times=0)
        tickets = server.tickets("cam-1")
        issued = [tickets.create("clip", clip.name)]

        def refresh(media_id: str) -> UploadTicket:
            issued.append(tickets.refresh(media_id))
            return issued[-1]

        start = time.time()
        receipt = vod.upload(clip, issued[0], refresh=refresh, parallel=PARALLEL, block_size=MIB)
        end = time.time()
        ended = sum((one.credentials.expires_at or end) <= end for one in issued)
        refreshes, again = len(issued) - 1, requests(server) - mib
        stored = is_stored(server, issued[0], clip)
        text = (
            f"{mib} MiB in {end - start:.1f} s, {refreshes} refreshes, {ended} tickets ended, "
            f"{again} parts sent again of {refused(server)} refused, CRC-64 "
            f"{'equal' if stored else 'DIFFERENT'}"
        )
        good = stored and abs(refreshes - ended) <= 1 and again <= PARALLEL * refreshes
        good = good and again <= refused(server) and receipt.size == mib * MIB
        figures.tell(f"tickets of {TICKET_S} s", text, good)


# -- kill -9


def settled(server: VodServer) -> int:
    """UploadPart requests so far, once nothing is under way."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 0.15:
        count = requests(server)
        if count != last:
            last, since = count, time.monotonic()
        time.sleep(0.01)
    return last


def parts_held(server: VodServer) -> int:
    """Parts of the upload that is under way."""
    store = server.cloud.cloud.store
    uploads = store.uploads_from(store.hidden_bucket, b"", "", None, 1000)
    return max((len(store.parts(upload.id)) for upload in uploads), default=0)


def start_up(server: VodServer, words: list[str]) -> float:
    """Seconds from the start of a device's process to its first parts; it is killed then."""
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while requests(server) < PARALLEL + 1:
        assert process.poll() is None, "the device failed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return time.monotonic() - start


def kills(figures: Figures, folder: Path, count: int, dice: random.Random) -> None:
    clip, mark = folder / "killed.mp4", folder / "killed.json"
    parts = 2000
    clip.write_bytes(random.randbytes(SMALL * (parts - 1) + 77))
    with world(folder / "kills") as server:
        server.cloud.fault("stall", operation="UploadPart", seconds=0.05, times=0)
        key = folder / "device.key"
        key.write_text(server.key("cam-1"))
        words = [sys.executable, "-c", DEVICE, server.url, str(key), server.cloud.endpoint]
        words += [str(clip), str(mark)]
        longest = start_up(server, words) + 1.5
        done, midway, worst, before = 1, 1, 0, (settled(server), parts_held(server))
        while done < count:
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
            try:
                process.wait(dice.uniform(0.0, longest))
                break  # it was through before its time
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            done += 1
            now = settled(server), parts_held(server)
            midway += now[1] > before[1]
            worst = max(worst, (now[0] - before[0]) - (now[1] - before[1]))
            before = now
        server.cloud.clear_faults()
        out = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
        ticket = server.tickets("cam-1", key.read_text()).refresh(out.strip())
        stored = is_stored(server, ticket, clip) and server.media() == [ticket.media_id]
        again, orphans = requests(server) - parts, requests(server, "InitiateMultipartUpload") - 1
        text = (
            f"{done} kills, {midway} with parts on their way, {before[1]} of {parts} parts stored "
            f"by then; at most {worst} sent again after one, {again} in all; {orphans} uploads "
            f"left behind, one medium, object {'identical' if stored else 'DIFFERENT'}"
        )
        figures.tell("kill -9", text, stored and worst <= PARALLEL and orphans <= done)


# -- refreshes that fail


class Bad:
    """A refresh that does something else first."""

    def __init__(self, server: VodServer, block_s: float) -> None:
        self.server = server
        self.block_s = block_s
        self.tickets = server.tickets("cam-1")
        self.ticket = self.tickets.create("clip", "clip.mp4")
        self.other = self.tickets.create("other", "other.mp4")
        self.calls = 0
        self.while_blocked = 0

    def raises_thrice(self, media_id: str) -> UploadTicket:
        self.calls += 1
        if self.calls <= 3:
            raise ConnectionError("the app server is away")
        return self.tickets.refresh(media_id)

    def blocks(self, media_id: str) -> UploadTicket:
        self.calls += 1
        if self.calls == 1:
            time.sleep(TICKET_S + 2)  # what was under way, and the rest of the ticket's life
            before = requests(self.server) - refused(self.server)
            time.sleep(self.block_s)
            self.while_blocked = requests(self.server) - refused(self.server) - before
        return self.tickets.refresh(media_id)

    def raises(self, _media_id: str) -> UploadTicket:
        raise ConnectionError("the app server is away")

    def of_another_file(self, _media_id: str) -> UploadTicket:
        return self.tickets.refresh(self.other.media_id)

    def garbage(self, _media_id: str) -> Any:
        return {"VideoId": "canary"}

    def nothing(self, _media_id: str) -> Any:
        return None


def failing(figures: Figures, folder: Path, block_s: float) -> None:
    clip = folder / "small.mp4"
    clip.write_bytes(random.randbytes(120 * SMALL))
    for name in ("raises_thrice", "blocks"):
        with bad_world(folder, name, block_s) as bad:
            start = time.monotonic()
            attempt(bad, getattr(bad, name), clip)
            stored = is_stored(bad.server, bad.ticket, clip)
            text = f"waited, {time.monotonic() - start:.0f} s, {bad.while_blocked} parts meanwhile"
            figures.tell(f"refresh {name.replace('_', ' ')}", text, stored and no_other(bad))
            figures.good = figures.good and bad.while_blocked == 0
    for name in ("raises", "of_another_file", "garbage", "nothing"):
        with bad_world(folder, name, block_s) as bad:
            error = attempt(bad, getattr(bad, name), clip)
            stored = is_stored(bad.server, bad.ticket, clip)
            good = isinstance(error, errors.StreamBroken) and "canary" not in str(error)
            text = f"one error: {innermost(error)}"
            figures.tell(f"refresh {name.replace('_', ' ')}", text, good and not stored)
            figures.good = figures.good and no_other(bad)


@contextmanager
def bad_world(folder: Path, name: str, block_s: float) -> Iterator[Bad]:
    with world(folder / name) as server:
        server.cloud.set_vod(ticket_s=TICKET_S)
        server.cloud.fault("stall", operation="UploadPart", seconds=0.1, times=0)
        yield Bad(server, block_s)


def attempt(
    bad: Bad, refresh: Callable[[str], UploadTicket], clip: Path
) -> errors.OssMediaError | None:
    retry = Retry(base_s=0.1, cap_s=0.5, give_up_after_s=3600.0)
    if refresh == bad.raises:
        retry = Retry(base_s=0.1, cap_s=0.5, give_up_after_s=2.0)
    try:
        vod.upload(clip, bad.ticket, refresh=refresh, block_size=SMALL, retry=retry)
    except errors.OssMediaError as error:
        return error
    return None


def no_other(bad: Bad) -> bool:
    """Not a byte went to another object."""
    store = bad.server.cloud.cloud.store
    uploads = store.uploads_from(bad.other.bucket, b"", "", None, 1000)
    return store.object(bad.other.bucket, bad.other.key) is None and all(
        upload.key == bad.ticket.key for upload in uploads
    )


def innermost(error: BaseException | None) -> str:
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--mib", type=int, default=200, help="of the upload with short tickets")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--block", type=float, default=60.0, help="seconds that a refresh blocks")
    parser.add_argument("--seed", type=int, default=4000)
    args = parser.parse_args()
    logging.getLogger("ossmedia").setLevel(logging.CRITICAL)
    random.seed(args.seed)
    figures = Figures()
    print(json.dumps(vars(args)), os.uname().machine, flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expiries(figures, folder, args.mib)
        kills(figures, folder, args.kills, random.Random(args.seed))
        failing(figures, folder, args.block)
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
