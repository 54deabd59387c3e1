"""The segments of one HLS stream, as playlists need them.

In flow a camera, a stream and a time, out flow rows of the index, oldest first. What is being
deleted is not among them.
"""

from __future__ import annotations

from sqlalchemy import Select, func, select, true

from ossmedia.server.database import Database
from ossmedia.server.recordings import GROWING, READY, SEGMENT, Recording
from ossmedia.server.schema import recordings

__all__ = ["Segments"]


class Segments:
    """The segments of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def _of(camera: str, stream: str) -> Select[tuple[object, ...]]:
        return select(recordings).where(
            recordings.c.camera == camera,
            recordings.c.stream == stream,
            recordings.c.kind == SEGMENT,
            recordings.c.state.in_((READY, GROWING)),
        )

    def between(
        self, camera: str, stream: str, low: float, high: float, limit: int
    ) -> list[Recording]:
        """The first segments that begin in [low, high), at most so many."""
        query = self._of(camera, stream).where(
            recordings.c.start_at >= low, recordings.c.start_at < high
        )
        query = query.order_by(recordings.c.start_at, recordings.c.id).limit(limit)
        with self._database.reading() as connection:
            return [Recording.from_row(row) for row in connection.execute(query)]

    def newest(self, camera: str, stream: str, count: int) -> list[Recording]:
        """The last segments."""
        order = recordings.c.start_at.desc(), recordings.c.id.desc()
        query = self._of(camera, stream).order_by(*order).limit(count)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [Recording.from_row(row) for row in reversed(rows)]

    def breaks_before(self, camera: str, stream: str, start_at: float) -> int:
        """How many segments that begin before this are marked as discontinuities; deleted ones
        count, so that the number never falls."""
        query = select(func.count()).where(
            recordings.c.camera == camera,
            recordings.c.stream == stream,
            recordings.c.discontinuity == true(),
            recordings.c.start_at < start_at,
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())
