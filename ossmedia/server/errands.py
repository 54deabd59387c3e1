"""What the server does by itself: reconcile, delete what is due, repeat what did not work.

In flow the clock and the settings, out flow rounds of work, one at a time in a thread of its own.
Of several processes one does each errand: whoever holds it says so in the database, for a while,
so that the death of one holds nothing up. A failure is logged once and tried again.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from ossmedia.clock import Clock, chance
from ossmedia.server.archive import Archive
from ossmedia.server.database import Database
from ossmedia.server.reconcile import Stopped, reconcile
from ossmedia.server.retention import carry_out_deletions, delete_expired, forget_gone
from ossmedia.server.schema import errands

__all__ = ["Errands", "Lease"]

_log = logging.getLogger("ossmedia.server")

ROUND_S = 30.0
RETENTION_S = 600
HELD_S = 300.0
_FIRST_S = 10.0


class Lease:
    """The right to do an errand now, among all processes of one database.

    Args:
        every_s: how often it is to be done.
    """

    def __init__(self, database: Database, clock: Clock, name: str, every_s: float) -> None:
        self._database = database
        self._clock = clock
        self._name = name
        self._every_s = every_s
        self._holder = secrets.token_hex(8)

    def take(self) -> bool:
        """Whether it is due, and ours for the next five minutes."""
        now = self._clock.now()
        make = postgresql.insert if self._database.postgresql else sqlite.insert
        first = {"name": self._name, "holder": "", "until": 0.0, "done_at": 0.0}
        mine = errands.c.name == self._name
        with self._database.reading() as connection:
            row = connection.execute(select(errands).where(mine)).one_or_none()
        if row is not None and (row.until > now or row.done_at > now - self._every_s):
            return False
        take = update(errands).where(
            mine, errands.c.until <= now, errands.c.done_at <= now - self._every_s
        )
        with self._database.writing() as connection:
            connection.execute(make(errands).values(first).on_conflict_do_nothing())
            values = {"holder": self._holder, "until": now + HELD_S}
            return connection.execute(take.values(values)).rowcount == 1

    def hold(self) -> bool:
        """Keeps it for another five minutes; False: it is not ours any more."""
        return self._set(until=self._clock.now() + HELD_S)

    def done(self) -> None:
        """It is done, and due again after its time."""
        self._set(until=0.0, done_at=self._clock.now())

    def drop(self) -> None:
        """It is not done; anybody may take it."""
        self._set(until=0.0)

    def _set(self, **values: float) -> bool:
        ours = errands.c.name == self._name, errands.c.holder == self._holder
        query = update(errands).where(*ours, errands.c.until > 0).values(values)
        with self._database.writing() as connection:
            return connection.execute(query).rowcount == 1


class Errands:
    """The errands of one application."""

    def __init__(self, archive: Archive, random: Callable[[], float] = chance) -> None:
        self._archive = archive
        self._first_s = _FIRST_S * (1 + random())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ossmedia-errands", daemon=True)
        self._told: dict[str, str] = {}
        self._works: list[tuple[Lease, str, Callable[[Lease], object]]] = []
        every_s = archive.settings.reconcile_s
        if every_s:
            self._add("reconcile", every_s, self._reconcile)
        self._add("retention", RETENTION_S, self._retention)
        self._add("deletions", ROUND_S - 1, self._deletions)

    def _add(self, name: str, every_s: float, work: Callable[[Lease], object]) -> None:
        lease = Lease(self._archive.database, self._archive.clock, name, every_s)
        self._works.append((lease, name, work))

    def start(self) -> None:
        """Begins; the first round comes after some seconds."""
        if not self._ended.is_set():
            self._thread.start()

    def stop(self) -> None:
        """Ends, in the middle of an errand if there is one."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        wait = self._first_s
        while not self._ended.wait(wait):
            self.round()
            wait = ROUND_S

    def round(self) -> None:
        """Does what is due."""
        for lease, name, work in self._works:
            try:
                if lease.take():
                    self._do(lease, work)
                self._told.pop(name, None)
            except Stopped:
                return
            except Exception as error:
                self._tell(name, error)

    @staticmethod
    def _do(lease: Lease, work: Callable[[Lease], object]) -> None:
        try:
            work(lease)
        except BaseException:
            lease.drop()
            raise
        lease.done()

    def _tell(self, name: str, error: Exception) -> None:
        """Logs a failure, once as long as it stays the same; without what an exception may hold."""
        text = str(error) if type(error).__name__ in _PLAIN else type(error).__name__
        if self._told.get(name) != text:
            self._told[name] = text
            _log.warning("%s: %s; it will be tried again", name, text)

    def _go_on(self, lease: Lease) -> None:
        if self._ended.is_set() or not lease.hold():
            raise Stopped

    def _reconcile(self, lease: Lease) -> None:
        tally = reconcile(self._archive, lambda: self._go_on(lease))
        if tally.noted or tally.gone:
            _log.info("reconcile: %d noted, %d gone", tally.noted, tally.gone)

    def _deletions(self, lease: Lease) -> None:
        carry_out_deletions(self._archive, lambda: self._go_on(lease))

    def _retention(self, lease: Lease) -> None:
        delete_expired(self._archive, lambda: self._go_on(lease))
        forget_gone(self._archive)


_PLAIN = ("OssUnavailable", "CredentialsError", "StoreUnavailable")
