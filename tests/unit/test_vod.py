"""vod.py: the queue and its callbacks; vod_transfer.py: the gate and the tickets."""

from __future__ import annotations

import io
import os
import threading

import pytest

from ossmedia import Credentials, UploadTicket, crc64, errors, vod
from ossmedia.gate import Canceled, Gate
from ossmedia.vod import VodUploader
from ossmedia.vod_transfer import Tickets
from tests.unit.emulator.cloud.vod_calls import VodCaller

BLOCK = 102_400
FAR = 4e9


@pytest.fixture
def caller(oss_emulator):
    oss_emulator.reset()
    yield VodCaller(oss_emulator)
    oss_emulator.reset()


class Log:
    """An application: supplies tickets and writes down what it is told."""

    def __init__(self, caller, **options):
        self.caller = caller
        self.told: list[tuple] = []
        self.tickets: dict = {}
        self.on_progress = lambda item, done, total: None
        self.queue = VodUploader(
            on_upload_started=self.started,
            on_upload_token_expired=self.expired,
            on_upload_progress=self.progress,
            on_upload_succeeded=lambda item, receipt: self.told.append(("succeeded", item.info)),
            on_upload_failed=lambda item, error: self.told.append(("failed", item.info)),
            on_upload_canceled=lambda item: self.told.append(("canceled", item.info)),
            **{"block_size": BLOCK, "blocks": 2, "parallel": 1, **options},
        )

    def ticket(self, answer):
        emulator = self.caller.emulator
        return UploadTicket.from_json(
            answer, allowed_hosts=(emulator.endpoint,), clock=emulator.cloud.clock
        )

    def progress(self, item, done, total):
        self.on_progress(item, done, total)

    def started(self, item):
        self.told.append(("started", item.info))
        answer = self.caller.done("CreateUploadVideo", FileName="a.mp4", Title=str(item.info))
        self.tickets[item.info] = self.ticket(answer)
        return self.tickets[item.info]

    def expired(self, item):
        self.told.append(("token_expired", item.info))
        return self.ticket(self.caller.done("RefreshUploadVideo", VideoId=item.media_id))

    def status(self, name):
        answer = self.caller.done("GetVideoInfo", VideoId=self.tickets[name].media_id)
        return answer["Video"]["Status"]

    def uploads(self):
        """Bytes stored nowhere visible: uploads under way in VOD's bucket."""
        store = self.caller.emulator.cloud.store
        return store.uploads_from(store.hidden_bucket, b"", "", None, 10)


@pytest.fixture
def log(caller):
    made = Log(caller)
    yield made
    made.queue.close()


@pytest.fixture
def files(tmp_path):
    made = []
    for number in range(3):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(os.urandom(500_000 + number))
        made.append(path)
    return made


def test_a_queue_in_its_order(log, files):
    items = [log.queue.add_file(path, info=path.name[0]) for path in files]
    assert {item.state for item in items} == {"waiting"}
    with pytest.raises(ValueError, match=r"start\(\) was not called"):
        log.queue.join(0)
    log.queue.start()
    log.queue.start()
    assert log.queue.join(60)
    assert log.told == [(word, name) for name in "012" for word in ("started", "succeeded")]
    for item, path in zip(items, files, strict=True):
        assert (item.state, item.error, item.refreshes) == ("succeeded", None, 0)
        assert item.receipt.crc64 == crc64(path.read_bytes())
        assert item.media_id == log.tickets[item.info].media_id
        assert log.status(item.info) == "Normal"
    late = log.queue.add_file(io.BytesIO(b"late"), info="late")
    assert log.queue.join(60)
    assert (late.state, late.receipt.size) == ("succeeded", 4)


def test_a_token_that_expires_in_mid_file(log, files, caller):
    def expire(item, done, total):
        if done >= 2 * BLOCK and not caller.emulator.cloud.clock.offset_s:
            caller.emulator.set_clock(3602)

    log.on_progress = expire
    item = log.queue.add_file(files[0], info="0")
    log.queue.start()
    assert log.queue.join(60)
    assert log.told == [("started", "0"), ("token_expired", "0"), ("succeeded", "0")]
    assert (item.state, item.refreshes) == ("succeeded", 1)
    assert item.receipt.crc64 == crc64(files[0].read_bytes())


