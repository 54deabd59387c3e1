"""Keys, roles and sessions, and what is said about credentials that belong to nobody."""

from __future__ import annotations

import threading

import pytest

from ossmedia.emulator.identities import (
    ALLOW_ALL,
    CredentialsRefused,
    Identities,
    Role,
    is_role_arn,
)

ARN = "acs:ram::1234567890123456:role/uploader"
NOW = 1717171717.25


def filled() -> tuple[Identities, Role]:
    identities = Identities()
    identities.add_access_key("LTAIuser", "secret-of-user")
    identities.add_access_key("LTAIroot", "secret-of-root", kind="root")
    identities.add_access_key("LTAIold", "secret-of-old", enabled=False)
    return identities, identities.add_role(ARN, max_session_duration=7200)


def reason(identities: Identities, id: str, token: str | None, now: float = NOW) -> str:
    with pytest.raises(CredentialsRefused) as caught:
        identities.resolve(id, token, now=now)
    return caught.value.reason


def test_long_lived_keys() -> None:
    identities, _ = filled()
    user = identities.resolve("LTAIuser", None, now=NOW)
    assert (user.kind, user.secret, user.session) == ("user", "secret-of-user", None)
    assert identities.resolve("LTAIroot", "", now=NOW).kind == "root"
    assert reason(identities, "LTAIold", None) == "disabled_key"
    assert reason(identities, "LTAInone", None) == "unknown_key"
    assert reason(identities, "LTAIuser", "garbage") == "token_invalid"


def test_session_from_issue_to_expiration() -> None:
    identities, role = filled()
    session = identities.issue_session(role, "cam-01", duration_seconds=900, now=NOW)
    assert session.expires_at == 1717171717 + 900
    caller = identities.resolve(session.access_key_id, session.token, now=session.expires_at - 1)
    assert (caller.kind, caller.session, caller.role) == ("sts", session, role)
    assert caller.secret == session.secret
    assert reason(identities, session.access_key_id, None) == "token_missing"
    assert reason(identities, session.access_key_id, "") == "token_missing"
    assert reason(identities, session.access_key_id, session.token[:-1]) == "token_invalid"
    late = reason(identities, session.access_key_id, session.token, session.expires_at)
    assert late == "token_expired"


def test_token_of_another_key() -> None:
    identities, role = filled()
    one = identities.issue_session(role, "cam-01", duration_seconds=900, now=NOW)
    two = identities.issue_session(role, "cam-02", duration_seconds=900, now=NOW)
    assert reason(identities, one.access_key_id, two.token) == "token_mismatch"
    assert reason(identities, "LTAIuser", one.token) == "token_mismatch"


def test_credentials_look_like_the_real_ones() -> None:
    identities, role = filled()
    made = [
        identities.issue_session(role, "cam-01", duration_seconds=900, now=NOW) for _ in range(40)
    ]
    for session in made:
        assert session.access_key_id.startswith("STS.")
        assert len(session.access_key_id) == 29
        assert len(session.secret) == 44
        assert set("+/=") <= set(session.token)
    assert len({s.token for s in made}) == len({s.secret for s in made}) == 40
    assert len({len(s.token) for s in made}) > 1
    assert min(len(s.token) for s in made) > 400


def test_a_day_after_its_expiration_a_session_is_forgotten() -> None:
    identities, role = filled()
    old = identities.issue_session(role, "cam-01", duration_seconds=900, now=NOW)
    identities.issue_session(role, "cam-02", duration_seconds=900, now=old.expires_at + 86400)
    assert identities.find_session(old.access_key_id) == old
    identities.issue_session(role, "cam-03", duration_seconds=900, now=old.expires_at + 86402)
    assert identities.find_session(old.access_key_id) is None
    assert reason(identities, old.access_key_id, old.token) == "unknown_key"
    assert reason(identities, "LTAIuser", old.token) == "token_invalid"


