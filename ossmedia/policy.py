"""What a token may do: grants in, the text of a RAM session policy out.

A grant names modes, a bucket, and a prefix or one exact key. The narrowest actions are looked up in
one table, the policy is built as data, and the only wildcard is put behind a "/" by this module. It
never takes a wildcard, an escape or a doubtful name from outside, never cuts, and never builds an
empty policy: for STS no policy means all rights of the role.
"""

from __future__ import annotations

import json

from ossmedia.address import check_bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

__all__ = [
    "LONGEST",
    "Grant",
    "build",
    "check_device_id",
    "check_text",
    "device_prefix",
    "path_grant",
    "session_name",
    "to_text",
]

LONGEST = 2048  # characters of a session policy
_ALNUM = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_ID = _ALNUM | frozenset("_-")
_SEGMENT = _ID | frozenset(".=~")

# What each mode needs on an object. HEAD needs GetObject; AppendObject and all of a multipart
# upload but these two need PutObject, so "append but never replace" cannot be said. "list" is of
# the bucket: see _list_statement.
_ACTIONS: dict[str, tuple[str, ...]] = {
    "r": ("oss:GetObject",),
    "w": ("oss:PutObject",),
    "a": ("oss:PutObject",),
    "multipart": ("oss:PutObject", "oss:AbortMultipartUpload", "oss:ListParts"),
    "list": (),
}
_LETTERS = {"r": "r", "w": "w", "a": "a", "m": "multipart", "l": "list"}


def parse_modes(modes: str | Iterable[str]) -> frozenset[str]:
    """The modes' names, from "rwa" (letters r, w, a, m for multipart, l for list), one name, or
    several names.

    Raises:
        TypeError, ValueError: no mode, or an unknown one.
    """
    if isinstance(modes, str):
        names = [modes] if modes in _ACTIONS else [_LETTERS.get(m, m) for m in modes]
    else:
        names = list(modes)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"mode: must be str, not {type(name).__name__}")
        if name not in _ACTIONS:
            known = ", ".join(_ACTIONS)
            raise ValueError(f"mode: {name[:20]!r} is none of {known} (or the letters r w a m l)")
    if not names:
        raise ValueError("mode: must not be empty")
    return frozenset(names)


class Grant:
    """Modes on one bucket and either everything below a prefix or one exact key.

    Args:
        modes: see ``parse_modes``.
        bucket: its name.
        prefix: "cams/cam-1": covers keys that begin with "cams/cam-1/", not "cams/cam-10/x" nor
            "cams/cam-1" itself.
        key: one exact key. Each segment of both has letters, digits and "_-.=~" and begins with a
            letter, a digit or "_"; at most 1,000 characters.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """

    __slots__ = ("bucket", "key", "modes", "prefix")

    def __init__(
        self, modes: str | Iterable[str], bucket: str, *, prefix: str = "", key: str = ""
    ) -> None:
        self.modes = parse_modes(modes)
        self.bucket = check_bucket(bucket)
        if bool(prefix) == bool(key):
            raise ValueError("prefix, key: exactly one of them must be given")
        self.prefix = _check_path("prefix", prefix.removesuffix("/")) if prefix else ""
        self.key = _check_path("key", key) if key else ""
        if "list" in self.modes and key:
            raise ValueError("mode: 'list' needs a prefix, not one key")

    @property
    def resource(self) -> str:
        """The part of the resource's name behind the account."""
        return f"{self.bucket}/{self.key or self.prefix + '/*'}"

    def __repr__(self) -> str:
        where = f"key={self.key!r}" if self.key else f"prefix={self.prefix!r}"
        return f"Grant({sorted(self.modes)}, {self.bucket!r}, {where})"


def _check_path(field: str, path: object) -> str:
    if not isinstance(path, str):
        raise TypeError(f"{field}: must be str, not {type(path).__name__}")
    if not 1 <= len(path) <= 1000:
        raise ValueError(f"{field}: must be 1-1000 characters, not {len(path)}")
    for segment in path.split("/"):
        if (
            not segment
            or not _SEGMENT.issuperset(segment)
            or (segment[0] not in _ALNUM and segment[0] != "_")
            or segment[-1] == "."
        ):
            raise ValueError(
                f"{field}: each part between '/' has letters, digits and '_-.=~', begins with a "
                f"letter, digit or '_' and does not end with '.'; {segment[:60]!r} does not"
            )
    return path


def path_grant(path: str, modes: str | Iterable[str], bucket: str) -> Grant:
    """A grant from a path as get_token takes it: "cams/cam-1/*" is a prefix, "cams/cam-1/a.mp4" one
    key; one "/" before it is dropped. The whole bucket, "/*", is refused.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """
    if not isinstance(path, str):
        raise TypeError(f"path: must be str, not {type(path).__name__}")
    inner = path.removeprefix("/")
    if inner == "*":
        raise ValueError("path: the whole bucket is never granted; name a prefix, 'cams/cam-1/*'")
    if inner.endswith("/*"):
        return Grant(modes, bucket, prefix=_check_path("path", inner[:-2]))
    return Grant(modes, bucket, key=_check_path("path", inner))


