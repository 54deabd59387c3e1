"""Questions to the index that the database answers by itself: pieces of streams, spans of time.

In flow cameras and a range of time, out flow few rows for many: the database folds what follows
without a gap, so that a day of segments is some dozens of rows. What may be seen is part of every
question.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from ossmedia.server.recordings import DELETING, GONE, SEGMENT
from ossmedia.server.runs import HOUR_S, LEAST_GAP_S, Piece
from ossmedia.server.schema import recordings

__all__ = ["IS_FILE", "IS_SEGMENT", "MOST_SPANS", "pieces", "shown", "spans", "whole"]

# Written out, for a partial index is used only where the question says what it holds.
IS_SEGMENT = recordings.c.kind == literal_column(f"'{SEGMENT}'")
IS_FILE = recordings.c.kind != literal_column(f"'{SEGMENT}'")
MOST_SPANS = 2000  # told one by one
_SLOT_S = 30.0  # less than a point of a strip that shows a day
_ROWS = 2000  # read at a time
_AT_ONCE = 400  # values in one question


def shown(
    cameras: Sequence[str] | None, low: float | None, high: float
) -> list[ColumnElement[bool]]:
    """What may be seen of a time; cameras None: all, low None: from the first on."""
    wanted: list[ColumnElement[bool]] = [recordings.c.state != GONE]
    if low is not None:
        wanted.append(recordings.c.start_at >= low)
    if high < math.inf:
        wanted.append(recordings.c.start_at < high)
    if cameras is not None:
        wanted.append(recordings.c.camera.in_(cameras))
    return wanted


def whole(connection: Connection, value: ColumnElement[Any]) -> ColumnElement[int]:
    """The whole part of a number that is not negative."""
    return _whole(connection.dialect.name, value)


def _whole(dialect: str, value: ColumnElement[Any]) -> ColumnElement[int]:
    # A cast rounds on PostgreSQL; SQLite has no floor in every build.
    return cast(func.floor(value) if dialect == "postgresql" else value, BigInteger)


_LENGTH = func.coalesce(recordings.c.duration_s, 0.0)
_END = recordings.c.start_at + _LENGTH


def pieces(
    connection: Connection,
    cameras: Sequence[str] | None,
    low: float,
    high: float,
    stream: str | None = None,
) -> Iterator[Piece]:
    """Pieces of the segments that begin in [low, high), in the order of camera, stream, start.

    An hour whose segments fill it is one piece at a glance; only where something is missing the
    database compares each segment with the one before. Segments that overlap, the same moment
    stored twice, may hide a gap that is no longer than they overlap, and ten seconds.
    """
    wanted = [*shown(cameras, low // HOUR_S * HOUR_S, high), IS_SEGMENT]
    if stream is not None:
        wanted.append(recordings.c.stream == stream)
    # Written once: putting it together takes longer than asking it of a camera without segments.
    hours = connection.execute(_HOURS[connection.dialect.name].where(*wanted)).all()
    firsts = _firsts(connection, wanted, [row.since for row in hours if _full(row)])
    for (camera, name, full), some in groupby(hours, lambda r: (r.camera, r.stream, _full(r))):
        if full:
            yield from (_glance(row, *firsts[camera, name, row.since]) for row in some)
            continue
        rows = list(some)
        yield from _exact(connection, camera, name, rows[0].since, rows[-1].last_at)


def _hours(dialect: str) -> Select[Any]:
    """One row for each hour of each stream."""
    c = recordings.c
    hour = _whole(dialect, c.start_at / literal_column(f"{HOUR_S}"))
    query = select(
        c.camera,
        c.stream,
        func.min(c.start_at).label("since"),
        func.max(c.start_at).label("last_at"),
        func.max(_END).label("end_at"),
        func.sum(_LENGTH).label("played"),
        func.sum(c.size).label("size"),
        func.count().label("segments"),
        func.max(_LENGTH).label("longest"),
        func.sum(cast(c.discontinuity, Integer)).label("marks"),
        func.max(cast(c.keep, Integer)).label("keep"),
        func.max(case((c.state == DELETING, 1), else_=0)).label("deleting"),
    )
    return query.group_by(c.camera, c.stream, hour).order_by(c.camera, c.stream, hour)


_HOURS = {dialect: _hours(dialect) for dialect in ("postgresql", "sqlite")}


def _full(row: Any) -> bool:
    """Whether so little of an hour is missing between its segments that it can be no gap."""
    missing: float = row.end_at - row.since - row.played
    return missing <= LEAST_GAP_S


def _firsts(
    connection: Connection, wanted: list[ColumnElement[bool]], starts: Sequence[float]
) -> dict[tuple[str, str, float], tuple[str, bool]]:
    """Ids, and marks, of the segments that begin hours."""
    c = recordings.c
    query = select(c.camera, c.stream, c.start_at, c.id, c.discontinuity).where(*wanted)
    query = query.order_by(c.id.desc())  # of several, the first by id stays
    found = {}
    for begin in range(0, len(starts), _AT_ONCE):
        some = query.where(c.start_at.in_(starts[begin : begin + _AT_ONCE]))
        for camera, stream, start, id_, mark in connection.execute(some):
            found[camera, stream, start] = (id_, mark)
    return found


def _glance(row: Any, first: str, marked: bool) -> Piece:
    return Piece(
        row.camera,
        row.stream,
        first,
        row.since,
        row.last_at,
        row.end_at,
        int(row.size),
        row.segments,
        row.longest,
        int(row.marks),
        marked,
        bool(row.keep),
        bool(row.deleting),
    )


def _exact(
    connection: Connection, camera: str, stream: str, since: float, last_at: float
) -> Iterator[Piece]:
    """Pieces of one stream's segments that begin in [since, last_at]."""
    order = [recordings.c.start_at, recordings.c.id]
    hour = whole(connection, recordings.c.start_at / HOUR_S)
    gap = recordings.c.start_at - func.lag(_END).over(order_by=order) > LEAST_GAP_S
    new_hour = hour != func.lag(hour).over(order_by=order)
    first = func.row_number().over(order_by=order) == 1
    segments = select(
        *(recordings.c[name] for name in ("camera", "stream", "id", "start_at", "size")),
        _END.label("end_at"),
        _LENGTH.label("length"),
        cast(recordings.c.discontinuity, Integer).label("mark"),
        cast(recordings.c.keep, Integer).label("keep"),
        case((recordings.c.state == DELETING, 1), else_=0).label("deleting"),
        case((or_(first, gap, new_hour), 1), else_=0).label("begins"),
    )
    inner = segments.where(
        *shown([camera], since, math.inf),
        recordings.c.start_at <= last_at,
        recordings.c.stream == stream,
        IS_SEGMENT,
    ).subquery()
    c = inner.c
    number = func.sum(c.begins).over(order_by=[c.start_at, c.id], rows=(None, 0))
    numbered = select(inner, number.label("number")).subquery()
    yield from map(_piece, _read(connection, _folded(numbered.c)))


