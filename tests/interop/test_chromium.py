"""Chromium's own HLS player, whose MPEG-TS demuxer shares nothing with ffmpeg's, plays what the
muxer makes from the first picture to the last, sought to and fro, without an error."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import shutil
import threading

import pytest

from ossmedia._native_ts import AUDIO, SEGMENT, TsBuffer, TsMuxer
from tests.clips import aac, missing, video

CHROMIUM = shutil.which("chromium")


def lacks() -> str:
    if CHROMIUM is None or importlib.util.find_spec("playwright") is None:
        return "needs Debian's package chromium, and playwright"
    return missing()


pytestmark = [
    pytest.mark.skipif(bool(lacks()), reason=lacks()),
    pytest.mark.timeout(240),
]

PAGE = """<!doctype html><title>player</title><video muted src="index.m3u8"></video><script>
const player = document.querySelector("video"), seen = [];
player.addEventListener("error", () => seen.push("error " + player.error.message));
player.addEventListener("ended", () => seen.push("ended"));
player.addEventListener("seeked", () => seen.push("seeked"));
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {
        ".m3u8": "application/vnd.apple.mpegurl",
        ".ts": "video/mp2t",
        ".html": "text/html",
    }

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def site(tmp_path):
    """A folder, and its address."""
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


def record(folder, clip, frames):
    """A playlist with a segment for each key frame; the seconds it plays."""
    muxer = TsMuxer(clip.codec, "aac" if frames else "")
    sounds = [(n * 1920, 1, one, False) for n, one in enumerate(frames)]
    units = clip.annex_b()
    step = units[1].dts - units[0].dts
    end = max(one.pts for one in units) + step
    pictures = [(one.dts, 0, one, one.key) for one in units]
    segments, starts = [], []
    for time, sound, one, key in sorted([*pictures, *sounds], key=lambda entry: entry[:2]):
        if key:
            segments.append(TsBuffer())
            starts.append(one.pts)
        if not segments or time > end:
            continue
        if sound:
            muxer.write(one, time, time, segments[-1], AUDIO)
        else:
            muxer.write(one.data, one.pts, one.dts, segments[-1], SEGMENT if key else 0)
    lengths = [
        (after - start) / 90_000 for start, after in zip(starts, [*starts[1:], end], strict=True)
    ]
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{round(max(lengths)) or 1}"]
    lines += ["#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for number, (data, length) in enumerate(zip(segments, lengths, strict=True)):
        (folder / f"{number}.ts").write_bytes(data.take())
        lines += [f"#EXTINF:{length:.6f},", f"{number}.ts"]
    (folder / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    (folder / "index.html").write_text(PAGE)
    return sum(lengths), len(units)


@pytest.mark.parametrize("sound", [False, True], ids=["silent", "sound"])
@pytest.mark.parametrize("name", ["baseline", "high-b-frames", "multi-slice"])
def test_chromium_plays_it(browser, site, tmp_path_factory, name, sound):
    folder, address = site
    made = tmp_path_factory.mktemp("made")
    clip = video(name, made)
    seconds, pictures = record(folder, clip, aac(48_000, made, 5) if sound else [])
    page = browser.new_page()
    page.goto(f"{address}/index.html")
    page.wait_for_function("player.readyState >= 1 || player.error", timeout=60_000)
    assert page.evaluate("seen") == []
    assert page.evaluate("player.duration") == pytest.approx(seconds, abs=0.1)
    assert page.evaluate("[player.videoWidth, player.videoHeight]") == [320, 240]
    page.evaluate("player.playbackRate = 2; player.play()")
    page.wait_for_function("player.ended || player.error", timeout=90_000)
    assert page.evaluate("seen") == ["ended"]
    assert page.evaluate("player.getVideoPlaybackQuality().corruptedVideoFrames") == 0
    # Pictures that came too late on a busy machine were decoded all the same.
    assert page.evaluate("player.getVideoPlaybackQuality().totalVideoFrames") >= pictures - 3
    for place in (seconds * 0.7, seconds * 0.1):
        page.evaluate(f"seen.length = 0; player.currentTime = {place}")
        page.wait_for_function("seen.length > 0", timeout=60_000)
        assert page.evaluate("seen") == ["seeked"]
        assert page.evaluate("player.currentTime") == pytest.approx(place, abs=0.1)
    page.close()