def check_device_id(device_id: str) -> str:
    """The id, if it is 1-63 letters, digits, "_" and "-" and begins with a letter or digit.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """
    if not isinstance(device_id, str):
        raise TypeError(f"device_id: must be str, not {type(device_id).__name__}")
    if not 1 <= len(device_id) <= 63 or not _ID.issuperset(device_id) or device_id[0] not in _ALNUM:
        raise ValueError(
            "device_id: must be 1-63 letters, digits, '_' and '-', beginning with a letter or "
            f"digit, not {device_id[:70]!r}"
        )
    return device_id


def device_prefix(device_id: str, root: str = "cams") -> str:
    """The prefix that belongs to one device alone: "cams/cam-1"."""
    return _check_path("root", root) + "/" + check_device_id(device_id)


def session_name(device_id: str) -> str:
    """The role session name of a device, for the audit log: 2-64 characters, different for
    different devices.

    It is the id; an id of one character gets a ".", which no id holds.
    """
    check_device_id(device_id)
    return device_id if len(device_id) > 1 else f"{device_id}."


def build(
    grants: Grant | Sequence[Grant],
    *,
    account_id: str = "",
    secure_transport: bool = True,
    source_ip: str | Sequence[str] = (),
) -> dict[str, Any]:
    """The policy that allows the grants and nothing else.

    Args:
        account_id: digits of the bucket owner's account; "" when it is not known.
        secure_transport: only https. False for a local cloud that speaks http.
        source_ip: addresses or networks, "203.0.113.0/24", from which the token may be used; none:
            any.

    Raises:
        TypeError, ValueError: no grant, a bad account or address.
    """
    if isinstance(grants, Grant):
        grants = (grants,)
    if not grants:
        raise ValueError("grants: must not be empty")
    if account_id and not (account_id.isascii() and account_id.isdigit() and len(account_id) <= 32):
        raise ValueError(f"account_id: must be digits, not {account_id[:40]!r}")
    owner = f"acs:oss:*:{account_id or '*'}:"
    condition = _condition(secure_transport, source_ip)
    statements: list[dict[str, Any]] = []
    for grant in grants:
        if not isinstance(grant, Grant):
            raise TypeError(f"grants: must be Grant, not {type(grant).__name__}")
        actions = {action for mode in grant.modes for action in _ACTIONS[mode]}
        if actions:
            statements.append(_allow(sorted(actions), owner + grant.resource, condition))
        if "list" in grant.modes:
            under = {"StringLike": {"oss:Prefix": [grant.prefix + "/*"]}}
            statements.append(
                _allow(["oss:ListObjects"], owner + grant.bucket, {**under, **condition})
            )
    return {"Version": "1", "Statement": statements}


def _allow(actions: list[str], resource: str, condition: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": [resource]}
    if condition:
        statement["Condition"] = condition
    return statement


def _condition(secure_transport: bool, source_ip: str | Sequence[str]) -> dict[str, Any]:
    condition: dict[str, Any] = {}
    if secure_transport:
        condition["Bool"] = {"acs:SecureTransport": ["true"]}
    addresses = [source_ip] if isinstance(source_ip, str) else list(source_ip)
    if addresses:
        from ipaddress import ip_network

        try:
            networks = [str(ip_network(address)) for address in addresses]
        except ValueError as error:
            raise ValueError(f"source_ip: {error}") from None
        condition["IpAddress"] = {"acs:SourceIp": networks}
    return condition


def to_text(policy: dict[str, Any]) -> str:
    """The policy as compact JSON.

    Raises:
        ValueError: no statement, or more than 2,048 characters; it is never cut.
    """
    if not policy.get("Statement"):
        raise ValueError(
            "policy: must have a statement; an empty one would give all rights of the role"
        )
    text = json.dumps(policy, separators=(",", ":"), allow_nan=False)
    if len(text) > LONGEST:
        raise ValueError(
            f"policy: at most {LONGEST} characters, not {len(text)}; grant a shorter prefix or less"
        )
    return text


def check_text(policy: str) -> str:
    """A policy that somebody else wrote, checked for form and made compact. What it allows is its
    writer's business.

    Raises:
        TypeError, ValueError: no JSON, no statement, an unknown element, a name that stands twice,
            or too long.
    """
    if not isinstance(policy, str):
        raise TypeError(f"policy: must be str, not {type(policy).__name__}")
    if len(policy) > 16 * LONGEST:
        raise ValueError(f"policy: at most {LONGEST} characters, not {len(policy)}")
    try:
        data = json.loads(policy, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"policy: no usable JSON: {error}") from None
    if (
        not isinstance(data, dict)
        or set(data) != {"Version", "Statement"}
        or data["Version"] != "1"
    ):
        raise ValueError('policy: must be {"Version": "1", "Statement": [...]}')
    statements = data["Statement"]
    if not isinstance(statements, list) or not statements:
        raise ValueError("policy: Statement must be a list with at least one statement")
    for statement in statements:
        _check_statement(statement)
    return to_text(data)


def _check_statement(statement: object) -> None:
    if not isinstance(statement, dict):
        raise ValueError("policy: each statement must be an object")
    if (
        not {"Effect", "Action", "Resource"}
        <= set(statement)
        <= {"Effect", "Action", "Resource", "Condition"}
    ):
        raise ValueError("policy: a statement has Effect, Action, Resource, and may have Condition")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise ValueError("policy: Effect must be Allow or Deny")
    for name in ("Action", "Resource"):
        value = statement[name]
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, str) and v for v in values):
            raise ValueError(f"policy: {name} must be a text or a list of texts, not empty")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return data
