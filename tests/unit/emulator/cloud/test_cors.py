"""Cross-origin rules: kept, matched one after another, told to browsers; they replace no right."""

from __future__ import annotations

from typing import Any

import oss2
import pytest
from oss2 import models

PAGE = "https://watch.example.com"


def rule(origin: str = PAGE, method: str = "GET", more: str = "") -> str:
    return (
        f"<CORSRule><AllowedOrigin>{origin}</AllowedOrigin>"
        f"<AllowedMethod>{method}</AllowedMethod>{more}</CORSRule>"
    )


def document(*rules: str, more: str = "") -> bytes:
    return f"<CORSConfiguration>{''.join(rules)}{more}</CORSConfiguration>".encode()


def configure(client: Any, *rules: str, more: str = "") -> None:
    reply = client.send("PUT", None, {"cors": None}, body=document(*rules, more=more))
    assert reply.status == 200, reply


def told(reply: Any) -> dict[str, str]:
    names = [name.lower() for name in reply.headers]
    return {n: reply.headers[n] for n in names if n.startswith("access-control-") or n == "vary"}


def test_rules_are_kept_and_given_back(client):
    missing = client.send("GET", None, {"cors": None})
    assert (missing.status, missing.code) == (404, "NoSuchCORSConfiguration")
    configure(client, rule())
    assert client.send("GET", None, {"cors": None}).body == document(rule())
    assert client.send("PUT", None).status == 200  # the bucket made again keeps them
    assert client.send("GET", None, {"cors": None}).status == 200
    assert client.send("DELETE", None, {"cors": None}).status == 204
    assert client.send("GET", None, {"cors": None}).status == 404
    assert client.send("DELETE", None, {"cors": None}).status == 204


@pytest.mark.parametrize(
    "bad",
    [
        b"x",
        document(),
        document(*[rule()] * 11),
        document("<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>"),
        document(f"<CORSRule><AllowedOrigin>{PAGE}</AllowedOrigin></CORSRule>"),
        document(rule(method="PATCH")),
        document(rule(origin="https://*.*.com")),
        document(rule(more="<ExposeHeader>x-*</ExposeHeader>")),
        document(rule(more="<MaxAgeSeconds>-1</MaxAgeSeconds>")),
    ],
)
def test_what_is_no_rule(client, bad):
    assert client.send("PUT", None, {"cors": None}, body=bad).code == "MalformedXML"
    assert client.send("GET", None, {"cors": None}).status == 404


def test_an_answer_tells_the_first_rule_that_fits(client):
    client.put("k", b"video")
    configure(
        client,
        rule("https://other.example.com"),
        rule(more="<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>"),
        rule("*"),
    )
    got = client.send("GET", "k", headers={"origin": PAGE})
    assert got.body == b"video"
    assert told(got) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET",
        "access-control-expose-headers": "ETag",
        "access-control-max-age": "60",
    }
    anybody = client.send("GET", "k", headers={"origin": "https://a.example"})
    assert told(anybody)["access-control-allow-origin"] == "*"
    assert told(client.send("GET", "k")) == {}
    # A refusal can be read by the page, too.
    gone = client.send("GET", "gone", headers={"origin": PAGE})
    assert gone.status == 404
    assert told(gone)["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("allowed", "origin", "fits"),
    [
        (PAGE, PAGE, True),
        (PAGE, PAGE + ":8443", False),
        (PAGE, PAGE.replace("https", "http"), False),
        (PAGE, "https://watch.example.com.evil.example", False),
        ("https://*.example.com", PAGE, True),
        ("https://*.example.com", "https://.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://a*ab", "https://ab", False),
        ("*", "null", True),
    ],
)
def test_origins(client, allowed, origin, fits):
    client.put("k")
    configure(client, rule(allowed))
    reply = client.send("GET", "k", headers={"origin": origin})
    assert ("access-control-allow-origin" in told(reply)) == fits


def test_other_methods_are_not_told(client):
    configure(client, rule())
    reply = client.send("PUT", "k", headers={"origin": PAGE}, body=b"x")
    assert reply.status == 200
    assert told(reply) == {}


def test_vary(client):
    client.put("k")
    configure(client, rule(), more="<ResponseVary>true</ResponseVary>")
    assert told(client.send("GET", "k")) == {"vary": "Origin"}


def test_the_question_beforehand_needs_no_signature(client):
    configure(client, rule(more="<AllowedHeader>x-oss-*</AllowedHeader>"))
    asked = {"origin": PAGE, "access-control-request-method": "GET"}
    client.key = None
    fine = client.send("OPTIONS", "k", headers=asked)
    assert fine.status == 200
    assert told(fine)["access-control-allow-origin"] == PAGE
    named = {**asked, "access-control-request-headers": "X-Oss-Date, x-oss-meta-a"}
    allowed = told(client.send("OPTIONS", "k", headers=named))["access-control-allow-headers"]
    assert allowed == "X-Oss-Date, x-oss-meta-a"
    for changed in (
        {"access-control-request-method": "PUT"},
        {"origin": "https://other.example"},
        {"access-control-request-headers": "authorization"},
    ):
        refused = client.send("OPTIONS", "k", headers={**asked, **changed})
        assert (refused.status, refused.code) == (403, "AccessForbidden")
        assert told(refused) == {}


def test_a_rule_is_no_right(client):
    client.put("k")
    configure(client, rule("*"))
    client.key = None
    assert client.send("GET", "k", headers={"origin": PAGE}).status == 403
    assert client.send("GET", None, {"cors": None}).status == 403


def test_the_official_client_sets_and_reads_them(client):
    made = client.emulator
    auth = oss2.AuthV4(made.access_key_id, made.access_key_secret)
    bucket = oss2.Bucket(auth, made.endpoint, "cams", region="cn-hangzhou", is_path_style=True)
    ours = models.CorsRule([PAGE], ["GET", "HEAD"], ["*"], ["ETag"], 600)
    bucket.put_bucket_cors(models.BucketCors([ours]))
    (read,) = bucket.get_bucket_cors().rules
    assert (read.allowed_origins, read.allowed_methods) == ([PAGE], ["GET", "HEAD"])
    assert (read.expose_headers, read.max_age_seconds) == (["ETag"], 600)
    bucket.delete_bucket_cors()
    with pytest.raises(oss2.exceptions.NoSuchCors):
        bucket.get_bucket_cors()
