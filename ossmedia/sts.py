"""Temporary credentials from STS, for the application server.

In flow a role, a policy and a life, out flow ``Credentials`` with STS's own end of life. It never
calls STS without a policy, and the keys, the signed request and the answer never reach a log or an
exception.
"""

from __future__ import annotations

import json

from ossmedia import policy as policies
from ossmedia.address import check_bucket
from ossmedia.clock import SYSTEM, chance, from_iso_date
from ossmedia.core_sdk import Service
from ossmedia.model import Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ossmedia.clock import Clock
    from ossmedia.retry import Retry

__all__ = ["TokenIssuer", "assume_role"]

ENDPOINT = "https://sts.aliyuncs.com"
LEAST_TTL_S, MOST_TTL_S = 900, 43_200
_SESSION_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@_-")


def assume_role(
    role_arn: str,
    session_name: str,
    policy: str,
    ttl_s: int = 3600,
    *,
    credentials: Credentials,
    endpoint: str = ENDPOINT,
    region: str = "cn-hangzhou",
    max_ttl_s: int = MOST_TTL_S,
    ca_file: str = "",
    connect_timeout_s: float = 5.0,
    io_timeout_s: float = 10.0,
    retry: Retry | None = None,
    clock: Clock = SYSTEM,
    random: Callable[[], float] = chance,
) -> Credentials:
    """Asks STS for temporary credentials: what the role allows and the policy allows, too.

    Args:
        role_arn: "acs:ram::<account>:role/<name>".
        session_name: 2-64 of letters, digits and ".@_-"; stands in the audit log.
        policy: text of a session policy, at most 2,048 characters; never empty.
        ttl_s: life in seconds, 900 to ``max_ttl_s``.
        credentials: the application server's own key (of a RAM user or a role, not of the account's
            root).
        endpoint: "https://sts.cn-shanghai.aliyuncs.com", or "http://127.0.0.1:8080".
        max_ttl_s: the role's own maximum, 3,600-43,200.
        ca_file: PEM file of the authorities to trust; "": the SDK's own.
        retry: for answers that ask for another try, with a new nonce each; None: three tries.

    Returns:
        Credentials whose ``expires_at`` is STS's Expiration.

    Raises:
        TypeError, ValueError: naming the field and its limit; STS was not called.
        AccessDenied, NotFound, Unavailable and other OssMediaError: STS refused, or gave no answer.
        ImportError: the extra ossmedia[server] is not installed.
    """
    _check_role(role_arn)
    _check_session_name(session_name)
    _check_ttl(ttl_s, max_ttl_s)
    fields = {
        "RoleArn": role_arn,
        "RoleSessionName": session_name,
        "Policy": policies.check_text(policy),
        "DurationSeconds": str(ttl_s),
    }
    service = Service(
        "STS",
        "aliyun-python-sdk-sts",
        credentials=credentials,
        endpoint=endpoint,
        region=region,
        ca_file=ca_file,
        connect_timeout_s=connect_timeout_s,
        io_timeout_s=io_timeout_s,
        retry=retry,
        clock=clock,
        random=random,
    )
    try:
        return service.call(_new_request, fields, _parse)
    finally:
        service.close()


def _check_role(role_arn: str) -> str:
    if not isinstance(role_arn, str):
        raise TypeError(f"role_arn: must be str, not {type(role_arn).__name__}")
    head, _, name = role_arn.partition(":role/")
    account = head.removeprefix("acs:ram::")
    plain = account.isascii() and account.isdigit() and name.isascii() and name.isprintable()
    if head == account or not plain or not name or " " in name or len(role_arn) > 200:
        raise ValueError(f"role_arn: must be acs:ram::<account>:role/<name>, not {role_arn[:80]!r}")
    return account


def _check_session_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"session_name: must be str, not {type(name).__name__}")
    if not 2 <= len(name) <= 64 or not _SESSION_NAME.issuperset(name):
        raise ValueError(
            f"session_name: must be 2-64 letters, digits and '.@_-', not {name[:70]!r}"
        )


