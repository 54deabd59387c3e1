"""The main job on one machine: a local cloud, a narrow token from STS, a camera process that holds
nothing but that token.

In flows the clip shipped with the package, out flows a receipt. It claims nothing it did not
compare: the exit status is 0 only if every line of the receipt holds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossmedia import AccessDenied, Bucket, Credentials, StreamBroken, crc64
from ossmedia.sts import TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIP = Path(__file__).parent / "data" / "clip.mp4"
BUCKET = "cams"
PREFIX = "cams/cam-01"
WHOLE, GROWING = f"{PREFIX}/clip.mp4", f"{PREFIX}/live.mp4"
OUTSIDE = "cams/cam-02/clip.mp4"
PIECE = 4096  # bytes per write, about what an encoder hands out
PER_SYNC = 8
PAUSE_S = 0.1  # between syncs, so that a reader has something to follow


@contextlib.contextmanager
def cloud() -> Iterator[dict[str, Any]]:
    """The emulator as a process of its own; gives what it prints when it is ready."""
    command = [sys.executable, "-m", "ossmedia.emulator", "--bucket", BUCKET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the local cloud did not start")
            yield json.loads(line)
        finally:
            process.terminate()


def bucket_for(ready: dict[str, Any], credentials: Credentials | None = None) -> Bucket:
    return Bucket(
        BUCKET, endpoint=ready["endpoint"], region=ready["region"], credentials=credentials
    )


# -- the camera: a process with a token and nothing else


def camera(endpoint: str, region: str) -> int:
    """Writes both objects and tries one outside its scope; tells what it did as lines of JSON."""
    clip = CLIP.read_bytes()
    with bucket_for({"endpoint": endpoint, "region": region}) as cams:
        with cams.open(WHOLE, "wb", content_type="video/mp4", block_size=102_400) as whole:
            whole.write(clip)
        _say(whole=whole.result and whole.result.to_json())
        with cams.open(GROWING, "ab", content_type="video/mp4") as growing:
            for at in range(0, len(clip), PIECE):
                growing.write(clip[at : at + PIECE])
                if at // PIECE % PER_SYNC == PER_SYNC - 1:
                    growing.sync(30)
                    time.sleep(PAUSE_S)
        _say(growing=growing.result and growing.result.to_json())
        try:
            with cams.open(OUTSIDE, "wb") as outside:
                outside.write(b"not mine")
        except StreamBroken as error:
            cause = error.__cause__
            _say(refused=isinstance(cause, AccessDenied), why=str(cause))
        else:
            _say(refused=False, why="it was stored")
        _say(stats=cams.stats())
    return 0


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def start_camera(ready: dict[str, Any], token: Credentials) -> subprocess.Popen[str]:
    kept = {
        name: os.environ[name]
        for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
        if name in os.environ
    }
    only = {
        "OSS_ACCESS_KEY_ID": token.access_key_id,
        "OSS_ACCESS_KEY_SECRET": token.access_key_secret,
        "OSS_SESSION_TOKEN": token.security_token,
    }
    command = [
        sys.executable,
        "-m",
        "ossmedia.demo",
        "--camera",
        ready["endpoint"],
        ready["region"],
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**kept, **only})


# -- the reader and the receipt


def follow(cams: Bucket, key: str, process: subprocess.Popen[str]) -> tuple[bytes, int]:
    """Reads the object while it grows. Returns its bytes and in how many pieces they came."""
    seen, pieces = bytearray(), 0
    while True:
        ended = process.poll() is not None
        try:
            with cams.open(key) as reader:
                reader.seek(len(seen))
                more = reader.read()
        except FileNotFoundError:
            more = b""
        if more:
            seen += more
            pieces += 1
        elif ended:
            return bytes(seen), pieces
        time.sleep(PAUSE_S / 4)


def check(
    report: dict[str, Any], cams: Bucket, followed: tuple[bytes, int]
) -> list[tuple[str, str, bool]]:
    """The receipt: what was done, its figures, and whether it holds."""
    clip = CLIP.read_bytes()
    crc = crc64(clip)
    lines: list[tuple[str, str, bool]] = []
    for name, key in (("whole", WHOLE), ("growing", GROWING)):
        sent, stat = report[name], cams.stat(key)
        with cams.open(key) as reader:
            back = reader.read()
        good = (
            back == clip
            and stat.crc64 == crc == sent["crc64"]
            and stat.size == sent["size"] == len(clip)
        )
        text = (
            f"{stat.size} bytes, {stat.type}, {sent['requests']} requests, "
            f"CRC-64 camera {sent['crc64']} OSS {stat.crc64}"
        )
        lines.append((key, text, good))
    data, pieces = followed
    lines.append(
        ("read while it grew", f"{len(data)} bytes in {pieces} pieces", data == clip and pieces > 1)
    )
    absent = not list(cams.list(OUTSIDE.rsplit("/", 1)[0] + "/")) if report["refused"] else False
    lines.append((f"write to {OUTSIDE}", f"refused: {report['why']}", report["refused"] and absent))
    return lines


def run() -> int:
    with cloud() as ready:
        owner = Credentials(ready["access_key_id"], ready["access_key_secret"])
        print(f"local cloud      {ready['endpoint']} (OSS, STS), bucket {BUCKET}")
        issuer = TokenIssuer(
            ready["role_arn"],
            BUCKET,
            credentials=owner,
            secure_transport=False,
            endpoint=ready["sts_endpoint"],
            region=ready["region"],
        )
        token = issuer.get_token(f"{PREFIX}/*", "rwam", 900, device="cam-01")
        looking = issuer.get_token(f"{PREFIX}/*", "r", 900, device="viewer")
        scope = f"r, w, a, multipart on {BUCKET}/{PREFIX}/* for 900 s"
        print(f"token            {token.access_key_id}: {scope}")
        print(f"camera           sends {CLIP.name} (H.264 + AAC) with that token alone")
        process = start_camera(ready, token)
        with bucket_for(ready, looking) as viewer:
            followed = follow(viewer, GROWING, process)
        assert process.stdout is not None
        report: dict[str, Any] = {}
        for line in process.stdout:
            report.update(json.loads(line))
        if process.wait() != 0:
            print("the camera failed", file=sys.stderr)
            return 1
        with bucket_for(ready, owner) as cams:
            lines = check(report, cams, followed)
    for name, text, good in lines:
        print(f"{'ok ' if good else 'NOT'}  {name}: {text}")
    print(f"     camera in all: {report['stats']}")
    return 0 if all(good for _, _, good in lines) else 1


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="ossmedia demo", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--camera", nargs=2, metavar=("ENDPOINT", "REGION"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    return camera(*args.camera) if args.camera else run()


if __name__ == "__main__":
    sys.exit(main())
