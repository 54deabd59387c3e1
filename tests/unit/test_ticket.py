"""ticket.py: what VOD's answer may say, and what is refused before any connection."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia import UploadTicket
from ossmedia.clock import Clock

ADDRESS = {
    "Endpoint": "https://oss-cn-shanghai.aliyuncs.com",
    "Bucket": "outin-1a2b",
    "FileName": "sv/5a/clip ü.mp4",
}
AUTH = {
    "SecurityToken": "CAIS+/=canary-token",
    "AccessKeyId": "STS.key",
    "ExpireUTCTime": "2024-05-31T17:08:37Z",
    "AccessKeySecret": "canary-secret",
    "Expiration": "3600",
    "Region": "cn-shanghai",
}
END = 1_717_175_317.0


class At(Clock):
    """A clock that stands."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


NOW = At(END - 3000)


def encoded(values: Any) -> str:
    return base64.b64encode(json.dumps(values).encode()).decode()


def answer(address: Any = None, auth: Any = None, **fields: Any) -> dict[str, Any]:
    """VOD's answer; None takes a field away."""
    given = {
        "RequestId": "r",
        "VideoId": "v1",
        "UploadAddress": encoded({k: v for k, v in {**ADDRESS, **(address or {})}.items() if v}),
        "UploadAuth": encoded({k: v for k, v in {**AUTH, **(auth or {})}.items() if v is not None}),
        **fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def ticket(*args: Any, **fields: Any) -> UploadTicket:
    return UploadTicket.from_json(answer(*args, **fields), clock=NOW)


def refused(data: Any, **options: Any) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        UploadTicket.from_json(data, clock=NOW, **options)
    text = str(caught.value)
    assert "canary" not in text
    return text


def test_a_ticket() -> None:
    made = ticket()
    assert (made.media_id, made.kind) == ("v1", "video")
    assert (made.endpoint, made.bucket) == (ADDRESS["Endpoint"], "outin-1a2b")
    assert (made.key, made.region) == ("sv/5a/clip ü.mp4", "cn-shanghai")
    held = made.credentials
    assert (held.access_key_id, held.access_key_secret) == ("STS.key", "canary-secret")
    assert held.security_token == "CAIS+/=canary-token"
    assert made.seconds_left(NOW) == 3000


@pytest.mark.parametrize(
    ("name", "kind"), [("VideoId", "video"), ("ImageId", "image"), ("MediaId", "attached")]
)
def test_three_kinds(name: str, kind: str) -> None:
    assert ticket(**{"VideoId": None, name: "m1"}).kind == kind


def test_the_moment_counts_and_not_the_life() -> None:
    """ExpireUTCTime is trusted over Expiration; without both it is 3,000 s from now."""
    assert ticket(auth={"Expiration": "7"}).credentials.expires_at == END
    assert ticket(auth={"ExpireUTCTime": None}).credentials.expires_at == NOW.at + 3600
    for life in ("5", 5):
        short = ticket(auth={"ExpireUTCTime": None, "Expiration": life})
        assert short.credentials.expires_at == NOW.at + 5
    bare = ticket(auth={"ExpireUTCTime": None, "Expiration": None, "Region": None})
    assert bare.credentials.expires_at == NOW.at + 3000
    assert bare.region == "cn-shanghai"


def test_a_wrong_time_is_not_quoted() -> None:
    """It stands among secrets, and may be one that was put into the wrong field."""
    assert AUTH["SecurityToken"] not in refused(
        answer(auth={"ExpireUTCTime": AUTH["SecurityToken"]})
    )


def test_order_and_unknown_fields_do_not_matter() -> None:
    turned = dict(reversed([*AUTH.items(), ("New", {"x": [1]})]))
    data = answer(FileURL="x", UploadAuth=encoded(turned))
    assert UploadTicket.from_json(data, clock=NOW) == ticket()


def test_both_ways() -> None:
    made = ticket()
    again = UploadTicket.from_json(made.to_json(), clock=NOW)
    assert again == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(again) == hash(made)
    with pytest.raises(AttributeError, match="immutable"):
        made.key = "other"


def test_secrets_stay_hidden() -> None:
    assert "canary" not in repr(ticket())
    assert "canary" not in str(ticket())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "ticket: must be a JSON object, not list"),
        ("x", "ticket: must be a JSON object, not str"),
        (answer(VideoId=None), "VideoId, ImageId or MediaId: missing"),
        (answer(ImageId="i"), "VideoId, ImageId or MediaId: more than one"),
        (answer(VideoId="a b"), "VideoId: must be 1-128 letters"),
        (answer(VideoId="a" * 129), "VideoId: must be 1-128 letters"),
        (answer(VideoId=5), "VideoId: must be 1-128 letters"),
        (answer(UploadAddress=None), "UploadAddress: missing"),
        (answer(UploadAuth=None), "UploadAuth: missing"),
        (answer(UploadAuth={}), "UploadAuth: must be str, not dict"),
        (answer(UploadAddress="{}"), "UploadAddress: is no base64"),
        (answer(UploadAddress="ü"), "UploadAddress: is no base64"),
        (answer(UploadAddress="YWJ j"), "UploadAddress: is no base64"),
        (answer(UploadAuth="canary_-"), "UploadAuth: is no base64"),
        (answer(UploadAuth=base64.b64encode(b"canary").decode()), "UploadAuth: is no base64 of"),
        (answer(UploadAuth=base64.b64encode(b"\xff").decode()), "UploadAuth: is no base64 of JSON"),
        (answer(UploadAuth=encoded([1])), "UploadAuth: must be base64 of a JSON object"),
        (answer(UploadAuth="A" * 65_537), "UploadAuth: at most 65536 characters"),
        (
            answer(UploadAuth=base64.b64encode(b"[" * 48_000).decode()),
            "UploadAuth: is no base64 of JSON",
        ),
        (answer({"Endpoint": None}), "UploadAddress.Endpoint: missing"),
        (answer({"Bucket": None}), "UploadAddress.Bucket: missing"),
        (answer({"FileName": None}), "UploadAddress.FileName: missing"),
        (answer({"Bucket": "A"}), "UploadAddress.Bucket: 3-63 of"),
        (answer({"Bucket": 5}), "UploadAddress.Bucket: must be text, not int"),
        (answer({"FileName": "/x"}), "UploadAddress.FileName: must not begin"),
        (answer({"FileName": "a\nb"}), "UploadAddress.FileName: must not hold CR"),
        (answer({"FileName": "k" * 1024}), "UploadAddress.FileName: must be 1-1023 bytes"),
        (answer(auth={"AccessKeyId": None}), "UploadAuth.AccessKeyId: missing"),
        (answer(auth={"AccessKeySecret": None}), "UploadAuth.AccessKeySecret: missing"),
        (answer(auth={"SecurityToken": None}), "UploadAuth.SecurityToken: missing"),
        (answer(auth={"SecurityToken": ""}), "UploadAuth.SecurityToken: must not be empty"),
        (answer(auth={"AccessKeySecret": "canary\r\n"}), "UploadAuth.AccessKeySecret: must be"),
        (answer(auth={"AccessKeyId": ["canary"]}), "UploadAuth.AccessKeyId: must be text"),
        (answer(auth={"Region": "cn-hangzhou"}), "UploadAuth.Region: 'cn-hangzhou' contradicts"),
        (answer(auth={"Region": "x/y"}), "UploadAuth.Region: "),
        (answer(auth={"ExpireUTCTime": "tomorrow"}), "UploadAuth.ExpireUTCTime: not an ISO"),
        (answer(auth={"ExpireUTCTime": 5}), "UploadAuth.ExpireUTCTime: must be text"),
        (answer(auth={"ExpireUTCTime": ""}), "UploadAuth.ExpireUTCTime: must not be empty"),
        (
            answer(auth={"ExpireUTCTime": "2024-05-31T16:18:36Z"}),
            "UploadAuth.ExpireUTCTime: the ticket ended 1 s ago",
        ),
        (answer(auth={"ExpireUTCTime": None, "Expiration": "0"}), "UploadAuth.Expiration: the "),
        (answer(auth={"ExpireUTCTime": None, "Expiration": "1h"}), "UploadAuth.Expiration: must "),
        (answer(auth={"ExpireUTCTime": None, "Expiration": -5}), "UploadAuth.Expiration: must "),
        (answer(auth={"ExpireUTCTime": None, "Expiration": 1e300}), "UploadAuth.Expiration: must"),
    ],
    ids=lambda value: value[:48] if isinstance(value, str) else "",
)
def test_refused_by_name(data: Any, text: str) -> None:
    assert refused(data).startswith(text)


