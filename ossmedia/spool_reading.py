"""Reading an object back from the spool, in order, its CRC-64 checked.

In flow the places where its bytes stand, out flow bytes that are known to be those that were
written, or the range of those that are not. It never changes a file.
"""

from __future__ import annotations

import os

from ossmedia._native import crc64
from ossmedia.spool_blocks import BLOCK_HEADER, PAGE, Block, aligned, find_block, parse_block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia.spool_files import Extent

__all__ = ["Cursor", "Damaged", "Sheet"]

_WINDOW = 256 << 10  # bytes of a file that are read at once


class Damaged(Exception):
    """Bytes [first, last) of the stream cannot be had from its file; ``reason`` is "damaged" or
    "missing"."""

    def __init__(self, first: int, last: int, reason: str, path: str) -> None:
        super().__init__(f"bytes {first} to {last} are {reason}: {path}")
        self.first = first
        self.last = last
        self.reason = reason
        self.path = path


class Sheet:
    """Memory that the cursors of one thread share: each would have its own else, and a thousand
    open objects a thousand."""

    __slots__ = ("memory", "user")

    def __init__(self) -> None:
        self.memory = memoryview(bytearray(_WINDOW))
        self.user: object = None  # whose bytes stand in it


class _Window:
    """A part of a file in memory; what is near is not read twice."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._at = self._length = 0
        self._fd = -1

    def open(self, path: str) -> None:
        self.close()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self) -> None:
        fd, self._fd, self._length = self._fd, -1, 0
        if fd >= 0:
            os.close(fd)

    def forget(self) -> None:
        """The file has changed."""
        self._length = 0

    def read(self, at: int, size: int) -> memoryview:
        """At most a window's bytes from there on, valid until the next call; fewer at the end."""
        sheet, within = self._sheet, at - self._at
        if sheet.user is not self or within < 0 or within + size > self._length:
            sheet.user = self
            self._at, self._length = at, self._load(sheet.memory, at)
            within = 0
        return sheet.memory[within : min(within + size, self._length)]

    def read_into(self, room: memoryview, at: int) -> bool:
        """Fills the room from there on; False: the file is too short, or cannot be read."""
        if len(room) > _WINDOW:
            return self._load(room, at) == len(room)
        found = self.read(at, len(room))
        room[: len(found)] = found
        return len(found) == len(room)

    def _load(self, room: memoryview, at: int) -> int:
        done = 0
        try:
            while done < len(room):
                count = os.preadv(self._fd, [room[done:]], at + done)
                if not count:
                    break
                done += count
        except OSError:  # a sector that cannot be read; what stands before it can
            return done
        return done


