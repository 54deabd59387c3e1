"""Who may call: long-lived access keys, roles, and the sessions that STS issued.

What flows in: keys and roles at start, sessions from AssumeRole, and the credentials a request
claims. What flows out: the caller behind a key id and a token, or the reason why there is none. It
never verifies a signature, and its values never show a secret in a repr.
"""

from __future__ import annotations

import base64
import json
import math
import re
import secrets
import string
from threading import RLock
from typing import Any, Literal, NamedTuple

from .canonical import same
from .policy_grammar import check_policy

ALLOW_ALL: dict[str, Any] = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
DEFAULT_ACCOUNT = "1234567890123456"
MIN_SESSION_SECONDS = 900
# A token is refused as expired for a day; then it is forgotten and its key is unknown.
_REMEMBER_EXPIRED_SECONDS = 86400

_KEY_ID = re.compile(r"[0-9A-Za-z._=]{1,128}")
_ROLE_ARN = re.compile(r"acs:ram::([0-9]{1,32}):role/([A-Za-z0-9.@_-]{1,64})")
_ALPHANUMERIC = string.ascii_letters + string.digits

KeyKind = Literal["root", "user", "service"]
_SERVICE_ROLE = "aliyunvoddefaultrole"


class AccessKey(NamedTuple):
    """A long-lived key of the account owner (``root``), or of a RAM user or a service of the cloud
    with its policies."""

    id: str
    secret: str
    kind: KeyKind
    policies: tuple[dict[str, Any], ...]
    enabled: bool

    def __repr__(self) -> str:
        return f"AccessKey(id={self.id!r}, kind={self.kind!r}, enabled={self.enabled})"


class Role(NamedTuple):
    """A RAM role. It trusts every user and role of its account; the caller's own policies decide
    who assumes it.

    Fields:
        arn: ``acs:ram::<account>:role/<name>``.
        policies: what its sessions may do at most.
        max_session_duration: seconds, 3600 to 43200.
    """

    arn: str
    policies: tuple[dict[str, Any], ...]
    max_session_duration: int


class Session(NamedTuple):
    """Temporary credentials of one AssumeRole call; ``expires_at`` is in unix seconds."""

    access_key_id: str
    secret: str
    token: str
    expires_at: float
    role_arn: str
    session_name: str
    session_policy: dict[str, Any] | None
    account: str

    def __repr__(self) -> str:
        who = f"{self.access_key_id!r}, {self.role_arn!r}, {self.session_name!r}"
        return f"Session({who}, expires_at={self.expires_at})"


class Caller(NamedTuple):
    """Who sent a request, after its signature held."""

    kind: Literal["anonymous", "root", "user", "service", "sts"]
    access_key_id: str
    key: AccessKey | None
    session: Session | None
    role: Role | None

    @property
    def of_service(self) -> bool:
        """Whether a service of the cloud made these credentials; only they open its bucket."""
        by_role = self.role is not None and self.role.arn.endswith(f":role/{_SERVICE_ROLE}")
        return self.kind == "service" or by_role

    @property
    def secret(self) -> str:
        """The secret that this caller's requests must be signed with."""
        if self.session is not None:
            return self.session.secret
        return self.key.secret if self.key is not None else ""


ANONYMOUS = Caller("anonymous", "", None, None, None)

RefusalReason = Literal[
    "unknown_key",
    "disabled_key",
    "token_missing",
    "token_invalid",
    "token_mismatch",
    "token_expired",
]


