"""model.py: values that are set once, hide their secrets, and travel as plain data."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.model import Credentials, Generation, ObjectStat, Receipt

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
VALUES = [
    Credentials("STS.id", "secret-canary", "token-canary", 100.0, 50.0),
    ObjectStat("k", 5, "E", 1.5, crc64=7, metadata=(("a", "b"),)),
    Generation("k~g2", 10, 5, 3),
    Receipt("k", 15, 9, "E", "R", 3, (Generation("k", 0, 10), Generation("k~g2", 10, 5))),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_a_value_is_set_once_and_compared_by_its_fields(value: object) -> None:
    copy = pickle.loads(pickle.dumps(value))
    assert copy == value
    assert copy is not value
    assert hash(copy) == hash(value)
    name = type(value).__slots__[0]
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, name, "other")
    with pytest.raises(AttributeError, match="immutable"):
        delattr(value, name)
    assert value != (1, 2)


def test_a_repr_shows_no_secret() -> None:
    shown = repr(VALUES[0])
    assert "canary" not in shown
    assert "STS.id" in shown
    assert "***" in shown
    assert "security_token=''" in repr(Credentials("id", "s"))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("", "s"), "access_key_id"),
        (("id", ""), "access_key_secret"),
        (("id\n", "s"), "access_key_id"),
        (("id", "s\r\nX: y"), "access_key_secret"),
        (("id", "s", "t\0"), "security_token"),
        (("id", "s", "t t"), "security_token"),
        (("ïd", "s"), "access_key_id"),
        (("STS.id", "s"), "security_token"),
    ],
)
def test_bad_credentials_are_refused_by_name_never_by_value(
    arguments: tuple[str, ...], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: ") as caught:
        Credentials(*arguments)
    for argument in arguments[1:]:
        assert len(argument) < 2 or argument not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((None, "s"), "access_key_id"),
        (("id", b"s"), "access_key_secret"),
        (("id", "s", "t", "tomorrow"), "expires_at"),
        (("id", "s", "t", True), "expires_at"),
        (("id", "s", "t", 1, "x"), "refresh_after_s"),
    ],
)
def test_wrong_types_are_named(arguments: tuple[object, ...], field: str) -> None:
    with pytest.raises(TypeError, match=f"^{field}: "):
        Credentials(*arguments)


@given(
    TEXT.map("K".__add__), TEXT, TEXT, st.none() | st.floats(0, 1e11), st.none() | st.integers(0)
)
def test_credentials_travel_as_json(
    key_id: str, secret: str, token: str, expires_at: float | None, refresh: int | None
) -> None:
    sent = Credentials(key_id, secret, token, expires_at, refresh)
    assert Credentials.from_json(json.loads(json.dumps(sent.to_json()))) == sent


def test_unknown_fields_are_ignored_and_missing_ones_named() -> None:
    data = {"access_key_id": "i", "access_key_secret": "s", "colour": "red"}
    assert Credentials.from_json(data) == Credentials("i", "s")
    with pytest.raises(ValueError, match=r"^access_key_secret: missing"):
        Credentials.from_json({"access_key_id": "i"})


def test_receipts_and_stats_become_plain_data() -> None:
    assert json.loads(json.dumps(VALUES[3].to_json()))["generations"][1] == {
        "key": "k~g2",
        "start": 10,
        "size": 5,
        "base": 0,
    }
    assert VALUES[1].to_json()["metadata"] == {"a": "b"}
