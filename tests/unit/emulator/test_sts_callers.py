"""Who may assume a role, who am I, and the same over ACS3."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.unit.emulator.sts_answers import ARN, NARROW, check_error


def test_the_account_owner_may_not_assume(service: Any) -> None:
    answer = service.assume(AccessKeyId="owner")
    check_error(answer, 403, "NoPermission")
    assert answer[1]["Message"] == "Roles may not be assumed by root accounts."


def statement(effect: str, action: str, resource: str, **more: Any) -> dict[str, Any]:
    return {
        "Version": "1",
        "Statement": [{"Effect": effect, "Action": action, "Resource": resource, **more}],
    }


@pytest.mark.parametrize(
    ("policies", "accepted"),
    [
        ((), False),
        ((statement("Allow", "oss:*", "*"),), False),
        ((statement("Allow", "sts:AssumeRole", "*"),), True),
        ((statement("Allow", "sts:AssumeRole", ARN),), True),
        ((statement("Allow", "sts:AssumeRole", ARN[:-1] + "x"),), False),
        ((statement("Allow", "*", "*"), statement("Deny", "sts:*", ARN)), False),
        (
            (statement("Allow", "*", "*", Condition={"Bool": {"acs:SecureTransport": "true"}}),),
            False,
        ),
    ],
)
def test_a_user_needs_permission(
    service: Any, policies: tuple[dict[str, Any], ...], accepted: bool
) -> None:
    service.identities.add_access_key("user", "sk", policies=policies)
    answer = service.assume()
    if accepted:
        assert answer[0] == 200
    else:
        check_error(answer, 403, "NoPermission")


def test_conditions_see_the_address_and_the_transport(service: Any) -> None:
    condition = {
        "Bool": {"acs:SecureTransport": "true"},
        "IpAddress": {"acs:SourceIp": "192.0.2.0/24"},
    }
    policy = statement("Allow", "*", "*", Condition=condition)
    service.identities.add_access_key("user", "sk", policies=(policy,))
    for source_ip, secure, status in (
        ("192.0.2.1", True, 200),
        ("192.0.2.1", False, 403),
        ("10.0.0.1", True, 403),
    ):
        parameters = {"Action": "AssumeRole", "RoleArn": ARN, "RoleSessionName": "cam-01"}
        query = service.signed("GET", parameters)
        answer = service.send("GET", query, [], source_ip=source_ip, secure=secure)
        assert answer[0] == status


def test_a_session_may_assume_on_if_its_policies_allow(service: Any) -> None:
    made = service.assume()[1]["Credentials"]
    chained = {
        "AccessKeyId": made["AccessKeyId"],
        "SecurityToken": made["SecurityToken"],
        "secret": made["AccessKeySecret"],
    }
    assert service.assume(**chained)[0] == 200
    without = {**chained, "SecurityToken": "-"}
    check_error(service.assume(**without), 400, "MissingSecurityToken")
    narrow = service.assume(Policy=json.dumps(NARROW))[1]["Credentials"]
    answer = service.assume(
        AccessKeyId=narrow["AccessKeyId"],
        SecurityToken=narrow["SecurityToken"],
        secret=narrow["AccessKeySecret"],
    )
    check_error(answer, 403, "NoPermission")


def test_wrong_secret_and_used_nonce(service: Any) -> None:
    check_error(service.assume(secret="other"), 400, "SignatureDoesNotMatch")
    assert service.assume(SignatureNonce="once")[0] == 200
    check_error(service.assume(SignatureNonce="once"), 400, "SignatureNonceUsed")


def test_a_refused_call_issues_nothing(service: Any) -> None:
    before = service.identities.revision
    for parameters in (
        {"DurationSeconds": "899"},
        {"Policy": "{}"},
        {"AccessKeyId": "owner"},
        {"RoleArn": ARN + "x"},
        {"secret": "other"},
    ):
        assert service.assume(**parameters)[0] != 200
    assert service.identities.revision == before


@pytest.mark.parametrize(
    ("action", "version"),
    [
        ("AssumeRole", "2014-04-01"),
        ("CreateUploadVideo", "2017-03-21"),
        ("Nothing", "2015-04-01"),
        ("assumerole", "2015-04-01"),
    ],
)
def test_unknown_operation(service: Any, action: str, version: str) -> None:
    check_error(service.call(action, Version=version), 404, "InvalidApi.NotFound")
    query = urlencode({"Action": action, "Version": version, "Format": "JSON"})
    status, _, body = service.send("POST", query, [])
    check_error((status, json.loads(body)), 404, "InvalidApi.NotFound")


def test_caller_identity(service: Any) -> None:
    account = service.identities.account_id
    status, user = service.call("GetCallerIdentity")
    assert (status, user["IdentityType"], user["AccountId"]) == (200, "RAMUser", account)
    assert user["Arn"] == f"acs:ram::{account}:user/user"
    owner = service.call("GetCallerIdentity", AccessKeyId="owner")[1]
    assert (owner["IdentityType"], owner["Arn"]) == ("Account", f"acs:ram::{account}:root")
    made = service.assume()[1]
    session = service.call(
        "GetCallerIdentity",
        AccessKeyId=made["Credentials"]["AccessKeyId"],
        SecurityToken=made["Credentials"]["SecurityToken"],
        secret=made["Credentials"]["AccessKeySecret"],
    )[1]
    assert session["IdentityType"] == "AssumedRoleUser"
    assert session["Arn"] == made["AssumedRoleUser"]["Arn"]
    assert session["PrincipalId"] == made["AssumedRoleUser"]["AssumedRoleId"]
    assert session["PrincipalId"] == f"{session['RoleId']}:cam-01"


@pytest.mark.parametrize("in_body", [False, True])
def test_assume_role_over_acs3(service: Any, in_body: bool) -> None:
    parameters = {"RoleArn": ARN, "RoleSessionName": "cam-01", "Policy": json.dumps(NARROW)}
    status, kind, body = service.acs3(parameters, in_body=in_body)
    assert (status, kind) == (200, "application/json;charset=utf-8")
    made = json.loads(body)["Credentials"]
    session = service.identities.find_session(made["AccessKeyId"])
    assert session is not None
    assert session.session_policy == NARROW
    status, _, body = service.acs3({**parameters, "DurationSeconds": "899"}, in_body=in_body)
    check_error((status, json.loads(body)), 400, "InvalidParameter.DurationSeconds")


def test_acs3_action_and_version_are_headers(service: Any) -> None:
    parameters = {"RoleArn": ARN, "RoleSessionName": "cam-01", "Action": "Other", "Version": "x"}
    assert service.acs3(parameters, in_body=False)[0] == 200
    status, _, body = service.acs3(parameters, in_body=False, x_acs_version="2017-03-21")
    check_error((status, json.loads(body)), 404, "InvalidApi.NotFound")
