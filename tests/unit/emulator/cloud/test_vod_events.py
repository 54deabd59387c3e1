"""VOD's events: one POST for a complete upload, with its authentication headers."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import time
from pathlib import Path

import pytest

from ossmedia.emulator.serve import Emulator
from ossmedia.emulator.vod_events import signature
from tests.unit.emulator.cloud.vod_calls import VodCaller, decoded


class Receiver:
    """An application server that keeps what it is sent; ``replies`` are its answers in order."""

    def __init__(self) -> None:
        self.seen: list = []
        self.replies: list[int] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with owner.arrived:
                    owner.seen.append((self.path, dict(self.headers.items()), json.loads(body)))
                    status = owner.replies.pop(0) if owner.replies else 200
                    owner.arrived.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.arrived = threading.Condition()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()

    def wait(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.seen) >= count, 20), self.seen
        return self.seen

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def store(client_of, emulator, ticket, data=b"clip"):
    """PutObject with the ticket; the token goes along as a signed header."""
    client = client_of(emulator)
    client.key = ticket.credentials[:2]
    headers = {"x-oss-security-token": ticket.credentials[2]}
    reply = client.send("PUT", ticket.key, headers=headers, body=data, bucket=ticket.bucket)
    client.close()
    return reply.status


def settle(emulator):
    """Waits until no event is on its way."""
    end = time.monotonic() + 20
    while emulator.vod._media.next_event() is not None:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_signature_of_the_documents_form():
    text = "http://www.example.com/your/callback|1519375990|Test123"
    assert signature(*text.split("|")) == hashlib.md5(text.encode()).hexdigest()


def test_a_complete_upload_is_told_once(emulator, client_of, receiver):
    url = f"{receiver.url}/vod?a=1"
    emulator.set_vod(callback_url=url, callback_key="key123")
    ticket = VodCaller(emulator).video(UserData='{"Extend":{"cam":"gate"}}')
    assert store(client_of, emulator, ticket) == 200
    ((path, headers, body),) = receiver.wait(1)
    assert path == "/vod?a=1"
    stamp = headers["X-VOD-TIMESTAMP"]
    assert abs(int(stamp) - time.time()) < 20
    wanted = hashlib.md5(f"{url}|{stamp}|key123".encode()).hexdigest()
    assert headers["X-VOD-SIGNATURE"] == wanted
    assert headers["Content-Type"] == "application/json"
    assert body["EventType"] == "FileUploadComplete"
    assert (body["VideoId"], body["Size"]) == (ticket.id, 4)
    assert body["FileUrl"].endswith(f"/{ticket.bucket}/{ticket.key}")
    assert (body["Extend"], body["AppId"]) == ('{"cam":"gate"}', "app-1000000")
    settle(emulator)
    assert len(receiver.seen) == 1


def test_no_key_no_headers_and_no_url_no_event(emulator, client_of, receiver):
    vod = VodCaller(emulator)
    own = json.dumps({"MessageCallback": {"CallbackURL": f"{receiver.url}/own"}})
    assert store(client_of, emulator, vod.video(UserData=own)) == 200
    emulator.set_vod(callback_url=f"{receiver.url}/all")
    for user_data in ("{}", own):
        assert store(client_of, emulator, vod.video(UserData=user_data)) == 200
    seen = receiver.wait(2)
    settle(emulator)
    assert [path for path, _, _ in seen] == ["/all", "/own"]
    assert not any(name.startswith("X-VOD") for _, headers, _ in seen for name in headers)


def test_other_media_have_other_events(emulator, client_of, receiver):
    emulator.set_vod(callback_url=receiver.url)
    vod = VodCaller(emulator)
    image = decoded(vod.done("CreateUploadImage", ImageType="default"))
    media = decoded(vod.done("CreateUploadAttachedMedia", BusinessType="material"))
    for ticket in (image, media):
        assert store(client_of, emulator, ticket) == 200
    first, second = (body for _, _, body in receiver.wait(2))
    assert (first["EventType"], first["ImageId"]) == ("ImageUploadComplete", image.id)
    assert second["EventType"] == "AttachedMediaUploadComplete"
    assert second["AttachedMediaId"] == media.id
    assert all(body["Status"] == "success" and "FileURL" in body for body in (first, second))


@pytest.mark.parametrize(("replies", "tries"), [([500], 2), ([500, 404], 3), ([500] * 5, 3)])
def test_three_attempts(emulator, client_of, receiver, replies, tries):
    receiver.replies = list(replies)
    emulator.set_vod(callback_url=receiver.url, callback_pause_s=0)
    assert store(client_of, emulator, VodCaller(emulator).video()) == 200
    receiver.wait(tries)
    settle(emulator)
    assert len(receiver.seen) == tries


def test_an_upload_that_failed_is_not_told(emulator, client_of, receiver):
    emulator.set_vod(callback_url=receiver.url)
    vod = VodCaller(emulator)
    ticket = vod.video()
    emulator.fault("status", operation="PutObject")
    assert store(client_of, emulator, ticket) == 500
    emulator.set_clock(4000)
    assert store(client_of, emulator, ticket) == 403
    emulator.set_clock(0)
    assert vod.status(ticket) == "Uploading"
    assert emulator.vod._media.next_event() is None


def test_an_event_is_not_lost_with_the_process(tmp_path, client_of, receiver):
    """What stood in the store when the process died is sent by the next one."""
    with Emulator(data=tmp_path) as first:
        first.set_vod(callback_url=receiver.url)
        key = (first.access_key_id, first.access_key_secret)
        first._in_loop(lambda: first.vod._media.add_event(receiver.url, '{"n": 1}'))
    with Emulator(data=tmp_path) as second:
        VodCaller(second, key).video()
        assert receiver.wait(1)[0][2] == {"n": 1}
        settle(second)


def test_the_published_signature():
    vectors = Path(__file__).parents[3] / "vectors" / "signature-vectors.json"
    (vector,) = [
        found
        for found in json.loads(vectors.read_text(encoding="utf-8"))["vectors"]
        if found["id"] == "vod-callback-01"
    ]
    made = signature(
        vector["extra"]["callback_url"],
        vector["headers"]["X-VOD-TIMESTAMP"],
        vector["access_key_secret"],
    )
    assert made == vector["expected"]["signature"]
