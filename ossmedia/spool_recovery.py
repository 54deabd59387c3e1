"""Opening a spool that another process left: what a kill or a power cut tore is cut off, what is
missing is reported, everything else can be delivered.

In flow what stands in the directory, out flow objects, and words about all that is not as it should
be. It never throws away what it does not understand: that goes into the quarantine.
"""

from __future__ import annotations

import os
import sqlite3

from ossmedia.errors import SpoolError
from ossmedia.spool_blocks import FILE_HEADER
from ossmedia.spool_files import UNFINISHED, sync_folder
from ossmedia.spool_state import State, give_reserve
from ossmedia.spool_survey import Found, file_header, files_of, survey
from ossmedia.spool_values import Tombstone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.spool_item import Item

__all__ = ["Recovery", "quarantine", "recover"]

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def recover(folder: str, unfinished: str) -> tuple[State, Recovery]:
    """The state and what it knows; one that is damaged goes into the quarantine, with the data
    files, which nobody can tell apart then.

    Raises:
        SpoolError: the directory cannot be used; a newer format.
    """
    path = os.path.join(folder, "state.db")
    for last in (False, True):
        try:
            state = State(path)
            try:
                return state, Recovery(folder, state, unfinished)
            except BaseException:
                state.close()
                raise
        except sqlite3.Error as error:
            corrupt = error.sqlite_errorcode in _CORRUPT
            if last or not (corrupt or give_reserve(path)):
                raise SpoolError(f"{path}: {error}") from error
            if corrupt:
                quarantine(folder, [path + ending for ending in ("", "-wal", "-shm")])
        except SpoolError:
            raise
        except OSError as error:
            raise SpoolError(f"dir: {folder}: {error.strerror or error}") from error
    raise AssertionError("unreachable")


class Recovery:
    """What opening found and did.

    Attributes: ``items``: what is to be delivered, by number; ``notes``: a text for each thing that
    somebody should know; ``torn``: bytes cut off, which no commit had promised.
    """

    def __init__(self, folder: str, state: State, unfinished: str) -> None:
        self.items: dict[int, Item] = {}
        self.notes: list[str] = []
        self.torn = 0
        self._folder = folder
        self._state = state
        self._unfinished = unfinished
        data = os.path.join(folder, "data")
        sync_folder(data)  # names that a killed process made, before the state speaks of them
        for name in os.listdir(data):
            if name.endswith(UNFINISHED):
                os.unlink(os.path.join(data, name))
        files = files_of(data)
        if state.made and files:
            paths = [path for numbers in files.values() for path in numbers.values()]
            quarantine(folder, paths)
            text = f"state.db is missing: {len(paths)} data files went into the quarantine"
            self.notes.append(text)
            return
        for found in survey(state, files):
            self._take(found)
        for left in files.values():  # confirmed or dropped before; or a put() that never returned
            for path in left.values():
                os.unlink(path)

    def _take(self, found: Found) -> None:
        item = found.item
        if found.cut is not None:
            self._cut(item, *found.cut)
        for path in found.released:
            os.unlink(path)
        for path in found.useless:
            self._throw_away(path)
        if not item.ended and not self._end(item):
            return
        lost = found.lost
        if lost and item.whole:
            self._give_up(item, "missing")
            return
        if lost:
            self._state.drop(item, lost)
            item.dropped += sum(stone.last - stone.first for stone in lost)
            self.notes += [f"{item.key}: bytes {s.first} to {s.last} are missing" for s in lost]
        self.items[item.id] = item

    def _cut(self, item: Item, path: str, size: int) -> None:
        """Takes off what stands behind the last file's last whole block."""
        extent = item.extents[-1]
        torn = extent.size - size
        if torn > 0:
            os.truncate(path, size)
            extent.size = size
            self.torn += torn
            text = f"{item.key}: torn; {torn} bytes behind byte {extent.end} were cut off"
            self.notes.append(text)

    def _throw_away(self, path: str) -> None:
        """A file that nothing was promised of; one that cannot be read is kept."""
        size = os.stat(path).st_size
        if size > FILE_HEADER and file_header(path) is None:
            quarantine(self._folder, [path])
            self.notes.append(f"{os.path.basename(path)}: damaged, went into the quarantine")
        else:
            self.torn += size
            os.unlink(path)

    def _end(self, item: Item) -> bool:
        """An object whose writer never closed it: its process was killed. False: it is gone."""
        item.ended = item.recorded = True
        if not item.end or (item.whole and self._unfinished == "discard"):
            self._give_up(item, "discarded")
            return False
        fresh = [extent for extent in item.extents if not extent.sealed]
        for extent in fresh:
            fd = os.open(extent.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        self._state.seal([(item, fresh, True)])
        for extent in fresh:
            extent.sealed = True
        item.durable = item.end
        self.notes.append(f"{item.key}: was not closed; its {item.end} bytes will be delivered")
        return True

    def _give_up(self, item: Item, reason: str) -> None:
        item.gone = True
        first = item.acked + item.dropped
        lost = [Tombstone(item.id, item.key, first, item.end, reason)] if item.end > first else []
        item.dropped += item.end - first
        paths = [extent.path for extent in item.extents]
        if reason == "missing":
            quarantine(self._folder, paths)
        self._state.finish(item, None, lost, durable=True)
        if reason != "missing":
            for path in paths:
                os.unlink(path)
        if item.end:
            self.notes.append(f"{item.key}: {item.end} bytes are {reason}")


def quarantine(folder: str, paths: list[str]) -> None:
    """Moves files where nothing touches them any more. Raises OSError."""
    place = os.path.join(folder, "quarantine")
    os.makedirs(place, mode=0o700, exist_ok=True)
    for path in paths:
        target, count = os.path.join(place, os.path.basename(path)), 1
        while os.path.exists(target):
            target = os.path.join(place, f"{os.path.basename(path)}.{count}")
            count += 1
        try:
            os.rename(path, target)
        except FileNotFoundError:
            continue
    sync_folder(place)
