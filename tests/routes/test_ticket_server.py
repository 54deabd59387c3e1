"""The TICKET route, whole: a device that knows its key, the application server, and the local
cloud's VOD, STS and OSS. All four ways of the documents: by credential or by STS token, asked for
by the server or by the client."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Credentials, UploadTicket, cli, crc64, errors, vod
from ossmedia.clock import Clock
from ossmedia.server.oss_access import OssUnavailable
from ossmedia.server.problems import Problem
from ossmedia.server.recordings import GONE, GROWING, READY, recording_id
from ossmedia.vod_api import upload_token
from tests.routes.vod_rig import CALLBACK_KEY, VodServer, event, until
from tests.unit.server.rig import Camera, send

BLOCK = 102_400


@pytest.fixture
def cloud(oss_emulator: Any) -> Iterator[Any]:
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


@pytest.fixture
def server(cloud: Any, tmp_path: Path) -> Iterator[VodServer]:
    with VodServer(cloud, tmp_path, events=True) as made:
        yield made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "gate.mp4"
    path.write_bytes(os.urandom(5 * BLOCK + 3))
    return path


def row(server: VodServer, media_id: str) -> Any:
    return server.index.get(recording_id(f"vod:{server.cloud.region}", media_id))


# -- the four ways


def credential_asked_for_by_the_server(server: VodServer, clip: Path) -> UploadTicket:
    """What is recommended: the server asks VOD with its own key, the device gets the answer."""
    ticket = server.tickets("cam-1").create("At the gate", clip.name, clip.stat().st_size)
    vod.upload(clip, ticket)
    return ticket


def token_used_by_the_server(server: VodServer, clip: Path) -> UploadTicket:
    """The server asks VOD with a token of STS in place of its long-lived key."""
    grant = server.service(_narrow(server)).create_upload_video("At the gate", clip.name)
    ticket = UploadTicket.from_json(grant.to_json(), allowed_hosts=(server.cloud.endpoint,))
    vod.upload(clip, ticket)
    return ticket


def token_used_by_the_client(server: VodServer, clip: Path) -> UploadTicket:
    """The device gets a token of STS, and asks VOD by itself for the address and credential."""
    token = server.tickets("cam-1").token()
    service = server.service(token)
    grant = service.create_upload_video("At the gate", clip.name)
    ticket = UploadTicket.from_json(grant.to_json(), allowed_hosts=(server.cloud.endpoint,))

    def refresh(media_id: str) -> UploadTicket:
        fresh = service.refresh_upload_video(media_id)
        return UploadTicket.from_json(fresh.to_json(), allowed_hosts=(server.cloud.endpoint,))

    vod.upload(clip, refresh(ticket.media_id), refresh=refresh)
    return ticket


def credential_asked_for_by_the_client(server: VodServer, clip: Path) -> UploadTicket:
    """A client that is trusted with a key asks VOD by itself."""
    grant = server.service().create_upload_video("At the gate", clip.name)
    ticket = UploadTicket.from_json(grant.to_json(), allowed_hosts=(server.cloud.endpoint,))
    vod.upload(clip, ticket)
    return ticket


def _narrow(server: VodServer) -> Credentials:
    cloud = server.cloud
    return upload_token(
        cloud.role_arn,
        "server",
        credentials=Credentials(cloud.access_key_id, cloud.access_key_secret),
        secure_transport=False,
        endpoint=cloud.sts_endpoint,
        region=cloud.region,
    )


@pytest.mark.parametrize(
    "way",
    [
        credential_asked_for_by_the_server,
        token_used_by_the_server,
        token_used_by_the_client,
        credential_asked_for_by_the_client,
    ],
)
def test_four_ways(server: VodServer, clip: Path, way: Any) -> None:
    ticket = way(server, clip)
    assert server.played(ticket.media_id) == clip.read_bytes()
    assert server.service().get_video_info(ticket.media_id)["Title"] == "At the gate"


def test_a_token_does_nothing_else(server: VodServer, clip: Path) -> None:
    sessions = server.cloud.cloud.identities._sessions
    before = set(sessions)
    token = server.tickets("cam-1").token(ttl_s=900)
    (policy,) = (one.session_policy for id, one in sessions.items() if id not in before)
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["vod:CreateUploadVideo", "vod:RefreshUploadVideo"]
    assert token.expires_at is not None
    assert 800 < token.expires_at - time.time() <= 901
    service = server.service(token)
    media_id = service.create_upload_video("t", clip.name).media_id
    for call in (
        lambda: service.get_video_info(media_id),
        lambda: service.get_play_info(media_id),
        service.search_media,
        lambda: service.delete_video(media_id),
        service.create_upload_image,
        lambda: service.create_upload_attached_media("subtitle", "srt"),
    ):
        with pytest.raises(errors.AccessDenied):
            call()


def test_tokens_come_from_the_cache(server: VodServer) -> None:
    tickets = server.tickets("cam-1")
    first, second = tickets.token(), tickets.token()
    assert first.access_key_id == second.access_key_id


# -- the life of an upload


class DeviceClock(Clock):
    """The machine's clock, which a test moves on."""

    __slots__ = ("ahead",)

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def test_it_is_refreshed_on_the_way(server: VodServer, clip: Path) -> None:
    tickets, clock = server.tickets("cam-1"), DeviceClock()
    ticket, asked = tickets.create("clip", clip.name), []

    def refresh(media_id: str) -> UploadTicket:
        asked.append(media_id)
        return tickets.refresh(media_id)

    def progress(stored: int, _total: object) -> None:
        if stored >= 2 * BLOCK:
            clock.ahead = 0.81 * 3600

    receipt = vod.upload(
        clip, ticket, refresh=refresh, progress=progress, block_size=BLOCK, clock=clock
    )
    assert asked == [ticket.media_id]
    assert receipt.crc64 == crc64(clip.read_bytes())
    assert "403" not in server.cloud.counters()["statuses"]


