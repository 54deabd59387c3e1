"""One bucket's conversation with OSS: the one place where renewal, clock correction and retry are
decided.

In flow single requests and the errors of others' requests, out flow answers and waiting times. It
never looks into bodies, and never repeats what the service calls final.
"""

from __future__ import annotations

from _thread import _local, allocate_lock

from ossmedia import process
from ossmedia.clock import SYSTEM, chance
from ossmedia.errors import ClockSkew, CredentialsError, CredentialsExpired, OssMediaError
from ossmedia.journal import log
from ossmedia.retry import Retry, final

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia._native import Store
    from ossmedia.answer import Answer
    from ossmedia.clock import Clock
    from ossmedia.credentials import Held, Renewer
    from ossmedia.model import Credentials

__all__ = ["Session"]


class _One:
    """What one thread did last: ``used`` was set before its last request; ``tries_since_skew``
    counts requests prepared since the last answer that said the clock is wrong, -1: none did."""

    __slots__ = ("tries_since_skew", "used")

    def __init__(self) -> None:
        self.used: Credentials | None = None
        self.tries_since_skew = -1

    def count(self) -> None:
        """One more request is prepared."""
        if self.tries_since_skew >= 0:
            self.tries_since_skew += 1


class _Mine(_local):
    """Each thread's own, so that what happens in the others is not taken for its own. A look-up is
    dear."""

    def __init__(self) -> None:
        self.one = _One()


class Session:
    """Credentials, clock and retry over a store; any number of threads.

    Args:
        store: the native handle of one bucket.
        renewer: keeps the credentials.
        retry: waiting times and the number of tries.
        clock: see ``ossmedia.clock.Clock``.
        random: gives a number in [0, 1).
    """

    def __init__(
        self,
        store: Store,
        renewer: Renewer,
        retry: Retry | None = None,
        clock: Clock = SYSTEM,
        random: Callable[[], float] = chance,
    ) -> None:
        self.store = store
        self.renewer = renewer
        self.retry = Retry() if retry is None else retry
        self.clock = clock
        self.random = random
        self._lock = allocate_lock()
        self._asking = allocate_lock()  # held while the service is asked for the time
        self._corrections = 0
        self._set: Credentials | None = None
        self.held: Held | None = None  # on the store; while it is steady, ``ready`` has no work
        self._mine = _Mine()
        self._forks = process.forks

    def check_process(self) -> None:
        """Raises ValueError in a child of the process that made this: it would share the parent's
        sockets."""
        if process.forks != self._forks:
            raise ValueError(
                "the bucket belongs to the process that made it: make a new one after fork()"
            )

    def prepare(self) -> None:
        """``ready``, and remembers for ``recover`` what this thread's next request goes out with.

        Raises:
            CredentialsError: there are no valid ones. ValueError: after fork().
        """
        self._mine.one.used = self.ready()

    def ready(self) -> Credentials:
        """Sets the credentials of the moment on the store, if they changed, and returns them. Call
        it, or ``prepare``, before each request.

        Raises:
            CredentialsError: there are no valid ones. ValueError: after fork().
        """
        held = self.held
        if (
            held is not None
            and process.forks == self._forks
            and (held.endless or self.clock.monotonic() < held.steady_until)
        ):
            return held.credentials
        return self._settled()

    def _settled(self) -> Credentials:
        """``ready``, where more than a look is needed."""
        self.check_process()
        corrections = self._corrections
        try:
            mine = self.renewer.current()
        except CredentialsError:
            if not self._ask_time(corrections):
                raise
            mine = self.renewer.current()
        if corrections:
            self._mine.one.count()
        if (self.renewer.latest or mine) is not self._set:  # not as at the last request
            with self._lock:
                latest = self.renewer.latest or mine
                if latest != self._set:
                    self.store.set_credentials(latest)
                    self._set = latest
        held = self.renewer.held
        with self._lock:
            # After a correction of the clock each request is to be counted.
            if held is not None and held.credentials == self._set and not self._corrections:
                self.held = held
        return mine

    def _ask_time(self, corrections: int) -> bool:
        """Credentials look expired, but this machine's clock was never compared: one small request
        tells, however many threads wonder.

        Args:
            corrections: of the clock, counted before the credentials were looked at.
        """
        with self._asking:
            if self._corrections != corrections:
                return True  # another thread's answer told
            suspect = self.renewer.suspect
            if suspect is None:
                return False
            with self._lock:
                self.store.set_credentials(suspect)
                self._set = suspect
                self.held = None
            try:
                self.store.exchange("GET", "", "location", out=bytearray(4096))
            except ClockSkew as skew:
                self._correct(skew)
                return True
            except OssMediaError:
                return False
            return False

    def _correct(self, skew: ClockSkew) -> None:
        ahead = round(skew.server_time - self.clock.now())
        log("info", "this machine's clock is %d s off the service's; signing is corrected", ahead)
        self.store.set_clock(ahead)
        self.renewer.set_clock(ahead)
        with self._lock:
            self._corrections += 1
            self.held = None

    def recover(
        self, error: BaseException, attempt: int, used: Credentials | None = None
    ) -> float | None:
        """What to do after a failed request: seconds to wait before ``prepare`` and another try, or
        None: give up.

        A refused token is renewed at once, but a renewal that brings the same one ends it. A wrong
        clock is corrected by the service's, once in a row.

        Args:
            attempt: failures in a row, from 1.
            used: what ``ready`` returned before the request; None: ``prepare`` was called.
        """
        if isinstance(error, ClockSkew):
            own = self._mine.one
            if own.tries_since_skew == 1 or error.server_time <= 0:
                return None
            own.tries_since_skew = 0
            self._correct(error)
            return self._soon(error, attempt)
        if final(error, attempt):
            return None
        if isinstance(error, CredentialsExpired):
            return self._renew(error, attempt, used or self._mine.one.used)
        delay = self.retry.delay(attempt, error, self.random)
        log("warning", "failure %d in a row, next try in %.1f s: %s", attempt, delay, error)
        return delay

    def _renew(
        self, error: CredentialsExpired, attempt: int, used: Credentials | None
    ) -> float | None:
        try:
            fresh = self.renewer.current(force_after=used)
        except CredentialsError as failure:
            error.__cause__ = failure
            if not failure.retryable:
                return None
            return self.retry.delay(attempt, failure, self.random)
        if fresh == used:
            return None
        log("info", "the token was refused (%s) and renewed", error.code)
        return self._soon(error, attempt)

    def _soon(self, error: OssMediaError, attempt: int) -> float:
        """At once, but for a trouble that goes on."""
        return 0.0 if attempt <= 1 else self.retry.delay(attempt - 1, error, self.random)

    def call(
        self,
        method: str,
        key: str,
        query: str = "",
        headers: str = "",
        body: bytes | bytearray | memoryview = b"",
        *,
        out: memoryview | bytearray | None = None,
    ) -> Answer:
        """One request that may be repeated, up to ``retry.attempts`` times.

        Args:
            query: percent-encoded. headers: "Name: value\\n" lines. out: receives a 2xx body.

        Raises:
            OssMediaError: the last error.
        """
        attempt, used = 0, None
        while True:
            try:
                used = self.ready()
                return self.store.exchange(method, key, query, headers, body, out)
            except OssMediaError as error:
                attempt += 1
                over = attempt >= self.retry.attempts
                delay = None if over else self.recover(error, attempt, used)
                if delay is None:
                    raise
            self.clock.sleep(delay)
