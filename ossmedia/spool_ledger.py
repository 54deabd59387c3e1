"""What a delivery's news does to the spool: progress is written down, files are let go, what cannot
be had is reported, and a finished object leaves with its receipt.

In flow news of one object, out flow changes of the state, in the order that survives a cut at any
moment. It never talks to OSS.
"""

from __future__ import annotations

import contextlib
import os

from ossmedia.journal import tell, warn
from ossmedia.spool_recovery import quarantine
from ossmedia.spool_values import Tombstone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ossmedia.model import Receipt
    from ossmedia.spool_commit import Committer
    from ossmedia.spool_item import Item
    from ossmedia.spool_policy import Policy
    from ossmedia.spool_reading import Damaged
    from ossmedia.spool_state import State

__all__ = ["Ledger"]


class Ledger:
    """One spool's.

    Args:
        folder: the spool's directory.
        note: told in words what an operator should know.
        left: told that an object has left the spool.
    """

    def __init__(
        self,
        folder: str,
        state: State,
        committer: Committer,
        policy: Policy,
        *,
        note: Callable[[str], object],
        left: Callable[[Item], object],
    ) -> None:
        self._folder = folder
        self._state = state
        self._committer = committer
        self._policy = policy
        self._note = note
        self._left = left

    def log(self, text: str) -> None:
        warn(text)

    def save(self, item: Item, *, durable: bool, **news: object) -> None:
        """What the delivery must know after a restart; the news count once they are written down.

        Raises:
            SpoolError.
        """
        with item.lock:
            if not item.gone:
                with _all_or_nothing(item, news):
                    self._state.progress(item, durable=durable)

    def stored(self, item: Item) -> None:
        """OSS confirmed more of an appended object; files that are through are let go."""
        with item.lock:
            done = item.finished()
            if done:
                self._state.release(item, done)
                item.extents = [extent for extent in item.extents if extent not in done]
        self._committer.discard(done)
        self.tell(item, item.acked)

    def tell(self, item: Item, stored: int) -> None:
        """The caller's progress; it must not stop the delivery."""
        if item.report is None:
            return
        tell(item.report, stored, item.end if item.ended else None)

    def lose(self, item: Item, damage: Damaged) -> None:
        """Bytes of an appended object cannot be had: the delivery goes on behind them. The file
        stays, under another name."""
        try:
            self._keep(damage.path)
        except OSError as error:
            warn("%s: cannot be kept in the quarantine: %s", damage.path, error)
        with item.lock:
            if item.gone:
                return
            stone = Tombstone(item.id, item.key, damage.first, damage.last, damage.reason)
            with _all_or_nothing(item, {"position": damage.last}):
                self._state.drop(item, [stone], progress=True)
            item.position = damage.last
            item.dropped += damage.last - damage.first
        self._note(f"{item.key}: {damage}")

    def _keep(self, path: str) -> None:
        if not os.path.exists(path):
            return
        spare = f"{path}.kept"
        os.link(path, spare)
        quarantine(self._folder, [spare])

    def spoil(self, item: Item, damage: Damaged) -> None:
        """An object that must be stored as a whole cannot be had as a whole: it leaves the spool,
        its files go into the quarantine."""
        with item.lock:
            paths = [extent.path for extent in item.extents]
        if self._policy.drop_rest(item, damage.reason, keep=True):
            quarantine(self._folder, paths)
            self._note(f"{item.key}: {damage}; the whole object went into the quarantine")

    def finish(self, item: Item, receipt: Receipt | None) -> bool:
        """The object is stored; it leaves the spool. Its files go once that is durable."""
        with item.lock:
            if item.gone:
                return True
            self._policy.settle(item)
            self._state.finish(item, receipt, durable=False)
            item.gone, item.receipt = True, receipt
            extents, item.extents = item.extents, []
        self._committer.discard(extents)
        if receipt is not None:
            self.tell(item, item.end)
        self._left(item)
        return True


@contextlib.contextmanager
def _all_or_nothing(item: Item, news: dict[str, object]) -> Iterator[None]:
    before = dict(item.progress)
    item.progress.update(news)
    try:
        yield
    except BaseException:
        item.progress.clear()
        item.progress.update(before)
        raise
