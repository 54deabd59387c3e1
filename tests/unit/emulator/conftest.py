"""Requests on the wire for the tests of the local cloud's authentication, and the vectors they are
made from.
"""

from __future__ import annotations

import calendar
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from ossmedia.emulator.errors import OssError
from ossmedia.emulator.identities import Identities, Session
from ossmedia.emulator.signatures import SignedRequest, verify


def unix(text: str) -> float:
    return float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))


def now_of(vector: dict[str, Any]) -> float:
    if "expires_unix" in vector["extra"]:
        return float(vector["extra"]["expires_unix"])
    return unix(vector["time"])


def raw_query(query: dict[str, str | None]) -> str:
    return "&".join(
        quote(name, safe="") + ("" if value is None else "=" + quote(value, safe=""))
        for name, value in query.items()
    )


def request_of(vector: dict[str, Any]) -> SignedRequest:
    """The vector as a signed request on the wire, virtual-hosted unless it says otherwise."""
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    query = dict(vector["query"])
    expected = vector["expected"]
    if vector["mode"] == "query":
        query.update(expected["added_query"])
    else:
        if vector["version"] == "V4":
            headers.setdefault("x-oss-date", vector["time"])
            headers.setdefault("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
        if vector["security_token"]:
            headers["x-oss-security-token"] = vector["security_token"]
        headers["authorization"] = (
            expected.get("authorization_as_sent")
            or expected["authorization"]
            or f"OSS helper:{expected['signature']}"
        )
    bare = vector["id"] == "v1-hdr-12-bare-bucket-path"
    return SignedRequest(
        method=vector["method"],
        bucket=vector["bucket"],
        key=vector["key"],
        path_style=bare,
        raw_path="/bucket" if bare else "/" + quote(vector["key"] or ""),
        raw_query=raw_query(query),
        headers=[(name, value.encode().decode("latin-1")) for name, value in headers.items()],
    )


def identities_of(vector: dict[str, Any], *, secret: str | None = None) -> Identities:
    identities = Identities()
    key_id = vector["access_key_id"] or "helper"
    secret = secret or vector["access_key_secret"]
    if vector["security_token"]:
        identities.add_session(session(key_id, secret, vector["security_token"]))
    else:
        identities.add_access_key(key_id, secret)
    return identities


def session(key_id: str, secret: str, token: str, expires_at: float = 4e9) -> Session:
    arn = "acs:ram::1234567890123456:role/uploader"
    return Session(key_id, secret, token, expires_at, arn, "cam-01", None, "1234567890123456")


def check(
    vector: dict[str, Any],
    *,
    request: SignedRequest | None = None,
    identities: Identities | None = None,
    now: float | None = None,
    **options: Any,
) -> Any:
    settings = {
        "region": vector["region"] or "cn-hangzhou",
        "product": vector["extra"].get("product", "oss"),
        **options,
    }
    return verify(
        request or request_of(vector),
        identities or identities_of(vector),
        now=now_of(vector) if now is None else now,
        **settings,
    )


def refused(vector: dict[str, Any], **changes: Any) -> OssError:
    with pytest.raises(OssError) as caught:
        check(vector, **changes)
    return caught.value


def keys() -> Identities:
    identities = Identities()
    identities.add_access_key("ak", "sk")
    return identities


@pytest.fixture(scope="session")
def wire() -> SimpleNamespace:
    """The functions above, for tests that cannot import them."""
    functions = (unix, now_of, raw_query, request_of, identities_of, session, check, refused, keys)
    return SimpleNamespace(**{function.__name__: function for function in functions})
