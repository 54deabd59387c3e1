"""VOD through the spool: a clip is recorded under its ticket in an outage, and stored there once
there is a network again, by a later process and with a later ticket."""

from __future__ import annotations

import shutil

import pytest

from ossmedia import Bucket, Credentials
from tests.routes.test_ticket import AppServer
from tests.spool_rig import QUICK, check, data_files, lawful, pattern, until

DATA = pattern(350_000)


@pytest.fixture
def server(oss_emulator):
    oss_emulator.reset()
    yield AppServer(oss_emulator)
    oss_emulator.reset()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def bucket_of(ticket, credentials, spool):
    """The place that a ticket names, and nothing else."""
    return Bucket(
        ticket.bucket,
        endpoint=ticket.endpoint,
        region=ticket.region,
        credentials=credentials,
        spool=spool,
        block_size=102_400,
        retry=QUICK,
    )


def refreshed(server, ticket):
    """A provider that asks for the medium's next ticket each time."""
    return lambda: server.refresh(ticket.media_id).credentials


def record(bucket, ticket, data=DATA):
    with bucket.open(ticket.key, "wb") as f:
        for at in range(0, len(data), 20_000):
            f.write(data[at : at + 20_000])


@pytest.mark.parametrize("size", [9_000, 350_000], ids=["one request", "in parts"])
def test_a_clip_that_is_delivered_by_a_later_process_with_a_later_ticket(
    server, folder, tmp_path, size
):
    ticket = server.create()
    server.emulator.fault("drop", times=0)  # nobody answers
    with lawful(folder) as spool, bucket_of(ticket, ticket.credentials, spool) as bucket:
        record(bucket, ticket, DATA[:size])
        until(lambda: check(spool).error)
        shutil.copytree(folder, tmp_path / "next")
    server.emulator.clear_faults()
    assert server.stored(ticket) is None
    secret = ticket.credentials.access_key_secret.encode()
    for path in (tmp_path / "next").rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), "no ticket is kept on disk"
    with lawful(tmp_path / "next") as spool:
        assert spool.buckets() == [ticket.bucket]
        with bucket_of(ticket, refreshed(server, ticket), spool):
            assert spool.drain(30), check(spool)
        assert spool.receipts()[0].receipt.size == size
    assert server.refreshed == [ticket.media_id]
    assert server.played(ticket) == DATA[:size]


def test_a_ticket_that_ends_while_its_clip_is_on_its_way(server, folder):
    ticket = server.create()
    server.emulator.fault("expire", operation="UploadPart", after=1, times=1)
    with lawful(folder) as spool, bucket_of(ticket, refreshed(server, ticket), spool) as bucket:
        record(bucket, ticket)
        assert spool.drain(30), check(spool)
    assert len(server.refreshed) == 2
    assert server.played(ticket) == DATA
    assert data_files(folder) == []


def test_a_ticket_opens_no_other_ones_place(server, folder):
    """Two clips of one VOD bucket: what one ticket may not store waits, whole, for its own."""
    tickets = [server.create(title) for title in ("first", "second")]
    clips = [pattern(200_000, number) for number in range(2)]
    with lawful(folder) as spool:
        for ticket, clip in zip(tickets, clips, strict=True):
            with spool.open(ticket.bucket, ticket.key, "wb", block_size=102_400) as f:
                f.write(clip)
        with bucket_of(tickets[1], tickets[1].credentials, spool):
            assert not spool.drain(30)
            assert server.played(tickets[1]) == clips[1]
        status = check(spool)
        assert (status.waiting, status.parked, status.spooled) == (1, 1, 200_000)
        with bucket_of(tickets[0], refreshed(server, tickets[0]), spool):
            assert spool.drain(30), check(spool)
        assert server.played(tickets[0]) == clips[0]


@pytest.mark.parametrize("size", [0, 9_000, 350_000])
def test_a_clip_recorded_before_there_was_any_ticket(server, folder, size):
    """The camera starts offline: it records under a name of its own, and the finished clip goes to
    the place that its ticket names, even when another process is killed in between."""
    with lawful(folder) as spool, spool.open("clips", "a.mp4", "wb", block_size=102_400) as f:
        f.write(DATA[:size])
    with lawful(folder) as spool:
        ticket = server.create()
        spool.assign("clips", "a.mp4", ticket.bucket, ticket.key)
        assert spool.buckets() == [ticket.bucket]
        shutil.copytree(folder, folder.with_name("killed"))
    with lawful(folder.with_name("killed")) as spool:
        assert spool.buckets() == [ticket.bucket]
        with bucket_of(ticket, refreshed(server, ticket), spool):
            assert spool.drain(30), check(spool)
        (done,) = spool.receipts()
        assert (done.bucket, done.receipt.key) == (ticket.bucket, ticket.key)
    found = server.stored(ticket)
    assert found.size == size
    assert not size or server.played(ticket) == DATA[:size]


def test_what_cannot_be_assigned(server, folder):
    ticket = server.create()
    with lawful(folder) as spool:
        with spool.open("clips", "live", "ab") as f:
            f.write(DATA)
        g = spool.open("clips", "open", "wb")
        for key in ("none", "live", "open"):
            with pytest.raises(FileNotFoundError, match=f"no object '{key}' of 'clips'"):
                spool.assign("clips", key, ticket.bucket, ticket.key)
        g.close()
        with pytest.raises(ValueError, match=r"^key: "):
            spool.assign("clips", "open", ticket.bucket, "")
        with pytest.raises(ValueError, match=r"^bucket: "):
            spool.assign("clips", "open", "No Bucket", ticket.key)
        spool.assign("clips", "open", ticket.bucket, ticket.key)
        with bucket_of(ticket, ticket.credentials, spool):
            with pytest.raises(ValueError, match="is attached"):
                spool.assign(ticket.bucket, ticket.key, "clips", "back")
        assert check(spool).waiting >= 1


def test_nobody_elses_key_gets_in(server, folder):
    """Credentials that are none of VOD's: refused, kept."""
    ticket = server.create()
    with lawful(folder) as spool:
        wrong = Credentials("STS.none", "none", "none")
        with bucket_of(ticket, wrong, spool) as bucket:
            record(bucket, ticket)
            assert not spool.drain(30)
        assert check(spool).spooled == len(DATA)
    assert server.stored(ticket) is None
