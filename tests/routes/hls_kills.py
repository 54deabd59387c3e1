"""A camera that records HLS and is killed again and again, with kill -9 at random moments; and what
must hold after each kill and at the end.

    python -m tests.routes.hls_kills --kills 100

In flow lives of a camera's process, out flow findings; none, if no segment that OSS acknowledged is
missing from the playlist, none was erased or changed, and each playlist keeps to the rules.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ossmedia import Bucket, Credentials
from tests.hls_rules import Media, check_history
from tests.hls_segments import check_segments

PREFIX = "cams/cam-01/live"
INDEX = f"{PREFIX}/index.m3u8"
MODES = ("event", "live", "vod")

# Pictures of a second each, a good deal faster than time; a line for each segment acknowledged, by
# OSS or by the spool. A life that ends in order waits for its spool.
CAMERA = """
import contextlib, sys, time
from ossmedia import Bucket, Credentials, Retry, Spool
from tests.elementary import STEP, picture
endpoint, region, key_id, secret, mode, start, seconds, folder = sys.argv[1:]
def told(one):
    print(one.key, one.receipt.crc64 if one.receipt else 0, flush=True)
with contextlib.ExitStack() as opened:
    spool = opened.enter_context(Spool(folder)) if folder else None
    bucket = opened.enter_context(Bucket(
        "cams", endpoint=endpoint, region=region, credentials=Credentials(key_id, secret),
        retry=Retry(base_s=0.001), spool=spool))
    with bucket.record_hls("cams/cam-01/live", mode, segment_time=1,
                           start=float(start), on_full="block", on_segment=told) as recorder:
        for number in range(int(seconds) * 25):
            recorder.write_video(picture(number % 25 == 0, number, 2000), number * STEP)
            if number % 25 == 0:
                time.sleep(0.004)
    assert spool is None or spool.drain(60)
"""


class Kills:
    """The lives of one camera.

    Args:
        cloud: the local cloud. mode: of the recording. seed: of the moments. folder: of the spool;
            "": there is none.
    """

    def __init__(
        self, cloud: Any, mode: str, seed: int | None = None, folder: str | Path = ""
    ) -> None:
        self._folder = str(folder)
        self._cloud = cloud
        self._mode = mode
        self._dice = random.Random(seed)
        key = Credentials(cloud.access_key_id, cloud.access_key_secret)
        self._bucket = Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=key)
        self._lives = 0
        self.acknowledged: dict[str, int] = {}
        self.texts: list[str] = []
        self.findings: list[str] = []

    def close(self) -> None:
        self._bucket.close()

    def _start(self, seconds: int) -> subprocess.Popen[bytes]:
        start = 1_795_500_000 + self._lives * 10_000
        self._lives += 1
        cloud = self._cloud
        words = [cloud.endpoint, cloud.region, cloud.access_key_id, cloud.access_key_secret]
        command = [sys.executable, "-c", CAMERA, *words, self._mode, str(start), str(seconds)]
        command.append(self._folder)
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def kill(self) -> None:
        """A life that ends with kill -9: when so many segments were stored, and a moment later."""
        segments, delay = self._dice.randrange(0, 6), self._dice.random() * 0.03
        with self._start(1000) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(segments)]
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        assert process.returncode == -signal.SIGKILL
        self._note(lines)

    def end(self) -> None:
        """A life that ends by itself."""
        with self._start(3) as process:
            assert process.stdout is not None
            lines = process.stdout.readlines()
        assert process.returncode == 0
        self._note(lines)
        self._judge()

    def _note(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.endswith(b"\n"):
                key, crc = line.decode().split()
                self.acknowledged[key] = int(crc)
        try:
            with self._bucket.open(INDEX) as file:
                self.texts.append(file.read().decode())
        except FileNotFoundError:
            if self.acknowledged and not self._folder:
                self.findings.append("segments, but no playlist")

    def _judge(self) -> None:
        """What must hold once a life has ended in order."""
        keys = [row.key for row in self._bucket.list(PREFIX) if row.key.endswith(".ts")]
        for key, crc in self.acknowledged.items():
            if key not in keys:
                self.findings.append(f"{key}: acknowledged, but not there")
            elif crc and self._bucket.stat(key).crc64 != crc:
                self.findings.append(f"{key}: not as it was acknowledged")
        numbers = sorted(int(key[-11:-3]) for key in keys)
        if numbers != list(range(len(keys))):
            self.findings.append("a number is missing, or stands there twice")
        media = Media(self.texts[-1])
        if media.sequence + len(media.rows) != len(keys) or not media.ended:
            self.findings.append("the playlist does not end with the newest segment")
        listed = [f"{PREFIX}/{row['uri']}" for row in media.rows]
        if listed != sorted(keys)[-len(listed) :]:
            self.findings.append("a segment is there, but not listed")
        self.findings += check_segments(self.texts[-1], self._bodies(media))
        self.findings += [
            one
            for one in check_history(self.texts)
            if self._mode != "live" or "never listed" not in one  # between two looks at a window
        ]

    def _bodies(self, media: Media) -> dict[str, bytes]:
        bodies = {}
        for row in media.rows:
            with self._bucket.open(f"{PREFIX}/{row['uri']}") as file:
                bodies[row["uri"]] = file.read()
        return bodies


def main() -> int:
    from ossmedia.emulator.serve import Emulator

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--mode", action="append", choices=MODES, help="all of them by default")
    parser.add_argument("--spool", action="store_true", help="the camera has one")
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args()
    failed = False
    for mode in args.mode or MODES:
        with Emulator(buckets=("cams",)) as cloud, TemporaryDirectory() as folder:
            cloud.fault("stall", operation="PutObject", when="after", seconds=0.004, times=0)
            kills = Kills(cloud, mode, args.seed, folder if args.spool else "")
            for _ in range(args.kills):
                kills.kill()
            kills.end()
            kills.close()
        figures = {
            "mode": mode,
            "spool": args.spool,
            "kills": args.kills,
            "acknowledged": len(kills.acknowledged),
            "listed": len(Media(kills.texts[-1]).rows),
            "findings": kills.findings,
        }
        print(json.dumps(figures))
        failed = failed or bool(kills.findings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
