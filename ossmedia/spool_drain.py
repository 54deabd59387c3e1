"""Delivering what the spool holds: one thread that picks the next object, lets it take a step, and
decides how long to wait when a step fails.

In flow objects, buckets to send to, and errors, out flow steps. Objects that have ended are sent in
the order they were begun (or the newest first); those that are still being written take turns with
them. It never gives an object up: what OSS refuses is kept, and asked for seldom.
"""

from __future__ import annotations

import contextlib
import threading

from ossmedia.errors import Conflict, NetworkError, ObjectTooLarge, OssMediaError, SpoolError
from ossmedia.journal import log
from ossmedia.retry import final
from ossmedia.spool_append import Appending
from ossmedia.spool_reading import Sheet
from ossmedia.spool_whole import Whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ossmedia.clock import Clock
    from ossmedia.session import Session
    from ossmedia.spool_item import Item
    from ossmedia.spool_ledger import Ledger
    from ossmedia.spool_link import Link

    Delivery = Appending | Whole

__all__ = ["PROBE_S", "Drain"]

PROBE_S = 300.0  # what was refused for good is asked for again so seldom, at first
_LONGEST_PROBE_S = 3600.0
_LONGEST_DELAY_S = 60.0
_JOIN_S = 2.0  # an exchange that takes longer is left behind when the spool is closed


