"""The evaluation of policies: who wins, what matches, which policy limits which."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator.identities import (
    ALLOW_ALL,
    ANONYMOUS,
    AccessKey,
    Caller,
    Identities,
    Role,
    Session,
)
from ossmedia.emulator.policies import (
    Evaluation,
    evaluate,
    request_context,
    resource_matches,
    resource_name,
    wildcard_match,
)

ACCOUNT = "1234567890123456"
ROLE_ARN = f"acs:ram::{ACCOUNT}:role/uploader"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "1", "Statement": list(statements)}


def allow(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def sts(session_policy: dict[str, Any] | None, *role_policies: dict[str, Any]) -> Caller:
    session = Session("STS.a", "s", "t", 4e9, ROLE_ARN, "cam-01", session_policy, ACCOUNT)
    return Caller("sts", "STS.a", None, session, Role(ROLE_ARN, role_policies, 3600))


def user(*policies: dict[str, Any]) -> Caller:
    return Caller("user", "ak", AccessKey("ak", "sk", "user", policies, True), None, None)


def decide(caller: Caller, *requests: tuple[str, str], **context: list[str]) -> str:
    return Evaluation().authorize(caller, requests, context=context)


def name(bucket: str, key: str | None = None) -> str:
    return resource_name("cn-hangzhou", ACCOUNT, bucket, key)


PUT = ("oss:PutObject", name("media", "cams/cam1/a.ts"))
CAM1 = allow("oss:PutObject", "acs:oss:*:*:media/cams/cam1/*")


def test_allow_deny_and_silence() -> None:
    assert decide(user(policy(CAM1)), PUT) == "allow"
    assert decide(user(), PUT) == "implicit_deny"
    assert decide(user(policy(allow("oss:GetObject", "*"))), PUT) == "implicit_deny"
    assert decide(user(policy(CAM1, deny("oss:Put*", "*"))), PUT) == "explicit_deny"
    assert decide(user(policy(deny("oss:Put*", "*")), policy(CAM1)), PUT) == "explicit_deny"
    assert decide(user(ALLOW_ALL, policy(deny("oss:Get*", "*"))), PUT) == "allow"


def test_root_and_anonymous_are_left_to_the_acl() -> None:
    root = Caller("root", "ak", AccessKey("ak", "sk", "root", (ALLOW_ALL,), True), None, None)
    assert decide(root, PUT) == "implicit_deny"
    assert decide(ANONYMOUS, PUT) == "implicit_deny"


def test_session_needs_both_policies() -> None:
    every = policy(allow("oss:*", "*"))
    narrow = policy(CAM1)
    other = policy(allow("oss:PutObject", "acs:oss:*:*:media/cams/cam2/*"))
    assert decide(sts(None, every), PUT) == "allow"
    assert decide(sts(narrow, every), PUT) == "allow"
    assert decide(sts(every, narrow), PUT) == "allow"
    assert decide(sts(narrow, narrow), PUT) == "allow"
    # The session policy may not widen the role, nor the role the session policy.
    assert decide(sts(every, other), PUT) == "implicit_deny"
    assert decide(sts(other, every), PUT) == "explicit_deny"
    assert decide(sts(every), PUT) == "implicit_deny"
    assert decide(sts(policy(CAM1, deny("*", "*")), every), PUT) == "explicit_deny"
    assert decide(sts(narrow, policy(CAM1, deny("*", "*"))), PUT) == "explicit_deny"


def test_a_session_of_a_removed_role_may_do_nothing() -> None:
    caller = sts(None, ALLOW_ALL)._replace(role=None)
    assert decide(caller, PUT) == "implicit_deny"


def test_a_session_never_uses_the_policies_of_a_key() -> None:
    key = AccessKey("ak", "sk", "user", (ALLOW_ALL,), True)
    assert decide(sts(None)._replace(key=key), PUT) == "implicit_deny"


def test_a_call_needs_all_its_actions() -> None:
    tag = ("oss:PutObjectTagging", PUT[1])
    assert decide(user(policy(CAM1)), PUT, tag) == "implicit_deny"
    both = allow(["oss:PutObject", "oss:PutObjectTagging"], "*")
    assert decide(user(policy(both)), PUT, tag) == "allow"
    denied = policy(both, deny("oss:PutObjectTagging", "*"))
    assert decide(user(denied), PUT, tag) == "explicit_deny"
    assert decide(user(policy(both))) == "implicit_deny"


@pytest.mark.parametrize(
    ("pattern", "bucket", "key", "matches"),
    [
        ("*", "b", "k", True),
        ("acs:oss:*:*:*", "b", "k", True),
        ("acs:oss:*:*:b", "b", None, True),
        ("acs:oss:*:*:b", "b", "k", False),
        ("acs:oss:*:*:b/*", "b", None, False),
        ("acs:oss:*:*:b/*", "b", "k", True),
        ("acs:oss:*:*:b/*", "b", "x/y/z", True),
        ("acs:oss:*:*:b*", "bb", "k", True),
        ("acs:oss:*:*:b/cam1/*", "b", "cam10/a", False),
        ("acs:oss:*:*:b/cam1*", "b", "cam10/a", True),
        ("acs:oss:*:*:b/cam?/*", "b", "cam1/a", True),
        ("acs:oss:*:*:b/cam?/*", "b", "cam/a", False),
        ("acs:oss:*:*:b/cam1/*", "b", "CAM1/a", False),
        ("acs:oss:*:*:b/cam1/*", "B", "cam1/a", False),
        (f"acs:oss:cn-hangzhou:{ACCOUNT}:b/*", "b", "k", True),
        ("acs:oss:cn-beijing:*:b/*", "b", "k", False),
        ("acs:oss:*:9:b/*", "b", "k", False),
        ("acs:oss:cn-*:*:b/*", "b", "k", True),
        ("acs:ram:*:*:b/*", "b", "k", False),
        ("acs:oss:*:b/*", "b", "k", False),
        # A star for region or account must not reach into the name.
        ("acs:oss:*:*:b/x", "mine", "a:b/x", False),
        ("acs:oss:*:b/x", "mine", "b/x", False),
        ("acs:oss:*:*:b/a:b", "b", "a:b", True),
        ("acs:oss:*:*:b/${x}", "b", "k", False),
        ("acs:oss:*:*:b/[a-z]", "b", "k", False),
    ],
)
def test_resources(pattern: str, bucket: str, key: str | None, matches: bool) -> None:
    assert resource_matches(pattern, name(bucket, key)) is matches


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("*", "oss:PutObject", True),
        ("oss:*", "oss:PutObject", True),
        ("oss:Put*", "oss:PutObjectAcl", True),
        ("oss:PutObject", "oss:PutObjectAcl", False),
        ("oss:putobject", "oss:PutObject", True),
        ("oss:?etObject", "oss:GetObject", True),
        ("sts:*", "oss:PutObject", False),
        ("oss:HeadObject", "oss:GetObject", False),
    ],
)
def test_actions(pattern: str, action: str, matches: bool) -> None:
    for listed in (pattern, [pattern], ["vod:None", pattern]):
        verdict = evaluate([policy(allow(listed, "*"))], action, name("b", "k"), {})
        assert (verdict == "allow") is matches


def test_not_action_is_everything_else() -> None:
    statement = {"Effect": "Allow", "NotAction": ["oss:Delete*", "oss:Put*Acl"], "Resource": "*"}
    granted = [
        action
        for action in ("oss:PutObject", "oss:DeleteObject", "oss:PutObjectAcl", "vod:GetPlayInfo")
        if evaluate([policy(statement)], action, name("b", "k"), {}) == "allow"
    ]
    assert granted == ["oss:PutObject", "vod:GetPlayInfo"]
    denial = {"Effect": "Deny", "NotAction": "oss:GetObject", "Resource": "*"}
    policies = [ALLOW_ALL, policy(denial)]
    assert evaluate(policies, "oss:GetObject", name("b", "k"), {}) == "allow"
    assert evaluate(policies, "oss:PutObject", name("b", "k"), {}) == "explicit_deny"


def test_every_resource_of_a_list_counts() -> None:
    listed = policy(allow("oss:*", ["acs:oss:*:*:a/*", "acs:oss:*:*:b/*"]))
    for bucket, verdict in (("a", "allow"), ("b", "allow"), ("c", "implicit_deny")):
        assert evaluate([listed], "oss:GetObject", name(bucket, "k"), {}) == verdict


def reference_match(pattern: str, text: str) -> bool:
    """The definition, without any thought for speed."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(reference_match(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and reference_match(pattern[1:], text[1:])


