"""The TICKET route: an app server asks VOD, a device holds nothing but the ticket."""

from __future__ import annotations

import io
import os
import threading
import urllib.request

import pytest

from ossmedia import Retry, UploadTicket, crc64, errors, vod
from ossmedia.clock import Clock
from tests.unit.emulator.cloud.vod_calls import VodCaller

BLOCK = 102_400
QUICK = Retry(base_s=0.01, cap_s=0.02)


class AppServer:
    """Asks VOD and passes its answers on, undecoded."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.vod = VodCaller(emulator)
        self.refreshed: list[str] = []

    def ticket(self, answer):
        return UploadTicket.from_json(
            answer, allowed_hosts=(self.emulator.endpoint,), clock=self.emulator.cloud.clock
        )

    def create(self, title="clip"):
        return self.ticket(self.vod.done("CreateUploadVideo", FileName="a.mp4", Title=title))

    def refresh(self, media_id):
        self.refreshed.append(media_id)
        return self.ticket(self.vod.done("RefreshUploadVideo", VideoId=media_id))

    def remade(self, ticket, **changes):
        """A ticket with new credentials and something else changed."""
        fields = {name: getattr(ticket, name) for name in UploadTicket.__slots__}
        fields["credentials"] = self.refresh(ticket.media_id).credentials
        allowed = (self.emulator.endpoint, "http://127.0.0.1:1")
        return UploadTicket(**{**fields, **changes}, allowed_hosts=allowed)

    def status(self, ticket):
        return self.vod.done("GetVideoInfo", VideoId=ticket.media_id)["Video"]["Status"]

    def played(self, ticket):
        answer = self.vod.done("GetPlayInfo", VideoId=ticket.media_id)
        with urllib.request.urlopen(answer["PlayInfoList"]["PlayInfo"][0]["PlayURL"]) as reply:
            return reply.read()

    def stored(self, ticket):
        return self.emulator.cloud.store.object(ticket.bucket, ticket.key)


@pytest.fixture
def server(oss_emulator):
    oss_emulator.reset()
    yield AppServer(oss_emulator)
    oss_emulator.reset()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(1_000_003))
    return path


def end_tokens(emulator):
    """Every ticket issued so far ends now; the device's own clock does not know."""
    emulator.set_clock(emulator.cloud.clock.offset_s + 3602)


def test_a_file_by_ticket(server, clip):
    ticket = server.create()
    told = []
    receipt = vod.upload(clip, ticket, progress=lambda *at: told.append(at), block_size=BLOCK)
    data = clip.read_bytes()
    assert (receipt.key, receipt.size, receipt.crc64) == (ticket.key, len(data), crc64(data))
    assert told[-1] == (len(data), len(data))
    assert told == sorted(set(told))
    assert server.status(ticket) == "Normal"
    assert server.played(ticket) == data


