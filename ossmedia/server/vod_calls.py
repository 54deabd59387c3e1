"""Calls of VOD: in turn, in a bounded number of threads, each thread with a client of its own.

In flow operations, out flow their results or what went wrong. No operation is called more often in
a second than the settings say, by all processes that share a cache. The key comes from the
environment at each call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ossmedia.clock import SYSTEM, Clock, chance
from ossmedia.model import Credentials
from ossmedia.retry import Retry
from ossmedia.server.budget import Budget, Schedule
from ossmedia.server.vod_settings import VodSettings
from ossmedia.vod_api import VodService

__all__ = ["ACTIONS", "VodCalls"]

ACTIONS = (
    "CreateUploadVideo",
    "CreateUploadImage",
    "CreateUploadAttachedMedia",
    "RefreshUploadVideo",
    "GetVideoInfo",
)
_CONNECT_S, _IO_S = 4.0, 8.0  # below what a device waits for this server

Result = TypeVar("Result")


class VodCalls:
    """VOD, as one application server calls it.

    Args:
        key: gives the server's own access key.
        schedule: makes the account of one operation.
    """

    def __init__(
        self,
        settings: VodSettings,
        key: Callable[[], Credentials],
        schedule: Callable[[str], Schedule],
        *,
        clock: Clock = SYSTEM,
        random: Callable[[], float] = chance,
    ) -> None:
        self._settings = settings
        self._key = key
        self._clock = clock
        self._budgets = {
            action: Budget(
                schedule(action),
                settings.calls_per_s,
                settings.wait_s,
                sleep=asyncio.sleep,
                clock=clock,
                random=random,
            )
            for action in ACTIONS
        }
        self._executor = ThreadPoolExecutor(settings.threads, "ossmedia-vod")
        self._slots = asyncio.Semaphore(settings.threads)
        self._mine = threading.local()

    async def do(self, action: str, call: Callable[[VodService], Result]) -> Result:
        """One operation in its turn; a thread is free before the turn comes.

        Args:
            action: its name, one of ``ACTIONS``.

        Raises:
            OverBudget, StoreUnavailable: VOD was not called.
            OssMediaError: VOD refused or gave no answer; the server has no key.
        """
        budget = self._budgets[action]
        try:
            async with asyncio.timeout(budget.wait_s):
                await self._slots.acquire()
        except TimeoutError:
            raise budget.refusal(1.0) from None
        try:
            await budget.turn()
            run = asyncio.get_running_loop().run_in_executor
            return await run(self._executor, self.now, call)
        finally:
            self._slots.release()

    def now(self, call: Callable[[VodService], Result]) -> Result:
        """One operation in this thread, out of turn."""
        return call(self._service())

    def _service(self) -> VodService:
        key = self._key()
        held: tuple[Credentials, VodService] | None = getattr(self._mine, "held", None)
        if held is None or held[0] != key:
            service = VodService(
                credentials=key,
                region=self._settings.region,
                endpoint=self._settings.endpoint,
                ca_file=self._settings.ca_file,
                connect_timeout_s=_CONNECT_S,
                io_timeout_s=_IO_S,
                retry=Retry(attempts=1),
                clock=self._clock,
            )
            held = self._mine.held = (key, service)
        return held[1]

    def close(self) -> None:
        """Gives the threads back; calls in flight end first."""
        self._executor.shutdown()
