"""sts.py: limits before the call, STS's answers and refusals as ours, and no secret anywhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from ossmedia import errors
from ossmedia.model import Credentials
from ossmedia.retry import Retry
from ossmedia.sts import TokenIssuer, assume_role

ROLE = "acs:ram::1234567890123456:role/uploader"
POLICY = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["a:b"],"Resource":["*"]}]}'
SERVER_KEY = Credentials("LTAIserver", "server-secret-canary")
GOOD = {
    "RequestId": "6894B13B-6D71-4EF5-88FA-F32781734A7F",
    "AssumedRoleUser": {"Arn": f"{ROLE}/cam-1", "AssumedRoleId": "1:cam-1"},
    "Credentials": {
        "AccessKeyId": "STS.given",
        "AccessKeySecret": "given-secret-canary",
        "SecurityToken": "given-token-canary",
        "Expiration": "2024-05-31T17:08:37Z",
    },
}


class FakeClock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Sts:
    """An STS that answers by a script of (status, body), the last one for ever, and keeps what it
    was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes | dict[str, Any]]] = [(200, GOOD)]
        self.asked: list[dict[str, str]] = []
        self.signed: list[bool] = []
        sts = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fields = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
                sts.asked.append(fields)
                sts.signed.append(_signed("POST", fields))
                status, body = sts.answers.pop(0) if len(sts.answers) > 1 else sts.answers[0]
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                if status == 0:
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def error(self, status: int, code: str, message: str = "words") -> None:
        self.answers = [(status, {"RequestId": "REQ-1", "Code": code, "Message": message})]


def _signed(method: str, fields: dict[str, str]) -> bool:
    """RPC signature 1.0, counted here on its own."""
    pairs = sorted((k, v) for k, v in fields.items() if k != "Signature")
    text = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in pairs)
    to_sign = f"{method}&%2F&{quote(text, safe='~')}"
    key = f"{SERVER_KEY.access_key_secret}&".encode()
    expected = base64.b64encode(hmac.digest(key, to_sign.encode(), hashlib.sha1)).decode()
    return hmac.compare_digest(expected, fields.get("Signature", ""))


@pytest.fixture
def sts() -> Iterator[Sts]:
    fake = Sts()
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    thread.join()


def ask(sts: Sts, **changes: Any) -> Credentials:
    fields: dict[str, Any] = {
        "role_arn": ROLE,
        "session_name": "cam-1",
        "policy": POLICY,
        "ttl_s": 900,
        "credentials": SERVER_KEY,
        "endpoint": sts.endpoint,
        "clock": FakeClock(),
        **changes,
    }
    return assume_role(**fields)


def test_what_sts_is_asked_and_what_it_gave(sts: Sts) -> None:
    given = ask(sts)
    assert given == Credentials(
        "STS.given", "given-secret-canary", "given-token-canary", 1717175317.0
    )
    (asked,) = sts.asked
    wanted = {
        "Action": "AssumeRole",
        "Version": "2015-04-01",
        "Format": "JSON",
        "RoleArn": ROLE,
        "RoleSessionName": "cam-1",
        "DurationSeconds": "900",
        "Policy": POLICY,
        "AccessKeyId": "LTAIserver",
        "SignatureMethod": "HMAC-SHA1",
    }
    assert {name: asked.get(name) for name in wanted} == wanted
    assert sts.signed == [True]


