"""policy.py: what is granted, judged by an evaluator written here, and what is refused."""

from __future__ import annotations

import json
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.policy import (
    LONGEST,
    Grant,
    build,
    check_device_id,
    check_text,
    device_prefix,
    path_grant,
    session_name,
    to_text,
)

BUCKET = "cams-bucket"
ACTIONS = [
    "oss:GetObject",
    "oss:PutObject",
    "oss:DeleteObject",
    "oss:AbortMultipartUpload",
    "oss:ListParts",
    "oss:ListMultipartUploads",
    "oss:ListObjects",
    "oss:PutObjectAcl",
    "oss:GetObjectAcl",
    "oss:PutObjectTagging",
    "oss:PutBucketLifecycle",
    "oss:HeadObject",
]
DEVICE = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True)

# Strings that try to leave a prefix, to match more than themselves, or to break the text.
ESCAPES = [
    *("*", "?", "**", "cam?", "cam*", "cam1/*", "*/cam1", "${", "${acs:SourceIp}"),
    "${oss:Prefix}",
    *(
        "$",
        "../",
        "..",
        "./",
        ".",
        "//",
        "/cam1",
        "cam1//x",
        "cam1/../cam2",
        "cam1/./",
        "..%2fcam2",
    ),
    *("%2e%2e/", "%2f", "%252f", "%2a", "%3f", "%00", "\0", "\\", "cam1\\..\\cam2", ":"),
    *("acs:oss:*:*:*", ",", '"', "'", "\t", "\r", "\n", "cam1\n", "]", "}", '"},{"Effect":"Allow"'),
    *("\uff0f", "\u2215", "\uff0a", "\uff1f", "\uff0e\uff0e", "\u202e", "\u200b", "\ufeff"),
    *("\u0130", "e\u0301", "\udcc0\udcaf", "\ud800", "\U0001f3a5", "", " ", "cam1.", "cam1 "),
    *("c" * 1024, "c" * 1025, "%", "cam1#", "cam1;", "~g2", "</", "cam1/", "-cam", "_cam", "é"),
]


def matches(pattern: str, text: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def allowed(policy: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    """What RAM would say of a policy of this form; anything unexpected in it is an error."""
    assert policy["Version"] == "1"
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert set(statement) <= {"Effect", "Action", "Resource", "Condition"}
        if not any(matches(p.lower(), action.lower()) for p in statement["Action"]):
            continue
        if not any(matches(p, resource) for p in statement["Resource"]):
            continue
        held = True
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                given_value = context.get(key)
                if operator == "StringLike":
                    held &= given_value is not None and any(matches(v, given_value) for v in values)
                elif operator == "Bool":
                    held &= given_value in values
                else:
                    raise AssertionError(operator)
        if held:
            return True
    return False


def object_resource(key: str, bucket: str = BUCKET) -> str:
    return f"acs:oss:cn-hangzhou:1234567890123456:{bucket}/{key}"


def probe_keys(device: str) -> list[str]:
    """Keys near a device's prefix, none of them inside it."""
    root = "cams"
    twins = {device + c for c in ("0", ".", "-", "_", " ", "é", "%2f", "~g2", "*", "\\x")}
    twins |= {device.swapcase(), device[:-1], device[1:], device * 2} - {device, ""}
    keys = [f"{root}/{twin}/x.mp4" for twin in twins]
    keys += [f"{root}/{device}", f"{device}/x.mp4", "x.mp4", f"x/{root}/{device}/x.mp4", root, ""]
    keys += [
        f"{root}//{device}/x",
        f"{root.upper()}/{device}/x",
        f"/{root}/{device}/x",
        f"{root}/*",
    ]
    return keys


@given(
    DEVICE,
    st.sets(st.sampled_from(["r", "w", "a", "list", "multipart"]), min_size=1),
    st.sampled_from(["", "1234567890123456"]),
    st.text(max_size=20),
)
def test_a_device_reaches_its_own_prefix_and_nothing_else(
    device: str, modes: set[str], account: str, random_key: str
) -> None:
    prefix = device_prefix(device)
    policy = build(Grant(modes, BUCKET, prefix=prefix), account_id=account)
    policy = json.loads(to_text(policy))
    secure = {"acs:SecureTransport": "true"}
    wanted = {
        "oss:GetObject": "r" in modes,
        "oss:PutObject": bool(modes & {"w", "a", "multipart"}),
        "oss:AbortMultipartUpload": "multipart" in modes,
        "oss:ListParts": "multipart" in modes,
    }
    outside = [*probe_keys(device), random_key]
    for action in ACTIONS:
        own = object_resource(f"{prefix}/a/b.mp4")
        assert allowed(policy, action, own, secure) is wanted.get(action, False)
        assert not allowed(policy, action, own, {"acs:SecureTransport": "false"})
        for key in outside:
            if not key.startswith(f"{prefix}/"):
                assert not allowed(policy, action, object_resource(key), secure), key
        assert not allowed(policy, action, object_resource(f"{prefix}/a", BUCKET + "2"), secure)
        assert not allowed(policy, action, object_resource(f"{prefix}/a", "x"), secure)
    bucket = f"acs:oss:cn-hangzhou:1234567890123456:{BUCKET}"
    for listed in ("", "cams", "cams/", prefix, prefix + "0/", "x"):
        assert not allowed(policy, "oss:ListObjects", bucket, {**secure, "oss:Prefix": listed})
    assert not allowed(policy, "oss:ListObjects", bucket, secure)
    for listed in (prefix + "/", prefix + "/2024/"):
        context = {**secure, "oss:Prefix": listed}
        assert allowed(policy, "oss:ListObjects", bucket, context) is ("list" in modes)


@given(DEVICE, st.sampled_from(["r", "w", "a", "multipart", "rwa"]))
def test_one_key_is_one_key(device: str, mode: str) -> None:
    key = f"cams/{device}/clip.mp4"
    policy = build(Grant(mode, BUCKET, key=key), secure_transport=False)
    action = "oss:GetObject" if mode == "r" else "oss:PutObject"
    assert allowed(policy, action, object_resource(key), {})
    for other in (key + "x", key + "/x", key[:-1], f"cams/{device}/clip-mp4", f"cams/{device}/"):
        assert not allowed(policy, action, object_resource(other), {})


@pytest.mark.parametrize(
    ("mode", "actions"),
    [
        ("r", ["oss:GetObject"]),
        ("w", ["oss:PutObject"]),
        ("a", ["oss:PutObject"]),
        ("multipart", ["oss:AbortMultipartUpload", "oss:ListParts", "oss:PutObject"]),
        ("rwa", ["oss:GetObject", "oss:PutObject"]),
        ("wm", ["oss:AbortMultipartUpload", "oss:ListParts", "oss:PutObject"]),
        (frozenset({"r", "w"}), ["oss:GetObject", "oss:PutObject"]),
        (("a", "r"), ["oss:GetObject", "oss:PutObject"]),
    ],
)
def test_the_narrowest_actions(mode: object, actions: list[str]) -> None:
    policy = build(Grant(mode, BUCKET, prefix="cams/c"), account_id="42")
    assert policy == {
        "Version": "1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": actions,
                "Resource": [f"acs:oss:*:42:{BUCKET}/cams/c/*"],
                "Condition": {"Bool": {"acs:SecureTransport": ["true"]}},
            }
        ],
    }


