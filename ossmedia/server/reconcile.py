"""Reconcile: the bucket is listed, and the index brought to what is there.

In flow listings of devices' prefixes, a page at a time, out flow changes of the index. What nobody
told of is looked at and noted; what is not listed any more is gone; nothing in the bucket is
changed. It may be stopped at any moment and run any number of times, by any process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select, update

from ossmedia.server.archive import Archive, Owner
from ossmedia.server.recording_facts import ObjectFacts, no_recording
from ossmedia.server.recordings import GONE, GROWING, QUIET_S, READY, VOD
from ossmedia.server.schema import devices, recordings

__all__ = ["Stopped", "Tally", "reconcile"]

_LOOKS = 4  # at the same time
_ROWS = 1000
_OWNERS = 500


class Stopped(Exception):
    """Somebody asked to stop."""


@dataclass(slots=True)
class Tally:
    """What a reconcile did: ``listed`` objects, of which ``noted`` were new or had changed;
    ``gone`` ones that are not there any more."""

    listed: int = 0
    noted: int = 0
    gone: int = 0


class _Known(NamedTuple):
    id: str
    key: str
    etag: str
    size: int
    modified_at: float
    changed_at: float


def reconcile(archive: Archive, go_on: Callable[[], None] = lambda: None) -> Tally:
    """Compares the whole index with the bucket.

    Args:
        go_on: called before each page; what it raises ends the reconcile, harmlessly.

    Raises:
        OssUnavailable, CredentialsError, StoreUnavailable: what was done until then stays done.
    """
    tally = Tally()
    with ThreadPoolExecutor(_LOOKS, "ossmedia-reconcile") as looks:
        for owner in _owners(archive):
            _reconcile_one(archive, owner, tally, looks, go_on)
    _settle(archive)
    return tally


def _owners(archive: Archive) -> Iterator[Owner]:
    last = ""
    while True:
        query = select(devices.c.id, devices.c.prefix).where(devices.c.id > last)
        with archive.database.reading() as connection:
            rows = connection.execute(query.order_by(devices.c.id).limit(_OWNERS)).all()
        for row in rows:
            yield Owner(row.id, row.prefix)
        if len(rows) < _OWNERS:
            return
        last = rows[-1].id


def _reconcile_one(
    archive: Archive,
    owner: Owner,
    tally: Tally,
    looks: ThreadPoolExecutor,
    go_on: Callable[[], None],
) -> None:
    after = owner.prefix + "/"
    end = owner.prefix + "0"  # the character behind "/"
    go_on()
    pages = archive.oss.pages(owner.prefix + "/")
    asked_at = archive.clock.now()
    for page in pages:
        if not page:
            break
        last = page[-1].key
        _compare(archive, owner, tally, looks, page, (after, last))
        after = last
        go_on()
    _vanished(archive, tally, set(), (after, end), asked_at)


def _compare(
    archive: Archive,
    owner: Owner,
    tally: Tally,
    looks: ThreadPoolExecutor,
    page: list[ObjectFacts],
    bounds: tuple[str, str],
) -> None:
    """One page of a listing, against the rows between its bounds."""
    tally.listed += len(page)
    there = {
        facts.key: facts for facts in page if not no_recording(facts.key, facts.type, facts.size)
    }
    asked_at = min(facts.asked_at for facts in page)
    known = _vanished(archive, tally, set(there), bounds, asked_at)
    changed = [key for key, facts in there.items() if not _same(known.get(key), facts)]

    def look(key: str) -> bool:
        return archive.look(key, owner, "reconcile") is not None

    tally.noted += sum(looks.map(look, changed))


def _same(row: _Known | None, facts: ObjectFacts) -> bool:
    if row is None:
        return False
    told = row.etag, row.size, row.modified_at
    return told == (facts.etag, facts.size, facts.modified_at)


def _vanished(
    archive: Archive, tally: Tally, there: set[str], bounds: tuple[str, str], asked_at: float
) -> dict[str, _Known]:
    """Marks rows between two keys (the first excluded) as gone that a listing, asked for at that
    time, did not hold. Returns those that it did."""
    low, high = bounds
    known: dict[str, _Known] = {}
    while True:
        rows = _rows(archive, low, high)
        missing = [row.id for row in rows if row.key not in there and row.changed_at <= asked_at]
        tally.gone += archive.index.mark(missing, GONE, unchanged_since=asked_at)
        known.update((row.key, row) for row in rows if row.key in there)
        if len(rows) < _ROWS:
            return known
        low = rows[-1].key


def _rows(archive: Archive, low: str, high: str) -> list[_Known]:
    columns = [recordings.c[name] for name in _Known._fields]
    query = select(*columns).where(
        recordings.c.bucket == archive.oss.name,
        recordings.c.key > low,
        recordings.c.key <= high,
        recordings.c.state != GONE,
    )
    query = query.order_by(recordings.c.key).limit(_ROWS)
    with archive.database.reading() as connection:
        return [_Known(*row) for row in connection.execute(query)]


def _settle(archive: Archive) -> None:
    """What was appended to and is no more, is ready."""
    now = archive.clock.now()
    query = update(recordings).where(
        recordings.c.state == GROWING,
        recordings.c.kind != VOD,
        recordings.c.modified_at < now - QUIET_S,
    )
    with archive.database.writing() as connection:
        connection.execute(query.values(state=READY, changed_at=now))