@pytest.mark.parametrize("seconds", [0, 899, 7201])
def test_duration_of_a_session(seconds: int) -> None:
    identities, role = filled()
    with pytest.raises(ValueError, match=r"duration_seconds must be 900 to 7200, not"):
        identities.issue_session(role, "cam-01", duration_seconds=seconds, now=NOW)


def test_everything_survives_a_restart() -> None:
    identities, role = filled()
    session = identities.issue_session(
        role, "cam-01", duration_seconds=900, now=NOW, session_policy=ALLOW_ALL
    )
    again = Identities.from_json(identities.to_json())
    caller = again.resolve(session.access_key_id, session.token, now=NOW)
    assert caller == identities.resolve(session.access_key_id, session.token, now=NOW)
    assert again.find_key("LTAIuser") == identities.find_key("LTAIuser")
    assert again.find_key("LTAIold") == identities.find_key("LTAIold")
    assert again.find_role(ARN) == role
    assert again.account_id == identities.account_id
    assert again.to_json() == identities.to_json()


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", '{"account_id": "1", "access_keys": [1]}'])
def test_a_broken_registry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Identities.from_json(text)


def test_revision_grows_with_every_change() -> None:
    identities, role = filled()
    before = identities.revision
    identities.issue_session(role, "cam-01", duration_seconds=900, now=NOW)
    assert identities.revision > before
    before = identities.revision
    identities.find_role(ARN)
    identities.to_json()
    assert identities.revision == before


@pytest.mark.parametrize(
    ("id", "secret", "kind", "message"),
    [
        ("", "s", "user", "access key id"),
        ("a-b", "s", "user", "access key id"),
        ("a\n", "s", "user", "access key id"),
        ("STS.a", "s", "user", "access key id"),
        ("a", "", "user", "secret must not be empty"),
        ("a", "s", "admin", "kind must be"),
    ],
)
def test_bad_access_key(id: str, secret: str, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Identities().add_access_key(id, secret, kind=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arn", "seconds", "message"),
    [
        ("acs:ram::1:role/x", 3600, "role ARN must be"),
        ("acs:ram::1234567890123456:user/x", 3600, "role ARN must be"),
        ("acs:ram::1234567890123456:role/", 3600, "role ARN must be"),
        ("acs:ram::1234567890123456:role/a/b", 3600, "role ARN must be"),
        (ARN, 3599, "max_session_duration must be 3600 to 43200"),
        (ARN, 43201, "max_session_duration must be 3600 to 43200"),
    ],
)
def test_bad_role(arn: str, seconds: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Identities().add_role(arn, max_session_duration=seconds)


def test_bad_policy_of_a_key_or_role_and_bad_account() -> None:
    with pytest.raises(ValueError, match="Version"):
        Identities().add_access_key("a", "s", policies=({},))
    with pytest.raises(ValueError, match="Version"):
        Identities().add_role(ARN, policies=({},))
    with pytest.raises(ValueError, match="account_id"):
        Identities("12a")


def test_role_arn() -> None:
    assert is_role_arn(ARN)
    assert not is_role_arn(ARN + "/x")
    assert not is_role_arn("")


def test_no_repr_and_no_error_shows_a_secret() -> None:
    identities, role = filled()
    session = identities.issue_session(role, "cam-01", duration_seconds=900, now=NOW)
    shown = repr(identities.find_key("LTAIuser")) + repr(session)
    shown += repr(identities.resolve(session.access_key_id, session.token, now=NOW))
    for secret in ("secret-of-user", session.secret, session.token):
        assert secret not in shown
    with pytest.raises(ValueError, match="access key id") as caught:
        identities.add_access_key("a-b", "the-secret")
    assert "the-secret" not in str(caught.value)


def test_threads_may_issue_and_resolve_at_once() -> None:
    identities, role = filled()
    failures: list[str] = []

    def work() -> None:
        for _ in range(20):
            session = identities.issue_session(role, "cam-01", duration_seconds=900, now=NOW)
            if identities.resolve(session.access_key_id, session.token, now=NOW).session != session:
                failures.append(session.access_key_id)
            Identities.from_json(identities.to_json())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert identities.to_json().count('"STS.') == 80