def test_the_recording_and_its_states(server: VodServer, clip: Path) -> None:
    """growing from the first request on, ready when VOD has processed it: its event says that
    something happened, its answer what."""
    server.cloud.set_vod(processing_s=3600)
    start = 1_700_000_000.25
    ticket = server.tickets("cam-1").create("Gate", clip.name, clip.stat().st_size, start=start)
    made = row(server, ticket.media_id)
    assert (made.kind, made.camera, made.state, made.title) == ("vod", "cam-1", GROWING, "Gate")
    assert (made.start_at, made.size, made.key) == (start, clip.stat().st_size, ticket.media_id)
    vod.upload(clip, ticket)
    until(lambda: row(server, ticket.media_id).seen_by == "callback")
    assert row(server, ticket.media_id).state == GROWING  # it is UploadSucc, and cannot be played
    server.cloud.set_vod(processing_s=0)
    body = event(VideoId=ticket.media_id, EventType="TranscodeComplete")
    assert posted(server, body).json == {"known": True}
    done = row(server, ticket.media_id)
    assert (done.state, done.start_at, done.size) == (READY, start, clip.stat().st_size)
    assert server.parts.archive.vod.play_url(ticket.media_id, 60).startswith("http")


def posted(
    server: VodServer, body: bytes, *, key: str = CALLBACK_KEY, url: str = "", at: float = 0.0
) -> Any:
    """An event, signed as VOD does."""
    stamp = str(int(time.time() + at))
    text = f"{url or server.settings.vod.callback_url}|{stamp}|{key}"
    head = {"X-VOD-TIMESTAMP": stamp, "X-VOD-SIGNATURE": hashlib.md5(text.encode()).hexdigest()}
    return send(server.url, "POST", "/v1/callbacks/vod", body, head)


def test_events_that_are_not_vods(server: VodServer) -> None:
    ticket = server.tickets("cam-1").create("t", "a.mp4")
    server.cloud.set_vod(processing_s=0)
    body = event(VideoId=ticket.media_id)
    before = row(server, ticket.media_id)
    rpc = server.cloud.counters()["requests"].get("Rpc", 0)
    for answer in (
        posted(server, body, key="another0key"),
        posted(server, body, url=server.url + "/v1/callbacks/vod/"),
        posted(server, body, at=-400),
        posted(server, body, at=400),
        send(server.url, "POST", "/v1/callbacks/vod", body),
        send(server.url, "POST", "/v1/callbacks/vod", body, {"X-VOD-TIMESTAMP": "1"}),
    ):
        assert (answer.status, answer.code) == (403, "callback-refused")
    assert row(server, ticket.media_id) == before
    assert server.cloud.counters()["requests"].get("Rpc", 0) == rpc  # VOD was not asked


def test_an_event_is_not_believed(server: VodServer) -> None:
    """The signature does not cover the body: a replayed one with another body changes nothing that
    VOD does not confirm."""
    ticket = server.tickets("cam-1").create("t", "a.mp4", 77)
    lie = event(VideoId=ticket.media_id, Size=1, FileUrl="http://127.0.0.1:1/x", Status="fail")
    for _ in range(2):
        assert posted(server, lie).json == {"known": True}
    found = row(server, ticket.media_id)
    assert (found.state, found.size, found.title) == (GROWING, 77, "t")


