"""Faults on order: each does to the client what it says, and to the stored data what it says."""

from __future__ import annotations

import http.client
import time
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import pytest

from ossmedia.emulator import mishaps
from ossmedia.emulator.faults import ACTIONS, Rule
from ossmedia.emulator.serve import Emulator


@pytest.fixture
def stored(emulator, client):
    """Whether ``k`` is there, without going through a fault."""
    return lambda key="k": emulator.cloud.store.object("cams", key) is not None


def test_a_status_without_effect(emulator, client, stored):
    rule = emulator.fault(
        "status", operation="PutObject", status=503, code="ServiceUnavailable",
        headers={"Retry-After": "7"},
    )  # fmt: skip
    reply = client.put("k", b"x" * 300_000)
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert reply.headers["Retry-After"] == "7"
    assert not stored()
    assert client.put("k", b"x").status == 200
    assert rule.fired == 1


def test_a_status_with_effect(emulator, client, stored):
    emulator.fault("status", operation="PutObject", status=500, when="after")
    reply = client.put("k", b"x")
    assert (reply.status, reply.code) == (500, "InternalError")
    assert stored()


def test_the_nth_match_of_a_key_pattern(emulator, client):
    emulator.fault("status", match={"operation": "Put*", "key": "cam/*"}, nth=2, times=2)
    codes = [client.put(key, b"x").status for key in ("cam/1", "x", "cam/2", "cam/3", "cam/4")]
    assert codes == [200, 200, 500, 500, 200]


def test_methods_and_endless_rules(emulator, client):
    client.put("k", b"x")
    emulator.fault("status", method="HEAD", times=0, status=503)
    assert [client.head("k").status for _ in range(4)] == [503] * 4
    assert client.get("k").status == 200
    emulator.clear_faults()
    assert client.head("k").status == 200


def test_the_first_of_two_rules_wins_and_both_count(emulator, client):
    emulator.fault("status", status=503)
    emulator.fault("status", status=502)
    assert [client.put("k").status for _ in range(3)] == [503, 502, 200]


@pytest.mark.parametrize("when", ["before", "after"])
def test_garbage(emulator, client, stored, when):
    emulator.fault("garbage", status=200, when=when)
    reply = client.put("k", b"x")
    assert reply.status == 200
    assert b"<html>" in reply.body
    assert reply.headers["ETag"] is None
    assert stored() == (when == "after")