class Cursor:
    """A place in one object's stream; one thread.

    Args:
        extent_at: the first extent that ends behind a place of the stream; None: there is none.
        sheet: memory to read into; without it, the cursor's own.

    Attributes:
        position: the next byte of the stream.
    """

    def __init__(
        self,
        extent_at: Callable[[int], Extent | None],
        position: int = 0,
        sheet: Sheet | None = None,
    ) -> None:
        self.position = position
        self._extent_at = extent_at
        self._extent: Extent | None = None
        self._window = _Window(sheet or Sheet())
        self._growing = False  # the file, when the window last looked at it
        self._at = 0  # where in the file the next block's header should stand
        self._held = memoryview(b"")  # the rest of a block that did not fit the caller's room

    def read(self, room: memoryview, limit: int) -> tuple[int, int]:
        """Puts bytes of the stream that lie before ``limit`` into the room. What the stream has
        lost already is passed over, once nothing is in the room.

        Returns:
            Where in the stream they begin, and how many; fewer than asked at a gap or the end.

        Raises:
            Damaged: naming the next bytes, which cannot be had; ``seek`` goes on behind them.
        """
        if self._growing and self._extent is not None:
            self._window.forget()  # what it holds behind the last limit may have grown since
            self._growing = not self._extent.sealed
        start, done = self.position, 0
        while done < len(room) and self.position < limit:
            try:
                if not self._held and not self._inside():
                    if not self._next_extent(may_jump=not done):
                        break
                    start = start if done else self.position
                done += self._take(room[done:], limit)
            except Damaged:
                if not done:
                    raise
                break
        return start, done

    def seek(self, position: int) -> None:
        """Goes to a byte of the stream; forward is cheap."""
        if position == self.position:
            return
        if position < self.position or self._held:
            self.close()
        self.position = position

    def close(self) -> None:
        """Gives the descriptor back; reading opens the file again."""
        self._window.close()
        self._extent, self._held = None, memoryview(b"")

    def _inside(self) -> bool:
        extent = self._extent
        return extent is not None and extent.start <= self.position < extent.end

    def _next_extent(self, *, may_jump: bool) -> bool:
        """Opens the file that holds the next bytes; False: there are none, or behind a gap only."""
        extent = self._extent_at(self.position)
        if extent is None or (extent.start > self.position and not may_jump):
            return False
        self.close()
        self.position = max(self.position, extent.start)
        try:
            self._window.open(extent.path)
        except FileNotFoundError:
            raise Damaged(self.position, extent.end, "missing", extent.path) from None
        except OSError:
            raise self._damaged(extent, extent.end) from None
        self._extent, self._at, self._growing = extent, extent.first, not extent.sealed
        return True

    def _take(self, room: memoryview, limit: int) -> int:
        """As many whole blocks of one file as fit, or a part of one."""
        if not self._held:
            extent = self._extent
            assert extent is not None
            end = min(limit, extent.end)
            done = self._take_blocks(extent, room[: end - self.position])
            if done:
                return done
            block, at = self._block(extent)
            scratch = memoryview(bytearray(block.length))
            self._at = at + BLOCK_HEADER + block.length
            if not self._window.read_into(scratch, at + BLOCK_HEADER) or not _good(scratch, block):
                raise self._damaged(extent, min(block.offset + block.length, extent.end))
            self._held = scratch[self.position - block.offset :]
        count = min(len(self._held), len(room), limit - self.position)
        room[:count] = self._held[:count]
        self._held = self._held[count:]
        self.position += count
        return count

    def _take_blocks(self, extent: Extent, room: memoryview) -> int:
        """Reads blocks until one does not fit, or does not begin at the next byte, then checks all
        of them at once."""
        taken: list[tuple[Block, int]] = []
        done = 0
        while done < len(room):
            found = self._header(extent)
            if found is None:
                break
            block, at = found
            fits = block.offset == self.position + done and block.length <= len(room) - done
            follows = not taken or block.before == taken[-1][0].after
            piece = room[done : done + block.length]
            if not (fits and follows and self._window.read_into(piece, at + BLOCK_HEADER)):
                break
            taken.append(found)
            done += block.length
            self._at = at + BLOCK_HEADER + block.length
        if taken and crc64(room[:done], taken[0][0].before) != taken[-1][0].after:
            done = self._first_bad(room, taken)
        self.position += done
        return done

    def _first_bad(self, room: memoryview, taken: list[tuple[Block, int]]) -> int:
        """How many bytes stand before the first damaged block, which comes next."""
        done = 0
        for block, at in taken:
            if not _good(room[done : done + block.length], block):
                self._at = at
                break
            done += block.length
        return done

    def _block(self, extent: Extent) -> tuple[Block, int]:
        """The header of the block that holds the next byte, and where it stands."""
        while True:
            found = self._header(extent)
            if found is None:
                raise self._damaged(extent, self._next_good(extent))
            block, at = found
            if block.offset > self.position:
                raise self._damaged(extent, min(block.offset, extent.end))
            if block.offset + block.length > self.position:
                return block, at
            self._at = at + BLOCK_HEADER + block.length

    def _header(self, extent: Extent) -> tuple[Block, int] | None:
        """A block stands behind the one before, or on the next page."""
        for step in (BLOCK_HEADER, PAGE):
            at = aligned(self._at, step)
            raw = self._window.read(at, BLOCK_HEADER)
            block = parse_block(extent.salt, extent.start, raw)
            if block is not None:
                return block, at
        return None

    def _next_good(self, extent: Extent) -> int:
        at = self._at
        while True:
            read = self._window.read
            found = find_block(read, extent.salt, extent.start, at, extent.size)
            if found is None:
                return extent.end
            at, block = found
            if block.offset > self.position:
                self._at = at
                return min(block.offset, extent.end)
            at += BLOCK_HEADER

    def _damaged(self, extent: Extent, last: int) -> Damaged:
        return Damaged(self.position, last, "damaged", extent.path)


def _good(payload: memoryview, block: Block) -> bool:
    return crc64(payload, block.before) == block.after
