"""The signature and the policy of a form upload."""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator.errors import OssError
from ossmedia.emulator.identities import Identities
from ossmedia.emulator.post_form import parse_post_policy
from ossmedia.emulator.signatures import check_post_policy, verify_post_form

VECTORS = [
    v
    for v in json.loads(
        (Path(__file__).parents[2] / "vectors" / "signature-vectors.json").read_text("utf-8")
    )["vectors"]
    if v["mode"] == "post-policy"
]
NOW = float(calendar.timegm((2024, 5, 31, 16, 8, 37)))
SCOPE = "20240531/cn-shanghai/oss/aliyun_v4_request"


def ids(vector: dict[str, Any]) -> str:
    return str(vector["id"])


def fields_of(vector: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in vector["expected"]["form_fields"].items()}


def verified(
    fields: dict[str, str], identities: Identities, *, now: float = NOW, **over: Any
) -> Any:
    settings = {"bucket": "examplebucket", "region": "cn-shanghai", **over}
    return verify_post_form(fields, identities=identities, now=now, **settings)


def refused(fields: dict[str, str], identities: Identities, **over: Any) -> OssError:
    with pytest.raises(OssError) as caught:
        verified(fields, identities, **over)
    return caught.value


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_vector_is_accepted(wire: Any, vector: dict[str, Any]) -> None:
    identities = wire.identities_of(vector)
    caller, policy = verified(fields_of(vector), identities, bucket=vector["bucket"])
    assert caller.kind == ("sts" if vector["security_token"] else "user")
    assert policy is not None
    wanted = json.loads(vector["extra"]["policy_json"])
    assert policy == wanted


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_tampered_vector_is_refused(wire: Any, vector: dict[str, Any]) -> None:
    fields = fields_of(vector)
    name = "signature" if vector["version"] == "V1" else "x-oss-signature"
    good = fields[name]
    changes = [
        {name: ("b" if good[0] == "a" else "a") + good[1:]},
        {name: good + "0"},
        {"policy": fields["policy"][:-8] + "AAAA" + fields["policy"][-4:]},
        {"policy": fields["policy"] + " "},
    ]
    for change in changes:
        error = refused({**fields, **change}, wire.identities_of(vector), bucket=vector["bucket"])
        assert (error.status, error.code) == (403, "SignatureDoesNotMatch")
        assert error.ec == "0002-00000705"
        assert error.extra["StringToSign"] == {**fields, **change}["policy"]
    other = wire.identities_of(vector, secret="another")
    assert refused(fields, other, bucket=vector["bucket"]).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_credentials_of_a_form(wire: Any, vector: dict[str, Any]) -> None:
    fields = fields_of(vector)
    error = refused(fields, Identities(), bucket=vector["bucket"])
    assert (error.status, error.code) == (403, "InvalidAccessKeyId")
    if vector["security_token"]:
        token = fields.pop("x-oss-security-token")
        error = refused(fields, wire.identities_of(vector))
        assert (error.status, error.code) == (403, "InvalidAccessKeyId")
        expired = Identities()
        expired.add_session(
            wire.session(vector["access_key_id"], vector["access_key_secret"], token, NOW)
        )
        error = refused({**fields, "x-oss-security-token": token}, expired)
        assert (error.status, error.code) == (403, "SecurityTokenExpired")
    else:
        fields["x-oss-security-token"] = "garbage"
        error = refused(fields, wire.identities_of(vector), bucket=vector["bucket"])
        assert (error.status, error.code) == (403, "InvalidSecurityToken")


def test_a_form_without_policy_and_signature_is_anonymous() -> None:
    caller, policy = verified({"key": "a", "x-oss-security-token": "t"}, Identities())
    assert (caller.kind, policy) == ("anonymous", None)


def encode(policy: object) -> str:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    return base64.b64encode(text.encode()).decode()


def v1_form(policy: object, **fields: str) -> dict[str, str]:
    text = encode(policy)
    signature = base64.b64encode(hmac.digest(b"sk", text.encode(), "sha1")).decode()
    return {"ossaccesskeyid": "ak", "policy": text, "signature": signature, **fields}


def v4_form(
    conditions: list[Any], *, date: str = "20240531T160837Z", **fields: str
) -> dict[str, str]:
    scope = f"{date[:8]}/cn-shanghai/oss/aliyun_v4_request"
    text = encode({"expiration": "2034-05-31T17:08:37.000Z", "conditions": conditions})
    key = b"aliyun_v4sk"
    for piece in scope.split("/"):
        key = hmac.digest(key, piece.encode(), "sha256")
    return {
        "policy": text,
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": f"ak/{scope}",
        "x-oss-date": date,
        "x-oss-signature": hmac.new(key, text.encode(), hashlib.sha256).hexdigest(),
        **fields,
    }