class Drain:
    """One spool's delivery.

    Args:
        items: the objects that may be sent now, each bucket's and key's oldest only: first those
            that have ended, in the order of sending, then those that are open.
    """

    def __init__(self, clock: Clock, ledger: Ledger, items: Callable[[], Iterable[Item]]) -> None:
        self.changed = threading.Condition()
        self.error = ""
        self.sending = False
        self._clock = clock
        self._ledger = ledger
        self._items = items
        self._links: dict[str, Link] = {}
        self._deliveries: dict[int, Delivery] = {}
        self._room = memoryview(b"")
        self._sheet: Sheet | None = None
        self._thread: threading.Thread | None = None
        self._stop = False
        self._busy = ""  # the bucket whose exchange is under way
        self._turn = 0
        self._failures = 0  # in a row, whatever the object
        self._denied: set[int] = set()  # objects that were refused, since the last success
        self._not_before = 0.0
        self._poked = False

    def attach(self, bucket: str, link: Link) -> None:
        """From now on this bucket's objects can be sent.

        Raises:
            ValueError: another Bucket of this name is attached.
        """
        with self.changed:
            if bucket in self._links:
                raise ValueError(f"spool: a bucket {bucket!r} is attached already")
            self._links[bucket] = link
            self._not_before = 0.0
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="ossmedia spool", daemon=True
                )
                self._thread.start()
        self.poke()

    def detach(self, bucket: str) -> bool:
        """Nothing is sent through this bucket any more; False: an exchange that has begun is still
        under way."""
        end = self._clock.monotonic() + _JOIN_S
        with self.changed:
            self._links.pop(bucket, None)
            self.changed.notify_all()
            while self._busy == bucket and (left := end - self._clock.monotonic()) > 0:
                self._clock.wait(self.changed, left)
            return self._busy != bucket

    def poke(self) -> None:
        """There may be something to do."""
        with self.changed:
            self._poked = True
            self.changed.notify_all()

    def probe(self, items: Iterable[Item]) -> None:
        """Asks at once for what was refused."""
        with self.changed:
            for item in items:
                item.not_before, item.final = 0.0, False
            if len(self._denied) > 1:
                self._not_before = 0.0
        self.poke()

    def finish(self, items: Callable[[], Iterable[Item]], timeout_s: float | None) -> bool:
        """See ``Spool.drain``; ``items`` gives all that the spool holds."""
        end = None if timeout_s is None else self._clock.monotonic() + timeout_s
        goals = [(item, item.end) for item in items()]
        refused = [item for item, _ in goals if item.final or item.probes]
        tries = {item.id: item.probes for item in refused}
        self.probe(refused)
        while True:
            with self.changed:
                held = {item.id for item in items()}
                left = [item for item, goal in goals if item.id in held and _undone(item, goal)]
                stuck = [i for i in left if i.final or i.probes > tries.get(i.id, 0)]
                if len(stuck) == len(left):
                    return not left
                wait = None if end is None else end - self._clock.monotonic()
                if wait is not None and wait <= 0:
                    return False
                self._clock.wait(self.changed, wait)

    @contextlib.contextmanager
    def held(self, bucket: str) -> Iterator[None]:
        """Nothing of this bucket is sent meanwhile.

        Raises:
            ValueError: it is attached.
        """
        with self.changed:
            if bucket in self._links or self._busy == bucket:
                raise ValueError(f"bucket: {bucket!r} is attached; its objects may be on their way")
            yield
            self._poked = True
            self.changed.notify_all()

    def close(self) -> None:
        """Ends the thread; an exchange that takes long is left behind."""
        with self.changed:
            self._stop = True
            self.changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    # -- the thread

    def _run(self) -> None:
        while True:
            with self.changed:
                picked = self._await_turn()
                if picked is None:
                    break
                item, link = picked
                self._busy, self.sending = item.bucket, True
            try:
                self._step(item, link)
            finally:
                with self.changed:
                    self._busy, self.sending = "", False
                    self.changed.notify_all()
        for delivery in self._deliveries.values():
            delivery.close()

    def _await_turn(self) -> tuple[Item, Link] | None:
        """The next object with something to do; None: the end. The lock is held."""
        while not self._stop:
            self._poked = False
            for delivery in self._deliveries.values():
                if delivery.item.gone:  # dropped by somebody else
                    return delivery.item, delivery.link
            now = self._clock.monotonic()
            if self._not_before > now:
                self._clock.wait(self.changed, self._not_before - now)
                continue
            item, wait = self._pick(now)
            if item is not None:
                self._turn += 1
                item.served = self._turn
                return item, self._deliveries[item.id].link
            if not self._poked:
                self._clock.wait(self.changed, wait)
        return None

    def _pick(self, now: float) -> tuple[Item | None, float | None]:
        """Of the first one that has ended and all that are open, the one that waited longest; or
        how long there is nothing to do."""
        best: Item | None = None
        ended, wait = False, None
        for item in self._items():
            if item.bucket not in self._links or item.final or (item.ended and ended):
                continue
            left: float | None = item.not_before - now
            if left is None or left <= 0:
                left = self._delivery(item).ready(now)
            if left is not None and left > 0:
                wait = left if wait is None else min(wait, left)
            elif left is not None:
                ended = ended or item.ended
                best = item if best is None or item.served < best.served else best
        return best, wait

    def _delivery(self, item: Item) -> Delivery:
        link, found = self._links[item.bucket], self._deliveries.get(item.id)
        if found is not None and found.link is link:
            return found
        if found is not None:
            found.close()
        block = int(item.options["block_size"])
        wanted = block if item.ended and item.end <= block else block * link.parallel
        wanted = wanted if item.whole else block
        if len(self._room) < wanted:
            self._room = memoryview(bytearray(wanted))
        if self._sheet is None:
            self._sheet = Sheet()
        kind = Whole if item.whole else Appending
        made: Delivery = kind(item, link, self._room[:wanted], self._sheet, self._ledger)
        self._deliveries[item.id] = made
        return made

    def _step(self, item: Item, link: Link) -> None:
        if item.gone:  # that OSS is well it does not say
            self._over(item)
            return
        try:
            over = self._deliveries[item.id].step() or item.gone
        except SpoolError as error:  # the disk: no reason to ask OSS less
            self._failed(item, link, SpoolError(f"{error}", retryable=True))
        except OssMediaError as error:
            self._failed(item, link, error)
        except Exception as error:  # a file that went away, a bucket that was closed
            self._failed(item, link, OssMediaError(f"{error}", retryable=True))
        else:
            if over:
                self._over(item)
            self._failures = item.probes = 0
            self._denied.clear()
            item.refused_since = None
            self.error = item.error = ""

    def _over(self, item: Item) -> None:
        delivery = self._deliveries.pop(item.id)
        delivery.close()
        if item.receipt is None and isinstance(delivery, Whole):
            delivery.abandon()  # fails quietly: a lifecycle rule is the second net

    # -- failures

    def _failed(self, item: Item, link: Link, error: OssMediaError) -> None:
        if item.gone:
            self._over(item)
            return
        self._failures += 1
        self.error = item.error = str(error)
        delay = self._delay(link.session, error)
        now = self._clock.monotonic()
        if isinstance(error, Conflict | ObjectTooLarge):
            item.final = True
        elif delay is None or self._hopeless(item, link, error, now):
            self._seldom(item, error, now)
        elif isinstance(error, SpoolError):  # OSS has nothing to do with it: others may go on
            item.not_before = now + min(delay, _LONGEST_DELAY_S)
        else:
            self._not_before = now + min(delay, _LONGEST_DELAY_S)
        log("warning", "spool: %s: %s", item.key, error)

    def _delay(self, session: Session, error: OssMediaError) -> float | None:
        """Seconds to the next try, of anything; None: another does not help soon. Bytes that were
        damaged on their way, however often, are sent again: here they are whole."""
        delay = session.recover(error, self._failures)
        if delay is None and not final(error) and final(error, self._failures):
            delay = session.retry.delay(self._failures, error, session.random)
        return delay

    def _hopeless(self, item: Item, link: Link, error: OssMediaError, now: float) -> bool:
        """OSS answers, and for a long time says no to this very object: others may go on."""
        if isinstance(error, NetworkError | SpoolError):
            return False
        if item.refused_since is None:
            item.refused_since = now
        return now - item.refused_since > link.session.retry.give_up_after_s

    def _seldom(self, item: Item, error: OssMediaError, now: float) -> None:
        """Asks for this object again in five minutes, then less and less. Who is refused whatever
        he sends asks for nothing else meanwhile."""
        item.not_before = now + min(PROBE_S * 2.0 ** min(item.probes, 16), _LONGEST_PROBE_S)
        item.probes += 1
        if isinstance(error, PermissionError):
            self._denied.add(item.id)
            if len(self._denied) > 1:
                self._not_before = now + PROBE_S


def _undone(item: Item, goal: int) -> bool:
    """Whether something that was asked for is not delivered."""
    return item.ended or (not item.whole and item.position < goal)