def _check_ttl(ttl_s: int, max_ttl_s: int) -> None:
    for name, value in (("ttl_s", ttl_s), ("max_ttl_s", max_ttl_s)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name}: must be int, not {type(value).__name__}")
    if not 3600 <= max_ttl_s <= MOST_TTL_S:
        raise ValueError(f"max_ttl_s: must be 3600-{MOST_TTL_S}, not {max_ttl_s}")
    if not LEAST_TTL_S <= ttl_s <= max_ttl_s:
        raise ValueError(f"ttl_s: must be {LEAST_TTL_S}-{max_ttl_s} seconds, not {ttl_s}")


def _new_request() -> Any:
    from aliyunsdksts.request.v20150401.AssumeRoleRequest import AssumeRoleRequest

    return AssumeRoleRequest()


def _parse(body: bytes) -> Credentials:
    data = json.loads(body)["Credentials"]
    return Credentials(
        data["AccessKeyId"],
        data["AccessKeySecret"],
        data["SecurityToken"],
        from_iso_date(data["Expiration"]),
    )


class TokenIssuer:
    """Issues tokens for one bucket from one role.

    Args:
        role_arn: the role to assume; its account id names the bucket's owner in policies.
        bucket: whose objects the tokens are for.
        credentials: the application server's own key, or a callable that returns it.
        secure_transport: the tokens work over https only. False for a local cloud that speaks http.
        source_ip: networks from which the tokens may be used; none: any.
        max_ttl_s: the role's own maximum, 3,600-43,200.
        options: of ``assume_role``: endpoint, region, ca_file, connect_timeout_s, io_timeout_s,
            retry, clock.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """

    def __init__(
        self,
        role_arn: str,
        bucket: str,
        *,
        credentials: Credentials | Callable[[], Credentials],
        secure_transport: bool = True,
        source_ip: str | Sequence[str] = (),
        max_ttl_s: int = 3600,
        **options: Any,
    ) -> None:
        self._account = _check_role(role_arn)
        self._role_arn = role_arn
        self._bucket = check_bucket(bucket)
        self._credentials = credentials
        self._secure_transport = secure_transport
        self._source_ip = source_ip
        _check_ttl(LEAST_TTL_S, max_ttl_s)
        self._options = {"max_ttl_s": max_ttl_s, **options}

    def get_token(
        self, path: str, mode: str | Iterable[str], ttl_s: int = 900, *, device: str = "app-server"
    ) -> Credentials:
        """A token for one path and nothing else.

        Args:
            path: "cams/cam-1/*" for everything below, "cams/cam-1/a.mp4" for one object; never the
                whole bucket.
            mode: letters of "rwaml" or names: r, w, a, multipart, list. "w" and "a" need the same
                right.
            ttl_s: life in seconds, 900 to the role's maximum.
            device: its id becomes the role session name.

        Raises:
            TypeError, ValueError: naming the field and its limit; STS was not called.
                OssMediaError: from STS.
        """
        policy = policies.build(
            policies.path_grant(path, mode, self._bucket),
            account_id=self._account,
            secure_transport=self._secure_transport,
            source_ip=self._source_ip,
        )
        return self.get_token_from_policy(policies.to_text(policy), ttl_s, device=device)

    def get_token_from_policy(
        self, policy: str, ttl_s: int = 900, *, device: str = "app-server"
    ) -> Credentials:
        """A token for a policy that the caller wrote and answers for; see ``get_token``."""
        key = self._credentials
        return assume_role(
            self._role_arn,
            policies.session_name(device),
            policy,
            ttl_s,
            credentials=key if isinstance(key, Credentials) else key(),
            **self._options,
        )

    def __repr__(self) -> str:
        return f"TokenIssuer({self._role_arn!r}, {self._bucket!r})"
