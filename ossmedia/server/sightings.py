"""When each device was last heard.

In flow ids of devices whose request was admitted, out flow times. Each process writes a device down
at most once a minute, and all that came meanwhile together, so that a fleet that asks often costs
few writes. A sighting that cannot be written is lost; the next one comes.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from concurrent.futures import Executor

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.database import Database, StoreUnavailable
from ossmedia.server.schema import sightings

__all__ = ["Sightings"]

EVERY_S = 60.0
_REMEMBERED = 100_000

_log = logging.getLogger("ossmedia.server")


class Sightings:
    """The sightings of one database.

    Args:
        threads: where they are written.
    """

    def __init__(self, database: Database, threads: Executor, clock: Clock = SYSTEM) -> None:
        self._database = database
        self._threads = threads
        self._clock = clock
        self._noted: OrderedDict[str, float] = OrderedDict()
        self._waiting: dict[str, float] = {}
        self._lock = threading.Lock()

    def heard(self, device: str) -> None:
        """A device was heard now. Never waits."""
        now = self._clock.monotonic()
        with self._lock:
            last = self._noted.get(device)
            if last is not None and now - last < EVERY_S:
                return
            self._noted[device] = now
            self._noted.move_to_end(device)
            if len(self._noted) > _REMEMBERED:
                self._noted.popitem(last=False)
            first = not self._waiting
            self._waiting[device] = self._clock.now()
        if first:
            self._threads.submit(self._write)

    def _write(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        make = postgresql.insert if self._database.postgresql else sqlite.insert
        new = make(sightings)
        query = new.on_conflict_do_update(
            index_elements=[sightings.c.device_id],
            set_={"seen_at": new.excluded.seen_at},
            where=sightings.c.seen_at < new.excluded.seen_at,
        )
        rows = [{"device_id": name, "seen_at": at} for name, at in sorted(waiting.items())]
        try:
            with self._database.writing() as connection:
                connection.execute(query, rows)
        except StoreUnavailable as error:
            _log.warning("sightings: %s", error)

    def all(self) -> dict[str, float]:
        """When each device was last heard, by id; those never heard are not there."""
        with self._database.reading() as connection:
            rows = connection.execute(select(sightings.c.device_id, sightings.c.seen_at)).all()
        return {row.device_id: row.seen_at for row in rows}