HOSTILE = [
    "http://oss-cn-shanghai.aliyuncs.com",
    "https://aliyuncs.com",
    "https://evilaliyuncs.com",
    "https://aliyuncs.com.evil.test",
    "https://oss-cn-shanghai.aliyuncs.com.evil.test",
    "https://oss-cn-shanghai.aliyuncs.com@evil.test",
    "https://evil.test#.aliyuncs.com",
    "https://evil.test/.aliyuncs.com",
    "https://evil.test?.aliyuncs.com",
    "https://evil.test\\.aliyuncs.com",
    "https://evil.test:443",
    "https://oss-cn-shanghai.aliyuncs.com:8443",
    "https://oss-cn-shanghai.aliyuncs.com.",
    "https://oss-cn-shanghai.aliyuncs.com\r\nHost: evil.test",
    "https://oss-cn-shanghai.aliyuncs.com evil.test",
    "https://oss-cn-shanghai\uff0ealiyuncs\uff0ecom",
    "https://x\u3002aliyuncs.com",
    "https://%6fss.aliyuncs.com",
    "https://127.0.0.1",
    "http://127.0.0.1:80",
    "https://[::1]",
    "https://[::ffff:127.0.0.1]",
    "https://2130706433",
    "https://0x7f.1",
    "https://localhost",
    "http://100.100.100.200/latest/meta-data",
    "https://169.254.169.254",
    "file:///etc/passwd",
    "gopher://x.aliyuncs.com",
    "//x.aliyuncs.com",
    "x.aliyuncs.com.evil.test",
]


