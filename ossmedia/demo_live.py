"""The demo's live camera: the packaged clip, round after round, as HLS.

In flow frames at the pace of a camera, out flow segments and a playlist. It holds what a camera
holds: the address of its application server and its device key.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ossmedia import AppServerCredentials, Bucket
from ossmedia.demo_frames import TICKS, VIDEO, Clip
from ossmedia.demo_site import BUCKET, CAMERA

if TYPE_CHECKING:
    from ossmedia.hls import Recorder

__all__ = ["LIVE", "live"]

LIVE = f"cams/{CAMERA}/live"
SEGMENT_S = 2.0  # the clip's distance of key frames


def live(clip: Path, rounds: int, endpoint: str, region: str, url: str, key_file: str) -> int:
    """Streams ``rounds`` of the clip at its own pace, and tells how many frames and segments."""
    token = AppServerCredentials(url, CAMERA, Path(key_file), allow_insecure=True)
    segments: list[str] = []
    with Bucket(BUCKET, endpoint=endpoint, region=region, credentials=token) as cams:
        frames = Clip(clip)
        with cams.record_hls(
            LIVE,
            video="h264",
            audio="aac",
            video_config=frames.config,
            segment_time=SEGMENT_S,
            on_segment=lambda segment: segments.append(segment.key),
        ) as recorder:
            taken = _play(frames, rounds, recorder)
    print(json.dumps({"frames": taken, "segments": segments}), flush=True)
    return 0


def _play(clip: Clip, rounds: int, recorder: Recorder) -> int:
    began, taken = time.monotonic(), 0
    for number in range(rounds):
        base = number * clip.duration
        for frame in clip.frames:
            if frame.dts >= clip.duration:
                continue  # sound behind the last picture would fall into the next round
            ahead = (base + frame.dts) / TICKS - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
            if frame.track == VIDEO:
                good = recorder.write_video(frame.data, base + frame.pts, base + frame.dts)
            else:
                good = recorder.write_audio(frame.data, base + frame.pts)
            taken += good
    return taken


if __name__ == "__main__":
    sys.exit(live(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:7]))