@given(st.text("ab*?", max_size=9), st.text("ab*?", max_size=9))
def test_wildcards_equal_their_definition(pattern: str, text: str) -> None:
    assert wildcard_match(pattern, text) == reference_match(pattern, text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_wildcards_over_any_text(prefix: str, text: str) -> None:
    assert wildcard_match("*", text)
    assert wildcard_match(text.replace("*", "?"), text)
    assert wildcard_match(f"{text}*", text + prefix)
    assert wildcard_match(f"*{text}", prefix + text)
    assert wildcard_match("?" * len(text), text)
    assert not wildcard_match("?" * (len(text) + 1), text)


def test_hostile_wildcards_do_not_explode() -> None:
    assert not wildcard_match("*a" * 500 + "b", "a" * 1000)


@given(
    st.lists(
        st.builds(
            lambda effect, action, resource: {
                "Effect": effect,
                "Action": action,
                "Resource": resource,
            },
            st.sampled_from(["Allow", "Deny"]),
            st.sampled_from(["oss:PutObject", "oss:*", "oss:GetObject", "*"]),
            st.sampled_from(["*", "acs:oss:*:*:b/*", "acs:oss:*:*:b/k", "acs:oss:*:*:c/*"]),
        ),
        max_size=6,
    ),
    st.lists(st.integers(0, 5), max_size=3),
)
def test_order_of_statements_never_matters_and_deny_always_wins(
    statements: list[dict[str, Any]], cuts: list[int]
) -> None:
    action, resource = "oss:PutObject", name("b", "k")
    hits = [
        s["Effect"]
        for s in statements
        if s["Action"] != "oss:GetObject" and s["Resource"] != "acs:oss:*:*:c/*"
    ]
    wanted = "explicit_deny" if "Deny" in hits else "allow" if hits else "implicit_deny"
    assert evaluate([policy(*statements)], action, resource, {}) == wanted
    assert evaluate([policy(*reversed(statements))], action, resource, {}) == wanted
    for cut in cuts:
        halves = [policy(*statements[:cut]), policy(*statements[cut:])]
        assert evaluate(halves, action, resource, {}) == wanted


def test_the_caller_of_the_registry_is_what_is_evaluated() -> None:
    identities = Identities()
    role = identities.add_role(ROLE_ARN, policies=(policy(allow("oss:*", "*")),))
    session = identities.issue_session(
        role, "cam-01", duration_seconds=900, now=0, session_policy=policy(CAM1)
    )
    caller = identities.resolve(session.access_key_id, session.token, now=1)
    assert decide(caller, PUT) == "allow"
    assert decide(caller, ("oss:PutObject", name("media", "cams/cam2/a"))) == "explicit_deny"


def test_context_of_a_request() -> None:
    context = request_context(
        now=1717171717,
        source_ip="10.0.0.1",
        secure=True,
        user_agent="cam/1",
        query={"prefix": "a/", "delimiter": "", "max-keys": "1"},
    )
    assert context == {
        "acs:CurrentTime": ["2024-05-31T16:08:37Z"],
        "acs:SourceIp": ["10.0.0.1"],
        "acs:SecureTransport": ["true"],
        "acs:UserAgent": ["cam/1"],
        "oss:Prefix": ["a/"],
        "oss:Delimiter": [""],
    }
    bare = request_context(now=0, source_ip="::1", secure=False, query={})
    assert set(bare) == {"acs:CurrentTime", "acs:SourceIp", "acs:SecureTransport", "acs:UserAgent"}
    assert bare["acs:SecureTransport"] == ["false"]