@pytest.mark.parametrize("endpoint", HOSTILE)
def test_hosts_that_are_not_allowed(endpoint: str) -> None:
    assert refused(answer({"Endpoint": endpoint}, {"Region": "cn-x"})).startswith(
        ("UploadAddress.Endpoint: ", "UploadAuth.Region: ")
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://oss-cn-shanghai.aliyuncs.com",
        "https://OSS-CN-Shanghai.aliyuncs.com/",
        "oss-cn-shanghai.aliyuncs.com",
        "https://oss-accelerate.aliyuncs.com",
    ],
)
def test_hosts_that_are(endpoint: str) -> None:
    assert ticket({"Endpoint": endpoint}).endpoint.startswith("https://oss-")


@pytest.mark.parametrize(
    ("allowed", "endpoint", "good"),
    [
        (("http://127.0.0.1:8080",), "http://127.0.0.1:8080", True),
        (("http://127.0.0.1:8080/",), "http://127.0.0.1:8080", True),
        (("http://127.0.0.1:8080",), "http://127.0.0.1:8081", False),
        (("http://127.0.0.1:8080",), "https://127.0.0.1:8080", False),
        (("127.0.0.1:8080",), "https://127.0.0.1:8080", True),
        (("127.0.0.1:8080",), "http://127.0.0.1:8080", False),
        (("oss.example.com",), "https://oss.example.com", True),
        (("oss.example.com",), "https://x.oss.example.com", False),
        ((".example.com",), "https://x.oss.example.com", True),
        ((".example.com",), "https://example.com", False),
        ((), "https://oss-cn-shanghai.aliyuncs.com", False),
    ],
)
def test_other_allowed_hosts(allowed: tuple[str, ...], endpoint: str, good: bool) -> None:
    data = answer({"Endpoint": endpoint})
    if good:
        made = UploadTicket.from_json(data, allowed_hosts=allowed, clock=NOW)
        assert made.endpoint == endpoint
    else:
        assert refused(data, allowed_hosts=allowed).startswith("UploadAddress.Endpoint: ")


@pytest.mark.parametrize("allowed", [".aliyuncs.com", ("",), (".",), (5,)])
def test_allowed_hosts_that_are_none(allowed: Any) -> None:
    assert refused(answer(), allowed_hosts=allowed).startswith("allowed_hosts: ")


def test_made_by_hand() -> None:
    made = ticket()
    fields = {name: getattr(made, name) for name in UploadTicket.__slots__}
    assert UploadTicket(**fields) == made
    for name, wrong in (("media_id", ""), ("kind", "film"), ("credentials", None)):
        with pytest.raises((TypeError, ValueError), match=r"^(media id|kind|credentials): "):
            UploadTicket(**{**fields, name: wrong})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    st.lists,
    max_leaves=4,
)


@given(
    st.sampled_from([*ADDRESS, *AUTH, "VideoId", "UploadAddress", "UploadAuth"]),
    JSON | st.dictionaries(st.text(), JSON),
)
def test_any_value_is_a_ticket_or_named(name: str, value: Any) -> None:
    if name in ADDRESS:
        data = answer(UploadAddress=encoded({**ADDRESS, name: value}))
    elif name in AUTH:
        data = answer(UploadAuth=encoded({**AUTH, name: value}))
    else:
        data = {**answer(), name: value}
    refused = ""
    try:
        UploadTicket.from_json(data, clock=NOW)
    except (TypeError, ValueError) as error:
        refused = str(error)
    assert not refused or name in refused
