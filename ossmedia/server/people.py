"""People: who may sign in, and which cameras each may see.

In flow an operator's words and the passwords of those who sign in, out flow ``Person`` values. A
person who is not an administrator sees exactly the cameras that were granted. A changed or removed
person's sessions end with the same transaction. Passwords are stored as hashes; none is shown.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.database import Database
from ossmedia.server.devices import UnknownDevice
from ossmedia.server.passwords import USUAL, Cost, check_password, hash_password, no_password
from ossmedia.server.schema import devices, people, people_cameras, sessions

__all__ = ["LONGEST_NAME", "People", "Person", "UnknownPerson", "check_name", "person_of"]

LONGEST_NAME = 64
_FIRST = frozenset(string.ascii_lowercase + string.digits)
_OTHER = _FIRST | frozenset("._@+-")


class UnknownPerson(LookupError):
    """Nobody has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"person {name[:70]!r} is not known")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in.

    Attributes: ``name``; ``admin``: sees all cameras; ``cameras``: ids of those that were granted,
    None for an administrator's all; ``revision``: counts changes of the password.
    """

    name: str
    admin: bool
    cameras: frozenset[str] | None
    revision: int

    def may_see(self, camera: str) -> bool:
        """Whether this camera's recordings are this person's to see and to delete."""
        return self.cameras is None or camera in self.cameras

    def to_json(self) -> dict[str, Any]:
        """The fields as plain data."""
        cameras = None if self.cameras is None else sorted(self.cameras)
        return {"name": self.name, "admin": self.admin, "cameras": cameras}


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= LONGEST_NAME and name[0] in _FIRST and _OTHER.issuperset(name)


def check_name(name: object) -> str:
    """A person's name as it is stored: 1-64 of a-z, 0-9 and . _ @ + -, a letter or digit first.

    Raises:
        TypeError, ValueError: any other.
    """
    if not isinstance(name, str):
        raise TypeError(f"name: must be str, not {type(name).__name__}")
    if not _is_name(name):
        raise ValueError(
            f"name: must be 1-{LONGEST_NAME} of a-z, 0-9 and '._@+-', a letter or digit first, "
            f"not {name[:70]!r}"
        )
    return name


def person_of(connection: Connection, row: Any) -> Person:
    """From a row that holds the columns of ``people``."""
    cameras = None
    if not row.admin:
        query = select(people_cameras.c.camera).where(people_cameras.c.name == row.name)
        cameras = frozenset(connection.execute(query).scalars())
    return Person(row.name, row.admin, cameras, row.revision)


class People:
    """The people of one database.

    Args:
        cost: of new passwords.
    """

    def __init__(self, database: Database, clock: Clock = SYSTEM, cost: Cost = USUAL) -> None:
        self._database = database
        self._clock = clock
        self._cost = cost
        # What an unknown name is compared with, so that it takes the work of a known one.
        self._nobody = no_password(cost)

    def add(
        self, name: str, password: str, *, admin: bool = False, cameras: Sequence[str] = ()
    ) -> Person:
        """Somebody new.

        Raises:
            TypeError, ValueError: a field is wrong, or the name is taken.
            UnknownDevice: a camera is not registered.
        """
        check_name(name)
        now = self._clock.now()
        row = {"name": name, "password": hash_password(password, self._cost), "admin": admin}
        with self._database.writing() as connection:
            if self._row(connection, name) is not None:
                raise ValueError(f"name: {name!r} is taken")
            more = {"revision": 1, "created_at": now, "changed_at": now}
            connection.execute(insert(people).values(row | more))
            self._grant(connection, name, cameras)
            return self._known(connection, name)

    @staticmethod
    def _row(connection: Connection, name: str) -> Any:
        return connection.execute(select(people).where(people.c.name == name)).one_or_none()

    def _known(self, connection: Connection, name: str) -> Person:
        row = self._row(connection, name)
        if row is None:
            raise UnknownPerson(name)
        return person_of(connection, row)

    def get(self, name: str) -> Person:
        """One of them.

        Raises:
            UnknownPerson: nobody has this name.
        """
        with self._database.reading() as connection:
            return self._known(connection, name)

    def all(self) -> list[Person]:
        """Everybody, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(people).order_by(people.c.name)).all()
            return [person_of(connection, row) for row in rows]

    def grant(self, name: str, cameras: Sequence[str], *, admin: bool = False) -> Person:
        """Cameras, or all of them, that this person may see from now on.

        Raises:
            UnknownPerson, UnknownDevice: there is none; nothing was changed.
        """
        with self._database.writing() as connection:
            self._known(connection, name)
            self._grant(connection, name, cameras)
            if admin:
                self._touch(connection, name, admin=True)
            return self._known(connection, name)

    @staticmethod
    def _grant(connection: Connection, name: str, cameras: Sequence[str]) -> None:
        mine = people_cameras.c.name == name
        have = set(connection.execute(select(people_cameras.c.camera).where(mine)).scalars())
        for camera in dict.fromkeys(cameras):
            found = connection.execute(select(devices.c.id).where(devices.c.id == camera)).first()
            if found is None:
                raise UnknownDevice(camera)
            if camera not in have:
                connection.execute(insert(people_cameras).values(name=name, camera=camera))

    def revoke(self, name: str, cameras: Sequence[str], *, admin: bool = False) -> Person:
        """Cameras that this person may not see any more, from the next request on.

        Args:
            admin: ends being an administrator; what was granted by name stays.

        Raises:
            UnknownPerson: nobody has this name.
        """
        with self._database.writing() as connection:
            self._known(connection, name)
            gone = people_cameras.c.camera.in_(cameras)
            connection.execute(delete(people_cameras).where(people_cameras.c.name == name, gone))
            if admin:
                self._touch(connection, name, admin=False)
            return self._known(connection, name)

    def _touch(self, connection: Connection, name: str, **fields: Any) -> None:
        fields["changed_at"] = self._clock.now()
        connection.execute(update(people).where(people.c.name == name).values(**fields))

    def set_password(self, name: str, password: str) -> None:
        """Another password; every session of this person ends.

        Raises:
            TypeError, ValueError: the password is too short or too long.
            UnknownPerson: nobody has this name.
        """
        made = hash_password(password, self._cost)
        with self._database.writing() as connection:
            revision = self._known(connection, name).revision + 1
            self._touch(connection, name, password=made, revision=revision)
            connection.execute(delete(sessions).where(sessions.c.name == name))

    def remove(self, name: str) -> None:
        """Nobody has this name any more; every session of this person ends.

        Raises:
            UnknownPerson: nobody has it.
        """
        with self._database.writing() as connection:
            self._known(connection, name)
            for table in (sessions, people_cameras, people):
                connection.execute(delete(table).where(table.c.name == name))

    def prove(self, name: str, password: str) -> Person | None:
        """Who this is; None for a wrong name or password, after the same work."""
        row = person = None
        if _is_name(name):
            with self._database.reading() as connection:
                row = self._row(connection, name)
                person = None if row is None else person_of(connection, row)
        right = check_password(password, self._nobody if row is None else row.password)
        return person if right else None
