"""What people see: progress, times, names. In flow numbers and texts, out flow characters that
cannot harm a terminal.

Progress goes to standard error, on a terminal only.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from shutil import get_terminal_size

from ossmedia.clock import to_iso_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

__all__ = ["Progress", "StopKey", "error_line", "printable", "stamp"]

_STEP = 5  # per cent


def printable(text: str) -> str:
    """The text with control and other invisible characters escaped: a key must not steer a terminal
    or fake a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def stamp(seconds: float) -> str:
    """ "2024-05-31T17:08:37Z"."""
    return f"{to_iso_date(seconds)}Z"


def error_line(text: str) -> str:
    """An error for standard error, red on a terminal unless NO_COLOR is set."""
    word = "error:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        word = f"\x1b[31m{word}\x1b[0m"
    return f"{word} {printable(text)}"


class Progress:
    """A bar by tqdm if that is installed, else a line for each 5 %; nothing with -q, --json, or
    without a terminal."""

    def __init__(self, args: Namespace, what: str) -> None:
        self._what = printable(what)
        self._bar: Any = None
        self._told = 0
        shown = not args.quiet and not args.json and sys.stderr.isatty()
        self.callback: Callable[[int, int], None] | None = self._show if shown else None

    def __enter__(self) -> Self:
        if self.callback is not None:
            try:
                from tqdm import tqdm
            except ImportError:
                return self
            # A serial console says it has no columns and no lines; this says 80 and 24 then.
            columns, lines = get_terminal_size()
            self._bar = tqdm(
                desc=self._what,
                unit="B",
                unit_scale=True,
                leave=False,
                ncols=columns,
                nrows=lines,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _show(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
            return
        per_cent = 100 if not total else done * 100 // total
        if per_cent >= self._told + _STEP:
            self._told = per_cent - per_cent % _STEP
            print(f"{self._what}: {self._told} % of {total} bytes", file=sys.stderr)


class StopKey:
    """Makes Ctrl-C end the waiting for input, and nothing else, so that no byte that was read is
    lost.

    Args:
        on: False leaves Ctrl-C as it is.
    """

    def __init__(self, on: bool) -> None:
        self._on = on
        self._waiting = False
        self._before: Any = None
        self.pressed = False

    def __enter__(self) -> Self:
        if self._on:
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._on:
            signal.signal(signal.SIGINT, self._before)

    def wait(self, *sources: int) -> bool:
        """Waits until one of the descriptors can be read; False once the key was pressed."""
        try:
            self._waiting = self._on
            if not self.pressed:
                select.select(sources, [], [])
            self._waiting = False
        except KeyboardInterrupt:
            if not self.pressed:
                raise
        return not self.pressed

    def _press(self, _signal: int, _frame: object) -> None:
        self.pressed = True
        if self._waiting:
            self._waiting = False
            raise KeyboardInterrupt
