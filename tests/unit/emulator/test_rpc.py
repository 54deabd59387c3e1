"""The RPC transport: both signatures against the published vectors, timestamps, nonces, formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest

from ossmedia.emulator import rpc
from ossmedia.emulator.canonical import parse_iso_time
from ossmedia.emulator.errors import RpcError
from ossmedia.emulator.identities import Identities

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "signature-vectors.json").read_text("utf-8")
)["vectors"]
RPC1 = [v for v in VECTORS if v["version"] == "RPC-1.0"]
ACS3 = [v for v in VECTORS if v["version"] == "ACS3"]
# This vector has neither an action nor a timestamp: it anchors the string to sign only.
UNTIMED = "rpc-05-core-commented"
Sent = tuple[str, str, list[tuple[str, str]], bytes]


def ids(vector: dict[str, Any]) -> str:
    return str(vector["id"])


def rpc1_sent(vector: dict[str, Any], *, in_body: bool = False, **changes: str | None) -> Sent:
    """The vector on the wire, with parameters changed (None: removed)."""
    parameters = {**vector["query"], "Signature": vector["expected"]["signature"], **changes}
    text = urlencode({k: v for k, v in parameters.items() if v is not None})
    form = [("host", "sts.aliyuncs.com"), ("content-type", "application/x-www-form-urlencoded")]
    if in_body:
        return vector["method"], "", form, text.encode()
    return vector["method"], text, form[:1], b""


def acs3_sent(vector: dict[str, Any], **changes: str | None) -> Sent:
    headers = {**vector["headers"], "authorization": vector["expected"]["authorization"]}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    kept = [(name, value) for name, value in headers.items() if value is not None]
    body = vector["extra"].get("body", "").encode()
    return vector["method"], urlencode(vector["query"]), kept, body


def now_of(vector: dict[str, Any]) -> float:
    now = parse_iso_time(vector["time"])
    assert now is not None
    return now


def authenticated(wire: Any, vector: dict[str, Any], sent: Sent, **over: Any) -> Any:
    settings = {
        "identities": wire.identities_of(vector),
        "now": now_of(vector),
        "nonces": rpc.Nonces(),
        **over,
    }
    identities = settings.pop("identities")
    return rpc.authenticate(rpc.parse_call(*sent), identities, **settings)


def refused(wire: Any, vector: dict[str, Any], sent: Sent, **over: Any) -> tuple[int, str]:
    with pytest.raises(RpcError) as caught:
        authenticated(wire, vector, sent, **over)
    return caught.value.status, caught.value.code


TIMED = [v for v in RPC1 if v["id"] != UNTIMED]


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize("vector", TIMED, ids=ids)
def test_rpc1_vector_is_accepted(wire: Any, vector: dict[str, Any], in_body: bool) -> None:
    sent = rpc1_sent(vector, in_body=in_body)
    caller = authenticated(wire, vector, sent)
    assert caller.access_key_id == vector["access_key_id"]
    call = rpc.parse_call(*sent)
    assert call.string_to_sign.decode() == vector["expected"]["string_to_sign"]
    assert (call.action, call.version) == (vector["query"]["Action"], vector["query"]["Version"])
    assert vector["query"].items() <= call.parameters.items()


def test_rpc1_signs_an_empty_parameter() -> None:
    vector = next(v for v in RPC1 if v["id"] == UNTIMED)
    text = rpc.rpc1_string_to_sign(vector["method"], vector["query"].items())
    assert text.decode() == vector["expected"]["string_to_sign"]
    call = rpc.Call("RPC1", "a", "v", {}, "k", None, "n", "t", "s", text)
    assert rpc.sign(call, vector["access_key_secret"]) == vector["expected"]["signature"]


@pytest.mark.parametrize("vector", TIMED, ids=ids)
def test_tampered_rpc1_vector_is_refused(wire: Any, vector: dict[str, Any]) -> None:
    method, query, headers, body = rpc1_sent(vector)
    other = "GET" if method == "POST" else "POST"
    mismatch = (400, "SignatureDoesNotMatch")
    assert refused(wire, vector, (other, query, headers, body)) == mismatch
    assert refused(wire, vector, (method, query + "&Extra=1", headers, body)) == mismatch
    for name, value in vector["query"].items():
        if name in ("AccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp"):
            continue
        assert refused(wire, vector, rpc1_sent(vector, **{name: value + "x"})) == mismatch, name
        if name not in ("Action", "Version", "SignatureNonce"):
            assert refused(wire, vector, rpc1_sent(vector, **{name: None})) == mismatch, name
    wrong = wire.identities_of(vector, secret="another")
    assert refused(wire, vector, rpc1_sent(vector), identities=wrong) == mismatch
    assert refused(wire, vector, rpc1_sent(vector, Signature="AAAA")) == mismatch


def test_mismatch_quotes_the_servers_text_after_a_colon(wire: Any) -> None:
    vector = TIMED[0]
    wrong = wire.identities_of(vector, secret="another")
    with pytest.raises(RpcError) as caught:
        authenticated(wire, vector, rpc1_sent(vector), identities=wrong)
    quoted = caught.value.message.split(":")[1]
    assert quoted == vector["expected"]["string_to_sign"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"Action": None}, 400, "MissingAction"),
        ({"Version": None}, 400, "MissingVersion"),
        ({"AccessKeyId": None}, 400, "MissingAccessKeyId"),
        ({"Timestamp": None}, 400, "MissingTimestamp"),
        ({"SignatureNonce": None}, 400, "MissingSignatureNonce"),
        ({"Signature": None}, 400, "MissingSignature"),
        ({"Signature": ""}, 400, "MissingSignature"),
        ({"SignatureMethod": "HMAC-SHA256"}, 400, "InvalidParameter.SignatureMethod"),
        ({"SignatureVersion": "2.0"}, 400, "InvalidParameter.SignatureVersion"),
        ({"AccessKeyId": "nobody"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"SecurityToken": "garbage"}, 400, "InvalidSecurityToken.Malformed"),
        ({"Timestamp": "2015-12-07 07:18:41"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2015-12-07T07:18:41+00:00"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2015-13-07T07:18:41Z"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2015-12-07T07:03:40Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "2015-12-07T07:33:42Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "2015-12-07T07:33:41Z"}, 400, "SignatureDoesNotMatch"),
    ],
)
def test_parameters_of_the_transport(
    wire: Any, change: dict[str, str | None], status: int, code: str
) -> None:
    vector = TIMED[0]
    assert refused(wire, vector, rpc1_sent(vector, **change)) == (status, code)


def test_timestamp_window(wire: Any) -> None:
    for vector, sent in ((TIMED[0], rpc1_sent(TIMED[0])), (ACS3[0], acs3_sent(ACS3[0]))):
        for edge in (-900, 900):
            assert authenticated(wire, vector, sent, now=now_of(vector) + edge)
            late = now_of(vector) + edge * 901 / 900
            assert refused(wire, vector, sent, now=late) == (400, "InvalidTimeStamp.Expired")


def test_states_of_credentials(wire: Any) -> None:
    vector = next(v for v in ACS3 if v["security_token"])
    sent = acs3_sent(vector)
    key, secret, token = (
        vector[n] for n in ("access_key_id", "access_key_secret", "security_token")
    )
    now = now_of(vector)
    disabled, expired, other, foreign = (Identities() for _ in range(4))
    disabled.add_access_key(key, secret, enabled=False)
    expired.add_session(wire.session(key, secret, token, now))
    other.add_session(wire.session(key, secret, "its own"))
    foreign.add_session(wire.session(key, secret, "its own"))
    foreign.add_session(wire.session("STS.else", "s", token))
    for identities, status, code in (
        (Identities(), 404, "InvalidAccessKeyId.NotFound"),
        (disabled, 400, "InvalidAccessKeyId.Inactive"),
        (expired, 400, "InvalidSecurityToken.Expired"),
        (other, 400, "InvalidSecurityToken.Malformed"),
        (foreign, 400, "InvalidSecurityToken.MismatchWithAccessKey"),
    ):
        assert refused(wire, vector, sent, identities=identities) == (status, code)
    signed = vector["expected"]["authorization"].replace("x-acs-security-token;", "")
    bare = acs3_sent(vector, authorization=signed, x_acs_security_token=None)
    assert refused(wire, vector, bare) == (400, "MissingSecurityToken")


def test_a_nonce_works_once(wire: Any) -> None:
    for vector, sent in ((TIMED[0], rpc1_sent(TIMED[0])), (ACS3[0], acs3_sent(ACS3[0]))):
        nonces = rpc.Nonces()
        now = now_of(vector)
        authenticated(wire, vector, sent, nonces=nonces)
        for later in (now, now + 900):
            again = refused(wire, vector, sent, nonces=nonces, now=later)
            assert again == (400, "SignatureNonceUsed")


def test_a_refused_request_does_not_burn_its_nonce(wire: Any) -> None:
    vector, nonces = TIMED[0], rpc.Nonces()
    wrong = rpc1_sent(vector, Signature="AAAA")
    assert refused(wire, vector, wrong, nonces=nonces) == (400, "SignatureDoesNotMatch")
    assert authenticated(wire, vector, rpc1_sent(vector), nonces=nonces)


def test_nonces_are_kept_as_long_as_a_timestamp_may_live_and_no_longer() -> None:
    nonces = rpc.Nonces()
    assert nonces.use("a", "n", now=1000.0)
    assert nonces.use("b", "n", now=1000.0)
    for now in (1000.0, 1901.0, 2800.0):
        assert not nonces.use("a", "n", now=now)
    for number in range(100):
        nonces.use("a", str(number), now=1000.0)
    assert nonces.use("a", "last", now=4600.0)
    assert len(nonces) == 1


@pytest.mark.parametrize("vector", ACS3, ids=ids)
def test_acs3_vector_is_accepted(wire: Any, vector: dict[str, Any]) -> None:
    sent = acs3_sent(vector)
    caller = authenticated(wire, vector, sent)
    assert caller.kind == ("sts" if vector["security_token"] else "user")
    call = rpc.parse_call(*sent)
    assert call.string_to_sign.decode() == vector["expected"]["string_to_sign"]
    assert call.action == vector["headers"]["x-acs-action"]
    assert call.parameters == (vector["query"] or {"VideoId": "93ab850b4f6f54b6e91d24d81d44****"})


@pytest.mark.parametrize("vector", ACS3, ids=ids)
def test_tampered_acs3_vector_is_refused(wire: Any, vector: dict[str, Any]) -> None:
    method, query, headers, body = acs3_sent(vector)
    mismatch = (400, "SignatureDoesNotMatch")
    for sent in (
        ("GET", query, headers, body),
        (method, query + "&Extra=1", headers, body),
        (method, query, headers, body + b"x"),
    ):
        assert refused(wire, vector, sent) == mismatch
    for name in vector["headers"]:
        if name in ("x-acs-date", "x-acs-security-token"):
            continue
        field = name.replace("-", "_")
        # A changed content type hides the form; what was signed still differs.
        changed = acs3_sent(vector, **{field: vector["headers"][name] + "x"})
        assert refused(wire, vector, changed) == mismatch, name
    good = vector["expected"]["signature"]
    flipped = vector["expected"]["authorization"].replace(good, good[::-1])
    assert refused(wire, vector, acs3_sent(vector, authorization=flipped)) == mismatch


@pytest.mark.parametrize(
    "name", ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-version"]
)
def test_acs3_headers_must_be_signed_and_present(wire: Any, name: str) -> None:
    vector = ACS3[0]
    text = vector["expected"]["authorization"].replace(f"{name};", "").replace(f";{name},", ",")
    unsigned = acs3_sent(vector, authorization=text)
    assert refused(wire, vector, unsigned) == (400, "IncompleteSignature")
    if name != "x-acs-action":
        absent = acs3_sent(vector, **{name.replace("-", "_"): None})
        assert refused(wire, vector, absent) == (400, "IncompleteSignature")


def test_acs3_further_headers_must_be_signed(wire: Any) -> None:
    vector = ACS3[0]
    extra = acs3_sent(vector, x_acs_new="1")
    assert refused(wire, vector, extra) == (400, "IncompleteSignature")
    assert authenticated(wire, vector, acs3_sent(vector, user_agent="x"))


@pytest.mark.parametrize("text", ["", "Basic x", "ACS3-HMAC-SM3 Credential=a"])
def test_acs3_needs_its_authorization(wire: Any, text: str) -> None:
    vector = ACS3[0]
    sent = acs3_sent(vector, authorization=text)
    assert refused(wire, vector, sent) == (400, "IncompleteSignature")


def test_rpc1_may_carry_the_headers_of_acs3(wire: Any) -> None:
    vector = TIMED[0]
    method, query, headers, body = rpc1_sent(vector)
    headers = [*headers, ("x-acs-action", "AssumeRole"), ("x-acs-version", "2015-04-01")]
    assert authenticated(wire, vector, (method, query, headers, body))


def test_only_get_and_post_and_only_utf8() -> None:
    for sent, code in (
        (("PUT", "Action=a", [], b""), "UnsupportedHTTPMethod"),
        (("GET", "Action=%FF", [], b""), "InvalidParameter"),
        (("GET", "&".join(["a=b"] * 1001), [], b""), "InvalidParameter"),
    ):
        with pytest.raises(RpcError) as caught:
            rpc.parse_call(*sent)
        assert (caught.value.status, caught.value.code) == (400, code)


def test_a_body_that_is_no_form_holds_no_parameters() -> None:
    query = "Action=a&Version=v"
    headers = [("content-type", "application/json")]
    assert "X" not in rpc.parse_call("POST", query, headers, b"X=1").parameters
    assert (
        rpc.parse_call(
            "POST",
            query,
            [("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            b"X=1",
        ).parameters["X"]
        == "1"
    )


def test_a_plus_sign_is_a_blank_and_the_first_of_two_counts() -> None:
    call = rpc.parse_call("GET", "Action=a&Version=v&T=x+y%2Bz&T=2", [], b"")
    assert call.parameters["T"] == "x y+z"
    assert call.string_to_sign.endswith(b"T%3D2%26T%3Dx%2520y%252Bz%26Version%3Dv")


@pytest.mark.parametrize(
    ("query", "headers", "body", "json_wanted"),
    [
        ("Action=a&Format=JSON", {}, b"", True),
        ("Format=json", {}, b"", True),
        ("Format=XML", {"accept": "application/json"}, b"", False),
        ("", {}, b"a=b&Format=JSON", True),
        ("XFormat=JSON", {}, b"", False),
        ("", {"accept": "application/json"}, b"", True),
        ("", {"accept": "text/xml", "x-acs-action": "a"}, b"", False),
        ("", {"accept": "*/*"}, b"", False),
        ("", {"authorization": "ACS3-HMAC-SHA256 x"}, b"", True),
        ("", {"x-acs-action": "a"}, b"", False),
    ],
)
def test_format_of_the_answer(
    query: str, headers: dict[str, str], body: bytes, json_wanted: bool
) -> None:
    assert rpc.wants_json(query, headers.items(), body) is json_wanted


def test_rendering() -> None:
    content = {"RequestId": "R", "User": {"Arn": "a<b>&", "Id": 5}}
    kind, body = rpc.render("XResponse", content, as_json=True)
    assert kind.startswith("application/json")
    assert json.loads(body) == content
    kind, body = rpc.render("XResponse", content, as_json=False)
    assert kind.startswith("text/xml")
    root = ElementTree.fromstring(body)
    assert root.tag == "XResponse"
    assert [(e.tag, e.text) for e in root.iter()][1:] == [
        ("RequestId", "R"),
        ("User", None),
        ("Arn", "a<b>&"),
        ("Id", "5"),
    ]


def test_no_repr_shows_a_signature() -> None:
    call = rpc.parse_call(*rpc1_sent(TIMED[0], SecurityToken="the-token"))
    assert TIMED[0]["expected"]["signature"] not in repr(call)
    assert "the-token" not in repr(call)
    assert quote("AssumeRole") in repr(call)
