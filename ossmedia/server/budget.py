"""How often STS may be called: in no second more often than the budget says.

In flow wishes to call, out flow how long to wait for one's turn, or how long to stay away. In one
process the memory keeps the account; several processes share it in Redis, where one script counts
by Redis' own clock. It never lets a call through that it has not counted.

The count is a virtual schedule: calls are due at even distances, and a few may come early. With b
early ones and r due ones a second, no second sees more than b + r - 1 turns.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from ossmedia.clock import SYSTEM, Clock, chance

__all__ = ["Budget", "MemorySchedule", "OverBudget", "Schedule", "shape"]

_REMEMBER_S = 10.0
_LONGEST_S = 60


class OverBudget(Exception):
    """No turn in time. ``retry_after_s``: whole seconds to stay away."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"over the budget of STS calls; again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


def shape(calls_per_s: int) -> tuple[int, int]:
    """How many calls may come early, and how many are due in a second, so that their sum less one
    is the budget."""
    early = max(1, calls_per_s // 10)
    return early, calls_per_s - early + 1


class Schedule(Protocol):
    """What keeps the account."""

    async def reserve(self, longest_wait_s: float) -> float:
        """Seconds until a turn that is now ours; or, when that is further away than
        ``longest_wait_s``, the negative of how long there is none: nothing was taken then."""


class MemorySchedule:
    """The account of one process, on the monotonic clock."""

    def __init__(self, calls_per_s: int, clock: Clock = SYSTEM) -> None:
        early, due = shape(calls_per_s)
        self._distance = 1.0 / due
        self._tolerance = (early - 1) * self._distance
        self._clock = clock
        self._next = 0.0

    async def reserve(self, longest_wait_s: float) -> float:
        """See ``Schedule``."""
        return self.take(longest_wait_s)

    def take(self, longest_wait_s: float) -> float:
        """``reserve`` for those who do not await."""
        now = self._clock.monotonic()
        slot = max(self._next, now)
        wait = max(slot - self._tolerance - now, 0.0)
        if wait > longest_wait_s:
            return -wait
        self._next = slot + self._distance
        return wait


class Budget:
    """Hands out turns.

    Args:
        schedule: the account.
        calls_per_s: for the estimate of how long those must stay away who get no turn.
        wait_s: how long to wait for a turn.
        sleep: awaits so many seconds.
        random: gives a number in [0, 1).
    """

    def __init__(
        self,
        schedule: Schedule,
        calls_per_s: int,
        wait_s: float,
        *,
        sleep: Callable[[float], Awaitable[None]],
        clock: Clock = SYSTEM,
        random: Callable[[], float] = chance,
    ) -> None:
        self._schedule = schedule
        self._calls_per_s = calls_per_s
        self.wait_s = wait_s
        self._sleep = sleep
        self._clock = clock
        self._random = random
        self._refusals: deque[float] = deque(maxlen=_LONGEST_S * 100)

    async def turn(self) -> None:
        """Returns when STS may be called once.

        Raises:
            OverBudget: not soon enough.
            StoreUnavailable: the account cannot be read.
        """
        wait = await self._schedule.reserve(self.wait_s)
        if wait < 0:
            raise self.refusal(-wait)
        if wait > 0:
            await self._sleep(wait)

    def refusal(self, wait: float) -> OverBudget:
        """For one who gets no turn within ``wait`` seconds: those who were refused lately are
        spread over the time that serving them takes."""
        now = self._clock.monotonic()
        self._refusals.append(now)
        while self._refusals[0] < now - _REMEMBER_S:
            self._refusals.popleft()
        crowd = len(self._refusals) / self._calls_per_s
        return OverBudget(min(max(1, math.ceil(wait + self._random() * crowd)), _LONGEST_S))
