"""An upload ticket of ApsaraVideo VOD: where one media file goes, and the right to put it there.

In flows the answer of VOD as the app server passes it on, undecoded; out flows a checked value. A
ticket that leads anywhere but to the allowed hosts is refused here, before any connection: whoever
answers instead of the app server must not direct a camera's requests.
"""

from __future__ import annotations

from ossmedia.address import Address, check_key
from ossmedia.clock import SYSTEM, from_iso_date, to_iso_date
from ossmedia.model import Credentials, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Self, TypeVar

    from ossmedia.clock import Clock

    T = TypeVar("T")

__all__ = ["ALLOWED_HOSTS", "UploadTicket"]

ALLOWED_HOSTS = (".aliyuncs.com",)
DEFAULT_LIFE_S = 3000
LONGEST_TEXT = 64 << 10
_KINDS = {"VideoId": "video", "ImageId": "image", "MediaId": "attached"}
_ID = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_FIELDS = {
    "endpoint": "UploadAddress.Endpoint",
    "bucket": "UploadAddress.Bucket",
    "key": "UploadAddress.FileName",
    "region": "UploadAuth.Region",
    "access_key_id": "UploadAuth.AccessKeyId",
    "access_key_secret": "UploadAuth.AccessKeySecret",
    "security_token": "UploadAuth.SecurityToken",
}


class UploadTicket(Value):
    """One media file's place in VOD, with credentials that open nothing else.

    Fields: ``media_id``; ``kind`` "video" (or audio), "image" or "attached", of which only the
    first can be refreshed; ``endpoint`` with scheme; ``bucket``; ``key`` of the object; ``region``;
    ``credentials``, whose ``expires_at`` is VOD's own, in seconds since 1970.

    Args:
        allowed_hosts: where the ticket may lead: ".aliyuncs.com" is every host below it by https,
            "oss.example.com" that host by https, "http://127.0.0.1:8080" exactly that, the only
            way to allow plain http.

    Raises:
        TypeError, ValueError: naming the field as VOD calls it, never a secret.
    """

    __slots__ = ("media_id", "kind", "endpoint", "bucket", "key", "region", "credentials")
    media_id: str
    kind: str
    endpoint: str
    bucket: str
    key: str
    region: str
    credentials: Credentials

    def __init__(
        self,
        media_id: str,
        kind: str,
        endpoint: str,
        bucket: str,
        key: str,
        region: str,
        credentials: Credentials,
        *,
        allowed_hosts: Iterable[str] = ALLOWED_HOSTS,
    ) -> None:
        if not isinstance(media_id, str) or not 1 <= len(media_id) <= 128 or set(media_id) - _ID:
            raise ValueError("media id: must be 1-128 letters, digits, '-' and '_'")
        if kind not in _KINDS.values():
            raise ValueError(f'kind: must be "video", "image" or "attached", not {kind!r}')
        if not isinstance(credentials, Credentials):
            raise TypeError(f"credentials: must be Credentials, not {type(credentials).__name__}")
        address = _named(lambda: Address(bucket, endpoint, region))
        _check_host(address.endpoint, allowed_hosts)
        self._set(
            media_id=media_id,
            kind=kind,
            endpoint=address.endpoint,
            bucket=address.bucket,
            key=_named(lambda: check_key(key)),
            region=address.region,
            credentials=credentials,
        )

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
        *,
        allowed_hosts: Iterable[str] = ALLOWED_HOSTS,
        clock: Clock = SYSTEM,
    ) -> Self:
        """Checks and takes what VOD answered: ``VideoId`` (or ``ImageId``, ``MediaId``),
        ``UploadAddress`` and ``UploadAuth``, both base64 of JSON. Unknown fields are ignored.

        The end of life is ``ExpireUTCTime``; without it ``Expiration`` seconds (or 3,000) from
        now.

        Args:
            allowed_hosts: see the class.
            clock: tells "now"; a device whose own clock is wrong hands in one that is corrected.

        Raises:
            TypeError, ValueError: naming the field: no base64, no JSON, a field that is missing or
                wrong, a host that is not allowed, a ticket that has ended.
        """
        if not _is_object(data):
            raise TypeError(f"ticket: must be a JSON object, not {type(data).__name__}")
        name, media_id = _media_id(data)
        address = _decoded(data, "UploadAddress")
        auth = _decoded(data, "UploadAuth")
        credentials = _named(
            lambda: Credentials(
                _text(auth, "UploadAuth.AccessKeyId"),
                _text(auth, "UploadAuth.AccessKeySecret"),
                _text(auth, "UploadAuth.SecurityToken"),
                _end_of_life(auth, clock.now()),
            )
        )
        return cls(
            media_id,
            _KINDS[name],
            _text(address, "UploadAddress.Endpoint"),
            _text(address, "UploadAddress.Bucket"),
            _text(address, "UploadAddress.FileName"),
            _text(auth, "UploadAuth.Region") if auth.get("Region") is not None else "",
            credentials,
            allowed_hosts=allowed_hosts,
        )

    def to_json(self) -> dict[str, str]:
        """The ticket as VOD writes it. It holds the secrets: for the wire to the device, never for
        a log."""
        held = self.credentials
        address = {"Endpoint": self.endpoint, "Bucket": self.bucket, "FileName": self.key}
        auth = {
            "AccessKeyId": held.access_key_id,
            "AccessKeySecret": held.access_key_secret,
            "SecurityToken": held.security_token,
            "Region": self.region,
        }
        if held.expires_at is not None:
            auth["ExpireUTCTime"] = f"{to_iso_date(held.expires_at)}Z"
        name = next(name for name, kind in _KINDS.items() if kind == self.kind)
        return {
            name: self.media_id,
            "UploadAddress": _encoded(address),
            "UploadAuth": _encoded(auth),
        }

    def seconds_left(self, clock: Clock = SYSTEM) -> float:
        """Seconds until the credentials end, by this machine's clock; negative afterwards."""
        end = self.credentials.expires_at
        return float("inf") if end is None else end - clock.now()


