"""The grammar of policies: what is refused, and by which name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator.policies import parse_policy

GOOD: dict[str, Any] = {
    "Version": "1",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["oss:PutObject", "oss:Get*", "sts:AssumeRole"],
            "Resource": ["acs:oss:*:*:bucket/cams/*", "acs:ram::1:role/x"],
            "Condition": {
                "StringLike": {"oss:Prefix": ["", "cams/*"]},
                "NumericLessThan": {"x:y": "-1.5"},
                "DateLessThan": {"acs:CurrentTime": "2024-05-31T17:08:37+08:00"},
                "Bool": {"acs:SecureTransport": "True"},
                "IpAddress": {"acs:SourceIp": ["10.0.0.0/8", "::1", "10.0.0.7/8"]},
            },
        },
        {"Effect": "Deny", "NotAction": "oss:GetObject", "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {}},
    ],
}


def test_good_policy() -> None:
    assert parse_policy(json.dumps(GOOD)) == GOOD


def changed(path: list[str | int], value: Any) -> str:
    document = json.loads(json.dumps(GOOD))
    target = document
    for step in path[:-1]:
        target = target[step]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["Version"], None, "Version"),
        (["Version"], 1, "Version"),
        (["Version"], "2012-10-17", "Version"),
        (["Statement"], None, "Statement"),
        (["Statement"], [], "Statement"),
        (["Statement"], {"Effect": "Allow"}, "Statement"),
        (["Id"], "x", "'Id'"),
        (["Statement", 0], "x", r"Statement\[0\]"),
        (["Statement", 0, "Effect"], None, r"Statement\[0\]\.Effect"),
        (["Statement", 0, "Effect"], "allow", r"Statement\[0\]\.Effect"),
        (["Statement", 0, "Action"], None, "Action or NotAction"),
        (["Statement", 0, "NotAction"], "*", "Action or NotAction"),
        (["Statement", 0, "Action"], [], r"Statement\[0\]\.Action"),
        (["Statement", 0, "Action"], "", r"Statement\[0\]\.Action"),
        (["Statement", 0, "Action"], ["oss:PutObject", ""], r"Statement\[0\]\.Action"),
        (["Statement", 0, "Action"], "PutObject", "'PutObject'"),
        (["Statement", 0, "Action"], "oss:Put Object", "'oss:Put Object'"),
        (["Statement", 0, "Action"], 5, r"Statement\[0\]\.Action"),
        (["Statement", 0, "Resource"], None, r"Statement\[0\]\.Resource"),
        (["Statement", 0, "Resource"], "bucket/*", "'bucket/"),
        (["Statement", 0, "Resource"], "acs:oss:*", "'acs:oss"),
        (["Statement", 0, "Resource"], [], r"Statement\[0\]\.Resource"),
        (["Statement", 0, "NotResource"], "*", "'NotResource'"),
        (["Statement", 0, "Principal"], "*", "'Principal'"),
        (["Statement", 0, "Condition"], [], r"Statement\[0\]\.Condition"),
        (["Statement", 0, "Condition", "Sounds"], {"a:b": "c"}, "'Sounds'"),
        (["Statement", 0, "Condition", "StringEquals"], "x", "StringEquals"),
        (["Statement", 0, "Condition", "StringEquals"], {"Prefix": "x"}, "Prefix"),
        (["Statement", 0, "Condition", "Bool"], {"a:b": True}, "quoted"),
        (["Statement", 0, "Condition", "Bool"], {"a:b": "yes"}, "'yes'"),
        (["Statement", 0, "Condition", "NumericEquals"], {"a:b": 5}, "quoted"),
        (["Statement", 0, "Condition", "NumericEquals"], {"a:b": "1e3"}, "'1e3'"),
        (["Statement", 0, "Condition", "DateEquals"], {"a:b": "2024-05-31"}, "'2024-05-31'"),
        (["Statement", 0, "Condition", "IpAddress"], {"a:b": "10.0.0.0/33"}, "'10.0.0.0/33'"),
        (["Statement", 0, "Condition", "IpAddress"], {"a:b": []}, "empty list"),
        (["Statement", 1, "NotAction"], [None], r"Statement\[1\]\.NotAction"),
    ],
)
def test_bad_policy_is_refused_by_name(path: list[str | int], value: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_policy(changed(path, value))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not JSON"),
        (" ", "not JSON"),
        ("{", "not JSON"),
        ("null", "JSON object"),
        ("[]", "JSON object"),
        ("{}", "Version"),
        ('{"Version": "1", "Version": "1", "Statement": []}', "'Version' twice"),
        ("[" * 100_000, "nested"),
    ],
)
def test_bad_text(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_policy(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["1", "*", "Allow", "oss:*", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Condition"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_either_a_policy_or_refused(document: Any) -> None:
    text = json.dumps(document)
    try:
        policy = parse_policy(text)
    except ValueError:
        return
    assert policy == document
    assert policy["Version"] == "1"
    for statement in policy["Statement"]:
        assert statement["Effect"] in ("Allow", "Deny")
        assert statement["Resource"]