def test_a_temporary_server_key_sends_its_token(sts: Sts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIYUN_ACCESS_KEY_ID", "other")  # the SDK would prefer these
    monkeypatch.setenv("ALIYUN_ACCESS_KEY_SECRET", "other")
    key = Credentials("STS.server", "server-secret-canary", "server-token-canary")
    ask(sts, credentials=key)
    assert sts.asked[0]["AccessKeyId"] == "STS.server"
    assert sts.asked[0]["SecurityToken"] == "server-token-canary"
    assert sts.signed == [True]


def test_the_environments_proxy_and_debug_switch_are_not_used(
    sts: Sts, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("DEBUG", "sdk")
    ask(sts)
    out, err = capfd.readouterr()
    assert out + err == ""


# Limits: STS is not called


@pytest.mark.parametrize(
    "policy", ["", "  ", "{}", "null", '{"Version":"1","Statement":[]}', "x" * 2049]
)
def test_no_call_without_a_policy(sts: Sts, policy: str) -> None:
    with pytest.raises(ValueError, match=r"^policy: "):
        ask(sts, policy=policy)
    with pytest.raises(TypeError, match=r"^policy: "):
        ask(sts, policy=None)
    assert sts.asked == []


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"ttl_s": 899}, ValueError, "ttl_s"),
        ({"ttl_s": 3601, "max_ttl_s": 3600}, ValueError, "ttl_s"),
        ({"ttl_s": 43_201}, ValueError, "ttl_s"),
        ({"ttl_s": 900.0}, TypeError, "ttl_s"),
        ({"ttl_s": True}, TypeError, "ttl_s"),
        ({"max_ttl_s": 3599}, ValueError, "max_ttl_s"),
        ({"max_ttl_s": 43_201}, ValueError, "max_ttl_s"),
        ({"session_name": "x"}, ValueError, "session_name"),
        ({"session_name": "x" * 65}, ValueError, "session_name"),
        ({"session_name": "a/b"}, ValueError, "session_name"),
        ({"session_name": "cäm"}, ValueError, "session_name"),
        ({"session_name": None}, TypeError, "session_name"),
        ({"role_arn": "uploader"}, ValueError, "role_arn"),
        ({"role_arn": "acs:ram::x:role/y"}, ValueError, "role_arn"),
        ({"role_arn": "acs:ram::1:role/"}, ValueError, "role_arn"),
        ({"role_arn": "acs:ram::1:role/a b"}, ValueError, "role_arn"),
        ({"role_arn": 5}, TypeError, "role_arn"),
        ({"credentials": "LTAI"}, TypeError, "credentials"),
        ({"endpoint": "ftp://x"}, ValueError, "endpoint"),
        ({"endpoint": "http://u:p@h"}, ValueError, "endpoint"),
        ({"region": "a b"}, ValueError, "region"),
    ],
)
def test_limits_are_named_before_the_call(
    sts: Sts, changes: dict[str, Any], error: type[Exception], field: str
) -> None:
    with pytest.raises(error, match=f"^{field}: "):
        ask(sts, **changes)
    assert sts.asked == []


@pytest.mark.parametrize("ttl", [900, 3600, 43_200])
def test_the_edges_of_a_life_are_allowed(sts: Sts, ttl: int) -> None:
    ask(sts, ttl_s=ttl)
    assert sts.asked[0]["DurationSeconds"] == str(ttl)


# Refusals


@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        (403, "NoPermission", errors.AccessDenied),
        (404, "EntityNotExist.Role", errors.NotFound),
        (404, "InvalidAccessKeyId.NotFound", errors.AccessDenied),
        (400, "InvalidSecurityToken.Expired", errors.CredentialsExpired),
        (400, "InvalidParameter.PolicyGrammar", errors.ServiceError),
        (400, "InvalidTimeStamp.Expired", errors.ServiceError),
    ],
)
def test_refusals_are_final_and_keep_what_support_asks_for(
    sts: Sts, status: int, code: str, cls: type[errors.ServiceError]
) -> None:
    sts.error(status, code)
    with pytest.raises(cls) as caught:
        ask(sts)
    error = caught.value
    assert (error.status, error.code, error.request_id) == (status, code, "REQ-1")
    assert error.retryable is False
    assert len(sts.asked) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "ServiceUnavailable"),
        (500, "InternalError"),
        (400, "Throttling.User"),
        (400, "SignatureNonceUsed"),
    ],
)
def test_what_may_pass_is_asked_again_with_a_new_nonce(sts: Sts, status: int, code: str) -> None:
    sts.error(status, code)
    sts.answers.append((200, GOOD))
    clock = FakeClock()
    assert ask(sts, clock=clock, random=lambda: 0.5).access_key_id == "STS.given"
    assert len(clock.slept) == 1
    assert clock.slept[0] > 0
    assert len({asked["SignatureNonce"] for asked in sts.asked}) == 2
    assert sts.signed == [True, True]


