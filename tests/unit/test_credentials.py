"""credentials.py: providers, and the renewer: life on the monotonic clock, one flight, refusals."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.credentials import EnvironmentCredentials, Renewer, StaticCredentials
from ossmedia.errors import CredentialsError, Unavailable
from ossmedia.model import Credentials

START = 1_700_000_000.0


class FakeClock:
    """Wall and monotonic time apart, moved by hand."""

    def __init__(self, wall: float = START) -> None:
        self.wall = wall
        self.mono = 50.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def sleep(self, seconds: float) -> None:
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


class Issuer:
    """A provider that numbers its credentials and can be told to fail."""

    def __init__(
        self, clock: FakeClock, life: float | None = 1000.0, true_wall: float = 0.0
    ) -> None:
        self.clock = clock
        self.life = life
        self.true_ahead = true_wall
        self.calls = 0
        self.failure: Exception | None = None
        self.hint: float | None = None

    def __call__(self) -> Credentials:
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        end = None if self.life is None else self.clock.wall + self.true_ahead + self.life
        return Credentials(f"STS.{self.calls}", "s", "t", end, self.hint)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> Issuer:
    return Issuer(clock)


def renewer(provider: object, clock: FakeClock, share: float = 0.5) -> Renewer:
    return Renewer(provider, clock, lambda: share)


# Providers


def test_static_credentials_hide_their_secrets() -> None:
    provider = StaticCredentials("STS.id", "secret-canary", "token-canary", 5.0)
    assert provider() == Credentials("STS.id", "secret-canary", "token-canary", 5.0)
    assert "canary" not in repr(provider)


OSS = {"OSS_ACCESS_KEY_ID": "oi", "OSS_ACCESS_KEY_SECRET": "os", "OSS_SESSION_TOKEN": "ot"}
CLOUD = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "ci",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "cs",
    "ALIBABA_CLOUD_SECURITY_TOKEN": "ct",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({**OSS, **CLOUD}, Credentials("oi", "os", "ot")),
        (CLOUD, Credentials("ci", "cs", "ct")),
        (
            {**CLOUD, "OSS_ACCESS_KEY_ID": "", "OSS_SESSION_TOKEN": "x"},
            Credentials("ci", "cs", "ct"),
        ),
        ({k: v for k, v in OSS.items() if "TOKEN" not in k}, Credentials("oi", "os")),
    ],
)
def test_the_environment_is_read_at_each_call(
    environ: dict[str, str], expected: Credentials
) -> None:
    changing: dict[str, str] = {}
    provider = EnvironmentCredentials(changing)
    with pytest.raises(CredentialsError, match="OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET or"):
        provider()
    changing.update(environ)
    assert provider() == expected


@pytest.mark.parametrize("family", [OSS, CLOUD])
@pytest.mark.parametrize("half", ["ID", "SECRET"])
def test_half_a_pair_names_the_other_variable_and_no_value(
    family: dict[str, str], half: str
) -> None:
    there = next(name for name in family if name.endswith(f"KEY_{half}"))
    missing = next(
        n for n in family if "ACCESS_KEY" in n and n.startswith(there[:3]) and n != there
    )
    with pytest.raises(CredentialsError, match=f"^{missing}: not set, but {there} is$") as caught:
        EnvironmentCredentials({there: "canary"})()
    assert caught.value.retryable is False


def test_a_bad_value_in_the_environment_is_not_shown() -> None:
    with pytest.raises(CredentialsError, match="OSS_ACCESS_KEY_SECRET") as caught:
        EnvironmentCredentials({**OSS, "OSS_ACCESS_KEY_SECRET": "canary\n"})()
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_os_environ_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {**OSS, **CLOUD}:
        monkeypatch.delenv(name, raising=False)
    provider = EnvironmentCredentials()
    for name, value in OSS.items():
        monkeypatch.setenv(name, value)
    assert provider() == Credentials("oi", "os", "ot")


# Life


@given(share=st.floats(0, 1, exclude_max=True), life=st.floats(1, 43_200))
def test_renewal_begins_between_70_and_80_per_cent_of_the_life(share: float, life: float) -> None:
    clock = FakeClock()
    issuer = Issuer(clock, life)
    keeper = renewer(issuer, clock, share)
    keeper.current()
    clock.forward(life * 0.699)
    assert keeper.current().access_key_id == "STS.1"
    clock.forward(life * 0.102)
    assert keeper.current().access_key_id == "STS.2"
    assert issuer.calls == 2


def test_wall_clock_jumps_change_nothing(clock: FakeClock, issuer: Issuer) -> None:
    keeper = renewer(issuer, clock)
    keeper.current()
    for wall in (0.0, 4e9, START - 86_400, START + 10 * 365 * 86_400):
        clock.wall = wall
        keeper.current()
    assert issuer.calls == 1
    clock.mono += 760
    keeper.current()
    assert issuer.calls == 2


def test_the_issuers_hint_comes_before_the_share_of_life(clock: FakeClock, issuer: Issuer) -> None:
    issuer.hint = 100.0
    keeper = renewer(issuer, clock)
    keeper.current()
    clock.forward(99)
    keeper.current()
    assert issuer.calls == 1
    clock.forward(2)
    keeper.current()
    assert issuer.calls == 2


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("ahead", [None, -900.0, 500.0])
@given(st.none() | st.floats(-10, 3000), st.none() | st.floats(1, 2000), st.floats(0, 4000))
def test_credentials_are_steady_as_long_as_nobody_is_to_be_asked(
    refused: bool, ahead: float | None, hint: float | None, life: float | None, at: float
) -> None:
    clock = FakeClock()
    issuer = Issuer(clock, life)
    issuer.hint = hint
    renewer = Renewer(issuer, clock)
    given = renewer.current()
    held = renewer.held
    assert held is not None
    if ahead is not None:
        renewer.set_clock(ahead)
    if refused:
        issuer.failure = OSError("down")
        with pytest.raises(CredentialsError):
            renewer.current(force_after=given)
    clock.forward(at)
    steady = held.endless or clock.mono < held.steady_until
    before = issuer.calls
    with contextlib.suppress(CredentialsError):
        renewer.current()
    assert steady == (issuer.calls == before)


def test_without_an_end_the_provider_is_asked_once(clock: FakeClock) -> None:
    issuer = Issuer(clock, None)
    keeper = renewer(issuer, clock)
    for _ in range(5):
        keeper.current()
        clock.forward(1e9)
    assert issuer.calls == 1


def test_a_camera_that_boots_in_1970_counts_anew_when_it_learns_the_time() -> None:
    clock = FakeClock(wall=0.0)
    issuer = Issuer(clock, 1000.0, true_wall=START)
    keeper = renewer(issuer, clock)
    keeper.current()
    clock.forward(900)
    assert keeper.current().access_key_id == "STS.1"  # by its own clock the token lives 54 years
    keeper.set_clock(START)
    assert keeper.current().access_key_id == "STS.2"
    assert issuer.calls == 2


def test_a_clock_that_is_ahead_makes_credentials_suspect_until_the_time_is_known() -> None:
    clock = FakeClock(wall=START + 86_400)
    issuer = Issuer(clock, 1000.0, true_wall=-86_400)
    keeper = renewer(issuer, clock)
    with pytest.raises(CredentialsError, match=r"^expires_at: the credentials ended 85400 s ago"):
        keeper.current()
    assert keeper.suspect is not None
    assert keeper.suspect.access_key_id == "STS.1"
    keeper.set_clock(-86_400)
    assert keeper.current().access_key_id == "STS.2"
    assert keeper.suspect is None


def test_with_a_known_time_expired_means_expired(clock: FakeClock) -> None:
    keeper = renewer(Issuer(clock, -10.0), clock)
    keeper.set_clock(0.0)
    with pytest.raises(CredentialsError, match="ended 10 s ago") as caught:
        keeper.current()
    assert keeper.suspect is None
    assert caught.value.retryable is True


def test_a_value_that_is_over_cannot_come_back(clock: FakeClock) -> None:
    keeper = renewer(Credentials("i", "s", "t", START - 1), clock)
    with pytest.raises(CredentialsError, match=r"^expires_at: ") as caught:
        keeper.current()
    assert caught.value.retryable is False


# Rubbish


@pytest.mark.parametrize("rubbish", [None, "STS.id", 5, ("i", "s"), {"access_key_id": "i"}])
def test_rubbish_is_named_by_its_type_only(clock: FakeClock, rubbish: object) -> None:
    with pytest.raises(
        CredentialsError, match=rf"returned {type(rubbish).__name__}, not Credentials"
    ):
        renewer(lambda: rubbish, clock).current()


def test_a_provider_that_raises_is_the_cause(clock: FakeClock, issuer: Issuer) -> None:
    issuer.failure = KeyError("canary")
    with pytest.raises(CredentialsError, match="raised KeyError") as caught:
        renewer(issuer, clock).current()
    assert caught.value.__cause__ is issuer.failure
    assert "canary" not in str(caught.value)
    assert caught.value.retryable is True


def test_the_providers_own_verdict_is_kept(clock: FakeClock, issuer: Issuer) -> None:
    issuer.failure = Unavailable("busy", status=503, code="x", retry_after_s=7.0)
    with pytest.raises(CredentialsError) as caught:
        renewer(issuer, clock).current()
    assert (caught.value.retryable, caught.value.retry_after_s) == (True, 7.0)
    issuer.failure = CredentialsError("no device key", retryable=False)
    with pytest.raises(CredentialsError, match="no device key") as caught:
        renewer(issuer, clock).current()
    assert caught.value.retryable is False


def test_something_that_is_no_provider_is_refused_at_once() -> None:
    with pytest.raises(
        TypeError, match=r"^credentials: must be Credentials or a callable, not str"
    ):
        Renewer("STS.id")


def test_the_old_ones_go_on_while_the_provider_fails(clock: FakeClock, issuer: Issuer) -> None:
    keeper = renewer(issuer, clock, share=0.9)
    keeper.current()
    clock.forward(800)
    issuer.failure = OSError("down")
    for _ in range(50):
        assert keeper.current().access_key_id == "STS.1"
    assert issuer.calls == 2  # a failing provider is left alone for a while
    clock.forward(1.0)
    keeper.current()
    assert issuer.calls == 3
    issuer.failure = None
    clock.forward(60)
    assert keeper.current().access_key_id == "STS.4"


def test_nothing_is_left_when_the_old_ones_end(clock: FakeClock, issuer: Issuer) -> None:
    keeper = renewer(issuer, clock)
    keeper.current()
    clock.forward(1001)
    issuer.failure = OSError("down")
    with pytest.raises(CredentialsError):
        keeper.current()


def test_a_provider_that_uses_its_own_bucket_does_not_hang(clock: FakeClock) -> None:
    keeper: Renewer

    def provider() -> Credentials:
        return keeper.current()

    keeper = renewer(provider, clock)
    with pytest.raises(CredentialsError, match="asks for its own credentials"):
        keeper.current()


def test_an_interrupt_passes_and_leaves_no_lock_behind(clock: FakeClock) -> None:
    outcomes: list[object] = [KeyboardInterrupt(), Credentials("i", "s")]

    def provider() -> Credentials:
        outcome = outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, Credentials)
        return outcome

    keeper = renewer(provider, clock)
    with pytest.raises(KeyboardInterrupt):
        keeper.current()
    assert keeper.current() == Credentials("i", "s")


# Refusals


def test_refused_credentials_are_renewed_once(clock: FakeClock, issuer: Issuer) -> None:
    keeper = renewer(issuer, clock)
    first = keeper.current()
    second = keeper.current(force_after=first)
    assert second.access_key_id == "STS.2"
    assert keeper.current(force_after=first) == second  # somebody else's late report
    assert keeper.current() == second
    assert issuer.calls == 2
    assert keeper.latest == second


def test_refused_credentials_are_not_used_while_the_provider_fails(
    clock: FakeClock, issuer: Issuer
) -> None:
    keeper = renewer(issuer, clock)
    first = keeper.current()
    issuer.failure = OSError("down")
    with pytest.raises(CredentialsError):
        keeper.current(force_after=first)
    with pytest.raises(CredentialsError):
        keeper.current()
    issuer.failure = None
    assert keeper.current().access_key_id == "STS.4"


def test_a_provider_that_insists_gets_its_way(clock: FakeClock) -> None:
    same = Credentials("STS.same", "s", "t")
    keeper = renewer(lambda: same, clock)
    assert keeper.current(force_after=keeper.current()) == same
    assert keeper.current() == same


# Threads


class Gate:
    """A provider that stops inside until it is let through."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.shut = False
        self.inside = 0
        self.most_inside = 0

    def __call__(self) -> Credentials:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.set()
        if self.shut:
            assert self.leave.wait(10)
        try:
            return self.issuer()
        finally:
            self.inside -= 1