def named(form: dict[str, str]) -> list[Any]:
    names = ("x-oss-signature-version", "x-oss-credential", "x-oss-date")
    return [{name: form[name]} for name in names]


PLAIN = {"expiration": "2034-05-31T17:08:37.000Z", "conditions": [{"bucket": "examplebucket"}]}


@pytest.mark.parametrize(
    ("dropped", "ec"),
    [
        (["policy"], "0002-00000702"),
        (["policy", "signature"], "0002-00000702"),
        (["signature"], "0002-00000703"),
        (["signature", "ossaccesskeyid"], "0002-00000703"),
        (["ossaccesskeyid"], ""),
    ],
)
def test_one_or_two_of_the_three_v1_fields_are_refused(
    wire: Any, dropped: list[str], ec: str
) -> None:
    fields = {name: value for name, value in v1_form(PLAIN).items() if name not in dropped}
    error = refused(fields, wire.keys())
    assert (error.status, error.code, error.ec) == (400, "InvalidArgument", ec)


def test_an_empty_signature_is_refused(wire: Any) -> None:
    error = refused({**v1_form(PLAIN), "signature": ""}, wire.keys())
    assert (error.status, error.code, error.ec) == (400, "InvalidArgument", "0002-00000704")


@pytest.mark.parametrize(
    ("change", "ec"),
    [
        ({"x-oss-signature-version": "OSS2"}, "0002-00000066"),
        ({"x-oss-signature-version": None}, "0002-00000066"),
        ({"x-oss-credential": None}, "0002-00000710"),
        ({"x-oss-credential": "ak/20240531/cn-shanghai/oss/x"}, "0002-00000710"),
        ({"x-oss-credential": "ak/2024-05-31/cn-shanghai/oss/aliyun_v4_request"}, "0002-00000709"),
        ({"x-oss-credential": "ak/20240530/cn-shanghai/oss/aliyun_v4_request"}, "0002-00000709"),
        ({"x-oss-credential": "ak/20240531/cn-beijing/oss/aliyun_v4_request"}, "0002-00000226"),
        ({"x-oss-credential": "ak/20240531/cn-shanghai/vod/aliyun_v4_request"}, "0002-00000227"),
        ({"x-oss-date": None}, "0002-00000709"),
        ({"x-oss-date": "2024-05-31T16:08:37Z"}, "0002-00000709"),
        ({"x-oss-signature": None}, "0002-00000703"),
        ({"policy": None}, "0002-00000702"),
    ],
)
def test_malformed_v4_form(wire: Any, change: dict[str, str | None], ec: str) -> None:
    form = v4_form(named(v4_form([])))
    for name, value in change.items():
        if value is None:
            del form[name]
        else:
            form[name] = value
    error = refused(form, wire.keys())
    assert (error.status, error.code, error.ec) == (400, "InvalidArgument", ec)


def test_v4_date_is_at_most_seven_days_old_and_fifteen_minutes_ahead(wire: Any) -> None:
    form = v4_form(named(v4_form([])))
    for edge, beyond in ((7 * 86400, 1), (-900, -1)):
        assert verified(form, wire.keys(), now=NOW + edge)[0].kind == "user"
        error = refused(form, wire.keys(), now=NOW + edge + beyond)
        assert (error.status, error.code) == (400, "InvalidArgument")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_v4_policy_must_name_its_own_fields(wire: Any, number: int) -> None:
    conditions = named(v4_form([]))
    left_out = next(iter(conditions.pop(number)))
    error = refused(v4_form(conditions), wire.keys())
    assert (error.status, error.code, error.ec) == (403, "AccessDenied", "0006-00000228")
    assert error.message == f"Invalid according to Policy: Extra input fields: {left_out}"
    error = refused(v4_form([*conditions, {left_out: "another"}]), wire.keys())
    assert (error.status, error.code) == (403, "AccessDenied")


def test_v4_policy_must_name_the_token(wire: Any) -> None:
    vector = next(v for v in VECTORS if v["id"] == "gen-post-v4-01")
    identities = Identities()
    identities.add_session(
        wire.session(vector["access_key_id"], vector["access_key_secret"], "token")
    )
    error = refused({**fields_of(vector), "x-oss-security-token": "token"}, identities)
    assert (error.status, error.code, error.ec) == (403, "AccessDenied", "0006-00000228")


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "not json",
        "[]",
        "1",
        '{"conditions": []}',
        '{"expiration": "2034-05-31T17:08:37.000Z"}',
        '{"expiration": "tomorrow", "conditions": []}',
        '{"expiration": 5, "conditions": []}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": {}}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": ["x"]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["eq", "$key"]]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["eq", "key", "a"]]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["eq", "$key", 1]]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["like", "$key", "a"]]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["in", "$key", "a"]]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [{"key": ["a"]}]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["content-length-range", -1, 2]]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["content-length-range", "1", 2]]}',
        '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["content-length-range", true, 2]]}',
        "[" * 100_000,
    ],
)
def test_bad_policy_document(wire: Any, policy: str) -> None:
    error = refused(v1_form(policy), wire.keys())
    assert (error.status, error.code) == (400, "InvalidPolicyDocument")


