"""Which nonces were used: each is taken once, by one of any number of processes.

In flow used nonces with the end of their time, out flows for each whether it was new. The table
is bounded by a number for each device and by time. What is over is forgotten only a margin later,
so that processes whose clocks differ agree. The database's table lasts across restarts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from ossmedia.device_auth import WINDOW_S
from ossmedia.server.database import Database
from ossmedia.server.schema import nonces

__all__ = ["KEEP_S", "DatabaseNonces", "Nonce", "NonceStore"]

MARGIN_S = 300.0
KEEP_S = WINDOW_S * 2 + MARGIN_S  # the longest that a nonce is kept: 15 minutes
_PURGE_EVERY_S = 30.0
_PURGE_ROWS = 5000


class Nonce(NamedTuple):
    """One use: whose, which, and the second since 1970 from which on time alone refuses it."""

    device_id: str
    nonce: str
    expires_at: float


class NonceStore(Protocol):
    """What authentication needs of a store."""

    def take(self, uses: Sequence[Nonce], now: float) -> list[bool]:
        """Notes all of them; True for each that was new.

        Raises:
            StoreUnavailable: nothing can be said; nothing may be accepted.
        """

    def used(self, device_ids: Sequence[str], now: float) -> dict[str, int]:
        """How many nonces are kept of each of these devices."""


class DatabaseNonces:
    """The table ``nonces``. It is used by one thread of a process at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        insert = postgresql.insert if database.postgresql else sqlite.insert
        taken = (nonces.c.device_id, nonces.c.nonce)
        self._insert = insert(nonces).on_conflict_do_nothing().returning(*taken)
        self._purge_at = 0.0

    def take(self, uses: Sequence[Nonce], now: float) -> list[bool]:
        """See ``NonceStore``."""
        first = {(use.device_id, use.nonce): use for use in reversed(uses)}
        # In one order everywhere: two processes with the same nonces must not wait for each other.
        rows = [first[key]._asdict() for key in sorted(first)]
        if not rows:
            return []
        with self._database.writing() as connection:
            new = {tuple(row) for row in connection.execute(self._insert, rows)}
            if now >= self._purge_at and self._purge(connection, now - MARGIN_S):
                self._purge_at = now + _PURGE_EVERY_S
        return [
            (use.device_id, use.nonce) in new and first[(use.device_id, use.nonce)] is use
            for use in uses
        ]

    @staticmethod
    def _purge(connection: Connection, before: float) -> bool:
        """Forgets what is over, a bounded number at a time; says whether that was all."""
        key = tuple_(nonces.c.device_id, nonces.c.nonce)
        old = select(nonces.c.device_id, nonces.c.nonce).where(nonces.c.expires_at < before)
        done = connection.execute(delete(nonces).where(key.in_(old.limit(_PURGE_ROWS))))
        return bool(done.rowcount < _PURGE_ROWS)

    def used(self, device_ids: Sequence[str], now: float) -> dict[str, int]:  # noqa: ARG002
        """See ``NonceStore``."""
        mine = nonces.c.device_id.in_(device_ids)
        query = select(nonces.c.device_id, func.count()).where(mine).group_by(nonces.c.device_id)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}
