"""What VOD remembers of its media, in the tables of the local cloud's store.

What flows in: media as they are created, and the news that an object was stored. What flows out:
the same media, also after a restart, with the state the clock gives them. It knows no parameter of
a call and no bucket's bytes.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from typing import Literal

from .state import Store

Kind = Literal["video", "audio", "image", "attached"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vod_media (
  id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, reference TEXT UNIQUE, fields TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vod_events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, body TEXT NOT NULL);
"""


@dataclass(slots=True)
class Medium:
    """One video, audio, image or attached medium.

    Fields:
        key: of its object in VOD's bucket.
        ext: the file's extension in lower case.
        details: what the caller said besides, by the parameter's name, such as ``Description``.
        created_s, modified_s: unix seconds; uploaded_s: when its object was stored, 0 before.
        size: bytes of the object, 0 before.
    """

    id: str
    kind: Kind
    key: str
    ext: str
    title: str
    created_s: float
    modified_s: float
    reference: str = ""
    details: dict[str, str] = field(default_factory=dict)
    uploaded_s: float = 0.0
    size: int = 0

    def status(self, now: float, processing_s: float) -> str:
        """``Uploading``, ``UploadSucc`` while VOD works on it, ``Normal`` when it can be played.

        Args:
            now: unix seconds.
            processing_s: how long VOD works on a video; an image needs no work.
        """
        if not self.uploaded_s:
            return "Uploading"
        working = self.kind in ("video", "audio") and now < self.uploaded_s + processing_s
        return "UploadSucc" if working else "Normal"

    def extend(self) -> str:
        """The caller's own text of ``UserData``, which comes back in events; empty without."""
        value = user_data(self.details.get("UserData", "")).get("Extend", "")
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def user_data(text: str) -> dict[str, object]:
    """The pieces of a ``UserData`` text; inner objects may be objects or quoted JSON.

    Raises:
        ValueError: no JSON object, or a MessageCallback that is none.
    """
    if not text:
        return {}
    values = _parsed(text)
    if not isinstance(values, dict):
        raise ValueError("UserData must be a JSON object")
    callback = values.get("MessageCallback", {})
    if isinstance(callback, str):
        callback = _parsed(callback)
    if not isinstance(callback, dict):
        raise ValueError("MessageCallback must be an object")
    return {**values, "MessageCallback": callback}


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None
    return value


class Media:
    """The media and the events not yet sent of one store. The event loop's thread calls it."""

    def __init__(self, store: Store) -> None:
        self._db: sqlite3.Connection = store.database
        self._db.executescript(_SCHEMA)

    def find(self, id: str) -> Medium | None:
        """The medium of this id."""
        return self._one("id", id)

    def find_key(self, key: str) -> Medium | None:
        """The medium whose object has this key."""
        return self._one("key", key)

    def find_reference(self, reference: str) -> Medium | None:
        """The medium with this id of the caller's own."""
        return self._one("reference", reference)

    def _one(self, column: Literal["id", "key", "reference"], value: str) -> Medium | None:
        row = self._db.execute(
            f"SELECT fields FROM vod_media WHERE {column} = ?",  # noqa: S608 - three fixed names
            (value,),
        ).fetchone()
        return None if row is None else Medium(**json.loads(row[0]))

    def all(self) -> list[Medium]:
        """Every medium, in no order."""
        rows = self._db.execute("SELECT fields FROM vod_media")
        return [Medium(**json.loads(text)) for (text,) in rows]

    def put(self, medium: Medium) -> None:
        """Insert or replace a medium."""
        text = json.dumps(asdict(medium))
        row = (medium.id, medium.key, medium.reference or None, text)
        self._db.execute("INSERT OR REPLACE INTO vod_media VALUES (?, ?, ?, ?)", row)

    def delete(self, id: str) -> None:
        """Forget a medium."""
        self._db.execute("DELETE FROM vod_media WHERE id = ?", (id,))

    def add_event(self, url: str, body: str) -> None:
        """Remember an event that is to be sent."""
        self._db.execute("INSERT INTO vod_events (url, body) VALUES (?, ?)", (url, body))

    def next_event(self) -> tuple[int, str, str] | None:
        """Number, URL and body of the oldest event that was not settled."""
        row: tuple[int, str, str] | None = self._db.execute(
            "SELECT number, url, body FROM vod_events ORDER BY number LIMIT 1"
        ).fetchone()
        return row

    def settle_event(self, number: int) -> None:
        """An event was sent, or given up."""
        self._db.execute("DELETE FROM vod_events WHERE number = ?", (number,))

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("DELETE FROM vod_media")
        self._db.execute("DELETE FROM vod_events")
