"""The media that devices were given uploads for: whose they are, and what VOD last said of them.

In flow uploads that are asked for and VOD's answers, out flow rows. A row is there before VOD is
asked, under the name by which VOD will know the upload, so that an answer that is lost, or a server
that dies, leaves nothing that cannot be found again. It holds no credentials.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.database import Database
from ossmedia.server.schema import vod_uploads

__all__ = ["VodMedia", "VodUpload", "reference_of"]


@dataclass(frozen=True, slots=True)
class VodUpload:
    """One medium of a device.

    Attributes:
        reference: the name under which VOD is asked for it.
        kind: "video", "image" or "attached".
        media_id: None: VOD has not answered yet.
        size: in bytes, as the device announced it; None: it did not.
        status: VOD's own word, "" before it was asked.
        start_at: of the recording, seconds since 1970.
    """

    reference: str
    device_id: str
    kind: str
    media_id: str | None
    title: str
    file_name: str
    size: int | None
    status: str
    start_at: float
    created_at: float
    changed_at: float

    @classmethod
    def from_row(cls, row: Any) -> VodUpload:
        """From a row that holds the table's columns under their names."""
        return cls(**{name: getattr(row, name) for name in cls.__slots__})

    def same_file(self, other: VodUpload) -> bool:
        """Whether both are about one file, as far as can be told."""
        names = ("device_id", "kind", "title", "file_name", "size")
        return all(getattr(self, name) == getattr(other, name) for name in names)


def reference_of(device_id: str, client_token: str) -> str:
    """The name for VOD of what a device asks for under a token of its own: 43 letters, digits and
    hyphens that no other device can bring about."""
    digest = hashlib.sha256(f"{device_id}\0{client_token}".encode()).hexdigest()
    return f"om-{digest[:40]}"


class VodMedia:
    """The table ``vod_uploads``."""

    def __init__(self, database: Database, clock: Clock = SYSTEM) -> None:
        self._database = database
        self._clock = clock
        self._insert = postgresql.insert if database.postgresql else sqlite.insert

    def begin(self, upload: VodUpload) -> VodUpload:
        """Notes an upload that will be asked for. Returns the row that stands now: that of an
        earlier request under the same reference, if there was one."""
        row = {name: getattr(upload, name) for name in VodUpload.__slots__}
        with self._database.writing() as connection:
            connection.execute(self._insert(vod_uploads).values(row).on_conflict_do_nothing())
            mine = vod_uploads.c.reference == upload.reference
            return VodUpload.from_row(connection.execute(select(vod_uploads).where(mine)).one())

    def granted(self, reference: str, media_id: str) -> None:
        """VOD has answered."""
        self._change(vod_uploads.c.reference == reference, media_id=media_id, status="Uploading")

    def forget(self, reference: str) -> None:
        """VOD refused: nothing is there, and the next request under this reference begins anew."""
        with self._database.writing() as connection:
            mine = (vod_uploads.c.reference == reference) & vod_uploads.c.media_id.is_(None)
            connection.execute(vod_uploads.delete().where(mine))

    def set_status(self, media_id: str, status: str) -> None:
        """What VOD says now."""
        self._change(vod_uploads.c.media_id == media_id, status=status)

    def _change(self, which: Any, **values: Any) -> None:
        values["changed_at"] = self._clock.now()
        with self._database.writing() as connection:
            connection.execute(update(vod_uploads).where(which).values(values))

    def find(self, media_id: str) -> VodUpload | None:
        """The upload of a medium; None: it is not one of ours."""
        mine = vod_uploads.c.media_id == media_id
        with self._database.reading() as connection:
            row = connection.execute(select(vod_uploads).where(mine)).one_or_none()
        return None if row is None else VodUpload.from_row(row)