def test_pause_holds_the_bytes_back_and_resume_goes_on(log, files, caller):
    paused = threading.Event()

    def pause(item, done, total):
        if not paused.is_set():
            log.queue.pause()
            paused.set()

    log.on_progress = pause
    item = log.queue.add_file(files[0], info="0")
    waiting = log.queue.add_file(files[1], info="1")
    log.queue.start()
    assert paused.wait(60)
    assert not log.queue.join(0.05)
    assert (item.state, waiting.state) == ("uploading", "waiting")
    assert log.status("0") == "Uploading"
    caller.emulator.set_clock(3602)  # the ticket ends meanwhile
    log.queue.resume()
    assert log.queue.join(60)
    assert [item.state, waiting.state] == ["succeeded"] * 2
    assert item.refreshes == 1


def test_cancel_leaves_nothing(log, files):
    canceled = threading.Event()

    def cancel(item, done, total):
        if item.info == "0":
            log.queue.cancel(item)
            canceled.set()

    log.on_progress = cancel
    first = log.queue.add_file(files[0], info="0")
    second = log.queue.add_file(files[1], info="1")
    third = log.queue.add_file(files[2], info="2")
    log.queue.cancel(third)
    assert log.told == [("canceled", "2")]
    log.queue.start()
    assert log.queue.join(60)
    assert canceled.is_set()
    assert [first.state, second.state, third.state] == ["canceled", "succeeded", "canceled"]
    assert ("canceled", "0") in log.told
    assert log.status("0") == "Uploading"
    assert log.uploads() == []


def test_cancel_while_paused(log, files):
    paused = threading.Event()

    def pause(item, done, total):
        log.queue.pause()
        paused.set()

    log.on_progress = pause
    item = log.queue.add_file(files[0], info="0")
    log.queue.start()
    assert paused.wait(60)
    log.queue.cancel()
    assert log.queue.join(60)
    assert item.state == "canceled"
    assert log.uploads() == []


def test_cancel_while_the_network_is_away(log, files, caller):
    """A write that waits for a free block sees the cancel, too."""
    caller.emulator.fault("status", operation="UploadPart", status=503, times=0)
    failing = threading.Event()
    item = log.queue.add_file(files[0], info="0")
    log.queue.start()
    rules = caller.emulator.cloud.faults
    while not rules.to_json()[0]["fired"]:
        assert not failing.wait(0.01)
    log.queue.cancel(item)
    assert log.queue.join(60)
    assert item.state == "canceled"


def test_one_failure_does_not_stop_the_others(log, files, tmp_path):
    missing = log.queue.add_file(tmp_path / "missing.mp4", info="missing")
    good = log.queue.add_file(files[0], info="0")
    log.queue.start()
    assert log.queue.join(60)
    assert (missing.state, good.state) == ("failed", "succeeded")
    assert isinstance(missing.error, FileNotFoundError)
    assert log.told[:2] == [("started", "missing"), ("failed", "missing")]


def test_each_file_is_bound_to_its_own_ticket(log, files):
    log.queue.add_file(files[0], info="0")
    log.queue.start()
    assert log.queue.join(60)
    before = log.caller.emulator.cloud.store.object(log.tickets["0"].bucket, log.tickets["0"].key)
    log.queue._callbacks["on_upload_started"] = lambda item: log.tickets["0"]
    second = log.queue.add_file(files[1], info="1")
    assert log.queue.join(60)
    assert second.state == "failed"
    assert str(second.error).startswith("on_upload_started: ")
    assert "another file's ticket" in str(second.error)
    after = log.caller.emulator.cloud.store.object(log.tickets["0"].bucket, log.tickets["0"].key)
    assert after == before


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [(None, TypeError), ({"VideoId": "x"}, TypeError), (ConnectionError("away"), ConnectionError)],
)
def test_on_upload_started_that_fails(log, files, outcome, kind):
    def started(item):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    log.queue._callbacks["on_upload_started"] = started
    item = log.queue.add_file(files[0], info="0")
    log.queue.start()
    assert log.queue.join(60)
    assert item.state == "failed"
    assert isinstance(item.error, kind)
    assert log.told == [("failed", "0")]