@pytest.mark.parametrize(
    "body", [event(VideoId="ab" * 16), event(VideoId=5), event(), event(VideoId="../x"), b"{}"]
)
def test_events_of_unknown_media(server: VodServer, body: bytes) -> None:
    assert posted(server, body).json == {"known": False}


def test_what_a_device_makes_by_itself_belongs_to_no_camera(server: VodServer, clip: Path) -> None:
    """VOD cannot tell whose token it was: administrators see it, nobody is named."""
    ticket = token_used_by_the_client(server, clip)
    until(lambda: row(server, ticket.media_id) is not None)  # by VOD's own event
    assert posted(server, event(VideoId=ticket.media_id)).json == {"known": True}
    found = row(server, ticket.media_id)
    assert (found.camera, found.kind, found.title) == ("", "vod", "At the gate")
    assert (found.state, found.size) == (READY, clip.stat().st_size)
    server.service().delete_video(ticket.media_id)
    assert posted(server, event(VideoId=ticket.media_id)).json == {"known": True}
    assert row(server, ticket.media_id).state == GONE


@pytest.mark.parametrize("vod_table", [{"role_arn": ""}, {"app_id": "app-1000077"}])
def test_other_programs_videos_stay_out(
    cloud: Any, tmp_path: Path, clip: Path, vod_table: dict[str, str]
) -> None:
    """Where no device asks VOD by itself, or this server has an application of its own in VOD."""
    with VodServer(cloud, tmp_path, events=True, vod=vod_table) as server:
        ticket = credential_asked_for_by_the_client(server, clip)
        assert posted(server, event(VideoId=ticket.media_id)).json == {"known": False}
        assert row(server, ticket.media_id) is None


def test_events_that_are_no_json(server: VodServer) -> None:
    assert posted(server, b"x").code == "malformed-json"
    assert posted(server, b"[]").code == "malformed-json"


def test_an_event_while_vod_is_away_comes_again(server: VodServer) -> None:
    ticket = server.tickets("cam-1").create("t", "a.mp4")
    server.cloud.fault("status", operation="Rpc", status=503, times=1)
    answer = posted(server, event(VideoId=ticket.media_id))
    assert (answer.status, answer.code) == (503, "vod-unavailable")
    assert posted(server, event(VideoId=ticket.media_id)).json == {"known": True}


def test_a_video_that_is_deleted_in_vod(server: VodServer) -> None:
    tickets = server.tickets("cam-1")
    one, other = tickets.create("t", "a.mp4"), tickets.create("t", "b.mp4")
    server.service().delete_video(one.media_id, other.media_id)
    assert posted(server, event(VideoId=one.media_id)).json == {"known": True}
    assert row(server, one.media_id).state == GONE
    with pytest.raises(errors.NotFound):
        tickets.refresh(other)
    assert row(server, other.media_id).state == GONE


def test_images_and_attached_media(server: VodServer, tmp_path: Path) -> None:
    tickets = server.tickets("cam-1")
    picture = tmp_path / "gate.png"
    picture.write_bytes(os.urandom(1000))
    image = tickets.create("gate", picture.name, kind="image", image_type="cover")
    words = tickets.create("words", "a.srt", 7, kind="attached", business_type="subtitle")
    for ticket in (image, words):
        assert vod.upload(picture, ticket).size == 1000
        with pytest.raises(errors.Conflict, match="vod-not-refreshable"):
            tickets.refresh(ticket)
        assert row(server, ticket.media_id) is None  # nothing that could be played
        media = server.parts.vod.uploads._media
        until(lambda ticket=ticket, media=media: media.find(ticket.media_id).status == "Normal")


# -- whose it is


def test_a_refresh_is_for_the_device_that_made_it(server: VodServer) -> None:
    mine, other = server.tickets("cam-1"), server.tickets("cam-2")
    ticket = mine.create("t", "a.mp4")
    assert mine.refresh(ticket).key == ticket.key
    foreign = server.service().create_upload_video("t", "a.mp4").media_id
    for media_id in (ticket.media_id, foreign, "x" * 32):
        with pytest.raises(errors.NotFound, match="not-found"):
            other.refresh(media_id)