def _folded(c: Any) -> Select[Any]:
    """One row for each number of one stream's segments; of each, exactly one begins it."""
    begins = c.begins == 1
    query = select(
        c.camera,
        c.stream,
        func.max(case((begins, c.id))),
        func.min(c.start_at).label("since"),
        func.max(c.start_at),
        func.max(c.end_at),
        func.sum(c.size),
        func.count(),
        func.max(c.length),
        func.sum(c.mark),
        func.max(case((begins, c.mark))),
        func.max(c.keep),
        func.max(c.deleting),
    )
    return query.group_by(c.camera, c.stream, c.number).order_by(c.number)


def _piece(row: Any) -> Piece:
    camera, stream, first, start, last, end, size, count, length, marks, marked, keep, gone = row
    return Piece(
        camera,
        stream,
        first,
        start,
        last,
        end,
        int(size),
        count,
        length,
        int(marks),
        bool(marked),
        bool(keep),
        bool(gone),
    )


def spans(
    connection: Connection, camera: str, low: float, high: float
) -> Iterator[tuple[float, float, str]]:
    """Start, end and kind of files that begin in [low, high), by kind and start. Of very many,
    those that begin in the same half minute are one."""
    wanted = [*shown([camera], low, high), IS_FILE]
    query = select(recordings.c.start_at, _END, recordings.c.kind).where(*wanted)
    query = query.order_by(recordings.c.start_at).limit(MOST_SPANS + 1)
    rows = connection.execute(query).all()
    if len(rows) <= MOST_SPANS:
        yield from sorted(map(tuple, rows), key=lambda span: (span[2], span[0]))
        return
    slot = whole(connection, recordings.c.start_at / _SLOT_S)
    slots = select(func.min(recordings.c.start_at), func.max(_END), recordings.c.kind)
    slots = slots.where(*wanted).group_by(recordings.c.kind, slot)
    yield from map(tuple, _read(connection, slots.order_by(recordings.c.kind, slot)))


def _read(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    """Rows as they are needed, not all at once."""
    for part in connection.execution_options(yield_per=_ROWS).execute(query).partitions():
        yield from part
