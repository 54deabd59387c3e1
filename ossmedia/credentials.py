"""Where credentials come from and when they are asked for again.

In flows a provider (a ``Credentials`` value, or any callable that returns one), out flows the
credentials of the moment. A provider runs in at most one thread at a time. Nothing here is ever
logged or written.

How life is counted: when credentials arrive, their remaining life is ``expires_at`` minus the wall
clock, corrected by the offset learned from the service; from then on only the monotonic clock
counts, so that jumps of the wall clock change nothing. An offset learned later (``set_clock``)
counts the life anew. A clock that is behind (a camera that boots in 1970) makes a life look long;
the first answer of OSS corrects it. A clock that is ahead makes fresh credentials look expired:
while no offset is known such credentials are refused, but kept as ``suspect`` so that the caller
can ask OSS for the time.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, get_ident

from ossmedia.clock import SYSTEM, chance
from ossmedia.errors import CredentialsError, OssMediaError
from ossmedia.model import Credentials
from ossmedia.retry import Retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ossmedia.clock import Clock

__all__ = ["EnvironmentCredentials", "Held", "Renewer", "StaticCredentials"]

_FAMILIES = (
    ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    (
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    ),
)
_PAUSE = Retry(
    base_s=1.0, cap_s=60.0
)  # between calls of a failing provider while the old credentials last


_NEVER = float("inf")  # on the monotonic clock


class StaticCredentials:
    """A provider that always gives the same credentials; takes the fields of ``Credentials``."""

    __slots__ = ("_credentials",)

    def __init__(
        self,
        access_key_id: str,
        access_key_secret: str,
        security_token: str = "",
        expires_at: float | None = None,
    ) -> None:
        self._credentials = Credentials(
            access_key_id, access_key_secret, security_token, expires_at
        )

    def __call__(self) -> Credentials:
        return self._credentials

    def __repr__(self) -> str:
        return f"StaticCredentials({self._credentials!r})"


class EnvironmentCredentials:
    """A provider that reads the environment at each call.

    OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN if the id or the secret is set,
    else ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and
    ALIBABA_CLOUD_SECURITY_TOKEN. An empty variable counts as not set.

    Args:
        environ: read instead of ``os.environ``.

    Raises:
        CredentialsError: on call: no pair, or half of one (naming the variable, never a value). Not
            retryable.
    """

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def __call__(self) -> Credentials:
        for id_name, secret_name, token_name in _FAMILIES:
            key_id, secret = self._environ.get(id_name, ""), self._environ.get(secret_name, "")
            if not key_id and not secret:
                continue
            if not key_id or not secret:
                missing, there = (id_name, secret_name) if secret else (secret_name, id_name)
                raise CredentialsError(f"{missing}: not set, but {there} is", retryable=False)
            try:
                return Credentials(key_id, secret, self._environ.get(token_name, ""))
            except ValueError as error:
                text = f"{id_name}, {secret_name}, {token_name}: {error}"
                raise CredentialsError(text, retryable=False) from None
        names = " or ".join(f"{family[0]} and {family[1]}" for family in _FAMILIES)
        raise CredentialsError(f"no credentials in the environment: set {names}", retryable=False)

    def __repr__(self) -> str:
        return "EnvironmentCredentials()"


class Held:
    """Credentials in use: until when they live and when to renew them, on the monotonic clock.

    While they are ``endless`` or ``steady_until`` has not come, they are the ones to use and nobody
    is to be asked; ``dropped`` ones, refused or replaced, are neither.
    """

    __slots__ = (
        *("credentials", "dropped", "endless", "refresh_at", "share", "steady_until"),
        "until",
    )

    def __init__(self, credentials: Credentials, share: float) -> None:
        self.credentials = credentials
        self.share = share
        self.dropped = self.endless = False
        self.refresh_at: float | None = None
        self.until: float | None = None
        self.steady_until = -_NEVER

    def count(self, now: float, monotonic: float, arrived: float) -> None:
        """Sets the times from what the wall clock says now; ``arrived`` is the monotonic time of
        receipt."""
        hint, expires_at = self.credentials.refresh_after_s, self.credentials.expires_at
        self.until = None if expires_at is None else monotonic + (expires_at - now)
        self.refresh_at = None if hint is None else arrived + max(hint, 0.0)
        if self.until is not None:
            by_life = arrived + (self.until - arrived) * self.share
            late = self.until if hint is not None else by_life
            self.refresh_at = late if self.refresh_at is None else min(self.refresh_at, late)
        self._settle()

    def drop(self) -> None:
        self.dropped = True
        self._settle()

    def _settle(self) -> None:
        # refresh_at comes before ``until``, or both are over.
        self.endless = self.refresh_at is None and not self.dropped
        self.steady_until = -_NEVER
        if self.refresh_at is not None and not self.dropped:
            self.steady_until = self.refresh_at


class Renewer:
    """Keeps the credentials of a provider fresh; any number of threads may ask.

    Args:
        provider: a callable that returns ``Credentials``, or a ``Credentials`` value.
        clock: see ``ossmedia.clock.Clock``.
        random: gives a number in [0, 1).

    Raises:
        TypeError: the provider is neither.
    """

    def __init__(
        self,
        provider: Credentials | Callable[[], Credentials],
        clock: Clock = SYSTEM,
        random: Callable[[], float] = chance,
    ) -> None:
        if not isinstance(provider, Credentials) and not callable(provider):
            name = type(provider).__name__
            raise TypeError(f"credentials: must be Credentials or a callable, not {name}")
        self._provider = provider
        self._clock = clock
        self._random = random
        self._flight = allocate_lock()  # held while the provider runs
        self._flyer = 0  # the thread that holds it
        self._flights = 0
        self._changing = allocate_lock()  # one at a time: a new count must not undo a drop
        self._failed: CredentialsError | None = None  # outcome of the last flight
        self._failures = 0
        self._pause_until = 0.0
        self.held: Held | None = None
        self._arrived = 0.0
        self._seconds_ahead: float | None = None
        self.suspect: Credentials | None = None
        self.latest: Credentials | None = None  # the newest that arrived, valid or not

    def set_clock(self, seconds_ahead: float) -> None:
        """Tells how far the service's clock is ahead of this machine's; the life is counted
        anew."""
        self._seconds_ahead = seconds_ahead
        with self._changing:
            if self.held is not None:
                self.held.count(self._now(), self._clock.monotonic(), self._arrived)

    def current(self, force_after: Credentials | None = None) -> Credentials:
        """The credentials to use now.

        Calls the provider the first time, then when 70-80 % of the life is over (or
        ``refresh_after_s``). While one thread renews, the others go on with the old ones as long as
        these are valid, and wait when they are not.

        Args:
            force_after: the credentials that the service refused: they are not used again unless
                the provider insists; several threads that report the same ones cause one renewal.

        Raises:
            CredentialsError: the provider raised (``__cause__``), or gave no valid ``Credentials``,
                and nothing valid is left. Not retryable when it cannot change: a ``Credentials``
                value that is over.
        """
        held = self.held
        if held is not None and force_after is not None and held.credentials == force_after:
            with self._changing:
                held.drop()
        if held is not None and not self._due(held):
            return held.credentials
        if self._flyer == get_ident():
            raise CredentialsError(
                "the credentials provider asks for its own credentials", retryable=False
            )
        flights = self._flights
        usable = held is not None and self._valid(held)
        if not self._flight.acquire(not usable):
            assert held is not None
            return held.credentials
        try:
            self._flyer = get_ident()
            return self._fly(flights)
        finally:
            self._flyer = 0
            self._flight.release()

    def _fly(self, flights: int) -> Credentials:
        """With the flight lock held: takes what another thread brought meanwhile, or asks the
        provider."""
        held = self.held
        if (
            self._flights != flights
        ):  # another thread flew while this one waited: its outcome is ours
            if self._failed is None:
                assert held is not None
                return held.credentials
            if held is None or not self._valid(held):
                raise _again(self._failed)
            return held.credentials
        if held is not None and not self._due(held):
            return held.credentials
        try:
            fresh = self._ask()
        except CredentialsError as error:
            self._landed(error)
            if held is not None and self._valid(held):
                return held.credentials
            raise
        self._landed(None)
        return fresh

    def _landed(self, error: CredentialsError | None) -> None:
        self._failed = error
        self._failures = 0 if error is None else self._failures + 1
        if error is not None:
            pause = _PAUSE.delay(self._failures, error, self._random)
            self._pause_until = self._clock.monotonic() + pause
        self._flights += 1

    def _ask(self) -> Credentials:
        fresh: object = self._provider
        if not isinstance(fresh, Credentials):
            fresh = self._called()
        if not isinstance(fresh, Credentials):
            name = type(fresh).__name__
            raise CredentialsError(f"the credentials provider returned {name}, not Credentials")
        held = Held(fresh, 0.70 + 0.10 * self._random())
        arrived = self._clock.monotonic()
        held.count(self._now(), arrived, arrived)
        if held.until is not None and held.until <= arrived:
            self.suspect = fresh if self._seconds_ahead is None else None
            over = arrived - held.until
            raise CredentialsError(
                f"expires_at: the credentials ended {over:.0f} s ago",
                retryable=not isinstance(self._provider, Credentials),
            )
        self.suspect = None
        self._arrived = arrived
        with self._changing:
            if self.held is not None:
                self.held.drop()
            self.held = held
        self.latest = fresh
        return fresh

    def _called(self) -> object:
        assert not isinstance(self._provider, Credentials)
        try:
            return self._provider()
        except CredentialsError:
            raise
        except Exception as error:
            retryable = error.retryable if isinstance(error, OssMediaError) else True
            raise CredentialsError(
                f"the credentials provider raised {type(error).__name__}",
                retryable=retryable,
                retry_after_s=getattr(error, "retry_after_s", None),
            ) from error

    def _now(self) -> float:
        return self._clock.now() + (self._seconds_ahead or 0.0)

    def _valid(self, held: Held) -> bool:
        return not held.dropped and (held.until is None or self._clock.monotonic() < held.until)

    def _due(self, held: Held) -> bool:
        """Whether to ask the provider now; a failing one is left alone for a while if the old
        credentials last."""
        if held.endless:
            return False
        now = self._clock.monotonic()
        if held.dropped or (held.until is not None and now >= held.until):
            return True
        if held.refresh_at is None or now < held.refresh_at:
            return False
        return self._failed is None or now >= self._pause_until


def _again(error: CredentialsError) -> CredentialsError:
    """The same failure for another thread, which needs an exception of its own."""
    copy = CredentialsError(
        str(error), retryable=error.retryable, retry_after_s=error.retry_after_s
    )
    copy.__cause__ = error.__cause__
    return copy
