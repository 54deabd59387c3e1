"""The values that travel: immutable, the same class at both ends of a wire, with to_json and
from_json where they do.

Kept free of dataclasses and typing, whose import alone costs a camera more than the C core.
"""

from __future__ import annotations

from sys import byteorder

from ossmedia.headers import header_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self

__all__ = ["Credentials", "Generation", "ObjectStat", "Receipt", "stored"]


class Value:
    """Base of the value types: slots, set once; equality, hash, repr and pickling by the fields."""

    __slots__: tuple[str, ...] = ()
    _hidden: frozenset[str] = frozenset()  # fields that repr must not show

    # Each slot's own way in: object.__setattr__ would cost a small request more than its HTTP.
    _setters: dict[str, Callable[[object, object], None]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: getattr(cls, name).__set__ for name in cls.__slots__}
        cls._setters = cls._setters | own

    def _set(self, **fields: object) -> None:
        setters = self._setters
        for name, value in fields.items():
            setters[name](self, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={self._show(name)}" for name in self.__slots__)
        return f"{type(self).__name__}({shown})"

    def _show(self, name: str) -> str:
        value = getattr(self, name)
        return "***" if name in self._hidden and value else repr(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self._fields()))


def _restore(cls: type[Value], fields: tuple[Any, ...]) -> Value:
    value = cls.__new__(cls)
    for name, field in zip(cls.__slots__, fields, strict=True):
        object.__setattr__(value, name, field)
    return value


def _text(what: str, value: object, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what}: must be str, not {type(value).__name__}")
    if not value and not empty:
        raise ValueError(f"{what}: must not be empty")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{what}: must be printable ASCII without blanks")
    return value