@pytest.mark.parametrize("action", ["drop", "reset"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_answer(emulator, client, stored, action, when):
    emulator.fault(action, when=when)
    expected = (
        http.client.RemoteDisconnected if action == "drop" else (ConnectionResetError, OSError)
    )
    with pytest.raises(expected) as caught:
        client.put("k", b"x" * 1000)
    if action == "reset":
        assert isinstance(caught.value, ConnectionResetError)
        assert not isinstance(caught.value, http.client.RemoteDisconnected)
    assert stored() == (when == "after")
    client.connection.close()
    assert client.put("k2", b"x").status == 200


def test_a_lost_answer_of_an_append(emulator, client):
    client.append("log", 0, b"abc")
    emulator.fault("drop", operation="AppendObject", when="after")
    with pytest.raises(http.client.RemoteDisconnected):
        client.append("log", 3, b"def")
    client.connection.close()
    assert client.append("log", 3, b"def").headers["x-oss-next-append-position"] == "6"
    assert client.get("log").body == b"abcdef"


def test_a_reset_in_the_middle_of_a_body(emulator, client, stored):
    emulator.fault("reset", operation="PutObject", body_bytes=1_000_000)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.put("k", b"x" * 20_000_000)
    assert not stored()
    assert list(emulator.cloud.store.blobs.names()) == []


def test_an_early_answer_while_the_body_is_being_sent(emulator, client, stored):
    emulator.fault("early", status=403, code="AccessDenied", body_bytes=100_000)
    with client.raw("PUT", "k", 10_000_000, b"x" * 200_000) as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
        # The connection lingers: what the client still sends is taken and thrown away.
        connection.sendall(b"x" * 1000)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"<Code>AccessDenied</Code>" in answer
    assert b"connection: close" in answer
    assert not stored()


def test_rubbish_behind_a_request_that_is_still_worked_on(emulator, client, stored, caplog):
    """It is refused; the request's own answer comes too late, and disturbs nobody."""
    emulator.fault("stall", when="before", seconds=0.05)
    with client.raw("PUT", "k", 1, b"x\r\n\0 rubbish\r\n\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
        deadline = time.monotonic() + 10
        while not emulator.counters()["statuses"].get("200"):
            assert time.monotonic() < deadline
    assert stored()
    assert client.get("k").body == b"x"
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_an_early_answer_at_once(emulator, client):
    emulator.fault("early", status=413, code="EntityTooLarge")
    with client.raw("PUT", "k", 10_000_000, b"") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_stall_after_storing(emulator, client, stored):
    emulator.fault("stall", operation="PutObject", when="after", seconds=30)
    with client.raw("PUT", "k", 1, b"x") as connection:
        deadline = time.monotonic() + 10
        while not stored():
            assert time.monotonic() < deadline
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_a_stalled_request_does_not_keep_the_cloud_from_stopping(client_of):
    with Emulator(buckets=["cams"]) as cloud:
        cloud.fault("stall", seconds=3600)
        client = client_of(cloud)
        connection = client.raw("PUT", "k", 1, b"x")
        deadline = time.monotonic() + 10
        while not cloud.counters()["requests"]:
            assert time.monotonic() < deadline
    assert connection.recv(100) == b""
    connection.close()


def test_a_cut_answer(emulator, client):
    client.put("k", b"0123456789" * 100_000)
    emulator.fault("cut", operation="GetObject", answer_bytes=300_001)
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.get("k")
    assert len(caught.value.partial) == 300_001


def test_a_dripping_answer(emulator, client, monkeypatch):
    pauses = []

    async def pause(seconds):
        pauses.append(seconds)

    client.put("k", b"0123456789")
    emulator.fault("drip", operation="GetObject", answer_bytes=3, seconds=77.0)
    with monkeypatch.context() as patch:
        patch.setattr(mishaps, "asyncio", SimpleNamespace(sleep=pause))
        assert client.get("k").body == b"0123456789"
    assert pauses.count(77.0) >= 3


def test_wrong_and_missing_checksums(emulator, client, stored):
    true = client.put("k", b"x").headers
    emulator.fault("wrong_crc")
    emulator.fault("wrong_etag", after=1)
    emulator.fault("drop_crc", after=2)
    wrong = client.put("k", b"x").headers
    assert wrong["x-oss-hash-crc64ecma"] != true["x-oss-hash-crc64ecma"]
    assert wrong["x-oss-hash-crc64ecma"].isdecimal()
    assert client.put("k", b"x").headers["ETag"] != true["ETag"]
    assert client.put("k", b"x").headers["x-oss-hash-crc64ecma"] is None
    assert client.put("k", b"x").headers["ETag"] == true["ETag"]


def test_clock_faults(emulator, client, stored):
    emulator.fault("skew", seconds=-5000)
    reply = client.put("k", b"x")
    assert (reply.status, reply.code) == (403, "RequestTimeTooSkewed")
    assert _date_offset(reply) == pytest.approx(-5000, abs=5)
    assert not stored()
    emulator.fault("date", seconds=9000)
    reply = client.put("k", b"x")
    assert reply.status == 200
    assert _date_offset(reply) == pytest.approx(9000, abs=5)


def _date_offset(reply):
    return parsedate_to_datetime(reply.headers["Date"]).timestamp() - time.time()


def test_the_token_expires_at_the_second_part(emulator, client):
    upload = client.initiate("m")
    emulator.fault("expire", operation="UploadPart", nth=2)
    assert client.part("m", upload, 1, b"x").status == 200
    reply = client.part("m", upload, 2, b"x")
    assert (reply.status, reply.code) == (403, "SecurityTokenExpired")
    assert client.part("m", upload, 2, b"x").status == 200


def test_the_connection_closes_after_an_answer(emulator, client):
    emulator.fault("close")
    assert client.put("k", b"x").headers["Connection"] == "close"
    assert client.connection.sock is None
    assert client.put("k", b"x").headers["Connection"] == "keep-alive"


def test_a_faulty_head(emulator, client):
    client.put("k", b"x")
    emulator.fault("status", operation="HeadObject", status=500)
    assert client.head("k").status == 500
    assert client.head("k").status == 200


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "action is missing"),
        ({"action": "explode"}, "action must be one of"),
        ({"action": "drop", "colour": "red"}, "unknown field 'colour'"),
        ({"action": "drop", "nth": 0}, "nth must be"),
        ({"action": "drop", "nth": 1, "after": 1}, "nth must be"),
        ({"action": "drop", "times": -1}, "times must be"),
        ({"action": "drop", "times": True}, "times must be"),
        ({"action": "drop", "when": "during"}, "when must be"),
        ({"action": "status", "status": 99}, "status must be"),
        ({"action": "status", "status": 600}, "status must be"),
        ({"action": "stall", "seconds": -1}, "seconds must not be negative"),
        ({"action": "stall", "seconds": "1"}, "seconds must be a number"),
        ({"action": "drop", "key": 5}, "key must be text"),
        ({"action": "drop", "match": "x"}, "match must be"),
        ({"action": "status", "headers": {"a": 1}}, "headers must map"),
    ],
)
def test_a_rule_that_cannot_be(values, named):
    with pytest.raises(ValueError, match=named):
        Rule.from_json(values)


def test_every_action_is_described_and_accepted():
    for action, text in ACTIONS.items():
        assert text
        assert Rule.from_json({"action": action}).action == action


def test_expect_100_continue_is_answered_with_the_refusal_instead(emulator, client):
    client.append("log", 0, b"abc")
    query = "append&position=9"
    with client.raw(
        "POST", f"log?{query}", 1000, b"", "Expect: 100-continue", key="log", query=query
    ) as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 409 ")
    with client.raw("PUT", "k", 3, b"", "Expect: 100-continue") as connection:
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert client.get("k").body == b"abc"