@pytest.mark.parametrize("text", ["%%%", "e30", "ü", "gICA"])
def test_policy_that_is_no_base64_of_utf8(text: str) -> None:
    with pytest.raises(OssError) as caught:
        parse_post_policy(text)
    assert (caught.value.status, caught.value.code) == (400, "InvalidPolicyDocument")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (r"a\/b", "a/b"),
        (r"\$x", "$x"),
        (r"\\$x", r"\$x"),
        (r"\\\$x", r"\$x"),
        (r"\u0024\n\"\\", '$\n"\\'),
    ],
)
def test_escapes_inside_a_policy(raw: str, value: str) -> None:
    head = '{"expiration": "2034-05-31T17:08:37Z", "conditions": [["eq", "$key", "'
    text = head + raw + '"]]}'
    assert parse_post_policy(encode(text))["conditions"] == [["eq", "$key", value]]


LEAF = st.none() | st.booleans() | st.text(max_size=5)
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
def test_any_json_gives_a_policy_or_the_one_refusal(value: Any) -> None:
    document = {"expiration": "2034-05-31T17:08:37Z", "conditions": [value]}
    try:
        policy = parse_post_policy(encode(document))
    except OssError as error:
        caught = error
    else:
        assert policy["conditions"] == [value]
        return
    assert (caught.status, caught.code) == (400, "InvalidPolicyDocument")


def checked(*conditions: Any, size: int = 10, now: float = NOW, **fields: str) -> OssError | None:
    policy = {"expiration": "2024-05-31T17:08:37.000Z", "conditions": list(conditions)}
    given_fields = {name.replace("_", "-"): value for name, value in fields.items()}
    try:
        check_post_policy(policy, given_fields, bucket="bucket", size=size, now=now)
    except OssError as error:
        return error
    return None


def test_expiration_of_a_policy() -> None:
    assert checked(now=NOW + 3600) is None
    error = checked(now=NOW + 3600.5)
    assert error is not None
    assert (error.status, error.code) == (403, "AccessDenied")
    assert error.message == "Invalid according to Policy: Policy expired."


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"bucket": "bucket"}, [{}], []),
        (["eq", "$bucket", "another"], [], [{}]),
        (["eq", "$key", "a/b"], [{"key": "a/b"}], [{"key": "a/bc"}, {"key": "A/b"}, {}]),
        ({"Key": "a"}, [{"key": "a"}], [{"key": "b"}]),
        (["starts-with", "$key", "cam/"], [{"key": "cam/1"}], [{"key": "cam"}, {}]),
        (["starts-with", "$x-oss-meta-tag", ""], [{}, {"x_oss_meta_tag": "z"}], []),
        (
            ["in", "$content-type", ["image/jpg", "image/png"]],
            [{"content_type": "image/png"}],
            [{"content_type": "image/p"}, {}],
        ),
        (
            ["not-in", "$cache-control", ["no-cache"]],
            [{"cache_control": "max-age=1"}, {}],
            [{"cache_control": "no-cache"}],
        ),
        (["eq", "$key", "${filename}"], [{"key": "${filename}"}], [{"key": "a.mp4"}]),
    ],
)
def test_conditions(condition: Any, good: list[dict[str, str]], bad: list[dict[str, str]]) -> None:
    for fields in good:
        assert checked(condition, **fields) is None
    for fields in bad:
        error = checked(condition, **fields)
        assert error is not None
        assert (error.status, error.code) == (403, "AccessDenied")
        assert error.message.startswith("Invalid according to Policy: Policy Condition failed: [")


def test_size_range_of_a_policy() -> None:
    condition = ["content-length-range", 5, 10]
    for size, code in ((4, "EntityTooSmall"), (5, None), (10, None), (11, "EntityTooLarge")):
        error = checked(condition, size=size)
        assert (error.code if error else None) == code
        if error is not None:
            assert error.status == 400
            assert error.extra["ProposedSize"] == str(size)


def test_every_condition_must_be_met() -> None:
    conditions = [["starts-with", "$key", "a"], ["content-length-range", 0, 5]]
    assert checked(*conditions, size=5, key="ab") is None
    for size, key in ((6, "ab"), (5, "b")):
        assert checked(*conditions, size=size, key=key) is not None
