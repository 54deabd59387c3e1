"""Signature version 4: its header and URL grammar, its scope, its payload."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator.errors import OssError
from ossmedia.emulator.signatures import SignedRequest, verify

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "signature-vectors.json").read_text("utf-8")
)["vectors"]
BY_ID = {vector["id"]: vector for vector in VECTORS}
NOW = 1717171717.0  # 2024-05-31 16:08:37 UTC

SCOPE = "20231216/cn-hangzhou/oss/aliyun_v4_request"


def with_authorization(wire: Any, vector: dict[str, Any], text: str) -> SignedRequest:
    request = wire.request_of(vector)
    return request._replace(
        headers=[(n, text if n == "authorization" else v) for n, v in request.headers]
    )


@pytest.mark.parametrize(
    ("text", "ec"),
    [
        ("", "0002-00000061"),
        ("Basic YTpi", "0002-00000061"),
        ("OSS2 AccessKeyId:ak,Signature:x", "0002-00000061"),
        ("AWS4-HMAC-SHA256 Credential=x", "0002-00000061"),
        ("oss ak:sig", "0002-00000061"),
        ("OSS ak", "0002-00000065"),
        ("OSS ak:", "0002-00000065"),
        ("OSS :sig", "0002-00000065"),
        ("OSS4-HMAC-SHA256 garbage", "0002-00000202"),
        (f"OSS4-HMAC-SHA256 Credential=ak/{SCOPE},Signature=a,Signature=b", "0002-00000202"),
        (f"OSS4-HMAC-SHA256 Credential=ak/{SCOPE},Other=1,Signature=a", "0002-00000202"),
        (f"OSS4-HMAC-SHA256 Credential=ak/{SCOPE}", "0002-00000065"),
        (f"OSS4-HMAC-SHA256 Credential=ak/{SCOPE},Signature=", "0002-00000065"),
        ("OSS4-HMAC-SHA256 Signature=a", "0002-00000205"),
        (
            "OSS4-HMAC-SHA256 Credential=ak/2023-12-16/r/oss/aliyun_v4_request,Signature=a",
            "0002-00000212",
        ),
        ("OSS4-HMAC-SHA256 Credential=ak/20231216/r/oss/aws4_request,Signature=a", "0002-00000213"),
        (
            "OSS4-HMAC-SHA256 Credential=ak/20231216/r/aliyun_v4_request,Signature=a",
            "0002-00000213",
        ),
        (
            "OSS4-HMAC-SHA256 Credential=/20231216/r/oss/aliyun_v4_request,Signature=a",
            "0002-00000213",
        ),
    ],
)
def test_malformed_authorization(wire: Any, text: str, ec: str) -> None:
    vector = BY_ID["v4-hdr-01"]
    error = wire.refused(vector, request=with_authorization(wire, vector, text))
    assert (error.status, error.code, error.ec) == (400, "InvalidArgument", ec)


@pytest.mark.parametrize("text", ["", "2023-12-16T16:20:57Z", "20231316T162057Z", "20231216"])
def test_v4_date_must_be_readable(wire: Any, text: str) -> None:
    for name in ("v4-hdr-01", "v4-url-01"):
        vector = BY_ID[name]
        request = wire.request_of(vector)
        headers = [(n, text if n == "x-oss-date" else v) for n, v in request.headers]
        raw = request.raw_query.replace("x-oss-date=20231217T025437Z", f"x-oss-date={text}")
        changed = request._replace(headers=headers, raw_query=raw)
        error = wire.refused(vector, request=changed)
        assert (error.status, error.code) == (403, "AccessDenied")


def test_v4_scope_of_another_region_or_product_is_refused(wire: Any) -> None:
    for name, where in (("v4-hdr-01", "Authorization header"), ("v4-url-01", "x-oss-credential")):
        error = wire.refused(BY_ID[name], region="cn-beijing")
        assert (error.status, error.code, error.ec) == (400, "InvalidArgument", "0002-00000226")
        assert error.message == f"Invalid signing region in {where}."
        error = wire.refused(BY_ID[name], product="oss-cloudbox")
        assert (error.status, error.code, error.ec) == (400, "InvalidArgument", "0002-00000227")


def test_v4_scope_of_another_day_is_refused_although_the_signed_text_is_right(wire: Any) -> None:
    vector = BY_ID["v4-hdr-01"]
    text = vector["expected"]["authorization"].replace("20231216", "20231217")
    error = wire.refused(vector, request=with_authorization(wire, vector, text))
    assert (error.status, error.code) == (403, "SignatureDoesNotMatch")
    assert SCOPE in error.extra["StringToSign"]


@pytest.mark.parametrize("payload", ["", "e3b0c44298fc1c149afb", "STREAMING", "unsigned-payload"])
def test_v4_payload_is_never_signed(wire: Any, payload: str) -> None:
    for name in ("v4-hdr-01", "v4-url-01"):
        vector = BY_ID[name]
        request = wire.request_of(vector)
        headers = [(n, v) for n, v in request.headers if n != "x-oss-content-sha256"]
        changed = request._replace(headers=[*headers, ("x-oss-content-sha256", payload)])
        error = wire.refused(vector, request=changed)
        assert (error.status, error.code, error.ec) == (400, "InvalidArgument", "0002-00000214")


def test_v4_header_form_needs_the_payload_header(wire: Any) -> None:
    vector = BY_ID["v4-hdr-10-c-no-query"]
    request = wire.request_of(vector)
    headers = [(n, v) for n, v in request.headers if n != "x-oss-content-sha256"]
    error = wire.refused(vector, request=request._replace(headers=headers))
    assert (error.status, error.ec) == (400, "0002-00000214")


@pytest.mark.parametrize(
    ("name", "value", "ec"),
    [
        ("x-oss-signature-version", None, "0002-00000066"),
        ("x-oss-signature-version", "OSS2", "0002-00000066"),
        ("x-oss-expires", None, "0002-00000215"),
        ("x-oss-expires", "", "0002-00000216"),
        ("x-oss-expires", "0", "0002-00000232"),
        ("x-oss-expires", "604801", "0002-00000232"),
        ("x-oss-expires", "-1", "0002-00000232"),
        ("x-oss-expires", "1.5", "0002-00000232"),
        ("x-oss-expires", "9" * 5000, "0002-00000232"),
        ("x-oss-credential", None, "0002-00000217"),
        ("x-oss-credential", "ak/2023/r/oss/aliyun_v4_request", "0002-00000223"),
        ("x-oss-credential", "ak/20231217/r/oss/x", "0002-00000224"),
        ("x-oss-signature", None, "0002-00000219"),
        ("x-oss-signature", "", "0002-00000219"),
    ],
)
def test_malformed_v4_url(wire: Any, name: str, value: str | None, ec: str) -> None:
    vector = BY_ID["v4-url-01"]
    query = {**vector["query"], **vector["expected"]["added_query"]}
    if value is None:
        del query[name]
    else:
        query[name] = value
    request = wire.request_of(vector)._replace(raw_query=wire.raw_query(query))
    error = wire.refused(vector, request=request)
    assert (error.status, error.code, error.ec) == (400, "InvalidArgument", ec)


def test_v4_url_is_good_from_fifteen_minutes_before_its_date(wire: Any) -> None:
    vector = BY_ID["v4-url-01"]
    now = wire.now_of(vector)
    wire.check(vector, now=now - 900)
    assert wire.refused(vector, now=now - 901).code == "RequestTimeTooSkewed"


def test_additional_names_that_are_absent_or_signed_anyway_are_dropped(wire: Any) -> None:
    vector = BY_ID["v4-hdr-03-additional"]
    text = vector["expected"]["authorization"]
    named = text.replace("=abc;zabc", "=ZAbc;x-oss-head1;no-such;content-type;abc")
    wire.check(vector, request=with_authorization(wire, vector, named))
    fewer = text.replace("=abc;zabc", "=abc")
    error = wire.refused(vector, request=with_authorization(wire, vector, fewer))
    assert error.code == "SignatureDoesNotMatch"


def sign_v4(request: SignedRequest, path: str, *, date: str, secret: str = "sk") -> SignedRequest:
    """A second signer, for requests that have no vector; ``path`` is the canonical URI."""
    headers = {**dict(request.headers), "x-oss-date": date}
    headers["x-oss-content-sha256"] = "UNSIGNED-PAYLOAD"
    names = sorted(n for n in headers if n.startswith("x-oss-") or n == "content-type")
    lines = "".join(f"{n}:{headers[n]}\n" for n in names)
    query = "&".join(sorted(request.raw_query.split("&")))
    canonical = f"{request.method}\n{path}\n{query}\n{lines}\n\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    key = b"aliyun_v4" + secret.encode()
    scope = f"{date[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    for piece in scope.split("/"):
        key = hmac.digest(key, piece.encode(), "sha256")
    text = f"OSS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = f"OSS4-HMAC-SHA256 Credential=ak/{scope},Signature={signature}"
    return request._replace(headers=list(headers.items()))


def test_a_path_style_bucket_call_may_lack_the_final_slash_in_v4(wire: Any) -> None:
    plain = SignedRequest("GET", "bucket", None, True, "/bucket", "uploads", [])
    for path in ("/bucket/", "/bucket"):
        signed = sign_v4(plain, path, date="20240531T160837Z")
        verify(signed, wire.keys(), now=NOW, region="cn-hangzhou")
    signed = sign_v4(plain._replace(path_style=False), "/bucket", date="20240531T160837Z")
    with pytest.raises(OssError) as caught:
        verify(signed, wire.keys(), now=NOW, region="cn-hangzhou")
    assert caught.value.code == "SignatureDoesNotMatch"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SIGNING_NAMES = ("OSSAccessKeyId", "Expires", "Signature")
NAME = TEXT.filter(lambda n: n and not n.startswith("x-oss-") and n not in SIGNING_NAMES)


@given(key=TEXT.filter(bool), name=NAME, value=TEXT, other=TEXT.filter(bool))
def test_any_key_and_query_are_accepted_as_signed_and_for_no_other_key(
    wire: Any, key: str, name: str, value: str, other: str
) -> None:
    query = quote(name, safe="") + ("=" + quote(value, safe="") if value else "")
    request = SignedRequest("PUT", "bucket", key, False, "/", query, [])
    signed = sign_v4(request, "/bucket/" + quote(key), date="20240531T160837Z")
    assert verify(signed, wire.keys(), now=NOW, region="cn-hangzhou").kind == "user"
    if other != key:
        with pytest.raises(OssError):
            verify(signed._replace(key=other), wire.keys(), now=NOW, region="cn-hangzhou")


def test_v4_with_a_date_header_only_signs_its_text_unchanged(wire: Any) -> None:
    date, day = "Fri, 31 May 2024 16:08:37 GMT", "20240531"
    scope = f"{day}/cn-hangzhou/oss/aliyun_v4_request"
    canonical = "GET\n/bucket/k\n\nx-oss-content-sha256:UNSIGNED-PAYLOAD\n\n\nUNSIGNED-PAYLOAD"
    key = b"aliyun_v4sk"
    for piece in scope.split("/"):
        key = hmac.digest(key, piece.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"OSS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers = [
        ("date", date),
        ("x-oss-content-sha256", "UNSIGNED-PAYLOAD"),
        ("authorization", f"OSS4-HMAC-SHA256 Credential=ak/{scope},Signature={signature}"),
    ]
    request = SignedRequest("GET", "bucket", "k", False, "/k", "", headers)
    verify(request, wire.keys(), now=NOW, region="cn-hangzhou")
