"""The verifier of OSS signatures, against the published vectors and every change to them."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ossmedia.emulator.identities import Identities
from ossmedia.emulator.signatures import SignedRequest, verify

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "signature-vectors.json").read_text("utf-8")
)["vectors"]
BY_ID = {vector["id"]: vector for vector in VECTORS}
HEADER = [v for v in VECTORS if v["version"] in ("V1", "V4") and v["mode"] == "header"]
URL = [v for v in VECTORS if v["version"] in ("V1", "V4") and v["mode"] == "query"]
# V1 sub-resources that occur in the vectors; every other name there is unsigned.
SIGNED_V1 = {
    "acl",
    "append",
    "continuation-token",
    "position",
    "resourceGroup",
    "response-content-disposition",
    "security-token",
    "versionId",
}


def ids(vector: dict[str, Any]) -> str:
    return str(vector["id"])


def test_every_vector_of_oss_is_used_but_rtmp() -> None:
    used = {v["id"] for v in HEADER + URL}
    forms = {v["id"] for v in VECTORS if v["mode"] == "post-policy"}
    calls = {v["id"] for v in VECTORS if v["version"] in ("RPC-1.0", "ACS3")}
    assert len(used) == 42
    # RTMP is no HTTP; the callback of VOD is signed by the service, not verified by it.
    assert set(BY_ID) - used - forms - calls == {"v1-url-08-rtmp", "vod-callback-01"}


@pytest.mark.parametrize("vector", HEADER + URL, ids=ids)
def test_vector_is_accepted(wire: Any, vector: dict[str, Any]) -> None:
    caller = wire.check(vector)
    assert caller.access_key_id == (vector["access_key_id"] or "anykey")
    assert caller.kind == ("sts" if vector["security_token"] else "user")


@pytest.mark.parametrize("vector", HEADER + URL, ids=ids)
def test_mismatch_shows_the_servers_texts(wire: Any, vector: dict[str, Any]) -> None:
    error = wire.refused(vector, identities=wire.identities_of(vector, secret="another"))
    assert (error.status, error.code) == (403, "SignatureDoesNotMatch")
    assert error.ec == ("0002-00000040" if vector["version"] == "V1" else "0002-00000201")
    text = error.extra["StringToSign"]
    if vector["id"] != "v1-hdr-12-bare-bucket-path":
        assert text == vector["expected"]["string_to_sign"]
    assert bytes.fromhex(error.extra["StringToSignBytes"]).decode() == text
    assert error.extra["SignatureProvided"] == vector["expected"]["signature"]
    canonical = vector["expected"].get("canonical_request")
    assert error.extra.get("CanonicalRequest") == canonical
    assert "another" not in repr(error) + str(error.extra)


def tampered(wire: Any, vector: dict[str, Any]) -> Iterator[tuple[str, SignedRequest]]:
    """The request with one signed piece changed."""
    request = wire.request_of(vector)
    other = {"GET": "PUT", "PUT": "GET", "POST": "PUT"}
    yield "method", request._replace(method=other[request.method])
    if request.bucket is not None:
        yield "bucket", request._replace(bucket=request.bucket + "x")
        yield "key", request._replace(key=(request.key or "") + "x")
    for position, (name, value) in enumerate(request.headers):
        if not header_is_signed(vector, name):
            continue
        for what, changed in (("changed", [(name, value[:-1] + "~")]), ("removed", [])):
            headers = request.headers[:position] + changed + request.headers[position + 1 :]
            yield f"header {name} {what}", request._replace(headers=headers)
        doubled = [*request.headers, (name, "again")]
        yield f"header {name} twice", request._replace(headers=doubled)
    injected = [*request.headers, ("x-oss-meta-injected", "1")]
    yield "header injected", request._replace(headers=injected)
    yield from tampered_query(vector, request)
    yield from tampered_signature(vector, request)


def header_is_signed(vector: dict[str, Any], name: str) -> bool:
    if name in ("content-type", "content-md5") or name.startswith("x-oss-"):
        return True
    if vector["version"] == "V4":
        return name in vector["expected"]["signed_additional_headers"]
    return name == "date" and "x-oss-date" not in {n.lower() for n in vector["headers"]}


def tampered_query(
    vector: dict[str, Any], request: SignedRequest
) -> Iterator[tuple[str, SignedRequest]]:
    pieces = [piece for piece in request.raw_query.split("&") if piece]
    for position, piece in enumerate(pieces):
        name = piece.partition("=")[0]
        signed = vector["version"] == "V4" or name in SIGNED_V1 or name == "Expires"
        if not signed or name in ("x-oss-signature", "Signature"):
            continue
        before, after = pieces[:position], pieces[position + 1 :]
        # Expires of V1 may only move into the future, or age would hide the signature.
        longer = piece + ("0" if "=" in piece else "=0")
        yield (
            f"query {name} changed",
            request._replace(raw_query="&".join([*before, longer, *after])),
        )
        yield f"query {name} removed", request._replace(raw_query="&".join(before + after))
    added = "acl" if vector["version"] == "V1" and "acl" not in pieces else "uploads"
    yield f"query {added} added", request._replace(raw_query="&".join([*pieces, added]))


def tampered_signature(
    vector: dict[str, Any], request: SignedRequest
) -> Iterator[tuple[str, SignedRequest]]:
    signature = vector["expected"]["signature"]
    for what, changed in (
        ("first character", ("b" if signature[0] == "a" else "a") + signature[1:]),
        ("truncated", signature[:-1]),
        ("longer", signature + "0"),
    ):
        if vector["mode"] == "query":
            raw = request.raw_query.replace(quote(signature, safe=""), quote(changed, safe=""))
            yield f"signature {what}", request._replace(raw_query=raw)
        else:
            headers = [(name, value.replace(signature, changed)) for name, value in request.headers]
            yield f"signature {what}", request._replace(headers=headers)


@pytest.mark.parametrize("vector", HEADER + URL, ids=ids)
def test_tampered_vector_is_refused(wire: Any, vector: dict[str, Any]) -> None:
    tried = 0
    for what, request in tampered(wire, vector):
        error = wire.refused(vector, request=request)
        assert error.status in (400, 403), what
        if what.startswith(("method", "bucket", "key", "signature", "header injected")):
            assert error.code == "SignatureDoesNotMatch", what
        tried += 1
    assert tried >= 6


def test_unsigned_pieces_may_change(wire: Any) -> None:
    v4 = BY_ID["v4-hdr-01"]
    request = wire.request_of(v4)
    changed = [(n, "other" if n == "abc" else v) for n, v in request.headers]
    wire.check(v4, request=request._replace(headers=[*changed, ("user-agent", "x")]))
    v1 = BY_ID["v1-hdr-03-acl-unsigned-param"]
    request = wire.request_of(v1)
    wire.check(v1, request=request._replace(raw_query="acl&prefix=1&max-keys=2"))


def test_an_unsigned_request_is_anonymous(wire: Any) -> None:
    request = wire.request_of(BY_ID["v4-hdr-01"])
    bare = request._replace(headers=[("host", "a")], raw_query="prefix=x")
    caller = verify(bare, Identities(), now=0, region="cn-hangzhou")
    assert caller.kind == "anonymous"
    assert caller.secret == ""


def test_header_and_url_signature_together_are_refused(wire: Any) -> None:
    for name in ("v1-url-01", "v4-url-01"):
        vector = BY_ID[name]
        request = wire.request_of(vector)
        for authorization in ("OSS ak:x", "OSS4-HMAC-SHA256 Signature=x", "Basic x"):
            headers = [*request.headers, ("authorization", authorization)]
            error = wire.refused(vector, request=request._replace(headers=headers))
            assert (error.status, error.code) == (400, "InvalidArgument")


def test_signatures_are_compared_in_constant_time(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bytes, bytes]] = []
    plain = hmac.compare_digest

    def spy(left: bytes, right: bytes) -> bool:
        seen.append((left, right))
        return plain(left, right)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    for name in ("v1-hdr-01", "v4-hdr-01", "v1-url-01", "v4-url-01"):
        seen.clear()
        wire.check(BY_ID[name])
        assert BY_ID[name]["expected"]["signature"].encode() in {left for left, _ in seen}


def test_no_repr_shows_a_credential(wire: Any) -> None:
    vector = BY_ID["v4-hdr-02-token"]
    request = wire.request_of(vector)
    caller = wire.check(vector)
    shown = repr(request) + repr(caller) + repr(caller.session)
    assert "token" not in shown.replace("x-oss-security-token", "")
    assert vector["expected"]["signature"] not in shown
    assert "sk" not in shown
