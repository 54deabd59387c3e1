"""Sessions: from a sign-in to a sign-out, or to the end of its time.

In flow people who proved who they are, out flow tokens of 256 bits for their browsers, and from a
token the person again, as the database knows it at that moment. Only the hash of a token is stored.
A session ends when it was not used for a while, and at the latest after its longest life.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import delete, insert, or_, select, update

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.database import Database
from ossmedia.server.people import Person, person_of
from ossmedia.server.schema import people, sessions

__all__ = ["Sessions", "csrf_of"]

MOST = 20  # sessions of one person; the oldest end
_NOTE_EVERY_S = 60.0  # how exactly the last use is known
_TOKEN_LENGTH = 43


def csrf_of(token: str) -> str:
    """What a page of this session must send along with every change."""
    return hmac.new(token.encode(), b"ossmedia csrf", hashlib.sha256).hexdigest()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Sessions:
    """The sessions of one database.

    Args:
        idle_s: seconds without use after which a session ends.
        life_s: seconds after which it ends in any case.
    """

    def __init__(
        self, database: Database, idle_s: float, life_s: float, clock: Clock = SYSTEM
    ) -> None:
        self._database = database
        self._idle_s = idle_s
        self._life_s = life_s
        self._clock = clock

    def begin(self, person: Person, before: str = "") -> str:
        """A new session.

        Args:
            before: the token that the same browser had until now; its session ends.

        Returns:
            The token, which is not stored anywhere; "" when the person's password was changed, or
            the person removed, since ``person`` was read.
        """
        now = self._clock.now()
        token = secrets.token_urlsafe(32)
        with self._database.writing() as connection:
            over = or_(sessions.c.expires_at <= now, sessions.c.used_at <= now - self._idle_s)
            gone = or_(over, sessions.c.token_hash == _hash(before))
            connection.execute(delete(sessions).where(gone))
            query = select(people.c.revision).where(people.c.name == person.name)
            if connection.execute(query.with_for_update()).scalar() != person.revision:
                return ""
            mine = sessions.c.name == person.name
            newest = select(sessions.c.token_hash).where(mine)
            newest = newest.order_by(sessions.c.created_at.desc(), sessions.c.token_hash)
            surplus = list(connection.execute(newest.offset(MOST - 1)).scalars())
            connection.execute(delete(sessions).where(sessions.c.token_hash.in_(surplus)))
            row = {
                "token_hash": _hash(token),
                "name": person.name,
                "created_at": now,
                "used_at": now,
                "expires_at": now + self._life_s,
            }
            connection.execute(insert(sessions).values(row))
        return token

    def person(self, token: str) -> Person | None:
        """Whose session this is, with the rights of this moment; None when there is none."""
        if len(token) != _TOKEN_LENGTH:
            return None
        now, mine = self._clock.now(), sessions.c.token_hash == _hash(token)
        columns = (people, sessions.c.used_at, sessions.c.expires_at)
        query = select(*columns).join(sessions, sessions.c.name == people.c.name).where(mine)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
            if row is None or now >= min(row.expires_at, row.used_at + self._idle_s):
                return None
            person = person_of(connection, row)
        if now >= row.used_at + min(_NOTE_EVERY_S, self._idle_s / 4):
            with self._database.writing() as connection:
                connection.execute(update(sessions).where(mine).values(used_at=now))
        return person

    def end(self, token: str) -> None:
        """Signs out; harmless for a session that is over."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))
