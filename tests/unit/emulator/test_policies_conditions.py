"""The conditions of a policy's statement."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator.policies import evaluate, request_context
from ossmedia.emulator.policy_grammar import check_policy

NOW = 1717171717.0  # 2024-05-31 16:08:37 UTC


def holds(condition: dict[str, dict[str, Any]], **context: Any) -> bool:
    """Whether a statement with this condition matches; context names use ``__`` for a colon."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    policy = {"Version": "1", "Statement": [statement]}
    check_policy(policy)
    given_context = {
        name.replace("__", ":"): value if isinstance(value, list) else [value]
        for name, value in context.items()
    }
    return evaluate([policy], "oss:GetObject", "acs:oss:r:1:b/k", given_context) == "allow"


def one(operator: str, wanted: Any, given_value: Any) -> bool:
    return holds({operator: {"x:Key": wanted}}, x__Key=given_value)


@pytest.mark.parametrize(
    ("operator", "wanted", "agree", "differ"),
    [
        ("StringEquals", "cam/1", ["cam/1"], ["Cam/1", "cam/", ""]),
        ("StringEqualsIgnoreCase", "Cam/1", ["cAM/1"], ["cam/2"]),
        ("StringLike", "cams/cam1/*", ["cams/cam1/", "cams/cam1/a/b"], ["cams/cam1", "", "x"]),
        ("StringLike", "a?c", ["abc"], ["ac", "abbc"]),
        ("StringEquals", "a*", ["a*"], ["ab"]),
        ("StringEquals", ["a", "b"], ["a", "b"], ["c"]),
        ("NumericEquals", "10", ["10", "10.0", "010"], ["11", "x", ""]),
        ("NumericLessThan", "10", ["9.99", "-1"], ["10", "11", "x"]),
        ("NumericLessThanEquals", "10", ["10", "9"], ["10.01", "x"]),
        ("NumericGreaterThan", "10", ["10.5"], ["10", "9", "x", "inf", "nan"]),
        ("NumericGreaterThanEquals", "10", ["10", "11"], ["9", "x"]),
        ("DateEquals", "2024-05-31T16:08:37Z", ["2024-06-01T00:08:37+08:00"], ["", "x"]),
        (
            "DateLessThan",
            "2024-05-31T16:08:37Z",
            ["2024-05-31T16:08:36Z"],
            ["2024-05-31T16:08:37Z", "x"],
        ),
        (
            "DateLessThanEquals",
            "2024-05-31T16:08:37Z",
            ["2024-05-31T16:08:37Z"],
            ["2024-05-31T16:08:38Z"],
        ),
        (
            "DateGreaterThan",
            "2024-06-01T00:08:37+08:00",
            ["2024-05-31T16:08:38Z"],
            ["2024-05-31T16:08:37Z"],
        ),
        (
            "DateGreaterThanEquals",
            "2024-05-31T16:08:37Z",
            ["2024-05-31T16:08:37Z"],
            ["2024-05-31T16:08:36.999Z"],
        ),
        ("Bool", "true", ["true", "True"], ["false", ""]),
        ("Bool", "False", ["false"], ["true"]),
        ("IpAddress", "10.0.0.7", ["10.0.0.7", "::ffff:10.0.0.7"], ["10.0.0.8", "", "x"]),
        ("IpAddress", "10.0.0.0/8", ["10.255.0.1"], ["11.0.0.1", "::1"]),
        ("IpAddress", ["10.0.0.0/8", "192.168.1.0/24"], ["192.168.1.9"], ["192.168.2.9"]),
        ("IpAddress", "2001:db8::/32", ["2001:db8::1"], ["2001:db9::1", "10.0.0.1"]),
    ],
)
def test_operators(operator: str, wanted: Any, agree: list[str], differ: list[str]) -> None:
    for value in agree:
        assert one(operator, wanted, value), value
    for value in differ:
        assert not one(operator, wanted, value), value


@pytest.mark.parametrize(
    ("operator", "wanted", "same", "other"),
    [
        ("StringNotEquals", ["a", "b"], ["a", "b"], ["c", "A"]),
        ("StringNotEqualsIgnoreCase", "a", ["A"], ["b"]),
        ("StringNotLike", ["a*", "b*"], ["a1", "b"], ["c"]),
        ("NumericNotEquals", ["1", "2"], ["1.0", "2"], ["3", "x"]),
        ("DateNotEquals", "2024-05-31T16:08:37Z", ["2024-06-01T00:08:37+08:00"], ["x"]),
        ("NotIpAddress", ["10.0.0.0/8", "::1"], ["10.1.1.1", "::1"], ["11.0.0.1", "x"]),
    ],
)
def test_negated_operators_need_all_values_to_differ(
    operator: str, wanted: Any, same: list[str], other: list[str]
) -> None:
    for value in same:
        assert not one(operator, wanted, value), value
    for value in other:
        assert one(operator, wanted, value), value


