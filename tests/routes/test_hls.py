"""The HLS route with real video: frames in, then ffmpeg as the player that judges what came out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import SegmentKey
from ossmedia.access_units import AccessUnits, AdtsFrames
from tests.elementary import camera, encoded, tone
from tests.hls_rig import START, Watched, bucket_of, findings
from tests.hls_rules import check_history

PREFIX = "cams/cam-01/live"
SECONDS = 8
TICKS = 90_000


@pytest.fixture
def bucket(cloud: Any) -> Iterator[Watched]:
    with bucket_of(cloud) as made:
        yield made


def download(bucket: Watched, key: str, folder: Path) -> Path:
    """The playlist and all segments below the prefix, as files."""
    for row in bucket.list(PREFIX):
        path = folder / row.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bucket.body(row.key))
    return folder / key


def judged(*words: str | Path) -> str:
    """What a program prints; anything on its standard error is a finding."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def pictures_of(source: Path, *options: str) -> list[str]:
    """The checksum of each decoded picture, in order."""
    lines = judged(
        "ffmpeg", "-nostdin", "-v", "error", "-xerror", *options, "-i", source, "-map", "0:v:0",
        "-f", "framemd5", "-",
    )  # fmt: skip
    return [line.rpartition(",")[2].strip() for line in lines.splitlines() if line[0] != "#"]


def sound_of(source: Path, *options: str) -> str:
    return judged(
        "ffmpeg", "-nostdin", "-v", "error", "-xerror", *options, "-i", source, "-map", "0:a:0",
        "-f", "md5", "-",
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["event", "vod"])
def test_players_see_every_picture_and_hear_every_sound(
    bucket: Watched, tmp_path: Path, mode: str
) -> None:
    video, audio = camera(SECONDS), tone(SECONDS)
    with bucket.record_hls(
        PREFIX, mode, audio="aac", fps=25, segment_time=2, start=START, on_full="block"
    ) as recorder:
        recorder.write(video, audio)
    assert findings(bucket, recorder.playlist_key) == []
    playlist = download(bucket, recorder.playlist_key, tmp_path)
    (tmp_path / "v.h264").write_bytes(video)
    (tmp_path / "a.aac").write_bytes(audio)
    assert pictures_of(playlist) == pictures_of(tmp_path / "v.h264")
    assert sound_of(playlist) == sound_of(tmp_path / "a.aac")


def test_the_shells_pipe(bucket: Watched, tmp_path: Path) -> None:
    """``ffmpeg ... | ossmedia record --hls -``, and ffprobe on what it made."""
    source = f"testsrc2=size=160x120:rate=25:duration={SECONDS}"
    ffmpeg = (
        f"ffmpeg -nostdin -v error -f lavfi -i {source} -c:v libx264 -preset ultrafast "
        "-g 50 -bf 0 -pix_fmt yuv420p -f h264 -"
    )
    record = f"{sys.executable} -m ossmedia record --hls - oss://cams/{PREFIX} --mode vod --quiet"
    shell = f"set -o pipefail; {ffmpeg} | {record} --segment-time 2"
    assert judged("bash", "-c", shell) == ""
    playlist = download(bucket, f"{PREFIX}/index.m3u8", tmp_path)
    entries = "stream=codec_name,nb_read_packets:format=duration"
    words = ("ffprobe", "-v", "error", "-count_packets", "-show_entries", entries, "-of", "json")
    told = json.loads(judged(*words, playlist))
    assert told["streams"] == [{"codec_name": "h264", "nb_read_packets": str(SECONDS * 25)}]
    assert float(told["format"]["duration"]) == SECONDS
    assert len(pictures_of(playlist)) == SECONDS * 25