@pytest.mark.parametrize("modes", ["r", "rl", "a"])
def test_only_devices_that_may_write(server: VodServer, modes: str) -> None:
    tickets = server.tickets("cam-1", server.key("cam-1", modes=modes))
    for call in (
        lambda: tickets.create("t", "a.mp4"),
        lambda: tickets.refresh("x" * 32),
        tickets.token,
    ):
        with pytest.raises(errors.AccessDenied, match="mode-not-allowed"):
            call()
    assert server.media() == []


def test_without_a_good_signature_nothing(server: VodServer) -> None:
    key = server.key("cam-1")
    tickets = server.tickets("cam-1", server.registry.rotate_key("cam-1", drop_old=True))
    stolen = server.tickets("cam-1", key)
    with pytest.raises(errors.AccessDenied, match="unauthorized"):
        stolen.create("t", "a.mp4")
    server.registry.disable("cam-1")
    with pytest.raises(errors.AccessDenied, match="device-disabled"):
        tickets.create("t", "a.mp4")
    assert server.media() == []
    for target in ("/v1/vod/uploads", "/v1/vod/uploads/x/refresh", "/v1/vod/credentials"):
        assert send(server.url, "POST", target, b"{}").code == "unauthorized"


# -- the command line


def test_the_command_line_asks_the_server(
    server: VodServer, clip: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    for name in [name for name in os.environ if name.startswith(("OSS", "ALIBABA"))]:
        monkeypatch.delenv(name)
    key_file = tmp_path / "device.key"
    key_file.write_text(server.key("cam-1"))
    words = ["vod", "upload", str(clip), "--title", "At the gate", "--endpoint"]
    words += [server.cloud.endpoint, "--server", server.url, "--allow-http", "--json"]
    words += ["--checkpoint", str(tmp_path / "mark")]
    assert cli.main([*words, "--device", "cam-1", "--device-key", str(key_file)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert server.played(shown["VideoId"]) == clip.read_bytes()
    for wrong in (["--device", "cam-1"], [], ["--reference-id", "abcdef", "--device", "cam-1"]):
        assert cli.main([*words, *wrong]) == 2
    assert cli.main([*words[:6], server.cloud.endpoint, "--device", "cam-1"]) == 2


def test_no_secret_is_logged(server: VodServer, clip: Path, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    tickets = server.tickets("cam-1")
    ticket = tickets.create("t", clip.name)
    fresh, token = tickets.refresh(ticket), tickets.token()
    posted(server, event(VideoId=ticket.media_id))
    logged = caplog.text + "".join(str(record.args) for record in caplog.records)
    assert "/v1/vod/uploads" in logged
    for held in (ticket.credentials, fresh.credentials, token):
        assert held.access_key_secret not in logged
        assert held.security_token not in logged
    assert CALLBACK_KEY not in logged


def test_the_answer_is_signed_and_undecoded(server: VodServer) -> None:
    """What VOD wrote arrives as VOD wrote it."""
    camera = Camera(server.url, "cam-1", server.key("cam-1"), _now())
    body = b'{"title": "t", "file_name": "a.mp4"}'
    claim = camera.claim(target="/v1/vod/uploads", body=body)
    answer = send(server.url, "POST", "/v1/vod/uploads", body, {"Authorization": claim.header()})
    assert answer.status == 200
    assert set(answer.json) == {"VideoId", "UploadAddress", "UploadAuth", "device"}
    assert "ossmedia-answer" in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def _now() -> Any:
    class Now:
        seconds = time.time()

    return Now()


def test_the_page_plays_and_deletes_it(server: VodServer, clip: Path) -> None:
    ticket = server.tickets("cam-1").create("Gate", clip.name)
    archive = server.parts.archive
    with pytest.raises(Problem) as caught:
        archive.vod.play_url(ticket.media_id, 60)
    assert caught.value.code == "vod-not-playable"
    vod.upload(clip, ticket)
    with urllib.request.urlopen(archive.vod.play_url(ticket.media_id, 60)) as reply:
        assert reply.read() == clip.read_bytes()
    until(lambda: row(server, ticket.media_id).state == READY)
    id = row(server, ticket.media_id).id
    server.cloud.fault("status", operation="Rpc", status=503, times=2)
    with pytest.raises(OssUnavailable, match="VOD"):
        archive.vod.play_url(ticket.media_id, 60)
    with pytest.raises(OssUnavailable, match="VOD"):
        archive.vod.delete(ticket.media_id)
    assert archive.delete([id])
    assert server.media() == []
    assert row(server, ticket.media_id).state == GONE
    archive.vod.delete(ticket.media_id)  # that it is not there is no error
