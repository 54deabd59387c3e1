"""device_auth.py: what is signed, in one form only, and what any change of it does."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from ossmedia.device_auth import (
    Claim,
    DeviceKey,
    new_nonce,
    parse_answer,
    sign_answer,
    sign_request,
    verify_answer,
    verify_request,
)

KEY = DeviceKey("0a1b2c3d", bytes(range(32)))
CLAIM = Claim("cam-1", KEY.id, "1750000000", "", "00112233445566778899aabbccddeeff")
REQUEST: dict[str, Any] = {
    "method": "POST",
    "target": "/v1/credentials?b=2&a=1",
    "host": "Cams.Example.com:8443",
    "body": b'{"ttl_s":900}',
}


def test_the_signature_is_over_these_lines() -> None:
    # Written out by hand from the module's description.
    lines = [
        "OSSMEDIA1-HMAC-SHA256",
        "POST",
        "/v1/credentials",
        "a=1&b=2",
        "cams.example.com:8443",
        "cam-1",
        "0a1b2c3d",
        "time=1750000000",
        "00112233445566778899aabbccddeeff",
        hashlib.sha256(b'{"ttl_s":900}').hexdigest(),
    ]
    expected = hmac.new(KEY.secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
    signed = sign_request(KEY, CLAIM, **REQUEST)
    assert signed.signature == expected
    assert verify_request(KEY.secret, signed, **REQUEST)


def test_the_answers_signature_is_over_these_lines() -> None:
    lines = ["OSSMEDIA1-HMAC-SHA256-ANSWER", "cam-1", KEY.id, CLAIM.nonce, "200", "1750000009"]
    lines.append(hashlib.sha256(b"body").hexdigest())
    expected = hmac.new(KEY.secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
    header = sign_answer(KEY.secret, CLAIM, 200, 1_750_000_009.7, b"body")
    assert header == f"time=1750000009, signature={expected}"
    assert verify_answer(KEY.secret, CLAIM, 200, header, b"body") == 1_750_000_009


@pytest.mark.parametrize(
    "change",
    [
        {"status": 503},
        {"body": b"bodY"},
        {"secret": bytes(32)},
        {"claim": Claim("cam-2", KEY.id, "1750000000", "", CLAIM.nonce)},
        {"claim": Claim("cam-1", "ffffffff", "1750000000", "", CLAIM.nonce)},
        {"claim": Claim("cam-1", KEY.id, "1750000000", "", "f" * 32)},
        {"header": "time=1750000010, signature=" + "0" * 64},
        {"header": ""},
        {"header": "nonsense"},
    ],
    ids=str,
)
def test_a_changed_answer_is_refused(change: dict[str, Any]) -> None:
    header = sign_answer(KEY.secret, CLAIM, 200, 1_750_000_009, b"body")
    given = {"secret": KEY.secret, "claim": CLAIM, "status": 200, "header": header, "body": b"body"}
    assert verify_answer(**given) == 1_750_000_009
    assert verify_answer(**{**given, **change}) is None


def test_a_time_in_the_answer_cannot_be_moved() -> None:
    header = sign_answer(KEY.secret, CLAIM, 200, 1_750_000_009, b"body")
    moved = header.replace("1750000009", "1750000010")
    assert verify_answer(KEY.secret, CLAIM, 200, moved, b"body") is None


def test_the_header_reads_back() -> None:
    for when in (("1750000000", ""), ("", "c" * 64)):
        signed = sign_request(KEY, Claim("cam-1", KEY.id, *when, new_nonce()), **REQUEST)
        assert Claim.parse(signed.header()) == signed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda h: h.replace("OSSMEDIA1", "OSSMEDIA2"),
        lambda h: h.lower(),
        lambda h: h.replace(", ", ","),
        lambda h: h.replace(", ", ",  "),
        lambda h: h + " ",
        lambda h: " " + h,
        lambda h: h + "\n",
        lambda h: h + ", nonce=" + "0" * 32,
        lambda h: h.replace("device=cam-1, key=0a1b2c3d", "key=0a1b2c3d, device=cam-1"),
        lambda h: h.replace("cam-1", "-cam"),
        lambda h: h.replace("cam-1", "c" * 64),
        lambda h: h.replace("cam-1", "cam/1"),
        lambda h: h.replace("cam-1", ""),
        lambda h: h.replace("time=1750000000", "time=-1"),
        lambda h: h.replace("time=1750000000", "time=1e9"),
        lambda h: h.replace("time=1750000000", "time=\u0661"),
        lambda h: h.replace("time=1750000000", "time=" + "1" * 13),
        lambda h: h.replace("time=1750000000", "challenge=" + "c" * 63),
        lambda h: h.replace("nonce=0", "nonce="),
        lambda h: h.replace("signature=", "signature=A"),
        lambda h: h[:-1],
        lambda h: "",
    ],
)
def test_only_one_form_of_header_is_read(spoil: Any) -> None:
    header = sign_request(KEY, CLAIM, **REQUEST).header()
    with pytest.raises(ValueError, match="authorization"):
        Claim.parse(spoil(header))


def test_keys_read_back_and_hide() -> None:
    key = DeviceKey.new()
    assert DeviceKey.parse(key.text()) == key
    assert len(key.secret) == 32
    assert key.text().split("_", 2)[2] not in repr(key)
    assert repr(key.secret) not in repr(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "omdk_",
        "omdk_0a1b2c3d_",
        "omdk_0A1B2C3D_" + "A" * 43,
        "omdk_0a1b2c3d_" + "A" * 44,
        # 43 characters hold two bits more than 32 bytes; these must be zero.
        "omdk_0a1b2c3d_" + "A" * 42 + "B",
    ],
)
def test_no_key_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ValueError, match="device_key: must have the form") as caught:
        DeviceKey.parse(text)
    assert "A" * 20 not in str(caught.value)


def test_nonces_do_not_repeat() -> None:
    assert len({new_nonce() for _ in range(10_000)}) == 10_000


def test_parse_answer_refuses_other_forms() -> None:
    with pytest.raises(ValueError, match="ossmedia-answer"):
        parse_answer("time=1, signature=x")