class OneWay(io.RawIOBase):
    """A pipe's end: it can be read and nothing else."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, size=-1):
        return self._data.read(min(size, 1000))


@pytest.mark.parametrize("kind", ["seekable", "one way", "empty"])
def test_an_open_file(server, kind):
    data = b"" if kind == "empty" else os.urandom(300_001)
    source = OneWay(data) if kind == "one way" else io.BytesIO(b"skipped" + data)
    if kind != "one way":
        source.seek(7)
    ticket, told = server.create(), []
    receipt = vod.upload(source, ticket, progress=lambda *at: told.append(at), block_size=BLOCK)
    assert receipt.crc64 == crc64(data)
    assert told[-1] == (len(data), None if kind == "one way" else len(data))
    assert server.played(ticket) == data


@pytest.mark.parametrize("kind", ["path", "open file"])
def test_the_answer_to_the_completion_is_lost(server, oss_emulator, clip, kind):
    """A ticket may not read the object, but it proves that it is complete."""
    ticket = server.create()
    oss_emulator.fault("drop", operation="CompleteMultipartUpload", when="after")
    with clip.open("rb") as file:
        receipt = vod.upload(clip if kind == "path" else file, ticket, block_size=BLOCK)
    assert (receipt.crc64, receipt.etag) == (crc64(clip.read_bytes()), "")
    assert oss_emulator.counters()["requests"]["CompleteMultipartUpload"] == 2
    assert server.played(ticket) == clip.read_bytes()


@pytest.mark.parametrize("kind", ["path", "open file"])
def test_a_source_that_is_replaced_proves_nothing(server, oss_emulator, clip, kind):
    """The medium has a file already: whose it is after a lost answer only who may read can tell."""
    ticket = server.create()
    vod.upload(clip, ticket, block_size=BLOCK)
    oss_emulator.fault("drop", operation="CompleteMultipartUpload", when="after")
    with clip.open("rb") as file, pytest.raises(errors.StreamBroken, match="oss:GetObject"):
        source = clip if kind == "path" else file
        vod.upload(source, server.refresh(ticket.media_id), block_size=BLOCK, retry=QUICK)


def after(done_at, act):
    """A progress callback that acts once, when so many bytes are stored."""
    acted = []

    def progress(done, _total):
        if not acted and done >= done_at:
            acted.append(done)
            act()

    return progress


def test_the_ticket_ends_in_mid_file_and_the_same_bytes_go_on(server, oss_emulator, clip):
    ticket = server.create()
    oss_emulator.reset_counters()
    receipt = vod.upload(
        clip,
        ticket,
        refresh=server.refresh,
        progress=after(3 * BLOCK, lambda: end_tokens(oss_emulator)),
        block_size=BLOCK,
    )
    assert server.refreshed == [ticket.media_id]
    assert receipt.crc64 == crc64(clip.read_bytes())
    counted = oss_emulator.counters()["requests"]
    assert counted["InitiateMultipartUpload"] == 1  # the same upload went on
    refused = oss_emulator.counters()["statuses"]["403"]
    assert counted["UploadPart"] + counted["CompleteMultipartUpload"] == 10 + 1 + refused
    assert server.played(ticket) == clip.read_bytes()


class DeviceClock(Clock):
    """The machine's clock, which a test moves on."""

    __slots__ = ("ahead",)

    def __init__(self):
        self.ahead = 0.0

    def now(self):
        return super().now() + self.ahead

    def monotonic(self):
        return super().monotonic() + self.ahead


def test_a_ticket_is_refreshed_before_it_ends(server, oss_emulator, clip):
    """At 80 % of its life at the latest; OSS never sees the old one refused."""
    ticket, clock = server.create(), DeviceClock()
    oss_emulator.reset_counters()

    def later():
        clock.ahead += 0.81 * 3600

    vod.upload(
        clip,
        ticket,
        refresh=server.refresh,
        progress=after(3 * BLOCK, later),
        block_size=BLOCK,
        clock=clock,
    )
    assert server.refreshed == [ticket.media_id]
    assert "403" not in oss_emulator.counters()["statuses"]
    assert server.played(ticket) == clip.read_bytes()


def test_a_ticket_that_ended_before_the_upload(server, oss_emulator, clip):
    oss_emulator.set_clock(-3700)
    ticket = server.create()
    oss_emulator.set_clock(0)
    oss_emulator.reset_counters()
    with pytest.raises(ValueError, match=r"^ticket: it ended \d+ s ago, and there is no refresh"):
        vod.upload(clip, ticket)
    assert oss_emulator.counters()["connections"] == 0
    vod.upload(clip, ticket, refresh=server.refresh)
    assert server.refreshed == [ticket.media_id]
    assert server.played(ticket) == clip.read_bytes()


def test_without_a_refresh_the_upload_ends_with_the_ticket(server, oss_emulator, clip):
    ticket = server.create()
    with pytest.raises(errors.StreamBroken) as caught:
        vod.upload(
            clip,
            ticket,
            progress=after(3 * BLOCK, lambda: end_tokens(oss_emulator)),
            block_size=BLOCK,
            retry=QUICK,
        )
    assert isinstance(caught.value.__cause__, PermissionError)
    assert server.status(ticket) == "Uploading"
    assert server.stored(ticket) is None


def innermost(error):
    while error.__cause__ is not None:
        error = error.__cause__
    return error


WRONG = {
    "media_id": lambda server, ticket, other: server.refresh(other.media_id),
    "key": lambda server, ticket, other: server.remade(ticket, key=other.key),
    "bucket": lambda server, ticket, other: server.remade(ticket, bucket="cams"),
    "endpoint": lambda server, ticket, other: server.remade(ticket, endpoint="http://127.0.0.1:1"),
    "not an UploadTicket": lambda server, ticket, other: "STS.canary",
    "NoneType": lambda server, ticket, other: None,
    "that is to be replaced": lambda server, ticket, other: ticket,
}


