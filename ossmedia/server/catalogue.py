"""The index as people read it: by camera, by day, in pages, with segments folded into runs.

In flow a person's cameras and what is asked for, out flow entries, newest first, and sums. Every
question names the cameras that may be seen, and nothing about others is in any answer: no entry,
no count. Memory does not grow with the number of recordings: a page is read, or a day folded.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, distinct, func, or_, select

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.database import Database
from ossmedia.server.recording_facts import LONGEST_SEGMENT_S
from ossmedia.server.recording_queries import (
    IS_FILE,
    IS_SEGMENT,
    MOST_SPANS,
    pieces,
    shown,
    spans,
    whole,
)
from ossmedia.server.recordings import DELETING, GONE, GROWING, READY, SEGMENT, Recording
from ossmedia.server.runs import MARGIN_S, Run, fold, run_id
from ossmedia.server.schema import recordings

__all__ = ["LIVE_S", "Catalogue", "Cursor", "Entry", "Latest"]

DAY_S = 86_400.0
LIVE_S = 30.0  # so long after its last segment's end a stream counts as live
_RUN_ID = re.compile(r"([A-Za-z0-9_-]{0,60})~([0-9a-f]{24})")
_CURSOR = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)/([0-9a-f]{24})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list: a recording, or a run of segments.

    Attributes: ``ids``: of the recordings it stands for, where it was looked up by its id;
    ``stream`` and ``end_at`` are a run's.
    """

    id: str
    camera: str
    kind: str
    title: str
    key: str
    content_type: str
    start_at: float
    duration_s: float | None
    size: int
    state: str
    keep: bool
    discontinuities: int = 0
    stream: str | None = None
    ids: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[float, str]:
        """By what a list is sorted."""
        return (self.start_at, self.id.rpartition("~")[2])


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: behind the entry with this start and id."""

    start_at: float
    id: str

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """From what ``text`` gave.

        Raises:
            ValueError: anything else.
        """
        try:
            plain = base64.urlsafe_b64decode(text.encode("ascii")).decode("ascii")
        except (binascii.Error, ValueError):
            plain = ""
        found = _CURSOR.fullmatch(plain)
        if found is None:
            raise ValueError("cursor: must be one that a list gave")
        return cls(float(found[1]), found[2])

    def text(self) -> str:
        """The form that travels."""
        return base64.urlsafe_b64encode(f"{self.start_at!r}/{self.id}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Latest:
    """A camera's newest recording: its start, whether more is coming just now, and the HLS streams
    it comes in."""

    start_at: float
    live: bool
    streams: tuple[str, ...] = ()


class Catalogue:
    """Questions about the recordings of one database.

    Cameras are given as ids, of which "" stands for recordings of no camera; None: all.
    """

    def __init__(self, database: Database, clock: Clock = SYSTEM) -> None:
        self._database = database
        self._clock = clock

    def page(
        self,
        cameras: Sequence[str] | None,
        low: float,
        high: float,
        limit: int,
        after: Cursor | None,
    ) -> tuple[list[Entry], Cursor | None]:
        """Entries that begin in [low, high), newest first, and where the next page begins."""
        if after is not None:
            high = min(high, after.start_at + 1e-6)
        with self._database.reading() as connection:
            files = self._files(connection, cameras, low, high, limit + 1, after)
            parts = pieces(connection, cameras, low - MARGIN_S, high + MARGIN_S)
            runs = (
                run for run in fold(parts) if low <= run.start_at < high and _behind(run, after)
            )
            newest = heapq.nlargest(limit + 1, runs, key=lambda run: (run.start_at, run.first))
        entries = sorted([*files, *map(self.of_run, newest)], key=lambda e: e.order, reverse=True)
        page = entries[:limit]
        more = Cursor(*page[-1].order) if len(entries) > limit else None
        return page, more

    def _files(
        self,
        connection: Connection,
        cameras: Sequence[str] | None,
        low: float,
        high: float,
        limit: int,
        after: Cursor | None,
    ) -> list[Entry]:
        query = select(recordings).where(*shown(cameras, low, high), IS_FILE)
        if after is not None:
            same = and_(recordings.c.start_at == after.start_at, recordings.c.id < after.id)
            query = query.where(or_(recordings.c.start_at < after.start_at, same))
        query = query.order_by(recordings.c.start_at.desc(), recordings.c.id.desc()).limit(limit)
        return [self.of_file(Recording.from_row(row)) for row in connection.execute(query)]

    def of_file(self, row: Recording) -> Entry:
        """The entry of a recording that stands alone."""
        return Entry(
            id=row.id,
            camera=row.camera,
            kind=row.kind,
            title=row.title or row.key.rpartition("/")[2],
            key=row.key,
            content_type=row.content_type,
            start_at=row.start_at,
            duration_s=row.duration_s,
            size=row.size,
            state=row.state_at(self._clock.now()),
            keep=row.keep,
            ids=(row.id,),
        )

    def of_run(self, run: Run, ids: tuple[str, ...] = ()) -> Entry:
        """The entry of a run."""
        state = GROWING if self._clock.now() - run.end_at <= LIVE_S else READY
        return Entry(
            id=run.id,
            camera=run.camera,
            kind="hls",
            title=run.stream or "recording",
            key=run.stream,
            content_type="application/vnd.apple.mpegurl",
            start_at=run.start_at,
            duration_s=run.end_at - run.start_at,
            size=run.size,
            state=DELETING if run.deleting else state,
            keep=run.keep,
            discontinuities=run.discontinuities,
            stream=run.stream,
            ids=ids,
        )

    def find(self, entry_id: str) -> Entry | None:
        """The entry with this id, with the ids of its recordings; None: there is none."""
        parts = _RUN_ID.fullmatch(entry_id)
        first = parts[2] if parts else entry_id
        with self._database.reading() as connection:
            row = connection.execute(select(recordings).where(recordings.c.id == first)).first()
            if row is None or row.state == GONE or (row.kind == SEGMENT) != (parts is not None):
                return None
            if parts is None:
                return self.of_file(Recording.from_row(row))
            if run_id(row.stream, first) != entry_id:
                return None
            low, high = row.start_at - MARGIN_S, row.start_at + MARGIN_S
            around = pieces(connection, [row.camera], low, high, row.stream)
            run = next((run for run in fold(around) if run.first == first), None)
            if run is None:
                return None
            return self.of_run(run, self._ids(connection, run))

    @staticmethod
    def _ids(connection: Connection, run: Run) -> tuple[str, ...]:
        """The ids of a run's segments."""
        query = select(recordings.c.id).where(
            *shown([run.camera], run.start_at, math.inf),
            recordings.c.start_at <= run.last_at,
            recordings.c.stream == run.stream,
            IS_SEGMENT,
        )
        return tuple(connection.execute(query).scalars())

    def listing(
        self,
        cameras: Sequence[str] | None,
        day: tuple[float, float] | None,
        limit: int,
        after: Cursor | None,
    ) -> tuple[list[Entry], Cursor | None]:
        """Entries of one day, or of all days, newest first, and where the next page begins."""
        if day is not None:
            return self.page(cameras, *day, limit, after)
        entries: list[Entry] = []
        high = math.inf if after is None else after.start_at + 1e-6
        while True:
            newest = self._newest(cameras, high)
            if newest is None:
                return entries, None
            # Another window than a calendar day's would do as well: runs do not depend on it.
            low = newest // DAY_S * DAY_S
            page, more = self.page(cameras, low, low + DAY_S, limit - len(entries), after)
            entries += page
            if more is not None:
                return entries, more
            if len(entries) == limit:
                rest = self._newest(cameras, low)
                return entries, None if rest is None else Cursor(*entries[-1].order)
            high = low

    def _newest(self, cameras: Sequence[str] | None, high: float) -> float | None:
        """The start of the newest recording before a time."""
        query = select(func.max(recordings.c.start_at)).where(*shown(cameras, None, high))
        with self._database.reading() as connection:
            found: float | None = connection.execute(query).scalar_one()
        return found

    def days(
        self, cameras: Sequence[str] | None, low: float, high: float
    ) -> list[tuple[int, int, int, float]]:
        """Days with recordings in [low, high): the day's number behind that of ``low``, count,
        bytes, seconds. A file counts as one, and so does each hour that holds segments."""
        found = []
        with self._database.reading() as connection:
            hour = whole(connection, recordings.c.start_at / 3600)
            columns = (
                func.sum(case((IS_SEGMENT, 0), else_=1)),
                func.count(distinct(case((IS_SEGMENT, hour)))),
                func.sum(recordings.c.size),
                func.sum(func.coalesce(recordings.c.duration_s, 0.0)),
            )
            # Day by day: each is a range of an index, where one question would sort them all.
            for number in range(round((high - low) / DAY_S)):
                since = low + number * DAY_S
                query = select(*columns).where(*shown(cameras, since, since + DAY_S))
                files, hours, size, seconds = connection.execute(query).one()
                if size is not None:
                    found.append((number, int(files) + int(hours), int(size), float(seconds)))
        return found

    def timeline(self, camera: str, low: float, high: float) -> list[tuple[float, float, str]]:
        """When something was recorded in [low, high): start, end, kind; what touches is one, and
        so is, where there are very many, what is less than a minute apart."""
        with self._database.reading() as connection:
            found = list(spans(connection, camera, low - DAY_S, high))
            hls = [
                (run.start_at, run.end_at, "hls")
                for run in fold(pieces(connection, [camera], low - MARGIN_S, high))
            ]
        found = [*_joined(found, 1.0), *_joined(hls, 1.0)]
        seen = [(max(a, low), min(b, high), kind) for a, b, kind in found if a < high and b >= low]
        if len(seen) > MOST_SPANS:
            seen = _joined(seen, 60.0)
        return sorted(seen)

    def latest(self, cameras: Sequence[str]) -> dict[str, Latest]:
        """The newest recording of each camera that has one."""
        found = {}
        with self._database.reading() as connection:
            for camera in cameras:
                mine = recordings.c.camera == camera, recordings.c.state != GONE
                newest = select(recordings).where(*mine).order_by(recordings.c.start_at.desc())
                row = connection.execute(newest.limit(1)).first()
                if row is not None:
                    found[camera] = self._latest(connection, Recording.from_row(row))
        return found

    def _latest(self, connection: Connection, newest: Recording) -> Latest:
        now = self._clock.now()
        since = now - LIVE_S - LONGEST_SEGMENT_S
        streams = set()
        if newest.start_at >= since:
            for piece in pieces(connection, [newest.camera], since, math.inf):
                if now - piece.end_at <= LIVE_S:
                    streams.add(piece.stream)
        live = bool(streams) or newest.state_at(now) == GROWING
        return Latest(newest.start_at, live, tuple(sorted(streams)))


def _joined(
    found: Sequence[tuple[float, float, str]], gap_s: float
) -> list[tuple[float, float, str]]:
    """Spans, those of one kind that follow each other within so many seconds made one."""
    joined: list[tuple[float, float, str]] = []
    for start, end, kind in found:
        if joined and joined[-1][2] == kind and start <= joined[-1][1] + gap_s:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), kind)
        else:
            joined.append((start, end, kind))
    return joined


def _behind(run: Run, after: Cursor | None) -> bool:
    return after is None or (run.start_at, run.first) < (after.start_at, after.id)
