"""What both signature versions share: time windows, access keys and security tokens."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ossmedia.emulator.identities import Identities

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "signature-vectors.json").read_text("utf-8")
)["vectors"]
BY_ID = {vector["id"]: vector for vector in VECTORS}
HEADER = [v for v in VECTORS if v["version"] in ("V1", "V4") and v["mode"] == "header"]
URL = [v for v in VECTORS if v["version"] in ("V1", "V4") and v["mode"] == "query"]


def ids(vector: dict[str, Any]) -> str:
    return str(vector["id"])


@pytest.mark.parametrize("vector", HEADER, ids=ids)
def test_header_signature_lives_fifteen_minutes_to_both_sides(
    wire: Any, vector: dict[str, Any]
) -> None:
    now = wire.now_of(vector)
    for edge in (-900, 900):
        wire.check(vector, now=now + edge)
        error = wire.refused(vector, now=now + edge * 901 / 900)
        assert (error.status, error.code) == (403, "RequestTimeTooSkewed")
        assert error.extra["MaxAllowedSkewMilliseconds"] == "900000"
    assert error.extra["RequestTime"] == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now))
    served = time.gmtime(now + 901)
    assert error.extra["ServerTime"] == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", served)


@pytest.mark.parametrize("vector", URL, ids=ids)
def test_url_expires_before_its_signature_is_looked_at(wire: Any, vector: dict[str, Any]) -> None:
    last = wire.now_of(vector) + vector["extra"].get("expires_seconds", 0)
    wire.check(vector, now=last)
    wrong = wire.identities_of(vector, secret="another")
    assert wire.refused(vector, now=last, identities=wrong).code == "SignatureDoesNotMatch"
    error = wire.refused(vector, now=last + 1, identities=wrong)
    assert (error.status, error.code) == (403, "AccessDenied")
    assert error.message == "Request has expired."


def test_without_any_date_a_header_signature_is_refused(wire: Any) -> None:
    for name, date in (("v1-hdr-08-docs", "date"), ("v4-hdr-01", "x-oss-date")):
        request = wire.request_of(BY_ID[name])
        headers = [(n, v) for n, v in request.headers if n != date]
        error = wire.refused(BY_ID[name], request=request._replace(headers=headers))
        assert (error.status, error.code) == (403, "AccessDenied")


TOKENS = [v for v in HEADER + URL if v["security_token"] and v["id"] != "v1-url-05-malformed-query"]


@pytest.mark.parametrize("vector", TOKENS, ids=ids)
def test_token_states(wire: Any, vector: dict[str, Any]) -> None:
    key_id, secret = vector["access_key_id"], vector["access_key_secret"]
    now = wire.now_of(vector)
    own, other = Identities(), Identities()
    own.add_session(wire.session(key_id, secret, vector["security_token"], expires_at=now))
    error = wire.refused(vector, identities=own)
    assert (error.status, error.code) == (403, "SecurityTokenExpired")
    own.add_session(wire.session(key_id, secret, vector["security_token"], expires_at=now + 1))
    wire.check(vector, identities=own)
    other.add_session(wire.session(key_id, secret, "its own"))
    error = wire.refused(vector, identities=other)
    assert (error.status, error.code) == (403, "InvalidSecurityToken")
    other.add_session(wire.session("STS.else", "s", vector["security_token"]))
    error = wire.refused(vector, identities=other)
    assert (error.status, error.code) == (403, "AccessKeyIdAndSecurityTokenNotMatch")


@pytest.mark.parametrize("vector", TOKENS, ids=ids)
def test_long_lived_key_with_a_foreign_token(wire: Any, vector: dict[str, Any]) -> None:
    identities = Identities()
    identities.add_access_key(vector["access_key_id"], vector["access_key_secret"])
    assert wire.refused(vector, identities=identities).code == "InvalidSecurityToken"
    identities.add_session(wire.session("STS.else", "s", vector["security_token"]))
    error = wire.refused(vector, identities=identities)
    assert error.code == "AccessKeyIdAndSecurityTokenNotMatch"


@pytest.mark.parametrize("name", ["v4-hdr-01", "v4-url-01", "v1-hdr-01", "v1-url-01"])
def test_invalid_access_key_id(wire: Any, name: str) -> None:
    vector = BY_ID[name]
    unknown, disabled, temporary = Identities(), Identities(), Identities()
    disabled.add_access_key("ak", "sk", enabled=False)
    temporary.add_session(wire.session("ak", "sk", "token"))
    for identities in (unknown, disabled, temporary):
        error = wire.refused(vector, identities=identities)
        assert (error.status, error.code) == (403, "InvalidAccessKeyId")
        assert error.ec == "0002-00000902"
        assert error.extra["OSSAccessKeyId"] == "ak"


def test_a_key_id_of_strange_characters_is_unknown_and_shown_harmlessly(wire: Any) -> None:
    vector = BY_ID["v1-url-01"]
    raw = wire.request_of(vector).raw_query.replace("OSSAccessKeyId=ak", "OSSAccessKeyId=%FF%00")
    error = wire.refused(vector, request=wire.request_of(vector)._replace(raw_query=raw))
    assert error.code == "InvalidAccessKeyId"
    error.extra["OSSAccessKeyId"].encode()


def test_token_in_header_and_query_is_refused(wire: Any) -> None:
    for name, parameter in (
        ("v4-hdr-02-token", "x-oss-security-token"),
        ("v1-hdr-06-token", "security-token"),
    ):
        vector = BY_ID[name]
        request = wire.request_of(vector)._replace(raw_query=f"{parameter}=token")
        error = wire.refused(vector, request=request)
        assert (error.status, error.code) == (400, "InvalidArgument")
    for name in ("v4-url-02-token", "v1-url-02-token"):
        vector = BY_ID[name]
        request = wire.request_of(vector)
        headers = [*request.headers, ("x-oss-security-token", "token")]
        error = wire.refused(vector, request=request._replace(headers=headers))
        assert (error.status, error.code) == (400, "InvalidArgument")


def test_a_token_in_the_undocumented_header_does_not_count(wire: Any) -> None:
    vector = BY_ID["v1-hdr-06-token"]
    request = wire.request_of(vector)
    renamed = [
        ("security-token" if n == "x-oss-security-token" else n, v) for n, v in request.headers
    ]
    assert (
        wire.refused(vector, request=request._replace(headers=renamed)).code == "InvalidAccessKeyId"
    )