def test_the_tries_end(sts: Sts) -> None:
    sts.error(503, "ServiceUnavailable")
    with pytest.raises(errors.Unavailable):
        ask(sts, retry=Retry(attempts=4))
    assert len(sts.asked) == 4


def test_nobody_there() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = server.server_address[1]
    server.server_close()
    with pytest.raises(errors.NetworkError, match="STS gave no answer") as caught:
        assume_role(
            ROLE,
            "cam-1",
            POLICY,
            credentials=SERVER_KEY,
            endpoint=f"http://127.0.0.1:{port}",
            retry=Retry(attempts=1),
        )
    assert caught.value.retryable is True


def test_an_answer_that_never_comes(sts: Sts) -> None:
    sts.answers = [(0, b"")]
    with pytest.raises(errors.NetworkError):
        ask(sts, retry=Retry(attempts=1))


def test_plain_http_is_not_spoken_to_an_https_endpoint(sts: Sts) -> None:
    with pytest.raises(errors.NetworkError) as caught:
        ask(sts, endpoint=sts.endpoint.replace("http:", "https:"), retry=Retry(attempts=1))
    assert type(caught.value) in (errors.NetworkError, errors.TlsError)
    assert sts.asked == []


def _without(*path: str, value: Any = None) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(GOOD))
    place = copy
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"[]",
        b"5",
        b"null",
        b"\xff\xfe",
        b'{"Credentials": 5}',
        b"[" * 100_000,
        _without("Credentials"),
        _without("Credentials", "SecurityToken"),
        _without("Credentials", "Expiration"),
        _without("Credentials", "Expiration", value="tomorrow"),
        _without("Credentials", "Expiration", value=5),
        _without("Credentials", "AccessKeyId", value={"x": 1}),
        _without("Credentials", "AccessKeySecret", value="given-secret-canary\n"),
        _without("Credentials", "SecurityToken", value=""),
    ],
    ids=lambda b: str(b)[:40],
)
def test_an_answer_without_credentials_is_an_error_not_empty_credentials(
    sts: Sts, body: bytes | dict[str, Any]
) -> None:
    sts.answers = [(200, body)]
    with pytest.raises(errors.ProtocolError, match="cannot be read") as caught:
        ask(sts, retry=Retry(attempts=1))
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"\xff", b"5", b'{"Code": 5}'])
@pytest.mark.parametrize("status", [400, 403, 502])
def test_an_error_that_is_not_stss_is_still_an_error_of_ours(
    sts: Sts, status: int, body: bytes
) -> None:
    sts.answers = [(status, body)]
    with pytest.raises(errors.OssMediaError):
        ask(sts, retry=Retry(attempts=1))


# Secrets


SCRIPTS: list[tuple[int, bytes | dict[str, Any]]] = [
    (200, GOOD),
    (200, b'{"Credentials": {"AccessKeySecret": "given-secret-canary'),
    (200, _without("Credentials", "Expiration")),
    (400, {"Code": "SignatureDoesNotMatch", "Message": "string to sign is:ECHO"}),
    (400, {"Code": "SignatureDoesNotMatch", "Message": "no colon"}),
    (403, {"Code": "NoPermission", "Message": "words"}),
    (500, b"given-secret-canary"),
    (0, b""),
]


