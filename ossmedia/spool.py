"""The spool: footage that waits on the disk until OSS has it, whatever happens to the network, the
process or the power.

In flow what writers give, out flow objects to OSS, receipts, and a status whose numbers add up:
``written == acked + spooled + dropped``. It needs no network, no token and no right clock to take
bytes, and never drops one without a tombstone.
"""

from __future__ import annotations

import os

from ossmedia.address import check_bucket, check_key
from ossmedia.arguments import between, milliseconds
from ossmedia.clock import SYSTEM
from ossmedia.journal import log
from ossmedia.spool_commit import Committer
from ossmedia.spool_drain import Drain
from ossmedia.spool_intake import Intake
from ossmedia.spool_item import Item
from ossmedia.spool_ledger import Ledger
from ossmedia.spool_link import Link
from ossmedia.spool_news import News
from ossmedia.spool_owner import Owner, bytes_in, files_in, prepare_folder
from ossmedia.spool_policy import POLICIES, Policy
from ossmedia.spool_reading import Damaged
from ossmedia.spool_recovery import Recovery, recover
from ossmedia.spool_room import Room
from ossmedia.spool_shelf import Shelf
from ossmedia.spool_values import SpoolStatus
from ossmedia.spool_writer import SpoolWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from ossmedia.clock import Clock
    from ossmedia.session import Session
    from ossmedia.spool_values import Delivered, Tombstone

__all__ = ["Spool"]

MIB = 1 << 20
LARGEST = 1 << 50
_JOIN_S = 2.0  # a callback that takes longer is left behind
LARGEST_PUT = 8 << 20  # bytes that a delivery holds in memory: longer objects go in parts


