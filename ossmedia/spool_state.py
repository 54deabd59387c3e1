"""The spool's state database: which objects there are, how far each has got, what was dropped,
what was confirmed.

In flow changes, each one transaction; out flows what an earlier process left. It holds no media and
no secret. A change survives kill -9 when its call returns; with ``durable``, a power cut too.

Source: SQLite, "Write-Ahead Logging", "PRAGMA synchronous".
"""

from __future__ import annotations

import json
import os
import sqlite3
from _thread import allocate_lock

from ossmedia.errors import SpoolError
from ossmedia.spool_blocks import FORMAT
from ossmedia.spool_values import Delivered, Tombstone, Totals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ossmedia.model import Receipt
    from ossmedia.spool_files import Extent
    from ossmedia.spool_item import Item

    Change = tuple[str, tuple[Any, ...]]

__all__ = ["MOST_RECEIPTS", "State", "give_reserve"]

MOST_RECEIPTS = 1000
MOST_TOMBSTONES = 10_000
RESERVE = 256 << 10  # bytes kept on the disk for the state alone: freeing needs room, too
_SCHEMA = """
CREATE TABLE items (
  id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, mode TEXT NOT NULL,
  headers TEXT NOT NULL, options TEXT NOT NULL, size INTEGER,
  first_file INTEGER NOT NULL DEFAULT 0, progress TEXT NOT NULL DEFAULT '{}');
CREATE TABLE files (
  item INTEGER NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
  salt TEXT NOT NULL, first INTEGER NOT NULL, PRIMARY KEY (item, number)) WITHOUT ROWID;
CREATE TABLE tombstones (
  id INTEGER PRIMARY KEY, item INTEGER NOT NULL, key TEXT NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE INDEX tombstones_of_item ON tombstones (item);
CREATE TABLE receipts (
  item INTEGER PRIMARY KEY, bucket TEXT NOT NULL, receipt TEXT NOT NULL, lost TEXT NOT NULL);
CREATE TABLE totals (
  id INTEGER PRIMARY KEY CHECK (id = 1), written INTEGER NOT NULL, acked INTEGER NOT NULL,
  dropped INTEGER NOT NULL, last_id INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0, 0, 0, 0);
"""


