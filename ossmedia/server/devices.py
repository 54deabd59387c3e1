"""The device registry: who exists, where each may write, and with which keys it signs.

In flow an operator's words, out flow ``Device`` values and, once, the text of a new key or code.
Every change raises the device's revision, so that nothing issued for an older one is handed out
again. A device's prefix never lies inside another's. Secrets are stored sealed, codes hashed; no
key or code can be shown a second time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, text, update

from ossmedia.clock import SYSTEM, Clock
from ossmedia.device_auth import DeviceKey
from ossmedia.policy import check_device_id, path_grant
from ossmedia.server.database import Database
from ossmedia.server.schema import device_keys, devices, enrolments
from ossmedia.server.sealing import Vault
from ossmedia.server.settings import DeviceDefaults, Settings, check_ttl

__all__ = [
    "ACTIVE",
    "DISABLED",
    "Device",
    "EnrolmentRefused",
    "Registry",
    "UnknownDevice",
    "open_registry",
]

ACTIVE, DISABLED = "active", "disabled"
KEYS = 2  # active at once, so that a key can be changed without a gap
CODE_LIFE_S = 600
_CODE_SIZE = 10  # bytes: 16 characters
_PAGE = 500


class UnknownDevice(LookupError):
    """No device has this id."""

    def __init__(self, device_id: str) -> None:
        super().__init__(f"device {device_id[:70]!r} is not registered")


class EnrolmentRefused(Exception):
    """No such device, or no such code for it any more; which of them is not told."""


@dataclass(frozen=True, slots=True)
class Device:
    """One record.

    Attributes: ``id``; ``prefix`` of its keys, without a slash at the end; ``modes`` it may have;
    ``ttl_s``: longest life of its tokens; ``state`` "active" or "disabled"; ``revision``: counts
    changes; ``created_at`` and ``changed_at``: seconds since 1970.
    """

    id: str
    prefix: str
    modes: tuple[str, ...]
    ttl_s: int
    state: str
    revision: int
    created_at: float
    changed_at: float

    @classmethod
    def from_row(cls, row: Any) -> Device:
        """From a row that holds the table's columns under their names."""
        fields = {name: getattr(row, name) for name in cls.__slots__}
        return cls(**{**fields, "modes": tuple(row.modes.split(","))})

    def to_json(self) -> dict[str, Any]:
        """The fields as plain data."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "modes": list(self.modes)}


class Registry:
    """The devices of one database.

    Args:
        vault: seals their keys.
        defaults: prefix template, modes and life of tokens for devices that are added.
        bucket: the bucket that prefixes are checked for.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        defaults: DeviceDefaults,
        bucket: str,
        clock: Clock = SYSTEM,
    ) -> None:
        self._database = database
        self._vault = vault
        self._defaults = defaults
        self._bucket = bucket
        self._clock = clock

    def add(
        self, device_id: str, *, prefix: str = "", modes: str = "", ttl_s: int = 0, key: bool = True
    ) -> tuple[Device, str]:
        """Registers a device.

        Args:
            prefix: of its keys; "": by the template of the settings.
            modes: letters of "rwaml"; "": those of the settings.
            ttl_s: longest life of its tokens; 0: that of the settings.
            key: make its first key now; False for a device that will enrol itself.

        Returns:
            The record, and the text of its key ("" without one), which is not stored anywhere.

        Raises:
            ValueError: a field is wrong, the id is taken, or the prefix is, overlaps or encloses
                that of another device.
        """
        check_device_id(device_id)
        prefix = prefix.removesuffix("/") if prefix else self._defaults.prefix_of(device_id)
        grant = path_grant(prefix + "/*", modes or self._defaults.modes, self._bucket)
        ttl_s = check_ttl("ttl_s", ttl_s) if ttl_s else self._defaults.ttl_s
        now = self._clock.now()
        names = tuple(sorted(grant.modes))
        device = Device(device_id, grant.prefix, names, ttl_s, ACTIVE, 1, now, now)
        with self._database.writing() as connection:
            self._lock(connection)
            if self._find(connection, device_id) is not None:
                raise ValueError(f"device_id: {device_id!r} is registered already")
            self._check_free(connection, device.prefix)
            row = {**device.to_json(), "modes": ",".join(names)}
            connection.execute(insert(devices).values(row))
            text = self._new_key(connection, device_id) if key else ""
        return device, text

    def _lock(self, connection: Connection) -> None:
        """Prefixes are compared and one is added: nobody may add another meanwhile. On SQLite a
        writer is alone anyway."""
        if self._database.postgresql:
            connection.execute(text("LOCK TABLE devices IN SHARE ROW EXCLUSIVE MODE"))

    @staticmethod
    def _check_free(connection: Connection, prefix: str) -> None:
        parts = prefix.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        below = devices.c.prefix.startswith(prefix + "/", autoescape=True)
        query = select(devices.c.id, devices.c.prefix)
        for row in connection.execute(query.where(or_(devices.c.prefix.in_(above), below))):
            if row.prefix in above or row.prefix.startswith(prefix + "/"):
                raise ValueError(f"prefix: {prefix!r} overlaps {row.prefix!r} of device {row.id!r}")

    @staticmethod
    def _find(connection: Connection, device_id: str) -> Device | None:
        row = connection.execute(select(devices).where(devices.c.id == device_id)).one_or_none()
        return None if row is None else Device.from_row(row)

    def get(self, device_id: str) -> Device:
        """One record.

        Raises:
            UnknownDevice: there is none.
        """
        with self._database.reading() as connection:
            return self._known(connection, device_id)

    def _known(self, connection: Connection, device_id: str) -> Device:
        device = self._find(connection, device_id)
        if device is None:
            raise UnknownDevice(device_id)
        return device

    def check_vault(self) -> None:
        """Raises ValueError when the server's key is not the one that sealed this database."""
        query = select(device_keys.c.device_id, device_keys.c.key_id, device_keys.c.sealed)
        with self._database.reading() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        if row is not None:
            try:
                self._vault.open(row.sealed, key_place(row.device_id, row.key_id))
            except ValueError as error:
                raise ValueError(f"key_file: not the key of this database; {error}") from None

    def keys(self, device_id: str) -> list[tuple[str, float]]:
        """Id and time of making of a device's keys, oldest first; never a secret."""
        query = select(device_keys.c.key_id, device_keys.c.created_at)
        query = query.where(device_keys.c.device_id == device_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(device_keys.c.created_at)).all()
        return [(row.key_id, row.created_at) for row in rows]

    def all(self) -> Iterator[Device]:
        """All records by id, read page by page."""
        last = ""
        while True:
            query = select(devices).where(devices.c.id > last).order_by(devices.c.id)
            with self._database.reading() as connection:
                rows = connection.execute(query.limit(_PAGE)).all()
            yield from map(Device.from_row, rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1].id

    def disable(self, device_id: str) -> Device:
        """From the next request on the device gets no token; a code not yet used ends, too."""
        return self._set_state(device_id, DISABLED)

    def enable(self, device_id: str) -> Device:
        """The device gets tokens again."""
        return self._set_state(device_id, ACTIVE)

    def _set_state(self, device_id: str, state: str) -> Device:
        with self._database.writing() as connection:
            self._known(connection, device_id)
            if state == DISABLED:
                connection.execute(delete(enrolments).where(enrolments.c.device_id == device_id))
            self._touch(connection, device_id, state=state)
            return self._known(connection, device_id)

    def _touch(self, connection: Connection, device_id: str, **fields: Any) -> None:
        connection.execute(
            update(devices)
            .where(devices.c.id == device_id)
            .values(revision=devices.c.revision + 1, changed_at=self._clock.now(), **fields)
        )

    def rotate_key(self, device_id: str, *, drop_old: bool = False) -> str:
        """Makes a new key. The one before stays good until the next rotation, or ends at once.

        Returns:
            The text of the new key, which is not stored anywhere.
        """
        with self._database.writing() as connection:
            self._known(connection, device_id)
            if drop_old:
                old = delete(device_keys).where(device_keys.c.device_id == device_id)
                connection.execute(old)
            text = self._new_key(connection, device_id)
            self._touch(connection, device_id)
            return text

    def _new_key(self, connection: Connection, device_id: str) -> str:
        mine = device_keys.c.device_id == device_id
        query = select(device_keys.c.key_id).where(mine)
        newest_first = query.order_by(device_keys.c.created_at.desc(), device_keys.c.key_id)
        present = list(connection.execute(newest_first).scalars())
        surplus = present[KEYS - 1 :]
        if surplus:
            connection.execute(delete(device_keys).where(mine, device_keys.c.key_id.in_(surplus)))
        key = DeviceKey.new()
        while key.id in present:
            key = DeviceKey.new()
        row = {
            "device_id": device_id,
            "key_id": key.id,
            "sealed": self._vault.seal(key.secret, key_place(device_id, key.id)),
            "created_at": self._clock.now(),
        }
        connection.execute(insert(device_keys).values(row))
        return key.text()

    def enrol_code(self, device_id: str) -> str:
        """A code with which the device can fetch a key by itself, once, within 10 minutes. It
        replaces one that was made before.

        Raises:
            UnknownDevice: there is none.
            ValueError: the device is disabled.
        """
        code = base64.b32encode(os.urandom(_CODE_SIZE)).decode()
        row = {
            "device_id": device_id,
            "code_hash": _hash(code),
            "expires_at": self._clock.now() + CODE_LIFE_S,
        }
        with self._database.writing() as connection:
            if self._known(connection, device_id).state != ACTIVE:
                raise ValueError(f"device_id: {device_id!r} is disabled")
            connection.execute(delete(enrolments).where(enrolments.c.device_id == device_id))
            connection.execute(insert(enrolments).values(row))
        return "-".join(code[start : start + 4] for start in range(0, len(code), 4))

    def enrol(self, device_id: str, code: str) -> str:
        """Takes a code and makes a key.

        Returns:
            The text of the key, which is not stored anywhere.

        Raises:
            EnrolmentRefused: unknown device, wrong, used or old code.
        """
        given = _hash(code.replace("-", "").upper())
        mine = enrolments.c.device_id == device_id
        with self._database.writing() as connection:
            row = connection.execute(select(enrolments).where(mine)).one_or_none()
            expected = row.code_hash if row is not None else _hash("")
            right = hmac.compare_digest(given, expected)
            if row is None or not right or self._clock.now() >= row.expires_at:
                raise EnrolmentRefused
            # Of two requests with one code, only that which deletes the row goes on.
            if connection.execute(delete(enrolments).where(mine)).rowcount != 1:
                raise EnrolmentRefused
            text = self._new_key(connection, device_id)
            self._touch(connection, device_id)
            return text


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).hexdigest()


def key_place(device_id: str, key_id: str) -> str:
    """Where a sealed key belongs: it opens nowhere else."""
    return f"device key {device_id}/{key_id}"


def open_registry(settings: Settings, clock: Clock = SYSTEM) -> tuple[Database, Vault, Registry]:
    """The database, the server's key and the registry.

    Raises:
        ValueError: the tables are old, or the key file is missing, open to others, or not the one
            of this database.
        StoreUnavailable: the database does not answer.
    """
    vault = Vault.from_file(settings.key_file)
    database = Database(settings.database)
    try:
        database.require_current()
        registry = Registry(database, vault, settings.devices, settings.oss.bucket, clock)
        registry.check_vault()
    except BaseException:
        database.close()
        raise
    return database, vault, registry
