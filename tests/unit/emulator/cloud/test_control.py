"""The control API: JSON in, JSON out, one clear error for bad input."""

from __future__ import annotations

import http.client
import json

import pytest


@pytest.fixture
def ask(emulator):
    def send(method, path, body=None):
        connection = http.client.HTTPConnection(emulator.endpoint.partition("://")[2])
        text = None if body is None else json.dumps(body)
        connection.request(method, f"/-/control/{path}", text)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return answer.status, content

    return send


def test_counters(client, ask):
    client.put("k", b"12345")
    client.get("k")
    client.get("none")
    status, counted = ask("GET", "counters")
    assert status == 200
    assert counted["requests"] == {"PutObject": 1, "GetObject": 2}
    assert counted["statuses"] == {"200": 2, "404": 1}
    assert counted["bytes_received"] == 5
    assert counted["connections"] == 1
    ask("POST", "counters/reset")
    assert ask("GET", "counters")[1]["requests"] == {}


def test_faults(client, ask):
    status, made = ask("POST", "faults", [{"action": "status", "status": 503}, {"action": "close"}])
    assert (status, len(made["ids"])) == (200, 2)
    assert client.put("k").status == 503
    rules = ask("GET", "faults")[1]["rules"]
    assert [rule["fired"] for rule in rules] == [1, 0]
    assert ask("DELETE", "faults")[1]["rules"] == []
    assert client.put("k").headers["Connection"] == "keep-alive"


def test_clock_limits_addressing(client, ask):
    assert ask("POST", "clock", {"offset_s": 3600})[1]["offset_s"] == 3600
    assert client.get("k").code == "RequestTimeTooSkewed"
    ask("POST", "reset")
    assert ask("GET", "clock")[1]["offset_s"] == 0
    assert ask("POST", "limits", {"max_object_size": 3})[1]["max_object_size"] == 3
    assert client.put("k", b"1234").status == 400
    assert ask("POST", "addressing", {"forbid_second_level": True})[0] == 200
    assert client.get("k").code == "SecondLevelDomainForbidden"


def test_reset_empties_the_cloud(client, ask, emulator):
    client.put("k", b"x")
    client.part("m", client.initiate("m"), 1, b"x")
    client.send("PUT", bucket="third")
    assert ask("POST", "reset") == (200, {})
    assert client.send("GET", None, bucket=None).texts("Buckets/Bucket/Name") == ["cams", "clips"]
    assert client.send("GET").texts("Contents/Key") == []
    assert list(emulator.cloud.store.blobs.names()) == []


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("faults", {"action": "explode"}, "action must be one of"),
        ("faults", ["x"], "JSON object"),
        ("clock", {"offset_s": "x"}, "offset_s"),
        ("clock", {}, "offset_s"),
        ("limits", {"max_object_size": 10**12}, "max_object_size"),
        ("limits", {"colour": 1}, "colour"),
        ("limits", {"max_parts": -1}, "max_parts"),
        ("addressing", {"x": 1}, "x"),
        ("addressing", {"cnames": {"a": 1}}, "cnames"),
        ("addressing", {"forbid_second_level": 1}, "forbid_second_level"),
    ],
)
def test_bad_input(ask, path, body, named):
    status, content = ask("POST", path, body)
    assert status == 400
    assert named in content["error"]


def test_broken_json(emulator):
    connection = http.client.HTTPConnection(emulator.endpoint.partition("://")[2])
    connection.request("POST", "/-/control/clock", "{")
    assert connection.getresponse().status == 400
    connection.close()
