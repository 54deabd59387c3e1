"""The credentials route under attack: replay, tampering, other identities, clocks, secrets."""

from __future__ import annotations

import logging
import socket
import struct
import threading
from typing import Any

import pytest

from ossmedia.device_auth import DeviceKey, verify_answer
from ossmedia.server.authentication import Attempt, Challenger
from tests.unit.server.rig import Camera, Time, World, send


def test_a_signed_request_gets_a_token_for_its_own_prefix(world: World, camera: Camera) -> None:
    answer = camera.ask()
    assert answer.status == 200
    told = answer.json
    assert told["device"] == "cam-1"
    assert told["key_prefix"] == "cams/cam-1/"
    assert told["bucket"] == "cams"
    assert world.mint.asked[0][0] == "cam-1"
    assert world.mint.asked[0][1].prefix == "cams/cam-1"
    assert answer.headers["cache-control"] == "no-store"


def test_ten_thousand_replays(world: World) -> None:
    """Across a restart and with two processes' worth of servers on one database: none accepted."""
    first, second = world.start().parts, world.start()
    cameras = [world.camera(second.url, f"cam-{number}") for number in range(50)]
    used = []
    for camera in cameras:
        for _ in range(10):
            claim = camera.claim()
            used.append(Attempt(claim, "POST", "/v1/credentials", camera.url[7:], b"{}"))
    judges = [first.admission._work, second.parts.admission._work]
    accepted = [v.code for judge in (judges[0],) for v in _judged(judge, used)]
    assert accepted == [""] * 500
    world.stop(second)
    judges[1] = world.start().parts.admission._work  # the same folder, started again
    codes: list[str] = []

    def replay(judge: Any) -> None:
        for _ in range(10):
            codes.extend(v.code for v in _judged(judge, used))

    threads = [threading.Thread(target=replay, args=(judge,)) for judge in judges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["replayed"] * 10_000


def _judged(judge: Any, attempts: list[Attempt]) -> list[Any]:
    """In calls of the size that the server makes."""
    verdicts = []
    for start in range(0, len(attempts), 250):
        verdicts.extend(judge(attempts[start : start + 250]))
    return verdicts


def test_one_nonce_at_once_is_accepted_once(world: World) -> None:
    """Eight threads, two servers, the same requests at the same moment."""
    parts = [world.start().parts, world.start().parts]
    camera = world.camera("http://server", "cam-1")
    claims = [camera.claim() for _ in range(100)]
    attempts = [Attempt(claim, "POST", "/v1/credentials", "server", b"{}") for claim in claims]
    codes: list[str] = []
    gate = threading.Barrier(8)

    def judge(judge: Any) -> None:
        gate.wait()
        for attempt in attempts:
            codes.extend(v.code for v in judge([attempt, attempt]))

    threads = [
        threading.Thread(target=judge, args=(parts[number % 2].admission._work,))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count("") == 100
    assert codes.count("replayed") == 1500


@pytest.mark.parametrize("later", [1, 299, 301, 599, 601, 1200, 86_400])
def test_a_replay_is_refused_at_any_time(world: World, camera: Camera, later: int) -> None:
    """Also when the nonces that are over have been forgotten, and by a server started anew."""
    header = camera.claim().header()
    assert camera.send(header).status == 200
    world.time.seconds += later
    for _ in range(2):
        answer = camera.send(header)
        assert answer.status == 401
        assert answer.code == ("replayed" if later <= 300 else "clock-skew")
    camera.ask(time=str(int(world.time.seconds)))  # makes the store forget what is over
    again = Camera(world.start().url, "cam-1", camera.key.text(), world.time)
    assert (
        send(again.url, "POST", "/v1/credentials", b"{}", {"Authorization": header}).status == 401
    )


def test_servers_whose_clocks_differ_forget_late_enough(world: World) -> None:
    """A server 5 minutes ahead forgets; one behind must still refuse."""
    behind, ahead = world.parts(), world.parts()
    camera = world.camera("http://server")
    attempt = Attempt(camera.claim(), "POST", "/v1/credentials", "server", b"{}")
    assert behind.admission._work([attempt])[0].code == ""
    world.time.seconds += 299  # the request is still inside the window here
    fast = Time()
    fast.seconds = world.time.seconds + 299
    ahead.admission._work.__self__._clock = fast
    other = world.camera("http://server", "cam-2")
    other.time = fast
    waker = Attempt(other.claim(), "POST", "/v1/credentials", "server", b"{}")
    assert ahead.admission._work([waker])[0].code == ""
    assert behind.admission._work([attempt])[0].code == "replayed"
    behind.close()
    ahead.close()


def test_other_identities(world: World, camera: Camera) -> None:
    """200 pairs of a device that signs and a device that it names, in header, body or prefix."""
    cameras = [camera] + [world.camera(camera.url, f"dev-{n}") for n in range(9)]
    others = [*(c.id for c in cameras), "cam-10", "cam", "CAM-1", "nobody"]
    pairs = 0
    for one in cameras:
        for other in others:
            if other == one.id:
                continue
            header = one.claim(device=other).header()
            assert one.send(header).status == 401
            told = one.ask(b'{"device": "%s"}' % other.encode())
            assert (told.status, told.code) == (403, "wrong-device")
            told = one.ask(b'{"prefix": "cams/%s"}' % other.encode())
            assert (told.status, told.code) == (403, "prefix-outside")
            pairs += 3
    assert pairs >= 200
    assert world.mint.asked == []


def test_unknown_device_and_wrong_mac_get_the_same_answer(camera: Camera) -> None:
    wrong = DeviceKey(camera.key.id, bytes(32)).text()
    bad = Camera(camera.url, camera.id, wrong, camera.time)
    nobody = Camera(camera.url, "nobody", wrong, camera.time)
    other_key = Camera(camera.url, camera.id, DeviceKey.new().text(), camera.time)
    answers = [who.ask() for who in (bad, nobody, other_key)]
    answers += [who.ask(time="17") for who in (bad, nobody, other_key)]  # no challenge for them
    answers.append(send(camera.url, "POST", "/v1/credentials", b"{}"))
    for answer in answers:
        assert answer.status == 401
        assert answer.body == answers[0].body
        changing = {"date", "ossmedia-request-id"}
        heads = {name: value for name, value in answer.headers.items() if name not in changing}
        assert heads == {n: v for n, v in answers[0].headers.items() if n not in changing}


def test_unknown_device_and_wrong_mac_do_the_same_work(
    world: World, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same calls in the same number: of the database, of AES, of HMAC, of the comparison."""
    import hmac as real

    parts = world.parts()
    calls: list[str] = []
    compare, digest = real.compare_digest, real.digest
    monkeypatch.setattr(
        "ossmedia.device_auth.hmac.compare_digest",
        lambda a, b: calls.append("compare") or compare(a, b),
    )
    monkeypatch.setattr(
        "ossmedia.device_auth.hmac.digest",
        lambda *a: calls.append("digest") or digest(*a),
    )
    opened = type(parts.vault).open
    monkeypatch.setattr(
        type(parts.vault),
        "open",
        lambda self, *a: calls.append("open") or opened(self, *a),
    )
    wrong = DeviceKey(camera.key.id, bytes(32)).text()
    seen = []
    for device_id in (camera.id, "nobody"):
        bad = Camera("http://s", device_id, wrong, camera.time)
        attempt = Attempt(bad.claim(), "POST", "/v1/credentials", "s", b"{}")
        calls.clear()
        assert parts.admission._work([attempt])[0].code == "unauthorized"
        seen.append(list(calls))
    assert seen[0] == seen[1]
    assert seen[0].count("compare") == 1
    parts.close()


class TestClock:
    """Cameras whose clock is wrong."""

    def test_a_challenge_takes_the_place_of_time(self, camera: Camera) -> None:
        told = camera.ask(time="3600")
        assert (told.status, told.code) == (401, "clock-skew")
        assert told.json["server_time"] == int(camera.time.seconds)
        claim = camera.claim(time="", challenge=told.json["challenge"])
        answer = camera.send(claim.header())
        assert answer.status == 200
        signature = answer.headers["ossmedia-answer"]
        time = verify_answer(camera.key.secret, claim, 200, signature, answer.body)
        assert time == int(camera.time.seconds)

    def test_it_is_good_once(self, camera: Camera) -> None:
        challenge = camera.ask(time="3600").json["challenge"]
        assert camera.ask(time="", challenge=challenge).status == 200
        again = camera.ask(time="", challenge=challenge)
        assert (again.status, again.code) == (401, "replayed")

    def test_it_is_good_once_in_two_servers(self, world: World, camera: Camera) -> None:
        challenge = camera.ask(time="3600").json["challenge"]
        other = Camera(world.start().url, camera.id, camera.key.text(), camera.time)
        assert other.ask(time="", challenge=challenge).status == 200
        assert camera.ask(time="", challenge=challenge).code == "replayed"

    @pytest.mark.parametrize(("age", "status"), [(59, 200), (60, 401), (61, 401), (86_400, 401)])
    def test_it_ends_after_a_minute(self, camera: Camera, age: int, status: int) -> None:
        challenge = camera.ask(time="3600").json["challenge"]
        camera.time.seconds += age
        assert camera.ask(time="", challenge=challenge).status == status

    def test_it_is_of_one_device_and_key(self, world: World, camera: Camera) -> None:
        challenge = camera.ask(time="3600").json["challenge"]
        other = world.camera(camera.url, "cam-2")
        assert other.ask(time="", challenge=challenge).code == "challenge-invalid"
        new = world.registry().rotate_key(camera.id)
        rotated = Camera(camera.url, camera.id, new, camera.time)
        assert rotated.ask(time="", challenge=challenge).code == "challenge-invalid"

    def test_none_can_be_made_up(self, world: World, camera: Camera) -> None:
        for made_up in ("A" * 64, "-" * 64, "_" * 64):
            assert camera.ask(time="", challenge=made_up).code == "challenge-invalid"
        parts = world.parts()
        now = camera.time.seconds
        good = Challenger(parts.vault).make(camera.claim(), now)
        for place in range(0, 64, 3):
            bent = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
            assert camera.ask(time="", challenge=bent).code == "challenge-invalid"
        parts.close()

    @pytest.mark.parametrize(
        ("off", "code"), [(-300, ""), (300, ""), (-301, "clock-skew"), (301, "clock-skew")]
    )
    def test_the_window(self, camera: Camera, off: int, code: str) -> None:
        answer = camera.ask(time=str(int(camera.time.seconds) + off))
        assert answer.code == code


def test_a_disabled_device_is_refused_at_once(world: World, camera: Camera) -> None:
    assert camera.ask().status == 200
    world.registry().disable(camera.id)
    for _ in range(3):  # also while a token of its lies in the cache
        answer = camera.ask()
        assert (answer.status, answer.code) == (403, "device-disabled")
    world.registry().enable(camera.id)
    assert camera.ask().status == 200
    assert len(world.mint.asked) == 2  # not the token of before


def test_a_device_disabled_while_sts_is_asked_gets_nothing(world: World, camera: Camera) -> None:
    """A thousand would be the same: the disabling falls between authentication and the answer."""
    world.mint.during = lambda: world.registry().disable(camera.id) and None
    answer = camera.ask()
    assert answer.status == 503
    assert b"canary" not in answer.body
    world.mint.during = lambda: None
    assert camera.ask().code == "device-disabled"
    assert len(world.mint.asked) == 1


def test_one_device_cannot_fill_the_store(world: World) -> None:
    world.tables["devices"] = {"requests_per_15_min": 10}
    camera = world.camera(world.start().url)
    good = world.camera(camera.url, "cam-2")
    statuses = [camera.ask().status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert camera.ask().headers["retry-after"] == "60"
    assert good.ask().status == 200
    camera.time.seconds += 901
    good.ask()  # makes the store forget
    assert camera.ask().status == 200


def test_what_is_over_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, however much came at once, and nothing that is still needed."""
    from sqlalchemy import func, select

    from ossmedia.server.schema import nonces

    monkeypatch.setattr("ossmedia.server.nonces._PURGE_ROWS", 7)
    parts = world.parts()
    camera = world.camera("http://s")

    def ask() -> int:
        attempt = Attempt(camera.claim(), "POST", "/v1/credentials", "s", b"{}")
        assert parts.admission._work([attempt])[0].code == ""
        with parts.database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(nonces)).scalar() or 0)

    assert [ask() for _ in range(20)] == list(range(1, 21))
    world.time.seconds += 601
    assert [ask() for _ in range(5)] == [14, 8, 3, 4, 5]
    parts.close()


def test_secrets_stay_inside(
    world: World,
    camera: Camera,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Device secret, key text, token, secret: not in logs, reprs, problems or the database file."""
    caplog.set_level(logging.DEBUG)
    running = world._open[0]
    bodies = [camera.ask(time="5").body, camera.send("x").body]
    told = camera.ask()
    assert told.status == 200
    world.mint.error = RuntimeError("secret-canary in an exception's text")
    world.registry().rotate_key(camera.id)
    failed = camera.ask()
    assert (failed.status, failed.code) == (500, "internal")
    bodies.append(failed.body)
    parts = running.parts
    seen = "".join(record.getMessage() for record in caplog.records)
    seen += "".join(str(part) for part in vars(parts).items())
    seen += "".join(map(repr, (parts.settings, parts.vault, parts.database, camera.key)))
    seen += repr(list(parts.registry.all())) + repr(parts.tokens._held)
    seen += b"".join(bodies).decode() + parts.metrics.text().decode()
    seen += "".join(capfd.readouterr())
    files = b"".join(f.read_bytes() for f in world.folder.iterdir() if f.suffix != ".key")
    needles = [camera.key.text(), camera.key.text()[14:], camera.key.secret.hex()]
    needles += [
        "secret-canary-1",
        "token-canary",
        (world.folder / "server.key").read_text().strip(),
    ]
    for needle in needles:
        assert needle not in seen
        assert needle.encode() not in files
    assert camera.key.secret not in files


def test_two_thousand_slow_connections(world: World, camera: Camera) -> None:
    """They wait with half a head; the good camera is served all the while, each time."""
    world.tables["http"] = {"connections": 2200, "request_timeout_s": 60}
    running = world.start()
    good = Camera(running.url, camera.id, camera.key.text(), camera.time)
    host, port = running.url.removeprefix("http://").split(":")
    slow = []
    try:
        for _ in range(SLOW):
            connection = socket.create_connection((host, int(port)), 20)
            connection.sendall(b"POST /v1/credentials HTTP/1.1\r\nHo")
            slow.append(connection)
        assert [good.ask().status for _ in range(100)] == [200] * 100
    finally:
        for connection in slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()


SLOW = 2000
