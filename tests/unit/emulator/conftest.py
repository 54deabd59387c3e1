"""Signed requests on the wire, for the tests of the local cloud's authentication."""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import json
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from ossmedia.emulator import rpc
from ossmedia.emulator.canonical import iso_seconds
from ossmedia.emulator.errors import OssError
from ossmedia.emulator.identities import Identities, Session
from ossmedia.emulator.signatures import SignedRequest, verify
from ossmedia.emulator.sts import handle_rpc


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
            or f"OSS anykey:{expected['signature']}"
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
    key_id = vector["access_key_id"] or "anykey"
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


NOW = float(calendar.timegm((2024, 5, 31, 16, 8, 37)))
ARN = "acs:ram::1234567890123456:role/uploader"
FORM = ("content-type", "application/x-www-form-urlencoded")


class Service:
    """The STS of one account, called through signed requests."""

    def __init__(self) -> None:
        self.identities = Identities()
        self.identities.add_access_key("user", "sk")
        self.identities.add_access_key("owner", "sk", kind="root")
        self.identities.add_role(ARN, max_session_duration=7200)
        self.nonces = rpc.Nonces()
        self.count = 0

    def send(
        self,
        method: str,
        query: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        **over: Any,
    ) -> tuple[int, str, bytes]:
        settings = {"identities": self.identities, "now": NOW, "nonces": self.nonces, **over}
        return handle_rpc(method, query, [("host", "sts.test"), *headers], body, **settings)

    def signed(self, method: str, parameters: dict[str, str], *, secret: str = "sk") -> str:
        """Form text of the parameters with the common ones and an RPC 1.0 signature."""
        self.count += 1
        common = {
            "Version": "2015-04-01",
            "Format": "JSON",
            "AccessKeyId": "user",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": f"nonce-{self.count}",
            "Timestamp": iso_seconds(NOW),
        }
        sent = {n: v for n, v in {**common, **parameters}.items() if v != "-"}
        pairs = "&".join(
            f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in sorted(sent.items())
        )
        text = f"{method}&%2F&{quote(pairs, safe='')}"
        digest = hmac.digest(f"{secret}&".encode(), text.encode(), "sha1")
        return urlencode({**sent, "Signature": base64.b64encode(digest).decode()})

    def call(self, action: str, *, secret: str = "sk", **parameters: str) -> tuple[int, Any]:
        """GET over RPC 1.0 with a JSON answer."""
        query = self.signed("GET", {"Action": action, **parameters}, secret=secret)
        status, kind, body = self.send("GET", query, [])
        assert kind.startswith("application/json")
        return status, json.loads(body)

    def assume(self, **parameters: str) -> tuple[int, Any]:
        return self.call(
            "AssumeRole", **{"RoleArn": ARN, "RoleSessionName": "cam-01", **parameters}
        )

    def acs3(
        self, parameters: dict[str, str], *, in_body: bool, **headers: str
    ) -> tuple[int, str, bytes]:
        """A signed ACS3 call of AssumeRole."""
        self.count += 1
        text = "&".join(f"{n}={quote(v, safe='')}" for n, v in sorted(parameters.items()))
        query, body = ("", text.encode()) if in_body else (text, b"")
        fields = {
            "host": "sts.test",
            "x-acs-action": "AssumeRole",
            "x-acs-version": "2015-04-01",
            "x-acs-date": iso_seconds(NOW),
            "x-acs-signature-nonce": f"acs3-{self.count}",
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            **({FORM[0]: FORM[1]} if in_body else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        names = sorted(fields)
        lines = "".join(f"{name}:{fields[name]}\n" for name in names)
        canonical = (
            f"POST\n/\n{query}\n{lines}\n{';'.join(names)}\n{fields['x-acs-content-sha256']}"
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = hmac.digest(b"sk", f"ACS3-HMAC-SHA256\n{digest}".encode(), "sha256").hex()
        signed = f"SignedHeaders={';'.join(names)},Signature={signature}"
        fields["authorization"] = f"ACS3-HMAC-SHA256 Credential=user,{signed}"
        del fields["host"]
        return self.send("POST", query, list(fields.items()), body)


@pytest.fixture
def service() -> Service:
    """A fresh STS."""
    return Service()


@pytest.fixture(scope="session")
def new_service() -> type[Service]:
    """For tests that need a fresh STS many times."""
    return Service


@pytest.fixture(scope="session")
def wire() -> SimpleNamespace:
    """The functions above, for tests that cannot import them."""
    functions = (unix, now_of, raw_query, request_of, identities_of, session, check, refused, keys)
    return SimpleNamespace(**{function.__name__: function for function in functions})