class CredentialsRefused(Exception):
    """The claimed key id and token belong to nobody; ``reason`` says why."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason: RefusalReason = reason


class Identities:
    """The registry of keys, roles and sessions of one account. Safe to use from several threads.

    Attributes:
        account_id: the account every key, role and bucket belongs to.
        revision: grows by one with every change, so that an owner knows when to store
            :meth:`to_json` again.
    """

    def __init__(self, account_id: str = DEFAULT_ACCOUNT) -> None:
        if not re.fullmatch(r"[0-9]{1,32}", account_id):
            raise ValueError(f"account_id must be 1 to 32 digits, not {account_id!r}")
        self.account_id = account_id
        self.revision = 0
        self._lock = RLock()
        self._keys: dict[str, AccessKey] = {}
        self._roles: dict[str, Role] = {}
        self._service_role = Role(
            f"acs:ram::{account_id}:role/{_SERVICE_ROLE}", (ALLOW_ALL,), 43200
        )
        self._sessions: dict[str, Session] = {}
        self._owner_of_token: dict[str, str] = {}

    def add_access_key(
        self,
        id: str,
        secret: str,
        *,
        kind: KeyKind = "user",
        policies: tuple[dict[str, Any], ...] = (ALLOW_ALL,),
        enabled: bool = True,
    ) -> AccessKey:
        """Add or replace a long-lived key.

        Args:
            id: 1 to 128 characters of ``0-9A-Za-z._=``, not beginning with ``STS.``.
            secret: not empty.
            kind: ``root`` for the account owner, who may not assume roles; ``service`` for a
                service of the cloud.
            policies: identity policies; ignored for ``root``.
            enabled: a disabled key is refused.

        Raises:
            ValueError: a field outside these limits; the message never holds the secret.
        """
        if not _KEY_ID.fullmatch(id) or id.startswith("STS."):
            raise ValueError(
                f"access key id must be 1 to 128 of [0-9A-Za-z._=], not from 'STS.' on: {id!r}"
            )
        if not secret:
            raise ValueError("access key secret must not be empty")
        if kind not in ("root", "user", "service"):
            raise ValueError(f"kind must be 'root', 'user' or 'service', not {kind!r}")
        for policy in policies:
            check_policy(policy)
        key = AccessKey(id, secret, kind, tuple(policies), enabled)
        with self._lock:
            self._keys[id] = key
            self.revision += 1
        return key

    def add_role(
        self,
        arn: str,
        *,
        policies: tuple[dict[str, Any], ...] = (ALLOW_ALL,),
        max_session_duration: int = 3600,
    ) -> Role:
        """Add or replace a role.

        Raises:
            ValueError: an ARN that is not ``acs:ram::<this account>:role/<name>``, a policy outside
                the grammar, or a maximum outside 3600 to 43200 seconds.
        """
        match = _ROLE_ARN.fullmatch(arn)
        if match is None or match.group(1) != self.account_id:
            raise ValueError(
                f"role ARN must be acs:ram::{self.account_id}:role/<name>, not {arn!r}"
            )
        if arn == self._service_role.arn:
            raise ValueError(f"role {_SERVICE_ROLE!r} is the cloud's own and cannot be assumed")
        if not 3600 <= max_session_duration <= 43200:
            raise ValueError(
                f"max_session_duration must be 3600 to 43200 seconds, not {max_session_duration}"
            )
        for policy in policies:
            check_policy(policy)
        role = Role(arn, tuple(policies), max_session_duration)
        with self._lock:
            self._roles[arn] = role
            self.revision += 1
        return role

    def add_session(self, session: Session) -> None:
        """Add a session whose credentials were made elsewhere (restored, or given by a test)."""
        with self._lock:
            self._sessions[session.access_key_id] = session
            self._owner_of_token[session.token] = session.access_key_id
            self.revision += 1

    def issue_session(
        self,
        role: Role,
        session_name: str,
        *,
        duration_seconds: int,
        now: float,
        session_policy: dict[str, Any] | None = None,
    ) -> Session:
        """Issue temporary credentials for a role that live for ``duration_seconds`` from ``now``
        (unix seconds).

        Raises:
            ValueError: a duration outside 900 seconds and the role's maximum.
        """
        if not MIN_SESSION_SECONDS <= duration_seconds <= role.max_session_duration:
            raise ValueError(
                f"duration_seconds must be {MIN_SESSION_SECONDS} to {role.max_session_duration},"
                f" not {duration_seconds}"
            )
        return self._issue(role, session_name, int(now) + duration_seconds, session_policy, now)

    def issue_service_session(
        self, session_name: str, policy: dict[str, Any], *, life_s: int, now: float
    ) -> Session:
        """Issue temporary credentials that a service of the cloud gives away by itself, such as
        VOD's for one upload; they do what *policy* allows, for at least ``life_s`` seconds.

        Raises:
            ValueError: a life below a second, or a policy outside the grammar.
        """
        if life_s < 1:
            raise ValueError(f"life_s must be at least 1, not {life_s}")
        check_policy(policy)
        end = math.ceil(now) + life_s
        return self._issue(self._service_role, session_name, end, policy, now)

    def _issue(
        self, role: Role, name: str, end: int, policy: dict[str, Any] | None, now: float
    ) -> Session:
        session = Session(
            access_key_id="STS." + _random_text(25),
            secret=_random_text(44),
            token=_random_token(),
            expires_at=float(end),
            role_arn=role.arn,
            session_name=name,
            session_policy=policy,
            account=self.account_id,
        )
        with self._lock:
            self._forget_expired(now)
            self.add_session(session)
        return session

    def _forget_expired(self, now: float) -> None:
        old = [s for s in self._sessions.values() if s.expires_at + _REMEMBER_EXPIRED_SECONDS < now]
        for session in old:
            del self._sessions[session.access_key_id]
            del self._owner_of_token[session.token]

    def find_key(self, id: str) -> AccessKey | None:
        """The long-lived key of this id, enabled or not."""
        with self._lock:
            return self._keys.get(id)

    def find_session(self, id: str) -> Session | None:
        """The session whose temporary key has this id, expired or not."""
        with self._lock:
            return self._sessions.get(id)

    def find_role(self, arn: str) -> Role | None:
        """The role of this ARN."""
        with self._lock:
            return self._roles.get(arn)

    def resolve(self, access_key_id: str, token: str | None, *, now: float) -> Caller:
        """Find the caller behind claimed credentials. The signature is still to be verified with
        ``Caller.secret``.

        Raises:
            CredentialsRefused: unknown or disabled key, or a token that is missing, no token at
                all, another key's, or past its expiration.
        """
        with self._lock:
            key = self._keys.get(access_key_id)
            session = self._sessions.get(access_key_id)
            owner = self._owner_of_token.get(token) if token else None
            role = self._role_of(session) if session is not None else None
        if session is not None:
            self._check_token(session, token, owner, now)
            return Caller("sts", access_key_id, None, session, role)
        if key is None:
            raise CredentialsRefused("unknown_key")
        if not key.enabled:
            raise CredentialsRefused("disabled_key")
        if token:
            raise CredentialsRefused("token_mismatch" if owner is not None else "token_invalid")
        return Caller(key.kind, access_key_id, key, None, None)

    def _role_of(self, session: Session) -> Role | None:
        own = self._service_role
        return own if session.role_arn == own.arn else self._roles.get(session.role_arn)

    @staticmethod
    def _check_token(session: Session, token: str | None, owner: str | None, now: float) -> None:
        if not token:
            raise CredentialsRefused("token_missing")
        if not same(token, session.token):
            raise CredentialsRefused("token_mismatch" if owner is not None else "token_invalid")
        if now >= session.expires_at:
            raise CredentialsRefused("token_expired")

    def to_json(self) -> str:
        """Everything the registry holds, secrets included: the text belongs into a file that only
        its owner reads.
        """
        with self._lock:
            content = {
                "account_id": self.account_id,
                "access_keys": [key._asdict() for key in self._keys.values()],
                "roles": [role._asdict() for role in self._roles.values()],
                "sessions": [session._asdict() for session in self._sessions.values()],
            }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Identities:
        """Rebuild a registry from :meth:`to_json`; tokens issued before stay good until their
        expiration.

        Raises:
            ValueError: text that is not such a document.
        """
        try:
            content = json.loads(text)
            identities = cls(content["account_id"])
            for key in content["access_keys"]:
                identities.add_access_key(**{**key, "policies": tuple(key["policies"])})
            for role in content["roles"]:
                identities.add_role(**{**role, "policies": tuple(role["policies"])})
            for session in content["sessions"]:
                identities.add_session(Session(**session))
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"not a stored registry of identities: {type(error).__name__}"
            ) from None
        return identities


def is_role_arn(text: str) -> bool:
    """True for ``acs:ram::<account>:role/<name>``."""
    return _ROLE_ARN.fullmatch(text) is not None


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))


def _random_token() -> str:
    """A token of no fixed length that always holds ``+``, ``/`` and ``=``, as the real ones may."""
    while True:
        length = 301 + 3 * secrets.randbelow(100)
        token = "CAIS" + base64.b64encode(secrets.token_bytes(length)).decode("ascii")
        if "+" in token and "/" in token and token.endswith("="):
            return token
