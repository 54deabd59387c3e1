"""What a service of the cloud issues by itself: short sessions and keys, and whose they are."""

from __future__ import annotations

import pytest

from ossmedia.emulator.identities import CredentialsRefused, Identities
from ossmedia.emulator.policies import Evaluation, request_context

ROLE = "acs:ram::1234567890123456:role/aliyunvoddefaultrole"
POLICY = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "oss:PutObject", "Resource": "acs:oss:*:*:outin-1/sv/a.mp4"}
    ],
}
CONTEXT = request_context(now=0, source_ip="127.0.0.1", secure=False)


def allowed(caller, action, key):
    resource = f"acs:oss:cn-hangzhou:1234567890123456:outin-1/{key}"
    return Evaluation().authorize(caller, [(action, resource)], context=CONTEXT) == "allow"


@pytest.mark.parametrize(("now", "life", "end"), [(100.0, 1, 101), (100.2, 1, 102), (99.9, 3, 103)])
def test_a_short_session_lives_at_least_as_long_as_asked(now, life, end):
    identities = Identities()
    session = identities.issue_service_session("video-1", POLICY, life_s=life, now=now)
    assert session.expires_at == end
    caller = identities.resolve(session.access_key_id, session.token, now=now + life - 0.01)
    assert caller.of_service
    assert allowed(caller, "oss:PutObject", "sv/a.mp4")
    assert not allowed(caller, "oss:PutObject", "sv/b.mp4")
    assert not allowed(caller, "oss:GetObject", "sv/a.mp4")
    with pytest.raises(CredentialsRefused, match="token_expired"):
        identities.resolve(session.access_key_id, session.token, now=end)


def test_the_services_role_is_nobodys():
    identities = Identities()
    assert identities.find_role(ROLE) is None
    with pytest.raises(ValueError, match="aliyunvoddefaultrole"):
        identities.add_role(ROLE)
    with pytest.raises(ValueError, match="life_s"):
        identities.issue_service_session("x", POLICY, life_s=0, now=0)
    with pytest.raises(ValueError, match="Version"):
        identities.issue_service_session("x", {"Version": "2"}, life_s=1, now=0)


def test_a_services_key_does_what_its_policy_says():
    identities = Identities()
    identities.add_access_key("svc", "sk", kind="service", policies=(POLICY,))
    identities.add_access_key("usr", "sk")
    service = identities.resolve("svc", None, now=0)
    assert service.of_service
    assert allowed(service, "oss:PutObject", "sv/a.mp4")
    assert not allowed(service, "oss:PutObject", "sv/b.mp4")
    assert not identities.resolve("usr", None, now=0).of_service


def test_they_survive_a_restart():
    identities = Identities()
    identities.add_access_key("svc", "sk", kind="service", policies=(POLICY,))
    session = identities.issue_service_session("video-1", POLICY, life_s=5, now=0)
    again = Identities.from_json(identities.to_json())
    caller = again.resolve(session.access_key_id, session.token, now=4)
    assert caller.of_service
    assert allowed(caller, "oss:PutObject", "sv/a.mp4")
    assert again.resolve("svc", None, now=0).of_service
