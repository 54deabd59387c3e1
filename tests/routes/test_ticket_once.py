"""The TICKET route when answers are lost, servers die and VOD refuses: one medium in the end,
however often it was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Retry, errors
from ossmedia.clock import Clock
from ossmedia.server.vod_media import VodUpload
from tests.routes.vod_rig import VodServer


@pytest.fixture
def cloud(oss_emulator: Any) -> Iterator[Any]:
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


@pytest.fixture
def server(cloud: Any, tmp_path: Path) -> Iterator[VodServer]:
    with VodServer(cloud, tmp_path) as made:
        yield made


class Hurry(Clock):
    """Nobody waits."""

    __slots__ = ()

    def sleep(self, seconds: float) -> None:
        pass


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_of_vod(server: VodServer, when: str) -> None:
    """VOD does not answer the server: the device comes again, and there is one medium."""
    tickets = server.tickets("cam-1", clock=Hurry())
    server.cloud.fault("drop", operation="Rpc", when=when, times=1)
    ticket = tickets.create("t", "a.mp4")
    assert server.media() == [ticket.media_id]


def test_a_lost_answer_of_the_server(server: VodServer, monkeypatch: Any) -> None:
    tickets = server.tickets("cam-1", clock=Hurry())
    post, lost = type(tickets._server).post, []

    def lossy(self: Any, *args: Any) -> Any:
        answer = post(self, *args)
        if not lost:
            lost.append(answer.status)
            raise errors.NetworkError("the answer was lost")
        return answer

    monkeypatch.setattr(type(tickets._server), "post", lossy)
    ticket = tickets.create("t", "a.mp4")
    assert lost == [200]
    assert server.media() == [ticket.media_id]


def test_the_server_dies_before_it_notes_the_answer(server: VodServer, monkeypatch: Any) -> None:
    tickets = server.tickets("cam-1", retry=Retry(attempts=1))
    media = server.parts.vod.uploads._media
    with monkeypatch.context() as patch:
        patch.setattr(media, "granted", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(errors.Unavailable, match="internal"):
            tickets.create("t", "a.mp4", client_token="first-file")
    (media_id,) = server.media()
    assert tickets.create("t", "a.mp4", client_token="first-file").media_id == media_id
    assert server.media() == [media_id]


def test_a_client_token_is_for_one_file_and_one_device(server: VodServer) -> None:
    one, other = server.tickets("cam-1"), server.tickets("cam-2")
    ticket = one.create("t", "a.mp4", client_token="token-1")
    again = one.create("t", "a.mp4", client_token="token-1")
    assert again.media_id == ticket.media_id
    assert again.credentials != ticket.credentials
    with pytest.raises(errors.Conflict, match="client-token-used"):
        one.create("t", "b.mp4", client_token="token-1")
    assert other.create("t", "a.mp4", client_token="token-1").media_id != ticket.media_id
    assert len(server.media()) == 2


def test_two_servers_are_asked_at_once(server: VodServer, cloud: Any, tmp_path: Path) -> None:
    """The other process has noted the upload, and asks VOD at the same moment."""
    tickets = server.tickets("cam-1")
    uploads = server.parts.vod.uploads
    reference = "om-" + hashlib.sha256(b"cam-1\0same-file").hexdigest()[:40]
    noted = VodUpload(reference, "cam-1", "video", None, "t", "a.mp4", None, "", 1.0, 1.0, 1.0)
    uploads._media.begin(noted)
    grants = []
    refreshed = uploads._refreshed

    async def late(**who: str) -> Any:
        if not grants:
            grants.append(
                server.service().create_upload_video("t", "a.mp4", reference_id=reference)
            )
            raise errors.NotFound("it was not there yet when this process asked")
        return await refreshed(**who)

    uploads._refreshed = late
    assert tickets.create("t", "a.mp4", client_token="same-file").media_id == grants[0].media_id
    assert server.media() == [grants[0].media_id]


def test_what_vod_refuses(cloud: Any, tmp_path: Path) -> None:
    """The device is told so at once; nothing is left that would stand in the way later."""
    with VodServer(cloud, tmp_path, vod={"storage_location": "nowhere"}) as server:
        tickets = server.tickets("cam-1", clock=Hurry())
        with pytest.raises(errors.ServiceError, match="InvalidStorage") as caught:
            tickets.create("t", "a.mp4", client_token="token-1")
        assert not caught.value.retryable
        assert "vod-refused" in str(caught.value)
        places = {**server.parts.vod.uploads._places, "storage_location": ""}
        server.parts.vod.uploads._places = places
        assert tickets.create("t", "b.mp4", client_token="token-1").kind == "video"


def test_a_server_whose_key_may_not(cloud: Any, tmp_path: Path) -> None:
    """Only the operator can mend that: the device comes again."""
    with VodServer(cloud, tmp_path) as server:
        server.environ["OSS_ACCESS_KEY_SECRET"] = "wrong"
        tickets = server.tickets("cam-1", retry=Retry(attempts=1))
        with pytest.raises(errors.Unavailable, match="vod-unavailable") as caught:
            tickets.create("t", "a.mp4")
        assert caught.value.retry_after_s == 5
        del server.environ["OSS_ACCESS_KEY_SECRET"]
        with pytest.raises(errors.Unavailable, match="vod-unavailable"):
            tickets.create("t", "a.mp4")
