"""session.py: renewal, clock correction and retry over a store that answers by a script."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import pytest

from ossmedia import errors
from ossmedia.credentials import Renewer
from ossmedia.model import Credentials
from ossmedia.retry import Retry
from ossmedia.session import Session

START = 1_700_000_000.0


class FakeClock:
    def __init__(self, wall: float = START) -> None:
        self.wall = wall
        self.mono = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.wall += seconds
        self.mono += seconds


class FakeStore:
    """Answers by a script: exceptions are raised, anything else is the answer."""

    def __init__(self, *script: object) -> None:
        self.script = list(script)
        self.credentials: list[Credentials] = []
        self.ahead: list[int] = []
        self.requests: list[tuple[str, str, str]] = []

    def set_credentials(self, credentials: Credentials) -> None:
        self.credentials.append(credentials)

    def set_clock(self, seconds_ahead: int) -> None:
        self.ahead.append(seconds_ahead)

    def exchange(
        self,
        method: str,
        key: str,
        query: str = "",
        headers: str = "",
        body: object = b"",
        out: object = None,
    ) -> object:
        self.requests.append((method, key, self.credentials[-1].access_key_id))
        answer = self.script.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Issuer:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Credentials:
        self.calls += 1
        return Credentials(f"STS.{self.calls}", "secret-canary", "token-canary")


def expired() -> errors.OssMediaError:
    return errors.service_error(403, "SecurityTokenExpired", "over", temporary=True)


def skew(server_time: float) -> errors.ClockSkew:
    error = errors.service_error(403, "RequestTimeTooSkewed", "wrong time")
    assert isinstance(error, errors.ClockSkew)
    error.server_time = int(server_time)
    return error


def network() -> errors.OssMediaError:
    return errors.NetworkError("reset")


def make(
    store: FakeStore,
    provider: object = None,
    clock: FakeClock | None = None,
    retry: Retry | None = None,
    share: float = 0.5,
) -> Session:
    clock = FakeClock() if clock is None else clock
    keeper = Renewer(provider or Issuer(), clock, lambda: share)
    return Session(store, keeper, retry, clock, lambda: share)


def test_credentials_are_set_only_when_they_changed() -> None:
    store, issuer = FakeStore("a", "b", expired(), "c", "d"), Issuer()
    session = make(store, issuer)
    for _ in range(4):
        session.call("GET", "k")
    assert [c.access_key_id for c in store.credentials] == ["STS.1", "STS.2"]
    assert issuer.calls == 2


def test_back_off_is_jittered_and_ends_after_the_tries() -> None:
    store, clock = FakeStore(*[network() for _ in range(9)]), FakeClock()
    session = make(store, clock=clock, retry=Retry(attempts=4, base_s=1.0), share=0.5)
    with pytest.raises(errors.NetworkError):
        session.call("GET", "k")
    assert len(store.requests) == 4
    assert clock.slept == [0.5, 1.0, 2.0]


def test_one_try_means_one() -> None:
    store = FakeStore(network())
    with pytest.raises(errors.NetworkError):
        make(store, retry=Retry(attempts=1)).call("GET", "k")
    assert len(store.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        errors.service_error(403, "AccessDenied", ""),
        errors.service_error(403, "SignatureDoesNotMatch", ""),
        errors.service_error(404, "NoSuchKey", ""),
        errors.service_error(409, "FileAlreadyExists", ""),
        errors.service_error(412, "PreconditionFailed", ""),
        errors.service_error(400, "InvalidArgument", ""),
        errors.service_error(203, "CallbackFailed", ""),
        errors.TlsError("certificate"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_is_final_is_asked_once(error: errors.OssMediaError) -> None:
    store, clock = FakeStore(error), FakeClock()
    with pytest.raises(type(error)):
        make(store, clock=clock).call("GET", "k")
    assert clock.slept == []


def test_retry_after_is_honoured() -> None:
    busy = errors.service_error(503, "ServiceUnavailable", "", retry_after_s=42.0)
    clock = FakeClock()
    assert make(FakeStore(busy, "fine"), clock=clock).call("GET", "k") == "fine"
    assert clock.slept == [42.0 + 0.1]


def test_an_expired_token_is_renewed_at_once_and_the_request_goes_on() -> None:
    store, clock = FakeStore(expired(), "fine"), FakeClock()
    assert make(store, clock=clock).call("PUT", "k") == "fine"
    assert store.requests == [("PUT", "k", "STS.1"), ("PUT", "k", "STS.2")]
    assert clock.slept == [0.0]


def test_a_renewal_that_brings_the_same_token_ends_it() -> None:
    same = Credentials("STS.same", "s", "t")
    calls: list[int] = []
    store = FakeStore(expired())

    def provider() -> Credentials:
        calls.append(1)
        return same

    with pytest.raises(errors.CredentialsExpired):
        make(store, provider).call("GET", "k")
    assert len(calls) == 2


def test_tokens_that_are_refused_again_and_again_are_not_fetched_in_a_hurry() -> None:
    store, clock, issuer = FakeStore(*[expired() for _ in range(9)]), FakeClock(), Issuer()
    with pytest.raises(errors.CredentialsExpired):
        make(store, issuer, clock, Retry(attempts=4)).call("GET", "k")
    assert issuer.calls == 4
    assert clock.slept[0] == 0.0
    assert all(pause > 0 for pause in clock.slept[1:])


def test_a_renewal_that_fails_is_the_cause_and_is_tried_again() -> None:
    outcomes: list[object] = [Credentials("a", "s"), OSError("down"), Credentials("b", "s")]

    def provider() -> object:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    store, clock = FakeStore(expired(), "fine"), FakeClock()
    assert make(store, provider, clock).call("GET", "k") == "fine"
    assert store.requests[1] == ("GET", "k", "b")
    assert clock.slept[0] > 0


def test_a_provider_that_says_never_ends_it_with_the_reason() -> None:
    outcomes: list[object] = [
        Credentials("a", "s"),
        errors.CredentialsError("revoked", retryable=False),
    ]

    def provider() -> object:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(errors.CredentialsExpired) as caught:
        make(FakeStore(expired()), provider).call("GET", "k")
    assert "revoked" in str(caught.value.__cause__)


def test_a_wrong_clock_is_corrected_and_the_request_repeated_at_once() -> None:
    store, clock = FakeStore(skew(START + 86_400), "fine"), FakeClock()
    assert make(store, clock=clock).call("GET", "k") == "fine"
    assert store.ahead == [86_400]
    assert clock.slept == [0.0]


def test_a_correction_that_does_not_help_is_final() -> None:
    store = FakeStore(skew(START + 86_400), skew(START + 86_400), "never")
    with pytest.raises(errors.ClockSkew):
        make(store).call("GET", "k")
    assert len(store.requests) == 2


def test_a_skew_without_a_time_is_final() -> None:
    store = FakeStore(skew(0))
    with pytest.raises(errors.ClockSkew):
        make(store).call("GET", "k")
    assert store.ahead == []


def test_each_new_jump_of_the_clock_is_corrected_anew() -> None:
    store, clock = FakeStore(skew(START + 10_000), "a", "b"), FakeClock()
    session = make(store, clock=clock)
    session.call("GET", "k")
    for jump in range(1, 6):
        clock.wall = START - jump * 100_000
        store.script = [skew(START), "fine"]
        assert session.call("GET", "k") == "fine"
        assert store.ahead[-1] == jump * 100_000


def test_other_threads_skews_are_not_taken_for_ones_own() -> None:
    store = FakeStore()
    session = make(store)
    session.prepare()
    assert session.recover(skew(START + 5000), 1) == 0.0
    waits: list[float | None] = []

    def other() -> None:
        session.prepare()
        waits.append(session.recover(skew(START + 5000), 2))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(10)
    assert waits[0] is not None
    session.prepare()
    assert session.recover(skew(START + 5000), 3) is None


def test_the_learned_time_counts_the_life_of_tokens_too() -> None:
    clock = FakeClock(wall=0.0)  # a camera without a battery
    calls: list[int] = []

    def provider() -> Credentials:
        calls.append(1)
        return Credentials(f"STS.{len(calls)}", "s", "t", START + clock.mono + 1000)

    store = FakeStore(skew(START), "a", "b")
    session = make(store, provider, clock)
    session.call("GET", "k")
    clock.mono += 800
    clock.wall += 800
    session.call("GET", "k")
    assert len(calls) == 2


def ahead_by_a_day(script: tuple[object, ...]) -> tuple[Session, FakeStore]:
    """A device whose clock is a day ahead, so that its fresh token looks expired."""
    clock = FakeClock(wall=START + 86_400)
    store = FakeStore(*script)
    session = make(store, lambda: Credentials("STS.1", "s", "t", START + 900), clock)
    return session, store


def test_credentials_that_look_expired_make_it_ask_for_the_time_first() -> None:
    session, store = ahead_by_a_day((skew(START), "fine"))
    assert session.call("PUT", "k") == "fine"
    assert store.ahead == [-86_400]
    assert [(m, k) for m, k, _ in store.requests] == [("GET", ""), ("PUT", "k")]


def test_any_number_of_threads_ask_for_the_time_once() -> None:
    session, store = ahead_by_a_day(())
    refused = threading.Semaphore(0)
    ready: list[bool] = []

    class Counting(Renewer):
        """Tells whenever the credentials look expired to a thread."""

        def current(self, force_after: Credentials | None = None) -> Credentials:
            try:
                return super().current(force_after)
            except errors.CredentialsError:
                refused.release()
                raise

    def answer() -> errors.ClockSkew:
        assert all(refused.acquire(timeout=10) for _ in range(4))
        return skew(START)

    def work() -> None:
        session.prepare()
        ready.append(True)

    session.renewer.__class__ = Counting
    store.script = [answer]
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert ready == [True] * 4
    assert len(store.requests) == 1


@pytest.mark.parametrize("answer", ["fine", expired(), errors.NetworkError("no route")])
def test_credentials_that_are_expired_send_no_byte(answer: object) -> None:
    session, store = ahead_by_a_day((answer,) * 5)
    with pytest.raises(errors.CredentialsError, match=r"^expires_at: "):
        session.call("PUT", "k")
    assert {(m, k) for m, k, _ in store.requests} == {("GET", "")}


def test_a_stale_thread_does_not_set_old_credentials_again() -> None:
    store, issuer = FakeStore(), Issuer()
    session = make(store, issuer)
    session.prepare()
    stale = session.renewer.current()

    class Late(Renewer):
        """Answers with what was current when the thread began."""

        def current(self, force_after: Credentials | None = None) -> Credentials:
            return stale

    fresh = session.renewer.current(force_after=stale)
    session.renewer.__class__ = Late
    session.prepare()
    assert store.credentials[-1] == fresh


def test_what_a_stream_asks() -> None:
    session = make(FakeStore(), share=0.25)
    session.prepare()
    assert session.recover(network(), 1) == 0.05
    assert session.recover(network(), 3) == 0.2
    assert session.recover(errors.service_error(403, "AccessDenied", ""), 1) is None
    assert session.recover(errors.CredentialsError("down"), 2) == 0.1
    assert session.recover(errors.IntegrityError("crc"), 3) is None
    assert session.recover(ValueError("ours"), 1) is None


class Asked(Renewer):
    """Counts how often it is asked."""

    times = 0

    def current(self, force_after: Credentials | None = None) -> Credentials:
        self.times += 1
        return super().current(force_after)


@pytest.mark.parametrize(("life", "steady_s"), [(None, 1e9), (1000.0, 749.0)])
def test_while_nothing_is_due_nobody_is_asked(life: float | None, steady_s: float) -> None:
    clock, store = FakeClock(), FakeStore()
    end = None if life is None else START + life
    asked = Asked(lambda: Credentials("STS.1", "s", "t", end), clock, lambda: 0.5)
    session = Session(store, asked, clock=clock)
    first = session.ready()
    clock.mono = steady_s
    assert session.ready() is first
    assert asked.times == 1
    clock.mono += 2.0
    session.ready()
    assert asked.times == (1 if life is None else 2)
    assert len(store.credentials) == 1


def test_what_another_session_renewed_is_set_before_the_next_request() -> None:
    store, clock, issuer = FakeStore(), FakeClock(), Issuer()
    renewer = Renewer(issuer, clock)
    one, other = (Session(store, renewer, clock=clock) for _ in range(2))
    old = one.ready()
    other.prepare()
    assert other.recover(expired(), 1) == 0.0
    fresh = one.ready()
    assert fresh != old
    assert store.credentials[-1] == fresh


def test_credentials_that_are_renewed_while_the_old_are_set_are_set_too() -> None:
    class Slow(FakeStore):
        def set_credentials(self, credentials: Credentials) -> None:
            super().set_credentials(credentials)
            if len(self.credentials) == 1:
                session.renewer.current(force_after=credentials)

    store = Slow()
    session = make(store)
    session.ready()
    assert session.ready() == store.credentials[-1] == session.renewer.latest


def test_replaced_credentials_are_dropped_for_good() -> None:
    clock = FakeClock()
    renewer = Renewer(lambda: Credentials("STS.1", "s", "t", clock.wall + 1000), clock)
    renewer.current()
    first = renewer.held
    assert first is not None
    clock.sleep(900)
    assert renewer.current() is not first.credentials
    first.count(START, clock.mono, clock.mono)
    assert first.steady_until < clock.mono


def test_while_a_renewal_fails_the_old_ones_go_on_and_the_new_ones_come_at_once() -> None:
    store, clock = FakeStore(), FakeClock()
    answers: list[object] = [Credentials("STS.1", "s", "t", START + 1000), OSError("down")]
    answers.append(Credentials("STS.2", "s", "t", START + 9000))

    def provider() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    session = make(store, provider, clock)
    clock.mono, used = 0.0, [session.ready().access_key_id]
    for moment in (800.0, 800.1, 999.0):
        clock.mono = moment
        used.append(session.ready().access_key_id)
    assert used == ["STS.1", "STS.1", "STS.1", "STS.2"]
    assert [c.access_key_id for c in store.credentials] == ["STS.1", "STS.2"]


def test_after_a_correction_of_the_clock_each_request_is_counted() -> None:
    session = make(FakeStore())
    session.prepare()
    assert session.recover(skew(START + 5000), 1) == 0.0
    for _ in range(2):
        session.prepare()
    assert session.recover(skew(START + 9000), 1) == 0.0, "not the answer to a correction"
    session.prepare()
    assert session.recover(skew(START + 9000), 1) is None


def in_child(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
        except ValueError as error:
            code = 0 if "after fork()" in str(error) else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork beside other tests' threads
def test_a_child_process_is_refused() -> None:
    session = make(FakeStore("a", "b"))
    assert in_child(session.prepare) == 0
    assert in_child(lambda: session.call("GET", "k")) == 0
    assert session.call("GET", "k") == "a"
    assert in_child(session.ready) == 0, "its credentials are on the store by now"


def test_the_log_holds_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ossmedia")
    store = FakeStore(expired(), skew(START + 5000), network(), "fine")
    assert make(store).call("GET", "k") == "fine"
    assert len(caplog.records) == 3
    assert {record.name for record in caplog.records} == {"ossmedia"}
    assert "canary" not in caplog.text
    assert any(isinstance(h, logging.NullHandler) for h in logging.getLogger("ossmedia").handlers)