def test_list_is_of_the_bucket_with_a_condition() -> None:
    policy = build(Grant("list", BUCKET, prefix="cams/c"), secure_transport=False)
    assert policy["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["oss:ListObjects"],
            "Resource": [f"acs:oss:*:*:{BUCKET}"],
            "Condition": {"StringLike": {"oss:Prefix": ["cams/c/*"]}},
        }
    ]
    assert build(Grant("l", BUCKET, prefix="cams/c"), secure_transport=False) == policy
    assert len(build(Grant("rl", BUCKET, prefix="cams/c"))["Statement"]) == 2
    with pytest.raises(ValueError, match=r"^mode: 'list' needs a prefix"):
        Grant("rl", BUCKET, key="cams/c/x")


def test_source_addresses() -> None:
    policy = build(Grant("r", BUCKET, prefix="c"), source_ip=["203.0.113.0/24", "2001:db8::1"])
    condition = policy["Statement"][0]["Condition"]
    assert condition["IpAddress"] == {"acs:SourceIp": ["203.0.113.0/24", "2001:db8::1/128"]}
    with pytest.raises(ValueError, match=r"^source_ip: "):
        build(Grant("r", BUCKET, prefix="c"), source_ip="203.0.113.7/24")
    with pytest.raises(ValueError, match=r"^source_ip: "):
        build(Grant("r", BUCKET, prefix="c"), source_ip="*")


@pytest.mark.parametrize("escape", ESCAPES, ids=ascii)
def test_escapes_are_no_device_ids(escape: str) -> None:
    with pytest.raises(ValueError, match=r"^device_id: "):
        check_device_id(escape)
    with pytest.raises(ValueError, match=r"^device_id: "):
        device_prefix(escape)
    with pytest.raises(ValueError, match=r"^device_id: "):
        session_name(escape)


@pytest.mark.parametrize("escape", [e for e in ESCAPES if e not in ("cam1/", "_cam")], ids=ascii)
def test_escapes_are_no_part_of_a_prefix_or_key(escape: str) -> None:
    forms = (escape, f"cams/{escape}", f"{escape}/x", f"cams/{escape}/x")
    for form in forms:
        if form in ("cams/", "/x") and not escape:
            continue
        with pytest.raises(ValueError, match=r"^(prefix|key|prefix, key): "):
            Grant("w", BUCKET, prefix=form)
        with pytest.raises(ValueError, match=r"^(prefix|key|prefix, key): "):
            Grant("w", BUCKET, key=form)


@given(st.text(max_size=80))
def test_whatever_is_accepted_is_plain(text: str) -> None:
    for make in (lambda: Grant("w", BUCKET, prefix=text), lambda: path_grant(text, "w", BUCKET)):
        try:
            grant = make()
        except ValueError:
            continue
        path = grant.resource.removesuffix("/*")
        assert set(path) <= set(string.ascii_letters + string.digits + "_-.=~/")
        assert not {"", ".", ".."} & set(path.split("/"))
        assert len(build(grant)["Statement"]) == 1


