"""The TICKET route under kill -9: the next process goes on where the last one was killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from ossmedia import UploadTicket, crc64, vod
from ossmedia.vod import VodUploader
from tests.unit.emulator.cloud.vod_calls import VodCaller

BLOCK, PARALLEL, PARTS = 102_400, 2, 20

# The device: asks its app server (a pipe) for a ticket, by the media id it remembers or for a new
# one, and uploads.
DEVICE = """
import json, sys
from ossmedia import UploadTicket, vod
endpoint, path, checkpoint = sys.argv[1:]
def ask(media_id):
    print(json.dumps(media_id), flush=True)
    return UploadTicket.from_json(json.loads(sys.stdin.readline()), allowed_hosts=(endpoint,))
ticket = ask(vod.unfinished(checkpoint, path))
receipt = vod.upload(path, ticket, refresh=ask, checkpoint=checkpoint, block_size=102_400,
                     parallel=2)
print(json.dumps(receipt.to_json()), flush=True)
"""


@pytest.fixture
def cloud(oss_emulator):
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(BLOCK * (PARTS - 1) + 77))
    return path


class Device:
    """One life of the device's process."""

    def __init__(self, cloud, clip, checkpoint):
        self.cloud = cloud
        self.asked: list[str] = []
        command = [sys.executable, "-c", DEVICE, cloud.endpoint, str(clip), str(checkpoint)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def serve_ticket(self, caller):
        self.asked.append(json.loads(self.process.stdout.readline()))
        if self.asked[-1]:
            answer = caller.done("RefreshUploadVideo", VideoId=self.asked[-1])
        else:
            answer = caller.done("CreateUploadVideo", FileName="a.mp4", Title="t")
        self.process.stdin.write(json.dumps(answer) + "\n")
        self.process.stdin.flush()
        return answer["VideoId"]

    def kill_after(self, parts, delay_s):
        """kill -9 once so many parts were stored, and a moment later; False: it had ended."""
        end = time.monotonic() + 30
        while self.cloud.counters()["requests"].get("UploadPart", 0) < parts:
            assert time.monotonic() < end
            if self.process.poll() is not None:
                return False
            time.sleep(0.001)
        time.sleep(delay_s)
        self.process.send_signal(signal.SIGKILL)
        return True

    def receipt(self):
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def test_killed_again_and_again(cloud, clip, tmp_path):
    checkpoint, caller, dice = tmp_path / "clip.json", VodCaller(cloud), random.Random()
    cloud.fault("stall", operation="UploadPart", seconds=0.005, times=0)
    media_ids, kills = set(), 0
    for _ in range(3):
        seen = cloud.counters()["requests"].get("UploadPart", 0)
        with Device(cloud, clip, checkpoint) as device:
            media_ids.add(device.serve_ticket(caller))
            kills += device.kill_after(seen + dice.randrange(1, 5), dice.random() / 100)
    with Device(cloud, clip, checkpoint) as device:
        media_ids.add(device.serve_ticket(caller))
        receipt = device.receipt()
    assert len(media_ids) == 1
    data = clip.read_bytes()
    assert (receipt["size"], receipt["crc64"]) == (len(data), crc64(data))
    sent = cloud.counters()["requests"]
    assert sent["InitiateMultipartUpload"] == 1
    assert PARTS <= sent["UploadPart"] <= PARTS + PARALLEL * kills
    (media_id,) = media_ids
    stored = cloud.cloud.store
    ticket = UploadTicket.from_json(
        caller.done("RefreshUploadVideo", VideoId=media_id), allowed_hosts=(cloud.endpoint,)
    )
    found = stored.object(ticket.bucket, ticket.key)
    assert (found.size, found.crc) == (len(data), crc64(data))
    assert not checkpoint.exists()
    assert stored.uploads_from(ticket.bucket, b"", "", None, 9) == []


def test_the_queue_goes_on_with_the_same_medium(cloud, clip, tmp_path):
    checkpoint, caller = tmp_path / "clip.json", VodCaller(cloud)
    cloud.fault("stall", operation="UploadPart", seconds=0.005, times=0)
    with Device(cloud, clip, checkpoint) as device:
        media_id = device.serve_ticket(caller)
        assert device.kill_after(5, 0)
    cloud.clear_faults()
    assert vod.unfinished(checkpoint, clip) == media_id
    started = []

    def on_upload_started(item):
        started.append(item.media_id)
        answer = caller.done("RefreshUploadVideo", VideoId=item.media_id)
        return UploadTicket.from_json(answer, allowed_hosts=(cloud.endpoint,))

    with VodUploader(on_upload_started=on_upload_started) as queue:
        item = queue.add_file(clip, checkpoint=checkpoint)
        queue.start()
        assert queue.join(60)
    assert (item.state, started) == ("succeeded", [media_id])
    assert item.receipt.crc64 == crc64(clip.read_bytes())


def test_a_checkpoint_holds_no_secret(cloud, clip, tmp_path):
    checkpoint, caller = tmp_path / "clip.json", VodCaller(cloud)
    answer = caller.done("CreateUploadVideo", FileName="a.mp4", Title="t")
    ticket = UploadTicket.from_json(answer, allowed_hosts=(cloud.endpoint,))
    kept = []
    vod.upload(
        clip,
        ticket,
        checkpoint=checkpoint,
        block_size=BLOCK,
        progress=lambda *_: kept.append(checkpoint.read_text() if checkpoint.exists() else ""),
    )
    assert any(kept)
    for secret in (ticket.credentials.access_key_secret, ticket.credentials.security_token):
        assert not any(secret in text for text in kept)


def test_a_checkpoint_is_for_a_path(cloud, clip, tmp_path):
    answer = VodCaller(cloud).done("CreateUploadVideo", FileName="a.mp4", Title="t")
    ticket = UploadTicket.from_json(answer, allowed_hosts=(cloud.endpoint,))
    with clip.open("rb") as file:
        with pytest.raises(ValueError, match=r"^checkpoint: only for a file"):
            vod.upload(file, ticket, checkpoint=tmp_path / "x")
        with pytest.raises(ValueError, match=r"^checkpoint: only for a file"):
            VodUploader(on_upload_started=print).add_file(file, checkpoint=tmp_path / "x")