def test_an_absent_key_fails_a_positive_and_passes_a_negated_operator() -> None:
    for operator, wanted in (
        ("StringEquals", ""),
        ("StringLike", "*"),
        ("NumericLessThan", "9"),
        ("DateGreaterThan", "1970-01-01T00:00:00Z"),
        ("Bool", "false"),
        ("IpAddress", "0.0.0.0/0"),
    ):
        assert not holds({operator: {"oss:Prefix": wanted}})
    for operator, wanted in (
        ("StringNotEquals", ""),
        ("StringNotLike", "*"),
        ("NumericNotEquals", "9"),
        ("NotIpAddress", "0.0.0.0/0"),
    ):
        assert holds({operator: {"oss:Prefix": wanted}})


def test_operators_and_keys_are_joined_by_and() -> None:
    condition = {
        "StringEquals": {"x:A": "1", "x:B": ["2", "3"]},
        "Bool": {"x:C": "true"},
    }
    assert holds(condition, x__A="1", x__B="3", x__C="true")
    for change in ({"x__A": "2"}, {"x__B": "4"}, {"x__C": "false"}):
        assert not holds(condition, **{"x__A": "1", "x__B": "3", "x__C": "true", **change})
    assert not holds(condition, x__A="1", x__C="true")


def test_of_several_given_values_one_is_enough_or_none_may_be() -> None:
    assert holds({"StringEquals": {"x:K": "b"}}, x__K=["a", "b"])
    assert not holds({"StringNotEquals": {"x:K": "b"}}, x__K=["a", "b"])


def test_keys_are_exact() -> None:
    assert not holds({"StringEquals": {"oss:prefix": "a"}}, oss__Prefix="a")


@pytest.mark.parametrize(
    ("condition", "query", "verdict"),
    [
        ({"StringLike": {"oss:Prefix": "cams/cam1/*"}}, {"prefix": "cams/cam1/"}, True),
        ({"StringLike": {"oss:Prefix": "cams/cam1/*"}}, {"prefix": "cams/cam1"}, False),
        ({"StringLike": {"oss:Prefix": "cams/cam1/*"}}, {"prefix": "cams/cam10/"}, False),
        ({"StringLike": {"oss:Prefix": "cams/cam1/*"}}, {"prefix": ""}, False),
        ({"StringLike": {"oss:Prefix": "cams/cam1/*"}}, {}, False),
        ({"StringEquals": {"oss:Delimiter": "/"}}, {"delimiter": "/"}, True),
        ({"StringEquals": {"oss:Delimiter": "/"}}, {"delimiter": ""}, False),
        ({"Bool": {"acs:SecureTransport": "true"}}, {}, True),
        ({"Bool": {"acs:SecureTransport": "false"}}, {}, False),
        ({"IpAddress": {"acs:SourceIp": "192.0.2.0/24"}}, {}, True),
        ({"NotIpAddress": {"acs:SourceIp": "192.0.2.0/24"}}, {}, False),
        ({"StringLike": {"acs:UserAgent": "ossmedia/*"}}, {}, True),
        ({"DateLessThan": {"acs:CurrentTime": "2024-05-31T16:08:38Z"}}, {}, True),
        ({"DateLessThan": {"acs:CurrentTime": "2024-05-31T16:08:37Z"}}, {}, False),
    ],
)
def test_keys_of_a_request(
    condition: dict[str, dict[str, Any]], query: dict[str, str], verdict: bool
) -> None:
    context = request_context(
        now=NOW, source_ip="192.0.2.44", secure=True, user_agent="ossmedia/1", query=query
    )
    named = {key.replace(":", "__"): value for key, value in context.items()}
    assert holds(condition, **named) is verdict


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_networks_equal_their_masks(network: int, bits: int, address: int) -> None:
    mask = (2**32 - 1) ^ (2 ** (32 - bits) - 1)

    def dotted(number: int) -> str:
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))

    inside = network & mask == address & mask
    assert one("IpAddress", f"{dotted(network)}/{bits}", dotted(address)) is inside
    assert one("NotIpAddress", f"{dotted(network)}/{bits}", dotted(address)) is not inside


@given(st.decimals(-(10**6), 10**6, places=3), st.decimals(-(10**6), 10**6, places=3))
def test_numbers_are_compared_as_numbers(wanted: Any, actual: Any) -> None:
    for name, truth in (
        ("Equals", actual == wanted),
        ("NotEquals", actual != wanted),
        ("LessThan", actual < wanted),
        ("LessThanEquals", actual <= wanted),
        ("GreaterThan", actual > wanted),
        ("GreaterThanEquals", actual >= wanted),
    ):
        assert one(f"Numeric{name}", f"{wanted:f}", f"{actual:f}") is truth
