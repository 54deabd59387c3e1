"""Requests that wait together: many callers of an event loop, one call in a thread.

In flow single items, out flow their results. While a call runs, what arrives is gathered for the
next one, so that a transaction serves as many as wait. The number that may wait is bounded; "full"
is an answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

__all__ = ["Batches", "Busy"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Busy(Exception):
    """Too many wait already; come again later."""


class Batches(Generic[Item, Result]):
    """Gathers items for one function.

    Args:
        work: takes items, returns as many results; never runs twice at a time.
        executor: where it runs.
        largest: items in one call.
        waiting: items that may wait for their call.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        executor: Executor,
        *,
        largest: int = 256,
        waiting: int = 4096,
    ) -> None:
        self._work = work
        self._executor = executor
        self._largest = largest
        self._waiting = waiting
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """The result for one item.

        Raises:
            Busy: too many wait.
            Exception: what the function raised for the whole call.
        """
        if len(self._queue) >= self._waiting:
            raise Busy
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.append((item, future))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            count = min(self._largest, len(self._queue))
            batch = [self._queue.popleft() for _ in range(count)]
            try:
                results = await loop.run_in_executor(
                    self._executor, self._work, [item for item, _ in batch]
                )
            except BaseException as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(_for_waiters(error))
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():  # its request may have been given up
                    future.set_result(result)


def _for_waiters(error: BaseException) -> BaseException:
    return error if isinstance(error, Exception) else RuntimeError("the server stops")