@given(DEVICE, DEVICE)
def test_session_names_are_different_for_different_devices(one: str, other: str) -> None:
    names = session_name(one), session_name(other)
    assert (names[0] == names[1]) is (one == other)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9.@_-]{2,64}", name)


def test_the_shortest_session_names_do_not_meet() -> None:
    ids = [a + b for a in string.ascii_letters + string.digits for b in ["", *"ab0-_"]]
    assert len({session_name(i) for i in ids}) == len(ids)


@pytest.mark.parametrize("mode", ["", "x", "rwx", "*", "oss:*", (), ["read"], "list,r"])
def test_unknown_modes(mode: object) -> None:
    with pytest.raises(ValueError, match=r"^mode: "):
        Grant(mode, BUCKET, prefix="c")


@pytest.mark.parametrize("bucket", ["", "ab", "*", "Bucket", "a_b", "-ab", "ab-", "b" * 64, "a/b"])
def test_bad_buckets(bucket: str) -> None:
    with pytest.raises(ValueError, match=r"^bucket: "):
        Grant("r", bucket, prefix="c")


def test_wrong_types_are_named() -> None:
    with pytest.raises(TypeError, match=r"^mode: "):
        Grant([1], BUCKET, prefix="c")
    with pytest.raises(TypeError, match=r"^device_id: "):
        check_device_id(5)
    with pytest.raises(TypeError, match=r"^path: "):
        path_grant(None, "r", BUCKET)
    with pytest.raises(TypeError, match=r"^grants: "):
        build(["r"])
    with pytest.raises(TypeError, match=r"^policy: "):
        check_text(None)
    with pytest.raises(ValueError, match=r"^account_id: "):
        build(Grant("r", BUCKET, prefix="c"), account_id="*")
    with pytest.raises(ValueError, match="exactly one"):
        Grant("r", BUCKET)
    with pytest.raises(ValueError, match="exactly one"):
        Grant("r", BUCKET, prefix="a", key="b")


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("cams/c1/*", "cams/c1/*"),
        ("/cams/c1/*", "cams/c1/*"),
        ("cams/c1/x.mp4", "cams/c1/x.mp4"),
        ("/x", "x"),
    ],
)
def test_paths_as_get_token_takes_them(path: str, resource: str) -> None:
    assert path_grant(path, "rwa", BUCKET).resource == f"{BUCKET}/{resource}"


@pytest.mark.parametrize(
    "path", ["/*", "*", "", "/", "//*", "//", "a*", "a/*/*", "a/*b", "a/", "*/*"]
)
def test_paths_that_say_too_much(path: str) -> None:
    with pytest.raises(ValueError, match=r"^(path|prefix, key): "):
        path_grant(path, "rwa", BUCKET)


# Texts


def test_a_policy_is_never_empty_and_never_cut() -> None:
    with pytest.raises(ValueError, match=r"^grants: must not be empty"):
        build([])
    for empty in ({}, {"Version": "1", "Statement": []}):
        with pytest.raises(ValueError, match=r"^policy: must have a statement"):
            to_text(empty)
    many = [Grant("w", BUCKET, prefix=f"cams/camera-{n}") for n in range(50)]
    with pytest.raises(ValueError, match=rf"^policy: at most {LONGEST} characters, not \d+"):
        to_text(build(many))
    assert len(to_text(build(Grant("rwaml", BUCKET, prefix="p" * 400)))) <= LONGEST


GOOD = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":["*"]}]}'


def test_a_foreign_policy_is_made_compact_and_otherwise_kept() -> None:
    spaced = json.dumps(json.loads(GOOD), indent=4)
    assert check_text(spaced) == GOOD
    deny = GOOD.replace("Allow", "Deny").replace('["*"]', '"*","Condition":{}')
    assert json.loads(check_text(deny)) == json.loads(deny)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{}",
        "[]",
        "null",
        "not json",
        GOOD[:-1],
        GOOD.replace('"1"', '"2"'),
        GOOD.replace('"Allow"', '"Maybe"'),
        GOOD.replace('"oss:*"', "[]"),
        GOOD.replace('"oss:*"', '""'),
        GOOD.replace('"oss:*"', "5"),
        GOOD.replace('["*"]', "{}"),
        GOOD.replace('"Effect"', '"effect"'),
        GOOD.replace('"Effect":"Allow"', '"Effect":"Deny","Effect":"Allow"'),
        GOOD.replace('"Effect"', '"Principal":"*","Effect"'),
        GOOD.replace('"Action"', '"NotAction"'),
        '{"Version":"1","Statement":[]}',
        '{"Version":"1","Statement":["x"]}',
        '{"Version":"1","Statement":{}}',
        '{"Version":"1","Id":"x",' + GOOD[15:],
        "[" * 10_000,
        GOOD.replace("oss:*", "oss:" + "x" * LONGEST),
        " " * 100_000,
    ],
    ids=lambda t: ascii(t[:30]),
)
def test_foreign_policies_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^policy: "):
        check_text(text)