class State:
    """The database of one spool; any thread.

    Args:
        read_only: for a look at a spool that another process may own.

    Raises:
        SpoolError: a newer format, or no database of a spool. sqlite3.DatabaseError: damaged.
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self._lock = allocate_lock()
        self._path = path
        self._stones = 0
        self.told: Callable[[Iterable[Tombstone]], object] | None = None  # of what was dropped
        self.made = not os.path.exists(path)
        if read_only and self.made:
            raise SpoolError(f"{path}: there is no spool")
        url = f"file:{_escaped(path)}?mode={'ro' if read_only else 'rwc'}"
        self._db = sqlite3.connect(
            url, uri=True, isolation_level=None, check_same_thread=False, timeout=10
        )
        try:
            self._prepare(path, read_only)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, path: str, read_only: bool) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise SpoolError(
                f"{path}: format {version} is newer than {FORMAT}, which this version writes; "
                "nothing was changed"
            )
        if read_only:
            return
        if version == 0:
            self._db.execute("PRAGMA page_size = 1024")
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        (mode,) = self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise SpoolError(f"{path}: this file system cannot hold a write-ahead log")
        self._db.execute("PRAGMA wal_autocheckpoint = 256")
        (sound,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise _damaged(f"quick_check: {sound}")
        self._db.execute("DELETE FROM files WHERE item NOT IN (SELECT id FROM items)")
        self.keep_reserve()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def keep_reserve(self) -> None:
        """Takes the reserve from the disk, if it is not there and there is room."""
        try:
            fd = os.open(_reserve(self._path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            if os.fstat(fd).st_size < RESERVE:
                os.posix_fallocate(fd, 0, RESERVE)
        except OSError:
            return
        finally:
            os.close(fd)

    def owed(self) -> int:
        """How many bytes the reserve lacks: no video may take them."""
        try:
            return RESERVE - min(os.stat(_reserve(self._path)).st_size, RESERVE)
        except OSError:
            return RESERVE

    def _change(self, durable: bool, *statements: Change, reserve: bool = True) -> None:
        """One transaction. Raises SpoolError."""
        with self._lock:
            try:
                self._try(durable, statements)
            except sqlite3.Error as error:
                full = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
                if not (full and reserve and give_reserve(self._path)):
                    raise SpoolError(f"state.db: {error}") from error
            else:
                return
            try:
                self._try(durable, statements)
            except sqlite3.Error as error:
                raise SpoolError(f"state.db: {error}") from error

    def _try(self, durable: bool, statements: tuple[Change, ...]) -> None:
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            for text, values in statements:
                self._db.execute(text, values)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # -- what an earlier process left

    def rows(self) -> list[dict[str, Any]]:
        """The objects, in the order they were begun."""
        with self._lock:
            cursor = self._db.execute("SELECT * FROM items ORDER BY id")
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor]
        for row in found:
            row["options"] = json.loads(row["options"])
            row["progress"] = json.loads(row["progress"])
        return found

    def files(self, item: int) -> list[tuple[int, int, int, int, int]]:
        """Number, start, end, salt and first block of an object's sealed files."""
        with self._lock:
            rows = self._db.execute(
                "SELECT number, start, end, salt, first FROM files WHERE item = ? ORDER BY number",
                (item,),
            )
            return [(n, start, end, int(salt), first) for n, start, end, salt, first in rows]

    def totals(self) -> Totals:
        """Of the objects that are no longer in the spool."""
        with self._lock:
            return Totals(
                *self._db.execute(
                    "SELECT written, acked, dropped, max(last_id, "
                    "(SELECT coalesce(max(id), 0) FROM items)) FROM totals"
                ).fetchone()
            )

    def tombstones(self, item: int | None = None) -> list[Tombstone]:
        """Raises SpoolError."""
        where, values = ("", ()) if item is None else (" WHERE item = ?", (item,))
        text = f"SELECT item, key, first, last, reason FROM tombstones{where} ORDER BY id"  # noqa: S608
        return [Tombstone(*row) for row in self._asked(text, values)]

    def count_tombstones(self) -> int:
        """As many as there are, or were when the disk could last be read."""
        try:
            ((self._stones,),) = self._asked("SELECT count(*) FROM tombstones")
        except SpoolError:
            return self._stones
        return self._stones

    def _asked(self, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._db.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise SpoolError(f"state.db: {error}") from error

    def receipts(self) -> list[Delivered]:
        """Raises SpoolError."""
        rows = self._asked("SELECT * FROM receipts ORDER BY item")
        return [
            Delivered.from_json(item, bucket, json.loads(receipt), json.loads(lost))
            for item, bucket, receipt, lost in rows
        ]

    # -- what changes

    def begin(self, item: Item, extents: Iterable[Extent] = ()) -> None:
        """A new object, before its first byte; or, with its extents, one that is complete."""
        values = (item.id, item.bucket, item.key, item.mode, item.headers)
        size = item.end if item.ended else None
        text = "INSERT INTO items (id, bucket, key, mode, headers, options, size) "
        text += "VALUES (?, ?, ?, ?, ?, ?, ?)"
        first = (text, (*values, json.dumps(item.options), size))
        self._change(True, first, *(_file(item, extent) for extent in extents))

    def seal(self, sealed: Iterable[tuple[Item, Iterable[Extent], bool]]) -> None:
        """Of each object these files are complete and durable, and, if so said, so is the
        object."""
        changes: list[Change] = []
        for item, extents, ended in sealed:
            changes += [_file(item, extent) for extent in extents]
            if ended:
                changes.append(("UPDATE items SET size = ? WHERE id = ?", (item.end, item.id)))
        self._change(True, *changes)

    def place(self, item: Item, options: dict[str, Any]) -> None:
        """Its delivery begins anew, elsewhere."""
        text = "UPDATE items SET options = ?, progress = '{}' WHERE id = ?"
        self._change(True, (text, (json.dumps(options), item.id)))

    def progress(self, item: Item, *, durable: bool) -> None:
        """How far its delivery has got."""
        self._change(durable, _progress(item))

    def release(self, item: Item, extents: Iterable[Extent]) -> None:
        """These files are no longer needed; the caller unlinks them once that is durable."""
        numbers = [extent.number for extent in extents]
        first = max(numbers) + 1
        text = "UPDATE items SET first_file = max(first_file, ?) WHERE id = ?"
        self._change(False, _progress(item), (text, (first, item.id)), *_forgotten(item, numbers))

    def drop(
        self,
        item: Item,
        lost: Iterable[Tombstone],
        extents: Iterable[Extent] = (),
        *,
        progress: bool = False,
        durable: bool = True,
        reserve: bool = True,
    ) -> None:
        """Bytes of an object that goes on are gone; the caller unlinks the extents afterwards.

        Args:
            reserve: a full disk is no reason to fail.
        """
        lost, numbers = list(lost), [extent.number for extent in extents]
        moved = [_progress(item)] if progress else []
        changes = (*_tombstones(lost), *_forgotten(item, numbers), *moved)
        self._change(durable, *changes, reserve=reserve)
        self._tell(lost)

    def _tell(self, lost: list[Tombstone]) -> None:
        if self.told is not None and lost:
            self.told(lost)

    def finish(
        self,
        item: Item,
        receipt: Receipt | None,
        lost: Iterable[Tombstone] = (),
        *,
        durable: bool,
    ) -> None:
        """The object leaves the spool, with its receipt if it was stored."""
        lost = list(lost)
        changes = _tombstones(lost)
        if receipt is not None:
            stones = [*self.tombstones(item.id), *lost]
            values = (item.id, item.bucket, json.dumps(receipt.to_json()))
            text = json.dumps([stone.to_json() for stone in stones])
            changes += [
                ("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?)", (*values, text)),
                ("DELETE FROM receipts WHERE item <= ?", (item.id - MOST_RECEIPTS,)),
            ]
        totals = "UPDATE totals SET written = written + ?, acked = acked + ?, "
        totals += "dropped = dropped + ?, last_id = max(last_id, ?)"
        self._change(
            durable,
            *changes,
            (totals, (item.end, item.acked, item.dropped, item.id)),
            ("DELETE FROM items WHERE id = ?", (item.id,)),
            ("DELETE FROM files WHERE item = ?", (item.id,)),
        )
        self._tell(lost)

    def sync(self) -> None:
        """Makes every change so far durable."""
        self._change(True, ("UPDATE totals SET last_id = last_id", ()))


def _reserve(path: str) -> str:
    return f"{path}-reserve"


def give_reserve(path: str) -> bool:
    """A full disk gets the bytes back that were kept for the state alone; False: there are none.

    Args:
        path: of the state.
    """
    try:
        size = os.stat(_reserve(path)).st_size
        os.unlink(_reserve(path))
    except OSError:
        return False
    return size > 0


def _damaged(text: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _file(item: Item, extent: Extent) -> Change:
    values = (item.id, extent.number, extent.start, extent.end, str(extent.salt), extent.first)
    return "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", values


def _forgotten(item: Item, numbers: list[int]) -> list[Change]:
    text = "DELETE FROM files WHERE item = ? AND number = ?"
    return [(text, (item.id, number)) for number in numbers]


def _progress(item: Item) -> Change:
    return "UPDATE items SET progress = ? WHERE id = ?", (json.dumps(item.progress), item.id)


def _tombstones(lost: Iterable[Tombstone]) -> list[Change]:
    """Ranges that go on where one ends join it; what is superseded counts in one for each key."""
    insert = (
        "INSERT INTO tombstones (item, key, first, last, reason) "
        "SELECT ?, ?, ?, ?, ? WHERE changes() = 0"
    )
    changes: list[Change] = []
    for stone in lost:
        if stone.reason == "superseded":
            text = "UPDATE tombstones SET last = last + ? WHERE key = ? AND reason = 'superseded'"
            changes.append((text, (stone.last - stone.first, stone.key)))
        else:
            text = "UPDATE tombstones SET last = ? WHERE item = ? AND reason = ? AND last = ?"
            changes.append((text, (stone.last, stone.item, stone.reason, stone.first)))
        values = (stone.item, stone.key, stone.first, stone.last, stone.reason)
        changes.append((insert, values))
    if changes:
        text = (
            "DELETE FROM tombstones WHERE item NOT IN (SELECT id FROM items) "
            "AND id <= (SELECT max(id) FROM tombstones) - ?"
        )
        changes.append((text, (MOST_TOMBSTONES,)))
    return changes


def _escaped(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))