def test_callbacks_that_raise_are_logged_and_forgotten(caller, files, caplog):
    log = Log(caller)

    def bad(*values):
        raise RuntimeError("canary")

    log.queue._callbacks.update(on_upload_succeeded=bad, on_upload_progress=bad)
    with log.queue as queue:
        item = queue.add_file(files[0], info="0")
        queue.start()
        assert queue.join(60)
    assert item.state == "succeeded"
    assert "on_upload_succeeded raised RuntimeError" in caplog.text
    assert "canary" not in caplog.text


def test_close_cancels_what_is_left(log, files):
    item = log.queue.add_file(files[0], info="0")
    log.queue.close()
    log.queue.close()
    assert item.state == "canceled"
    for action in (log.queue.start, lambda: log.queue.add_file(files[0])):
        with pytest.raises(ValueError, match="the uploader is closed"):
            action()


def test_wrong_arguments():
    with pytest.raises(TypeError, match="on_upload_started: must be a callable, not NoneType"):
        VodUploader(on_upload_started=None)
    with pytest.raises(TypeError, match="on_upload_failed: must be a callable, not str"):
        VodUploader(on_upload_started=print, on_upload_failed="x")
    with pytest.raises(TypeError, match="endpoint: the ticket says it"):
        VodUploader(on_upload_started=print, endpoint="x")
    with pytest.raises(TypeError, match="path_or_file: "):
        VodUploader(on_upload_started=print).add_file(5)


def test_a_ticket_is_not_shown_by_what_holds_it(log, files):
    item = log.queue.add_file(files[0], info="0")
    log.queue.start()
    assert log.queue.join(60)
    for shown in (repr(item), repr(log.queue), repr(log.tickets["0"])):
        assert log.tickets["0"].credentials.access_key_secret not in shown
        assert log.tickets["0"].credentials.security_token not in shown


# -- vod_transfer


def a_ticket(number=1, end=FAR, **changes):
    fields = {
        "media_id": "v1",
        "kind": "video",
        "endpoint": "https://oss-cn-shanghai.aliyuncs.com",
        "bucket": "outin-1",
        "key": "k",
        "region": "cn-shanghai",
        "credentials": Credentials("STS.a", "s", f"t{number}", end),
        **changes,
    }
    return UploadTicket(**fields)


def test_tickets_give_the_first_and_then_what_refresh_brings():
    brought = iter([a_ticket(2), a_ticket(2), a_ticket(3, key="other"), a_ticket(4)])
    asked = []

    def refresh(media_id):
        asked.append(media_id)
        return next(brought)

    tickets = Tickets(a_ticket(), refresh)
    assert [tickets().security_token for _ in range(2)] == ["t1", "t2"]
    with pytest.raises(errors.CredentialsError, match="that is to be replaced") as caught:
        tickets()
    assert caught.value.retryable
    with pytest.raises(errors.CredentialsError, match="another key: 'other', not 'k'") as caught:
        tickets()
    assert not caught.value.retryable
    assert tickets().security_token == "t4"
    assert asked == ["v1"] * 4
    assert tickets.refreshes == 2


def test_a_first_ticket_that_ended_is_not_given():
    tickets = Tickets(a_ticket(1, end=5.0), lambda media_id: a_ticket(2))
    assert tickets().security_token == "t2"
    with pytest.raises(ValueError, match="ticket: it ended"):
        Tickets(a_ticket(1, end=5.0), None)


def test_the_gate():
    gate = Gate()
    gate.pass_through()
    gate.close()
    passed = threading.Event()
    thread = threading.Thread(target=lambda: (gate.pass_through(), passed.set()))
    thread.start()
    assert not passed.wait(0.02)
    gate.open()
    assert passed.wait(20)
    thread.join()
    gate.close()
    gate.cancel()
    with pytest.raises(Canceled):
        gate.pass_through()


def test_the_module_is_loaded_on_first_use_only():
    import subprocess
    import sys

    code = (
        "import sys, ossmedia; from ossmedia import Bucket, Credentials;"
        "assert not {'ossmedia.vod', 'ossmedia.ticket'} & set(sys.modules);"
        "import ossmedia.vod;"
        "assert not {'ssl', 'http.client', 'logging', 'typing', 'dataclasses'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=60)
    assert vod.upload.__doc__
