"""AssumeRole and GetCallerIdentity, limit by limit, over both transports."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator.canonical import parse_iso_time
from tests.unit.emulator.sts_answers import ARN, FORM, NARROW, NOW, check_error


def test_answer_of_assume_role(service: Any) -> None:
    status, answer = service.assume(Policy=json.dumps(NARROW))
    assert status == 200
    assert answer["AssumedRoleUser"]["Arn"] == f"{ARN}/cam-01"
    assert answer["AssumedRoleUser"]["AssumedRoleId"].endswith(":cam-01")
    made = answer["Credentials"]
    assert parse_iso_time(made["Expiration"]) == NOW + 3600
    session = service.identities.find_session(made["AccessKeyId"])
    assert session is not None
    assert (session.secret, session.token) == (made["AccessKeySecret"], made["SecurityToken"])
    assert (session.role_arn, session.session_name) == (ARN, "cam-01")
    assert session.session_policy == NARROW
    caller = service.identities.resolve(made["AccessKeyId"], made["SecurityToken"], now=NOW)
    assert caller.role is not None
    assert len(answer["RequestId"]) == 36


@pytest.mark.parametrize("wanted", ["XML", "-", ""])
def test_answer_in_xml_is_the_default_of_rpc1(service: Any, wanted: str) -> None:
    parameters = {"RoleArn": ARN, "RoleSessionName": "cam-01", "Format": wanted}
    query = service.signed("GET", {"Action": "AssumeRole", **parameters})
    status, kind, body = service.send("GET", query, [])
    assert (status, kind) == (200, "text/xml;charset=utf-8")
    root = ElementTree.fromstring(body)
    assert root.tag == "AssumeRoleResponse"
    key = root.findtext("Credentials/AccessKeyId")
    assert key is not None
    assert service.identities.find_session(key) is not None
    assert root.findtext("AssumedRoleUser/Arn") == f"{ARN}/cam-01"


def test_error_in_xml(service: Any) -> None:
    query = service.signed("GET", {"Action": "AssumeRole", "Format": "XML"})
    status, kind, body = service.send("GET", query, [])
    root = ElementTree.fromstring(body)
    assert (status, kind, root.tag) == (400, "text/xml;charset=utf-8", "Error")
    assert root.findtext("Code") == "MissingRoleArn"
    assert root.findtext("HostId") == "sts.test"


def test_post_with_parameters_in_query_body_or_both(service: Any) -> None:
    parameters = {"Action": "AssumeRole", "RoleArn": ARN, "RoleSessionName": "cam-01"}
    text = service.signed("POST", parameters)
    assert service.send("POST", text, [])[0] == 200
    text = service.signed("POST", parameters)
    assert service.send("POST", "", [FORM], text.encode())[0] == 200
    first, _, rest = service.signed("POST", parameters).partition("&RoleArn=")
    assert service.send("POST", first, [FORM], f"RoleArn={rest}".encode())[0] == 200
    assert service.send("GET", service.signed("POST", parameters), [])[0] == 400


@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [
        ("899", False),
        ("900", True),
        ("901", True),
        ("7199", True),
        ("7200", True),
        ("7201", False),
        ("0", False),
        ("-900", False),
        ("900.5", False),
        ("1e3", False),
        ("abc", False),
        ("9" * 30, False),
    ],
)
def test_duration(service: Any, seconds: str, accepted: bool) -> None:
    answer = service.assume(DurationSeconds=seconds)
    if accepted:
        assert answer[0] == 200
        expiration = parse_iso_time(answer[1]["Credentials"]["Expiration"])
        assert expiration == NOW + int(seconds)
    else:
        check_error(answer, 400, "InvalidParameter.DurationSeconds")
        assert answer[1]["Message"].startswith("The Min/Max value of DurationSeconds is 15min/")


def test_duration_of_a_role_with_the_default_maximum(service: Any) -> None:
    service.identities.add_role(ARN)
    assert service.assume(DurationSeconds="3600")[0] == 200
    check_error(service.assume(DurationSeconds="3601"), 400, "InvalidParameter.DurationSeconds")


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("a", False),
        ("ab", True),
        ("A.z@0_9-", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("cam 01", False),
        ("cam/01", False),
        ("cam*", False),
        ("kamera-ä", False),
        ("cam\n", False),
    ],
)
def test_session_name(service: Any, name: str, accepted: bool) -> None:
    answer = service.assume(RoleSessionName=name)
    if accepted:
        assert answer[0] == 200
        assert answer[1]["AssumedRoleUser"]["Arn"] == f"{ARN}/{name}"
    else:
        check_error(answer, 400, "InvalidParameter.RoleSessionName")


@given(st.text(max_size=70))
def test_session_name_is_exactly_its_grammar(new_service: Any, name: str) -> None:
    good = 2 <= len(name) <= 64 and all(
        c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@_-" for c in name
    )
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    assert (new_service().assume(RoleSessionName=name)[0] == 200) is good


@pytest.mark.parametrize(
    ("arn", "status", "code"),
    [
        ("-", 400, "MissingRoleArn"),
        ("", 400, "MissingRoleArn"),
        ("role-1", 400, "InvalidParameter.RoleArn"),
        ("acs:ram::x:role/a", 400, "InvalidParameter.RoleArn"),
        (ARN + "/cam", 400, "InvalidParameter.RoleArn"),
        (ARN + "2", 404, "EntityNotExist.Role"),
        ("acs:ram::1:role/uploader", 404, "EntityNotExist.Role"),
    ],
)
def test_role_arn(service: Any, arn: str, status: int, code: str) -> None:
    check_error(service.assume(RoleArn=arn), status, code)


def test_session_name_is_required(service: Any) -> None:
    check_error(service.assume(RoleSessionName="-"), 400, "MissingRoleSessionName")


def padded(length: int) -> str:
    text = json.dumps(NARROW)
    return text + " " * (length - len(text))


def test_policy_size_is_counted_in_characters(service: Any) -> None:
    assert service.assume(Policy=padded(2048))[0] == 200
    check_error(service.assume(Policy=padded(2049)), 400, "InvalidParameter.PolicySize")
    wide = json.dumps(NARROW, ensure_ascii=False).replace("cams", "ü" * 900)
    assert len(wide.encode()) > 2048 - 300 > len(wide) - 300
    assert service.assume(Policy=wide)[0] == 200


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        (" ", "not JSON"),
        ("{", "not JSON"),
        ("{}", "Version"),
        ('{"Version":"1","Statement":[]}', "Statement"),
        (json.dumps(NARROW).replace("oss:PutObject", ""), "Action"),
        (json.dumps(NARROW).replace("Resource", "Ressource"), "Ressource"),
        (json.dumps(NARROW).replace('"Effect"', '"Principal": "*", "Effect"'), "Principal"),
        (json.dumps(NARROW).replace("Allow", "allow"), "Effect"),
        (json.dumps(NARROW).replace('"Version": "1"', '"Version": 1'), "Version"),
        (
            json.dumps(NARROW).replace("}]", r', "Condition": {"Bool": {"\ud800:x": "?"}}}]'),
            "ud800",
        ),
    ],
)
def test_policy_grammar(service: Any, policy: str, named: str) -> None:
    answer = service.assume(Policy=policy)
    check_error(answer, 400, "InvalidParameter.PolicyGrammar")
    assert named in answer[1]["Message"]


def test_an_empty_policy_is_no_policy_at_all(service: Any) -> None:
    for parameters in ({"Policy": ""}, {}):
        status, answer = service.assume(**parameters)
        assert status == 200
        session = service.identities.find_session(answer["Credentials"]["AccessKeyId"])
        assert session is not None
        assert session.session_policy is None


@pytest.mark.parametrize(
    ("text", "accepted"),
    [("a", False), ("ab", True), ("x" * 1224, True), ("x" * 1225, False), ("a b", False)],
)
def test_external_id(service: Any, text: str, accepted: bool) -> None:
    answer = service.assume(ExternalId=text)
    if accepted:
        assert answer[0] == 200
    else:
        check_error(answer, 400, "InvalidParameter.ExternalId")
