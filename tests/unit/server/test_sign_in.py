"""sign_in.py, page.py: cookies, where a request may come from, guessing, and what every answer
tells a browser."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from ossmedia.server.passwords import Cost
from ossmedia.server.people import People
from ossmedia.server.sessions import csrf_of
from ossmedia.server.tries import BOTH, WINDOW_S
from tests.unit.server.rig import Answer, World, send

SECRET = "a long password"
JSON = {"Content-Type": "application/json"}
QUICK = Cost(2, 1, 1)


@pytest.fixture
def people(world: World, url: str) -> People:
    made = People(world.registry()._database, world.time, QUICK)
    made.add("anna", SECRET)
    return made


def sign_in(url: str, name: str = "anna", password: str = SECRET, **headers: str) -> Answer:
    body = json.dumps({"name": name, "password": password}).encode()
    more = {key.replace("_", "-"): value for key, value in headers.items()}
    return send(url, "POST", "/v1/session", body, {**JSON, **more})


def cookie_of(answer: Answer) -> str:
    """What a browser sends back."""
    return answer.headers["set-cookie"].split(";")[0]


def test_in_and_out(url: str, people: People) -> None:
    nobody = send(url, "GET", "/v1/session")
    assert (nobody.status, nobody.json) == (200, {"person": None, "csrf": ""})
    told = sign_in(url)
    assert told.status == 200
    assert told.headers["cache-control"] == "no-store"
    name, *attributes = told.headers["set-cookie"].split("; ")
    assert {text.lower() for text in attributes} == {
        *("httponly", "path=/", "samesite=strict", f"max-age={7 * 86_400}"),
    }
    cookie = {"Cookie": cookie_of(told)}
    assert name.startswith("ossmedia=")
    assert told.json["person"] == {"name": "anna", "admin": False}
    assert told.json["csrf"] == csrf_of(name.partition("=")[2])
    assert send(url, "GET", "/v1/session", headers=cookie).json == told.json
    out = send(url, "DELETE", "/v1/session", b"", {**cookie, "x-ossmedia-csrf": told.json["csrf"]})
    assert out.status == 200
    assert cookie_of(out) == 'ossmedia=""'
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert send(url, "GET", "/v1/session", headers=cookie).json["person"] is None
    again = send(url, "DELETE", "/v1/session", b"", cookie)
    assert (again.status, again.code) == (401, "signed-out")
    assert again.headers["www-authenticate"] == "OSSMEDIA-Session"


def test_no_session_is_brought_along(url: str, people: People) -> None:
    """A cookie that somebody else planted is not the one that a sign-in makes good."""
    planted = "ossmedia=" + "x" * 43
    told = sign_in(url, Cookie=planted)
    assert cookie_of(told) != planted
    assert send(url, "GET", "/v1/session", headers={"Cookie": planted}).json["person"] is None
    first = cookie_of(told)
    second = cookie_of(sign_in(url, Cookie=first))
    assert send(url, "GET", "/v1/session", headers={"Cookie": first}).json["person"] is None
    assert send(url, "GET", "/v1/session", headers={"Cookie": second}).json["person"]


def test_over_https_the_cookie_is_bound_to_this_host(world: World, people: People) -> None:
    world.tables["http"] = {"trusted_proxies": ["127.0.0.1/32"]}
    url = world.start().url
    proxied = {"X-Forwarded-Proto": "https", "Host": "watch.example.com"}
    told = sign_in(url, **proxied, Origin="https://watch.example.com")
    assert told.status == 200
    head = told.headers["set-cookie"]
    assert head.startswith("__Host-ossmedia=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(head.split("; "))
    assert "domain" not in head.lower()
    assert told.headers["strict-transport-security"] == "max-age=31536000"
    cookie = cookie_of(told)
    shown = send(url, "GET", "/v1/session", headers={**proxied, "Cookie": cookie})
    assert shown.json["person"]
    plain = {"Cookie": cookie.replace("__Host-", "")}
    assert not send(url, "GET", "/v1/session", headers={**proxied, **plain}).json["person"]


@pytest.mark.parametrize(
    "host", ["watch.example.com", "192.168.1.7:8080", "127.0.0.1.evil.example"]
)
def test_no_password_is_taken_over_plain_http(url: str, people: People, host: str) -> None:
    told = sign_in(url, Host=host, X_Forwarded_Proto="https")
    assert (told.status, told.code) == (403, "https-needed")
    assert "http.trusted_proxies" in told.json["detail"]
    for here in ("localhost:1", "[::1]:1", "127.0.0.1"):
        assert sign_in(url, Host=here).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_no_other_page_signs_in_or_out(url: str, people: People, headers: dict[str, str]) -> None:
    refused = sign_in(url, **headers)
    assert (refused.status, refused.code) == (403, "not-this-page")
    assert "set-cookie" not in refused.headers
    told = sign_in(url, Origin=url, **{"Sec-Fetch-Site": "same-origin"})
    own = {"Cookie": cookie_of(told), "x-ossmedia-csrf": told.json["csrf"]}
    assert send(url, "DELETE", "/v1/session", b"", {**own, **headers}).code == "not-this-page"
    for wrong in ("", "x", "0" * 64, told.json["csrf"][:-1], told.json["csrf"].upper() + "0"):
        sent = {**own, "x-ossmedia-csrf": wrong}
        assert send(url, "DELETE", "/v1/session", b"", sent).code == "not-this-page"
    assert send(url, "DELETE", "/v1/session", b"", own).status == 200


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"{", "application/json", "malformed-json"),
        (b"[]", "application/json", "malformed-json"),
        (b"", "application/json", "invalid-field"),
        (b"{}", "application/json", "invalid-field"),
        (b'{"name":"anna"}', "application/json", "invalid-field"),
        (b'{"name":1,"password":"x"}', "application/json", "invalid-field"),
        (b'{"name":"a","password":["x"]}', "application/json", "invalid-field"),
        (b'{"name":"%s","password":"x"}' % (b"a" * 65), "application/json", "invalid-field"),
        (b'{"name":"a","password":"%s"}' % (b"a" * 257), "application/json", "invalid-field"),
        (b'{"name":"a","password":"x","more":1}', "application/json", "unknown-field"),
        (b'{"name":"anna","password":"a long password"}', "text/plain", "unsupported-encoding"),
        (b"name=anna", "application/x-www-form-urlencoded", "unsupported-encoding"),
        (b"x" * 70_000, "application/json", "body-too-large"),
    ],
)
def test_what_is_no_sign_in(url: str, people: People, body: bytes, kind: str, code: str) -> None:
    told = send(url, "POST", "/v1/session", body, {"Content-Type": kind})
    assert told.code == code
    assert "set-cookie" not in told.headers


def test_unknown_and_wrong_get_one_answer(url: str, people: People) -> None:
    answers = [
        sign_in(url, name, password)
        for name, password in (
            ("anna", "another password"),
            ("bea", SECRET),
            ("<no name>", SECRET),
            ("anna\0", SECRET),
            ("anna", ""),
        )
    ]
    assert {answer.code for answer in answers} == {"sign-in-refused"}
    assert {(answer.status, answer.body) for answer in answers} == {
        (401, answers[0].body),
    }
    assert all("set-cookie" not in answer.headers for answer in answers)


def test_a_thousand_guesses(world: World, people: People) -> None:
    """From one place, at one name: ten are tried, whatever server is asked."""
    servers = [world.start().url, world.start().url]
    codes = [
        sign_in(servers[number % 2], "anna", f"guess number {number}").code
        for number in range(1000)
    ]
    assert codes[:BOTH] == ["sign-in-refused"] * BOTH
    assert set(codes[BOTH:]) == {"too-many-sign-ins"}
    told = sign_in(servers[0])
    assert (told.status, told.headers["retry-after"]) == (429, str(WINDOW_S)), "not even the right"
    world.time.seconds += WINDOW_S
    assert sign_in(servers[0]).status == 200


def test_many_at_once_are_told_to_come_again(
    world: World, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each comparison takes 32 MiB and a processor: only so many wait for their turn."""
    running = world.start()
    gate, started = threading.Event(), threading.Semaphore(0)

    def slow(*_: Any) -> None:
        started.release()
        assert gate.wait(20)
        # None, as for a wrong password.

    monkeypatch.setattr(People, "prove", slow)
    answers: list[Answer] = []

    def ask(number: int) -> None:
        answers.append(sign_in(running.url, f"name-{number}"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert started.acquire(timeout=20)
    for thread in threads:
        while thread.is_alive() and len(answers) < 24 - 16:
            thread.join(0.02)
    assert {answer.code for answer in answers} == {"busy"}
    gate.set()
    for thread in threads:
        thread.join()
    codes = [answer.code for answer in answers]
    assert (codes.count("busy"), codes.count("sign-in-refused")) == (8, 16)


def test_nothing_secret_is_logged(
    url: str, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        told = sign_in(url)
        send(url, "GET", "/v1/session", headers={"Cookie": cookie_of(told)})
        sign_in(url, "anna", "the secret canary")
    assert '"person": "anna"' in caplog.text
    for secret in (SECRET, "canary", cookie_of(told).partition("=")[2], told.json["csrf"]):
        assert secret not in caplog.text


ANSWERS = [
    ("GET", "/", 200),
    ("GET", "/v1/session", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/healthz", 200),
    ("GET", "/v1/cameras", 401),
    ("POST", "/v1/credentials", 401),
    ("GET", "/nothing", 404),
    ("PATCH", "/v1/session", 405),
    ("POST", "/v1/session", 415),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_tells_a_browser_what_it_may_do(
    url: str, method: str, path: str, status: int
) -> None:
    answer = send(url, method, path)
    assert answer.status == status
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    oss = "https://cams.oss-cn-hangzhou.aliyuncs.com"
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' {oss}",
        "media-src": f"'self' {oss} blob:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    for name, value in (
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ):
        assert answer.headers[name] == value
    assert "access-control-allow-origin" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_media_of_other_places_is_a_setting(world: World) -> None:
    world.tables["page"] = {"media_origins": ["https://outin-1.oss-cn-shanghai.aliyuncs.com"]}
    policy = send(world.start().url, "GET", "/").headers["content-security-policy"]
    assert "media-src 'self' https://cams.oss-cn-hangzhou.aliyuncs.com https://outin-1" in policy
    for bad in ("*", "https://*.example.com", "https://a.example; script-src *", "example.com"):
        world.tables["page"] = {"media_origins": [bad]}
        with pytest.raises(ValueError, match=r"page\.media_origins: must be origins like"):
            world.settings()


def test_the_life_of_sessions_is_a_setting(world: World, people: People) -> None:
    world.tables["page"] = {"idle_timeout_s": 60, "session_life_s": 90}
    url = world.start().url
    told = sign_in(url)
    assert "Max-Age=90" in told.headers["set-cookie"]
    cookie = {"Cookie": cookie_of(told)}
    world.time.seconds += 59
    assert send(url, "GET", "/v1/session", headers=cookie).json["person"]
    world.time.seconds += 31
    assert not send(url, "GET", "/v1/session", headers=cookie).json["person"]