def together(count: int, work: Callable[[], object]) -> tuple[list[threading.Thread], list[object]]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except CredentialsError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def finish(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("failing", [False, True])
def test_threads_that_wait_share_one_flight_and_its_outcome(
    clock: FakeClock, issuer: Issuer, failing: bool
) -> None:
    gate = Gate(issuer)
    gate.shut = True
    issuer.failure = OSError("down") if failing else None
    keeper = renewer(gate, clock)
    flyer, results = together(1, keeper.current)
    assert gate.entered.wait(10)
    arrived = threading.Semaphore(0)

    class Watched:
        """The renewer's lock, telling when a thread is about to wait for it."""

        def __init__(self, lock: object) -> None:
            self.lock = lock

        def acquire(self, blocking: bool) -> bool:
            arrived.release()
            return self.lock.acquire(blocking)

        def release(self) -> None:
            self.lock.release()

    keeper._flight = Watched(keeper._flight)
    waiters, shared = together(6, keeper.current)
    for _ in waiters:
        assert arrived.acquire(timeout=10)
    gate.leave.set()
    finish(flyer + waiters)
    assert issuer.calls == 1
    assert gate.most_inside == 1
    outcomes = results + shared
    assert len(outcomes) == 7
    if failing:
        assert all(isinstance(o, CredentialsError) for o in outcomes)
        assert len({id(o) for o in outcomes}) == 7
        assert all(o.__cause__ is issuer.failure for o in outcomes)
    else:
        assert {o.access_key_id for o in outcomes} == {"STS.1"}


def test_others_go_on_with_the_old_ones_during_a_renewal(clock: FakeClock, issuer: Issuer) -> None:
    gate = Gate(issuer)
    keeper = renewer(gate, clock)
    first = keeper.current()
    clock.forward(800)
    gate.shut = True
    gate.entered.clear()
    flyer, results = together(1, keeper.current)
    assert gate.entered.wait(10)
    assert [keeper.current() for _ in range(5)] == [first] * 5
    gate.leave.set()
    finish(flyer)
    assert [c.access_key_id for c in results] == ["STS.2"]
    assert issuer.calls == 2


def test_many_reports_of_one_refusal_cause_one_renewal(clock: FakeClock, issuer: Issuer) -> None:
    keeper = renewer(issuer, clock)
    first = keeper.current()
    threads, results = together(8, lambda: keeper.current(force_after=first))
    finish(threads)
    assert issuer.calls == 2
    assert {c.access_key_id for c in results} == {"STS.2"}