def _is_object(data: object) -> bool:
    return isinstance(data, dict) or (hasattr(data, "keys") and hasattr(data, "__getitem__"))


def _media_id(data: Mapping[str, Any]) -> tuple[str, str]:
    found = [name for name in _KINDS if data.get(name) is not None]
    if len(found) != 1:
        wrong = "missing" if not found else "more than one of them"
        raise ValueError(f"VideoId, ImageId or MediaId: {wrong}")
    value = data[found[0]]
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or set(value) - _ID:
        raise ValueError(f"{found[0]}: must be 1-128 letters, digits, '-' and '_'")
    return found[0], value


def _decoded(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The JSON object that a field holds as base64. No error shows any of the text: it may be
    secret."""
    from binascii import Error, a2b_base64
    from json import loads

    text = data.get(name)
    if text is None:
        raise ValueError(f"{name}: missing")
    if not isinstance(text, str):
        raise TypeError(f"{name}: must be str, not {type(text).__name__}")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{name}: at most {LONGEST_TEXT} characters, not {len(text)}")
    try:
        raw = a2b_base64(text.encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError):
        raise ValueError(f"{name}: is no base64") from None
    try:
        values = loads(raw)
    except (ValueError, RecursionError):
        raise ValueError(f"{name}: is no base64 of JSON") from None
    if not isinstance(values, dict):
        raise ValueError(f"{name}: must be base64 of a JSON object")
    return values


def _encoded(values: dict[str, str]) -> str:
    from binascii import b2a_base64
    from json import dumps

    return b2a_base64(dumps(values).encode(), newline=False).decode()


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name.partition(".")[2])
    if value is None:
        raise ValueError(f"{name}: missing")
    if not isinstance(value, str):
        raise TypeError(f"{name}: must be text, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name}: must not be empty")
    return value


def _end_of_life(auth: dict[str, Any], now: float) -> float:
    if auth.get("ExpireUTCTime") is not None:
        name = "UploadAuth.ExpireUTCTime"
        text = _text(auth, name)
        try:
            end = from_iso_date(text)
        except ValueError:  # not in its words: they quote, and beside this field there are secrets
            raise ValueError(f"{name}: not an ISO 8601 time in UTC") from None
    else:
        name = "UploadAuth.Expiration"
        life = str(auth.get("Expiration") if auth.get("Expiration") is not None else DEFAULT_LIFE_S)
        if not life.isascii() or not life.isdigit() or len(life) > 9:
            raise ValueError(f"{name}: must be a number of seconds")
        end = now + int(life)
    if end <= now:
        raise ValueError(f"{name}: the ticket ended {now - end:.0f} s ago by this machine's clock")
    return end


def _named(check: Callable[[], T]) -> T:
    """Runs a check whose errors name our fields, and names VOD's instead."""
    try:
        return check()
    except (TypeError, ValueError) as error:
        name, colon, rest = str(error).partition(":")
        if not colon or name not in _FIELDS:
            raise
        raise type(error)(f"{_FIELDS[name]}:{rest}") from None


def _check_host(endpoint: str, allowed_hosts: Iterable[str]) -> None:
    """Refuses an endpoint ("https://host" or with ":port") that no entry allows."""
    if isinstance(allowed_hosts, str):
        raise TypeError("allowed_hosts: must be several, such as ('.aliyuncs.com',)")
    scheme, _, host = endpoint.partition("://")
    for entry in allowed_hosts:
        if not isinstance(entry, str) or entry in ("", "."):
            raise ValueError(f"allowed_hosts: {entry!r} is no host")
        wanted = entry.lower().removesuffix("/")
        if "://" in wanted:
            if endpoint == wanted:
                return
        elif scheme == "https" and (
            host == wanted or (wanted.startswith(".") and host.endswith(wanted))
        ):
            return
    raise ValueError(
        f"UploadAddress.Endpoint: {endpoint!r} is not among the allowed hosts; for a local cloud "
        "pass allowed_hosts=('http://host:port',)"
    )