@pytest.mark.parametrize("named", WRONG)
def test_a_refresh_with_the_wrong_ticket(server, oss_emulator, clip, named):
    """Refused, with one error; not a byte goes anywhere else."""
    ticket, other = server.create(), server.create("other")
    with pytest.raises(errors.StreamBroken) as caught:
        vod.upload(
            clip,
            ticket,
            refresh=lambda _media_id: WRONG[named](server, ticket, other),
            progress=after(3 * BLOCK, lambda: end_tokens(oss_emulator)),
            block_size=BLOCK,
            retry=Retry(base_s=0.01, cap_s=0.02, give_up_after_s=0.1),
        )
    error = innermost(caught.value)
    assert isinstance(error, errors.CredentialsError)
    assert str(error).startswith("refresh: returned ")
    assert named in str(error)
    assert "canary" not in str(error)
    for one in (ticket, other):
        assert server.stored(one) is None
        assert server.status(one) == "Uploading"
    store = oss_emulator.cloud.store
    assert store.bucket_sums("cams") == (0, 0, 0)
    assert {u.key for u in store.uploads_from(ticket.bucket, b"", "", None, 9)} == {ticket.key}


def test_a_refresh_that_raises_lets_the_upload_wait(server, oss_emulator, clip):
    ticket, raised = server.create(), []

    def refresh(media_id):
        if len(raised) < 3:
            raised.append(media_id)
            raise ConnectionError("the app server is away")
        return server.refresh(media_id)

    vod.upload(
        clip,
        ticket,
        refresh=refresh,
        progress=after(3 * BLOCK, lambda: end_tokens(oss_emulator)),
        block_size=BLOCK,
        retry=QUICK,
    )
    assert len(raised) == 3
    assert server.refreshed == [ticket.media_id]
    assert server.played(ticket) == clip.read_bytes()


def test_a_refresh_that_always_raises_ends_it_with_its_error(server, oss_emulator, clip):
    def refresh(_media_id):
        raise ConnectionError("the app server is away")

    with pytest.raises(errors.StreamBroken) as caught:
        vod.upload(
            clip,
            server.create(),
            refresh=refresh,
            progress=after(3 * BLOCK, lambda: end_tokens(oss_emulator)),
            block_size=BLOCK,
            retry=Retry(base_s=0.01, cap_s=0.02, give_up_after_s=0.1),
        )
    assert str(innermost(caught.value)) == "the app server is away"


def test_a_refresh_that_blocks_lets_the_upload_wait(server, oss_emulator, clip):
    ticket, asked, go_on = server.create(), threading.Event(), threading.Event()

    def refresh(media_id):
        asked.set()
        assert go_on.wait(60)
        return server.refresh(media_id)

    def release():
        assert asked.wait(60)
        oss_emulator.reset_counters()
        go_on.set()

    helper = threading.Thread(target=release)
    helper.start()
    vod.upload(
        clip,
        ticket,
        refresh=refresh,
        progress=after(3 * BLOCK, lambda: end_tokens(oss_emulator)),
        block_size=BLOCK,
    )
    helper.join()
    assert server.refreshed == [ticket.media_id]
    assert server.played(ticket) == clip.read_bytes()


def test_a_file_that_changes_is_not_stored(server, clip):
    ticket = server.create()
    grow = lambda: clip.write_bytes(clip.read_bytes() + b"x")  # noqa: E731
    with pytest.raises(errors.OssMediaError, match="changed"):
        vod.upload(clip, ticket, progress=after(BLOCK, grow), block_size=BLOCK, blocks=2)
    assert server.stored(ticket) is None
    assert server.emulator.cloud.store.bucket_sums(ticket.bucket) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"path_or_file": 5}, "path_or_file: must be a path or a binary file, not int"),
        ({"path_or_file": io.StringIO("x")}, "path_or_file: must be a path or a binary file"),
        ({"ticket": {}}, "ticket: must be an UploadTicket, not dict"),
        ({"refresh": "x"}, "refresh: must be a callable, not str"),
        ({"region": "cn-x"}, "region: the ticket says it"),
        ({"credentials": None}, "credentials: the ticket says it"),
        ({"spool": None}, "spool: not for VOD"),
        ({"parallel": 0}, "parallel: must be 1-64, not 0"),
    ],
)
def test_wrong_arguments(server, oss_emulator, clip, changes, text):
    given = {"path_or_file": clip, "ticket": server.create(), **changes}
    oss_emulator.reset_counters()
    with pytest.raises((TypeError, ValueError)) as caught:
        vod.upload(given.pop("path_or_file"), given.pop("ticket"), **given)
    assert str(caught.value).startswith(text)
    assert oss_emulator.counters()["connections"] == 0