def test_b_frames_keep_their_order(bucket: Watched, tmp_path: Path) -> None:
    """Decoding order in, with the times that the encoder gave."""
    source, made = f"testsrc2=size=160x120:rate=25:duration={SECONDS}", tmp_path / "made.mp4"
    made.write_bytes(
        encoded("-f", "lavfi", "-i", source, "-c:v", "libx264", "-bf", "2", "-g", "50", kind="mp4")
    )
    stream = encoded("-i", str(made), "-c", "copy")
    splitter = AccessUnits("h264")
    units = splitter.feed(stream) + splitter.flush()
    entries = "packet=pts,dts:stream=time_base"
    table = judged(
        "ffprobe", "-v", "error", "-show_entries", entries, "-of", "csv=p=0", made
    ).split()  # fmt: skip
    scale = TICKS // int(table.pop().rpartition("/")[2].strip(","))
    times = [tuple(int(time) * scale for time in line.split(",")[:2]) for line in table]
    assert any(pts != dts for pts, dts in times)
    with bucket.record_hls(
        PREFIX, "vod", segment_time=2, start=START, on_full="block", on_error=pytest.fail
    ) as recorder:
        for unit, (pts, dts) in zip(units, times, strict=True):
            recorder.write_video(unit, pts, dts)
    assert findings(bucket, recorder.playlist_key) == []
    playlist = download(bucket, recorder.playlist_key, tmp_path)
    assert pictures_of(playlist) == pictures_of(made)


def test_a_restart_is_played_through(bucket: Watched, tmp_path: Path) -> None:
    stream = camera(4)
    for life in range(3):
        recorder = bucket.record_hls(
            PREFIX, "event", fps=25, segment_time=2, start=START + 60 * life, on_full="block"
        )
        recorder.write(stream)
        recorder.close(ends=life == 2)
    assert findings(bucket, recorder.playlist_key) == []
    playlist = download(bucket, recorder.playlist_key, tmp_path)
    (tmp_path / "v.h264").write_bytes(stream)
    assert pictures_of(playlist) == 3 * pictures_of(tmp_path / "v.h264")


def test_players_undo_the_encryption(bucket: Watched, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(16)))
    stream = camera(4)
    with bucket.record_hls(
        PREFIX, "vod", fps=25, segment_time=2, start=START, on_full="block",
        key_provider=lambda *_: SegmentKey("one", key.read_bytes(), str(key)),
    ) as recorder:  # fmt: skip
        recorder.write(stream)
    assert check_history(bucket.texts[recorder.playlist_key]) == []
    playlist = download(bucket, recorder.playlist_key, tmp_path)
    (tmp_path / "v.h264").write_bytes(stream)
    assert pictures_of(playlist, "-allowed_extensions", "ALL") == pictures_of(tmp_path / "v.h264")


def test_h265_and_sound_alone(bucket: Watched, tmp_path: Path) -> None:
    source = "testsrc2=size=160x128:rate=25:duration=4"
    stream = encoded(
        "-f", "lavfi", "-i", source, "-c:v", "libx265", "-x265-params",
        "log-level=error:keyint=25:min-keyint=25:bframes=0:scenecut=0", kind="hevc",
    )  # fmt: skip
    with bucket.record_hls(
        PREFIX, "vod", video="h265", fps=25, segment_time=2, start=START, on_full="block"
    ) as recorder:
        recorder.write(stream)
    assert findings(bucket, recorder.playlist_key) == []
    (tmp_path / "v.hevc").write_bytes(stream)
    playlist = download(bucket, recorder.playlist_key, tmp_path)
    assert pictures_of(playlist) == pictures_of(tmp_path / "v.hevc")
    frames = AdtsFrames().feed(tone(4))
    with bucket.record_hls(
        PREFIX, "vod", video="", audio="aac", segment_time=2, start=START + 60, on_full="block"
    ) as recorder:
        for number, frame in enumerate(frames):
            recorder.write_audio(frame, number * 1920)
    assert findings(bucket, recorder.playlist_key) == []
    (tmp_path / "a.aac").write_bytes(b"".join(frames))
    playlist = download(bucket, recorder.playlist_key, tmp_path)
    assert sound_of(playlist) == sound_of(tmp_path / "a.aac")


def test_a_picture_of_the_last_second_is_played_live(bucket: Watched, tmp_path: Path) -> None:
    """A player that comes while the recording goes on gets a window without an end."""
    with bucket.record_hls(
        PREFIX, "live", fps=25, segment_time=1, list_size=3, start=START, on_full="block"
    ) as recorder:
        recorder.write(camera(SECONDS))
        end = time.monotonic() + 20
        while bucket.texts.get(recorder.playlist_key, [""])[-1].count("#EXTINF") < 3:
            assert time.monotonic() < end
            time.sleep(0.002)
        text = bucket.texts[recorder.playlist_key][-1]
    assert "#EXT-X-ENDLIST" not in text
    playlist = download(bucket, recorder.playlist_key, tmp_path)
    playlist.write_text(text + "#EXT-X-ENDLIST\n")
    assert len(pictures_of(playlist)) == 3 * 25
