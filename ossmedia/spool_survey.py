"""What stands in a spool's directory: which files belong to what, where the last whole block ends,
what is missing.

In flow the state database and the names in the data folder, out flow objects with the places of
their bytes. It changes nothing, and reads only what no commit had sealed; a delivery checks the
rest.
"""

from __future__ import annotations

import json
import os

from ossmedia._native import crc64
from ossmedia.spool_blocks import (
    BLOCK_HEADER,
    FILE_HEADER,
    LONGEST_WORDS,
    PAGE,
    FileHeader,
    aligned,
    find_block,
    parse_block,
    parse_file_header,
)
from ossmedia.spool_files import Extent, parse_file_name
from ossmedia.spool_item import Item
from ossmedia.spool_values import Tombstone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ossmedia.spool_state import State

__all__ = ["Found", "file_header", "files_of", "survey"]


class Found:
    """One object. ``cut``: its last file, and the size it should have; ``released``: files that are
    not needed any more; ``useless``: those that hold nothing that counts; ``lost``: ranges that
    should be there and are not."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.cut: tuple[str, int] | None = None
        self.released: list[str] = []
        self.useless: list[str] = []
        self.lost: list[Tombstone] = []


def files_of(data: str) -> dict[int, dict[int, str]]:
    """The data files in a folder, by object and number. Raises OSError."""
    files: dict[int, dict[int, str]] = {}
    for name in sorted(os.listdir(data)):
        found = parse_file_name(name)
        if found is not None:
            files.setdefault(found[0], {})[found[1]] = os.path.join(data, name)
    return files


def survey(state: State, files: dict[int, dict[int, str]]) -> list[Found]:
    """The objects that the state knows, oldest first. Their files are taken from ``files``; what is
    left there belongs to nobody.

    Raises:
        OSError: a file went away meanwhile.
    """
    return [_found(state, row, files.pop(row["id"], {})) for row in state.rows()]


def _found(state: State, row: dict[str, Any], files: dict[int, str]) -> Found:
    item = _item(row)
    found = Found(item)
    stones = state.tombstones(item.id)
    item.dropped = sum(stone.last - stone.first for stone in stones)
    for number in [number for number in files if number < row["first_file"]]:
        found.released.append(files.pop(number))
    _take_sealed(state, item, files)
    if not item.ended:
        found.cut = _take_unsealed(item, files, stones)
    item.bucket, item.key = item.options.get("place", (item.bucket, item.key))
    held = {extent.path for extent in item.extents}
    found.useless += [path for path in files.values() if path not in held]
    item.next_file = max([row["first_file"], *(e.number + 1 for e in item.extents)])
    found.lost = _uncovered(item, stones)
    return found


def _item(row: dict[str, Any]) -> Item:
    names = ("id", "bucket", "key", "mode", "headers", "options")
    item = Item(*(row[name] for name in names))
    item.progress = row["progress"]
    item.position = item.busy_to = item.progress.get("position", 0)
    item.acked = item.progress.get("acked", 0)
    item.ended = item.recorded = row["size"] is not None
    item.end = item.durable = row["size"] or item.position
    return item


def _take_sealed(state: State, item: Item, files: dict[int, str]) -> None:
    for number, start, end, salt, first in state.files(item.id):
        path = files.pop(number, None)
        item.durable = max(item.durable, end)
        item.end = max(item.end, end)
        if path is None:
            continue
        size = os.stat(path).st_size
        extent = Extent(path, number, start, end, size=size, salt=salt, first=first, sealed=True)
        item.extents.append(extent)
        header = file_header(path)
        if header is not None:  # of two witnesses the one with a checksum
            extent.salt, extent.first = header.salt, header.first_block
            _believe(item, header)


def _take_unsealed(
    item: Item, files: dict[int, str], stones: list[Tombstone]
) -> tuple[str, int] | None:
    """Finds the end of what was written: behind the last whole block, unless one before it is
    broken that no commit had promised. Returns the last file and where it ends."""
    scans = []
    for number in sorted(files):
        header = file_header(files[number])
        if header is not None and header.item == item.id:
            _believe(item, header)
            scans.append(_Scan(files[number], number, header))
    promised = max([item.durable, *(scan.synced for scan in scans)])
    skipped = {stone.first: stone.last for stone in stones}
    starts = [scan.header.start for scan in scans]
    last = None
    for at, scan in enumerate(scans):
        start, after = starts[at], starts[at + 1] if at + 1 < len(starts) else None
        if start > _skip(item.end, skipped) >= promised:
            break
        item.end = max(item.end, start)
        whole = scan.walk(promised, after)
        if scan.position > start:
            item.extents.append(scan.extent())
            item.end, last = max(item.end, scan.position), scan
        if not whole:
            break
    item.end = _skip(item.end, skipped)
    return None if last is None else (last.path, last.ending())


def _skip(position: int, skipped: dict[int, int]) -> int:
    """The next byte that was not dropped by policy."""
    while position in skipped:
        position = skipped[position]
    return position


def _uncovered(item: Item, stones: list[Tombstone]) -> list[Tombstone]:
    """The ranges between what was confirmed and the end that are neither on the disk nor known to
    be dropped."""
    ranges = [(extent.start, extent.end) for extent in item.extents]
    ranges += [(stone.first, stone.last) for stone in stones]
    position, lost = item.position, []
    for start, end in [*sorted(ranges), (item.end, item.end)]:
        if start > position:
            lost.append(Tombstone(item.id, item.key, position, start, "missing"))
        position = max(position, end)
    return lost


class _Scan:
    """The whole blocks of one file that was not sealed."""

    def __init__(self, path: str, number: int, header: FileHeader) -> None:
        self.path = path
        self.number = number
        self.header = header
        self.blocks: list[tuple[int, int, int]] = []  # start, end, place in the file behind it
        self.synced = 0
        self.position = header.start
        self.cut = header.first_block
        self._size = os.stat(path).st_size
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read_blocks()
        finally:
            os.close(self._fd)

    def _read(self, at: int, size: int) -> bytes:
        try:
            return os.pread(self._fd, size, at)
        except OSError:
            return b""

    def _read_blocks(self) -> None:
        at, salt, start = self.header.first_block, self.header.salt, self.header.start
        while True:
            for step in (BLOCK_HEADER, PAGE):
                block = parse_block(salt, start, self._read(aligned(at, step), BLOCK_HEADER))
                if block is not None:
                    at = aligned(at, step)
                    break
            else:
                found = find_block(self._read, salt, start, at, self._size)
                if found is None:
                    return
                at, block = found
            payload = self._read(at + BLOCK_HEADER, block.length)
            at += BLOCK_HEADER
            if len(payload) == block.length and crc64(payload, block.before) == block.after:
                at += block.length
                self.blocks.append((block.offset, block.offset + block.length, at))
                self.synced = max(self.synced, block.synced)

    def walk(self, promised: int, after: int | None) -> bool:
        """Finds where this file's bytes end (``position``, and ``cut`` in the file). From
        ``promised`` on the first fault ends them: then False.

        Args:
            after: where the next file begins; what this one holds behind it does not count.
        """
        for start, end, place in self.blocks:
            if after is not None and start >= after:
                return True
            if start > self.position >= promised:
                return False
            self.position, self.cut = max(self.position, end), place
        return True

    def ending(self) -> int:
        """Where the file should end, after ``walk``: behind its last whole block, or behind the
        zeros with which a commit filled that one's page."""
        end = aligned(self.cut, PAGE)
        try:
            with open(self.path, "rb") as file:
                file.seek(self.cut)
                filled = file.read(end - self.cut) == bytes(end - self.cut)
        except OSError:
            filled = False
        return end if filled else self.cut

    def extent(self) -> Extent:
        """What the file holds, after ``walk``."""
        header = self.header
        return Extent(
            self.path,
            self.number,
            header.start,
            self.position,
            size=self._size,
            salt=header.salt,
            first=header.first_block,
        )


def file_header(path: str) -> FileHeader | None:
    """A data file's header; None when it is damaged, or there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return parse_file_header(os.pread(fd, FILE_HEADER + LONGEST_WORDS, 0))
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)


def _believe(item: Item, header: FileHeader) -> None:
    """Names come from the data file where the state says another: a key with a flipped bit is a
    key of somebody else."""
    try:
        words = json.loads(header.words)
        if header.item == item.id:
            item.bucket, item.key, item.mode = words["bucket"], words["key"], words["mode"]
    except (ValueError, LookupError, TypeError):
        return