class Spool:
    """A directory that keeps what was written until OSS has confirmed it; give it to ``Bucket``.

    Bytes survive kill -9 once ``write`` has returned, and a power cut after at most
    ``commit_interval``, or at once with ``sync``, ``commit`` or ``close``. Appended objects are
    sent as they grow, and their files go as soon as they are confirmed; all others keep their room
    until OSS has confirmed the whole.

    Args:
        dir: made if its parent is there. One process owns it at a time.
        max_bytes: what the data files may take, 256 KiB to 1 PiB.
        min_free: bytes that stay free in the file system.
        policy: when it is full: "block" (a writer waits, at most its ``write_timeout_s``), "reject"
            (``SpoolFull``), "drop_oldest" or "drop_newest", both with tombstones: appended objects
            lose ranges, others go as a whole.
        order: "fifo" sends the oldest object first, "lifo" the newest; each object in order.
        commit_interval: seconds, 0.001 to 86,400.
        unfinished: an object that a killed process never closed: "deliver" what there is of it, or
            "discard" it with a tombstone (appended ones are always delivered).
        file_size: bytes of one data file, at least 64 KiB; at most a quarter of max_bytes.
        on_drop: called with each ``Tombstone`` that is written after the opening.
        on_pressure: called with True when three quarters of ``max_bytes`` are taken or there was no
            room, with False when at most half is taken again. Both are called from a thread of
            their own: nothing waits for them, and what they raise is logged.
        clock: see ``ossmedia.clock.Clock``.

    Raises:
        TypeError, ValueError: naming the field. SpoolBusy: another process owns the directory.
        SpoolError: it cannot be used; a newer format.
    """

    def __init__(
        self,
        dir: str | os.PathLike[str],
        max_bytes: int = 1 << 30,
        min_free: int = 64 << 20,
        policy: str = "block",
        order: str = "fifo",
        commit_interval: float = 1.0,
        *,
        unfinished: str = "deliver",
        file_size: int = 8 << 20,
        on_drop: Callable[[Tombstone], object] | None = None,
        on_pressure: Callable[[bool], object] | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        _one_of("policy", policy, POLICIES)
        _one_of("order", order, ("fifo", "lifo"))
        _one_of("unfinished", unfinished, ("deliver", "discard"))
        between("max_bytes", max_bytes, 256 << 10, LARGEST)
        between("min_free", min_free, 0, LARGEST)
        between("file_size", file_size, 64 << 10, LARGEST)
        interval_s = milliseconds("commit_interval", commit_interval) / 1000
        self._process = os.getpid()
        self._clock = clock
        self._closed = False
        self._folder = prepare_folder(dir)
        self._owner = Owner(self._folder)
        try:
            self._state, found = recover(self._folder, unfinished)
        except BaseException:
            self._owner.release()
            raise
        self._torn = found.torn
        self._notes = found.notes
        for note in found.notes:
            log("warning", "spool: %s", note)
        self._news = News(on_drop, on_pressure)
        self._state.told = self._news.dropped
        self._build(found, max_bytes, min_free, policy, order, interval_s, file_size)

    def _build(
        self,
        found: Recovery,
        max_bytes: int,
        min_free: int,
        policy: str,
        order: str,
        interval_s: float,
        file_size: int,
    ) -> None:
        data, clock = os.path.join(self._folder, "data"), self._clock
        self._shelf = Shelf(found.items, self._state.totals(), order)
        used = bytes_in(data) + bytes_in(self._quarantine)
        told, owed = self._news.pressed, self._state.owed
        self._room = Room(data, used, max_bytes, min_free, clock, told, owed)
        self._committer = Committer(
            self._state, data, clock, interval_s, freed=self._room.freed, settle=self._settle
        )
        shelf, room, state, committer = self._shelf, self._room, self._state, self._committer
        self._policy = Policy(
            policy, room, state, committer, clock, items=shelf.all, left=shelf.left
        )
        ledger = Ledger(
            self._folder, state, committer, self._policy, note=self._notes.append, left=shelf.left
        )
        self._drain = Drain(clock, ledger, self._shelf.candidates)
        self._intake = Intake(
            data,
            min(file_size, max_bytes // 4),
            room=self._room,
            policy=self._policy,
            state=self._state,
            shelf=self._shelf,
            committer=self._committer,
            drain=self._drain,
            clock=clock,
        )

    # -- for a Bucket

    def attach(self, bucket: str, session: Session, parallel: int, verify_crc: bool) -> None:
        """From now on this bucket's objects are sent through this session.

        Raises:
            ValueError: a bucket of this name is attached already.
        """
        self._check()
        self._drain.attach(bucket, Link(session, parallel, verify_crc))

    def detach(self, bucket: str) -> bool:
        """Ends that; False: one of its requests is still under way after two seconds."""
        return self._drain.detach(bucket)

    def open(
        self,
        bucket: str,
        key: str,
        mode: str,
        *,
        headers: str = "",
        block_size: int = MIB,
        linger_s: float = 1.0,
        write_timeout_s: float | None = None,
        on_error: str | None = None,
        append_limit: int = 0,
        on_full: str = "roll",
        progress: Callable[[int, int | None], object] | None = None,
        **_direct: object,
    ) -> SpoolWriter:
        """A file of a bucket that need not be attached yet; the options are those of ``Writer``,
        but for its memory, which the spool does not need.

        Raises:
            ValueError: naming the field. SpoolError: the disk failed.
        """
        self._check()
        _one_of("mode", mode, ("wb", "xb", "ab"))
        _one_of("on_error", on_error, (None, "abort", "keep"))
        _one_of("on_full", on_full, ("roll", "raise"))
        between("block_size", block_size, 102_400, 1 << 30)
        between("append_limit", append_limit, 0, 5 << 30)
        if not linger_s >= 0:
            raise ValueError(f"linger_s: must be 0 or more, not {linger_s}")
        options: dict[str, Any] = {"block_size": block_size}
        if mode == "ab":
            options.update(linger_s=linger_s, append_limit=append_limit, on_full=on_full)
        item = Item(self._shelf.next_id(), bucket, key, mode, headers, options)
        item.report = progress
        self._intake.begin(item)
        return SpoolWriter(self, item, write_timeout_s, on_error)

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes | memoryview,
        *,
        headers: str = "",
        overwrite: bool = True,
        replaceable: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        """A whole object at once, on stable storage when this returns.

        Args:
            replaceable: older objects of this key that were given so too, and are not sent yet,
                need not be sent any more (playlists).

        Raises:
            SpoolFull: by the policy. SpoolError: the disk failed.
        """
        self._check()
        options: dict[str, Any] = {"block_size": min(max(len(data), MIB), LARGEST_PUT)}
        if replaceable:
            options["replaceable"] = True
        mode = "wb" if overwrite else "xb"
        item = Item(self._shelf.next_id(), bucket, key, mode, headers, options)
        if self._intake.put(item, memoryview(data), timeout_s) and replaceable:
            self._intake.supersede(item)

    def buckets(self) -> list[str]:
        """The names of the buckets that something waits for."""
        self._check()
        return sorted({item.bucket for item in self._shelf.all()})

    def pending(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        """The newest whole object of this key that is not stored yet: its bytes, and its headers as
        "Name: value\\n" lines; None: there is none, or it cannot be read."""
        self._check()
        for item in reversed(self._shelf.all()):
            if (item.bucket, item.key) == (bucket, key) and item.ended and item.whole:
                try:
                    return item.content(), item.headers
                except Damaged:
                    return None
        return None

    def assign(self, bucket: str, key: str, to_bucket: str, to_key: str) -> None:
        """The newest whole object of this key goes to another place: a clip that was recorded
        before its upload ticket named one. Durable when this returns.

        Raises:
            ValueError: to_bucket, to_key; or the object's bucket is attached: it may be on its way.
            FileNotFoundError: no such object has ended and waits. SpoolError: the disk failed.
        """
        self._check()
        check_bucket(to_bucket)
        check_key(to_key)
        with self._drain.held(bucket):
            for item in reversed(self._shelf.all()):
                if (item.bucket, item.key) == (bucket, key) and item.ended and item.whole:
                    self._intake.assign(item, to_bucket, to_key)
                    return
        raise FileNotFoundError(f"spool: no object {key!r} of {bucket!r} has ended and waits")

    # -- for a writer

    def take(self, item: Item, data: memoryview, timeout_s: float | None) -> int:
        """A writer's bytes; see ``SpoolWriter.write``."""
        self._check()
        return self._intake.take(item, data, timeout_s)

    def end(self, item: Item) -> None:
        """A writer was closed."""
        self._check()
        self._intake.end(item)

    def forget(self, item: Item) -> None:
        """A writer was aborted."""
        self._check()
        self._policy.drop_rest(item, "aborted")
        self._drain.poke()

    # -- for everybody

    def commit(self, timeout_s: float | None = None) -> None:
        """Returns when everything written so far is on stable storage.

        Raises:
            RequestTimeout: not within ``timeout_s``; it will be later. SpoolError: the disk failed.
        """
        self._check()
        self._committer.sync(timeout_s)

    def drain(self, timeout_s: float | None = None) -> bool:
        """Waits until every object that has ended is delivered, and of appended ones that are open
        everything written so far. What OSS refused is asked for once more.

        Returns:
            False: time is up, or what is left was refused again.
        """
        self._check()
        return self._drain.finish(self._shelf.all, timeout_s)

    def status(self) -> SpoolStatus:
        """The spool at this moment."""
        self._check()
        return SpoolStatus(
            **self._shelf.numbers(),
            tombstones=self._state.count_tombstones(),
            disk_bytes=self._room.used,
            max_bytes=self._room.max_bytes,
            quarantined=files_in(self._quarantine),
            torn=self._torn,
            sending=self._drain.sending,
            error=self._drain.error or self._committer.error or self._shelf.error(),
        )

    def receipts(self) -> tuple[Delivered, ...]:
        """What OSS confirmed: the last 1,000 objects, oldest first."""
        self._check()
        return tuple(self._state.receipts())

    def tombstones(self) -> tuple[Tombstone, ...]:
        """What was dropped, oldest first: of all objects in the spool, and of others the last
        10,000 ranges."""
        self._check()
        return tuple(self._state.tombstones())

    @property
    def recovered(self) -> tuple[str, ...]:
        """In words, what was not as it should be when the spool was opened, or later."""
        return tuple(self._notes)

    def close(self) -> None:
        """Makes everything durable and lets go of the directory; idempotent. Objects that are still
        open end here."""
        if self._closed:
            return
        self._closed = True
        if os.getpid() != self._process:
            return
        self._drain.close()
        self._committer.close()
        for item in self._shelf.all():
            with item.lock:
                item.close()
        self._state.close()
        self._owner.release()
        self._news.close(_JOIN_S)

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Spool({self._folder!r})"

    @property
    def _quarantine(self) -> str:
        return os.path.join(self._folder, "quarantine")

    def _check(self) -> None:
        if self._closed:
            raise ValueError("the spool is closed")
        if os.getpid() != self._process:
            raise ValueError("the spool belongs to the process that made it: not to its children")

    def _settle(self) -> None:
        self._policy.settle_all()


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        shown = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"{name}: must be one of {shown}, not {value!r}")