@pytest.mark.parametrize(("status", "body"), SCRIPTS, ids=lambda v: str(v)[:40])
def test_no_secret_in_errors_or_logs(
    sts: Sts, caplog: pytest.LogCaptureFixture, status: int, body: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("aliyunsdkcore.client", "aliyunsdkcore.http.http_response"):
        caplog.set_level(logging.DEBUG, name)
    sts.answers = [(status, body)]
    key = Credentials("STS.server", "server-secret-canary", "server-token-canary")
    said = ""
    if body is GOOD:
        ask(sts, credentials=key)
    else:
        with pytest.raises(errors.OssMediaError) as caught:
            ask(sts, credentials=key, retry=Retry(attempts=1))
        error = caught.value
        said = "".join(traceback.format_exception(error)) + repr(error) + str(error.__dict__)
        assert error.__context__ is None
    said += caplog.text
    signature = sts.asked[0]["Signature"]
    for secret in ("canary", signature, quote(signature, safe="")):
        assert secret not in said
    assert "Response" not in caplog.text


def test_the_server_quotes_the_request_back(sts: Sts) -> None:
    echo = "Specified signature is not matched with our calculation. server string to sign is:"
    echo += "POST&%2F&AccessKeyId%3DLTAI%26SecurityToken%3Dserver-token-canary"
    sts.error(400, "SignatureDoesNotMatch", echo)
    with pytest.raises(errors.AccessDenied, match="is not the one of this access key id") as caught:
        ask(sts)
    assert "canary" not in str(caught.value)


def test_the_sdk_may_log_outside_of_our_calls(sts: Sts, caplog: pytest.LogCaptureFixture) -> None:
    ask(sts)
    caplog.set_level(logging.DEBUG, "aliyunsdkcore.client")
    logging.getLogger("aliyunsdkcore.client").debug("somebody else's")
    assert "somebody else's" in caplog.text


# The issuer


def issuer(sts: Sts, **changes: Any) -> TokenIssuer:
    options: dict[str, Any] = {"credentials": SERVER_KEY, "endpoint": sts.endpoint, **changes}
    return TokenIssuer(ROLE, "cams-bucket", **options)


def test_get_token_as_the_c_sdk_has_it(sts: Sts) -> None:
    assert issuer(sts).get_token("/cams/cam-1/*", "rwa", 1020, device="cam-1").access_key_id
    (asked,) = sts.asked
    assert asked["RoleSessionName"] == "cam-1"
    assert asked["DurationSeconds"] == "1020"
    assert json.loads(asked["Policy"])["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["oss:GetObject", "oss:PutObject"],
            "Resource": ["acs:oss:*:1234567890123456:cams-bucket/cams/cam-1/*"],
            "Condition": {"Bool": {"acs:SecureTransport": ["true"]}},
        }
    ]


def test_options_of_the_issuer_reach_the_policy(sts: Sts) -> None:
    issuer(sts, secure_transport=False, source_ip="10.0.0.0/8").get_token("a/b", "w")
    statement = json.loads(sts.asked[0]["Policy"])["Statement"][0]
    assert statement["Condition"] == {"IpAddress": {"acs:SourceIp": ["10.0.0.0/8"]}}
    assert statement["Resource"] == ["acs:oss:*:1234567890123456:cams-bucket/a/b"]
    assert sts.asked[0]["DurationSeconds"] == "900"
    assert sts.asked[0]["RoleSessionName"] == "app-server"


def test_get_token_from_policy(sts: Sts) -> None:
    issuer(sts, credentials=lambda: SERVER_KEY).get_token_from_policy(POLICY, 17 * 60, device="c")
    assert sts.asked[0]["Policy"] == POLICY
    assert sts.asked[0]["RoleSessionName"] == "c."


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("/*", "rwa"), "path"),
        (("cams/../x", "w"), "path"),
        (("cams/c/*", "x"), "mode"),
        (("cams/c/*", "w", 899), "ttl_s"),
        (("cams/c/*", "w", 3601), "ttl_s"),
    ],
)
def test_the_issuer_refuses_before_the_call(
    sts: Sts, arguments: tuple[Any, ...], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        issuer(sts).get_token(*arguments)
    with pytest.raises(ValueError, match=r"^device_id: "):
        issuer(sts).get_token("cams/c/*", "w", device="../c")
    assert sts.asked == []


def test_an_issuer_is_checked_when_it_is_made_and_shows_no_secret(sts: Sts) -> None:
    with pytest.raises(ValueError, match=r"^role_arn: "):
        TokenIssuer("role", "cams-bucket", credentials=SERVER_KEY)
    with pytest.raises(ValueError, match=r"^bucket: "):
        TokenIssuer(ROLE, "*", credentials=SERVER_KEY)
    with pytest.raises(ValueError, match=r"^max_ttl_s: "):
        TokenIssuer(ROLE, "cams-bucket", credentials=SERVER_KEY, max_ttl_s=50_000)
    assert "canary" not in repr(issuer(sts))
