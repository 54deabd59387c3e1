"""How long to wait before the same request is sent again.

In flow the number of failures and the last error, out flows a delay. It never waits itself and
never decides for an error that the service calls final.
"""

from __future__ import annotations

from ossmedia.errors import IntegrityError, OssMediaError, ServiceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Retry", "final"]

LONGEST_RETRY_AFTER_S = 300.0
_RATE_BASE_S = 1.0  # a rate limit that was hit needs a longer pause than a lost packet
_DAMAGE_TRIES = 3  # damage that comes back is in memory or on the way, not by chance


class Retry:
    """Full-jitter exponential back-off.

    Args:
        attempts: tries of a single call (stat, list, delete, a read), the first included; 1-100.
        base_s: the first delay lies in [0, base_s).
        cap_s: no delay by jitter is longer.
        give_up_after_s: a stream that makes no progress for so long gives up; ``float("inf")``:
            never.

    Raises:
        TypeError, ValueError: naming the argument.
    """

    __slots__ = ("attempts", "base_s", "cap_s", "give_up_after_s")

    def __init__(
        self,
        attempts: int = 5,
        base_s: float = 0.2,
        cap_s: float = 20.0,
        give_up_after_s: float = 300.0,
    ) -> None:
        if isinstance(attempts, bool) or not isinstance(attempts, int):
            raise TypeError("attempts: must be int")
        if not 1 <= attempts <= 100:
            raise ValueError(f"attempts: must be 1-100, not {attempts}")
        for name, value in (
            ("base_s", base_s),
            ("cap_s", cap_s),
            ("give_up_after_s", give_up_after_s),
        ):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name}: must be seconds as int or float")
            if not value > 0:
                raise ValueError(f"{name}: must be above 0, not {value}")
        if cap_s > 3600:
            raise ValueError(f"cap_s: must be at most 3600, not {cap_s}")
        self.attempts = attempts
        self.base_s = float(base_s)
        self.cap_s = float(cap_s)
        self.give_up_after_s = float(give_up_after_s)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"Retry({shown})"

    def delay(
        self, attempt: int, error: BaseException | None, random: Callable[[], float]
    ) -> float:
        """Seconds to wait after failure number ``attempt`` (from 1) in a row.

        A uniform share of min(cap_s, base_s * 2^(attempt-1)), on top of what the service asked for
        by Retry-After (at most 300 s). Rate limits begin at 1 s instead of base_s.

        Args:
            random: gives a number in [0, 1).
        """
        base = max(self.base_s, _RATE_BASE_S) if _rate_limited(error) else self.base_s
        longest = min(self.cap_s, base * float(1 << min(max(attempt, 1) - 1, 32)))
        asked = getattr(error, "retry_after_s", None) or 0.0
        return min(max(asked, 0.0), LONGEST_RETRY_AFTER_S) + random() * longest


def _rate_limited(error: BaseException | None) -> bool:
    if not isinstance(error, ServiceError):
        return False
    return (
        error.status == 429
        or error.code.endswith("LimitExceeded")
        or error.code.startswith("Throttling")
    )


def final(error: BaseException, attempt: int = 1) -> bool:
    """Whether trying again cannot help: not ours, not ``retryable``, or the bytes were damaged
    ``attempt`` times."""
    if not isinstance(error, OssMediaError) or not error.retryable:
        return True
    damaged = isinstance(error, IntegrityError) or getattr(error, "code", "") == "InvalidDigest"
    return damaged and attempt >= _DAMAGE_TRIES