class Credentials(Value):
    """Access key id and secret, for temporary ones with a security token and the issuer's own end
    of life.

    Args:
        access_key_id: "STS...." for temporary credentials.
        access_key_secret: never shown by repr.
        security_token: "" for long-lived keys; never shown by repr.
        expires_at: seconds since 1970 UTC, as the issuer said; None: does not end.
        refresh_after_s: the issuer's hint, seconds from now after which to ask again; None: 75 % of
        life.

    Raises:
        TypeError, ValueError: a field is missing or half of a pair is (naming it, never its value).
    """

    __slots__ = (
        "access_key_id",
        "access_key_secret",
        "security_token",
        "expires_at",
        "refresh_after_s",
    )
    _hidden = frozenset({"access_key_secret", "security_token"})
    access_key_id: str
    access_key_secret: str
    security_token: str
    expires_at: float | None
    refresh_after_s: float | None

    def __init__(
        self,
        access_key_id: str,
        access_key_secret: str,
        security_token: str = "",
        expires_at: float | None = None,
        refresh_after_s: float | None = None,
    ) -> None:
        for name, number in (("expires_at", expires_at), ("refresh_after_s", refresh_after_s)):
            if number is not None and (
                isinstance(number, bool) or not isinstance(number, int | float)
            ):
                raise TypeError(f"{name}: must be seconds as int or float, or None")
        token = _text("security_token", security_token, empty=True)
        key_id = _text("access_key_id", access_key_id)
        if key_id.startswith("STS.") and not token:
            raise ValueError("security_token: an access key id that begins with 'STS.' needs one")
        self._set(
            access_key_id=key_id,
            access_key_secret=_text("access_key_secret", access_key_secret),
            security_token=token,
            expires_at=None if expires_at is None else float(expires_at),
            refresh_after_s=None if refresh_after_s is None else float(refresh_after_s),
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as plain data. It holds the secrets: for the wire to the device, never for a
        log."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Checks and takes plain data; unknown fields are ignored.

        Raises:
            TypeError, ValueError: naming the field, never its value.
        """
        for name in ("access_key_id", "access_key_secret"):
            if name not in data:
                raise ValueError(f"{name}: missing")
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


class ObjectStat(Value):
    """What OSS says of one object.

    Fields: ``key``; ``size`` in bytes; ``etag`` without quotes; ``modified_at`` seconds since 1970
    UTC; ``type`` "Normal", "Multipart", "Appendable", "Symlink"; ``storage_class``; ``crc64`` (None
    when not told, as in lists);
    ``next_append_position`` (None unless appendable); ``content_type``; ``metadata`` of the
    x-oss-meta- headers.
    """

    __slots__ = (
        "key",
        "size",
        "etag",
        "modified_at",
        "type",
        "storage_class",
        "crc64",
        "next_append_position",
        "content_type",
        "metadata",
    )
    key: str
    size: int
    etag: str
    modified_at: float
    type: str
    storage_class: str
    crc64: int | None
    next_append_position: int | None
    content_type: str
    metadata: tuple[tuple[str, str], ...]

    def __init__(
        self,
        key: str,
        size: int,
        etag: str,
        modified_at: float,
        type: str = "Normal",
        storage_class: str = "Standard",
        crc64: int | None = None,
        next_append_position: int | None = None,
        content_type: str = "",
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._set(
            key=key,
            size=size,
            etag=etag,
            modified_at=modified_at,
            type=type,
            storage_class=storage_class,
            crc64=crc64,
            next_append_position=next_append_position,
            content_type=content_type,
            metadata=metadata,
        )

    def to_json(self) -> dict[str, Any]:
        data = {name: getattr(self, name) for name in self.__slots__}
        data["metadata"] = dict(self.metadata)
        return data


class Generation(Value):
    """One object of a stream: bytes [start, start + size) of what was written stand in ``key`` from
    ``base`` on."""

    __slots__ = ("key", "start", "size", "base")
    key: str
    start: int
    size: int
    base: int

    def __init__(self, key: str, start: int, size: int, base: int = 0) -> None:
        self._set(key=key, start=start, size=size, base=base)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class _Late(Value):
    """Room for what a receipt's fields are made of when somebody asks."""

    __slots__ = ("_late",)
    _late: tuple[str, int, bytes]


class Receipt(_Late):
    """What a closed writer stored, as OSS confirmed it.

    Fields: ``key`` of the first object; ``size`` bytes written; ``crc64`` of these bytes, equal to
    OSS's; ``etag`` of the last object; ``request_id`` of the last acknowledged request;
    ``requests`` made, repeats included; ``generations``: where the bytes stand (more than one after
    a fork or a roll of ``ab``).
    """

    __slots__ = ("key", "size", "crc64", "etag", "request_id", "requests", "generations")
    key: str
    size: int
    crc64: int
    etag: str
    request_id: str
    requests: int
    generations: tuple[Generation, ...]

    def __init__(
        self,
        key: str,
        size: int,
        crc64: int,
        etag: str = "",
        request_id: str = "",
        requests: int = 0,
        generations: tuple[Generation, ...] = (),
    ) -> None:
        self._set(
            key=key,
            size=size,
            crc64=crc64,
            etag=etag,
            request_id=request_id,
            requests=requests,
            generations=generations,
        )

    def __getattr__(self, name: str) -> Any:
        if name not in Receipt.__slots__:
            raise AttributeError(f"Receipt has no {name!r}")
        key, requests, told = self._late
        size, crc64 = (int.from_bytes(told[at : at + 8], byteorder) for at in (0, 8))
        headers = header_fields(told[16:])
        self.__init__(  # type: ignore[misc]
            key,
            size,
            crc64,
            headers.get("etag", "").strip('"'),
            headers.get("x-oss-request-id", ""),
            requests,
            (Generation(key, 0, size),),
        )
        return getattr(self, name)

    def to_json(self) -> dict[str, Any]:
        data = {name: getattr(self, name) for name in self.__slots__}
        data["generations"] = [g.to_json() for g in self.generations]
        return data


def stored(key: str, requests: int, told: bytes) -> Receipt:
    """The receipt of one PutObject. Most callers never look further than "no exception": its fields
    are made when somebody does.

    Args:
        told: size and CRC-64 as 8 bytes each in this machine's order; the answer's header lines.
    """
    receipt = new_receipt(Receipt)
    set_late(receipt, (key, requests, told))
    return receipt


new_receipt, set_late = Receipt.__new__, Receipt._setters["_late"]  # noqa: SLF001
