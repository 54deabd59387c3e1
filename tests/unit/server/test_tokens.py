"""tokens.py, budget.py, batches.py: one call for many, in turn, never more than the budget."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ossmedia.errors import AccessDenied, Unavailable
from ossmedia.model import Credentials
from ossmedia.server.batches import Batches, Busy
from ossmedia.server.budget import Budget, MemorySchedule, OverBudget, shape
from ossmedia.server.devices import Device
from ossmedia.server.tokens import DeviceChanged, StsUnavailable, Tokens, TooManyTokens, Wish
from tests.unit.server.rig import Mint, Time


def device(number: int = 1, revision: int = 1) -> Device:
    return Device(f"cam-{number}", f"cams/cam-{number}", ("w",), 3600, "active", revision, 0, 0)


def wish(of: Device, ttl_s: int = 3600) -> Wish:
    return Wish(of.prefix, of.modes, ttl_s)


class Bench:
    """A ``Tokens`` with everything in hand."""

    def __init__(self, **options: Any) -> None:
        self.time = Time()
        self.mint = Mint(self.time)
        self.slept: list[float] = []
        self.counted: list[str] = []
        self.still = True
        self.executor = ThreadPoolExecutor(4)
        calls, wait_s = options.pop("calls_per_s", 80), options.pop("wait_s", 1.0)
        self.schedule = MemorySchedule(calls, self.time)
        budget = Budget(
            self.schedule,
            calls,
            wait_s,
            sleep=self.sleep,
            clock=self.time,
            random=lambda: 0.5,
        )
        given = {"threads": 4, "still": lambda _: self.still, "issue": self.mint, **options}
        self.tokens = Tokens(
            given.pop("issue"),
            budget,
            self.executor,
            clock=self.time,
            random=lambda: 0.5,
            count=self.counted.append,
            **given,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time.seconds += seconds

    def run(self, *wanted: Any) -> list[Any]:
        """All of these at once; exceptions as values."""

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*wanted, return_exceptions=True)

        return asyncio.run(all_of_them())

    def get(self, of: Device, ttl_s: int = 3600) -> Any:
        return self.run(self.tokens.get(of, wish(of, ttl_s)))[0]


class LoopIn(asyncio.SelectorEventLoop):
    """An event loop whose time is given."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.time = time.monotonic  # type: ignore[method-assign]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.executor.shutdown()


def test_many_requests_of_a_device_make_one_call(bench: Bench) -> None:
    cam = device()
    given = bench.run(*(bench.tokens.get(cam, wish(cam)) for _ in range(500)))
    assert len(bench.mint.asked) == 1
    assert {token.access_key_id for token in given} == {"STS.cam-1.1"}


def test_a_thousand_cameras_at_once() -> None:
    """Three requests each: no more calls than cameras; who is refused is told when to come, comes
    then, and in the end all hold their own token. The loop's time is the bench's, so that how many
    are refused does not hang on the machine."""
    bench = Bench(wait_s=0.5)
    due = {f"cam-{number}": bench.time.seconds for number in range(1000)}
    cams = {f"cam-{number}": device(number) for number in range(1000)}
    refused = 0

    async def play() -> None:
        nonlocal refused
        while due:
            bench.time.seconds = max(bench.time.seconds, min(due.values()))
            names = [name for name, when in due.items() if when <= bench.time.seconds] * 3
            gets = (bench.tokens.get(cams[name], wish(cams[name])) for name in names)
            given = await asyncio.gather(*gets, return_exceptions=True)
            for name, outcome in zip(names, given, strict=True):
                if isinstance(outcome, Credentials):
                    assert outcome.access_key_id.startswith(f"STS.{name}.")
                    due.pop(name, None)
                else:
                    assert isinstance(outcome, OverBudget), repr(outcome)
                    assert 1 <= outcome.retry_after_s <= 60
                    due[name] = bench.time.seconds + outcome.retry_after_s
                    refused += 1

    with asyncio.Runner(loop_factory=lambda: LoopIn(bench.time)) as runner:
        runner.run(play())
    assert refused > 1000
    assert len(bench.mint.asked) == 1000
    assert len({who for who, _ in bench.mint.asked}) == 1000
    bench.executor.shutdown()


def test_a_token_is_kept_for_two_thirds_of_its_life(bench: Bench) -> None:
    cam = device()
    first = bench.get(cam)
    bench.time.seconds += 2399
    assert bench.get(cam).access_key_id == first.access_key_id
    bench.time.seconds += 2
    assert bench.get(cam).access_key_id != first.access_key_id
    assert bench.counted == ["issued", "cache", "issued"]


def test_the_hint_lies_in_the_life_and_shrinks(bench: Bench) -> None:
    cam = device()
    assert bench.get(cam).refresh_after_s == 2700  # 75 % with this chance
    bench.time.seconds += 1000
    assert bench.get(cam).refresh_after_s == 1700


def test_the_hint_is_spread_over_a_tenth_of_the_life() -> None:
    hints = set()
    for number in range(50):
        bench = Bench()
        bench.tokens._random = lambda number=number: number / 50
        hints.add(bench.get(device()).refresh_after_s)
        bench.executor.shutdown()
    assert min(hints) == 2520
    assert 2850 < max(hints) <= 2880
    assert len(hints) == 50


@pytest.mark.parametrize("error", [Unavailable("x", status=503), AccessDenied("x", status=403)])
def test_an_old_token_is_served_while_it_lives(bench: Bench, error: Exception) -> None:
    cam = device()
    first = bench.get(cam)
    bench.time.seconds += 3000
    bench.mint.error = error
    again = bench.get(cam)
    assert again.access_key_id == first.access_key_id
    assert 1 <= again.refresh_after_s <= 61
    bench.time.seconds += 571  # less than half a minute is left
    refused = bench.get(cam)
    assert isinstance(refused, StsUnavailable)
    assert refused.retry_after_s >= 1
    bench.mint.error = None
    assert bench.get(cam).access_key_id != first.access_key_id


def test_over_budget_an_old_token_is_served_too() -> None:
    bench = Bench(calls_per_s=1, wait_s=0.0)
    cam, other = device(1), device(2)
    first = bench.get(cam)
    bench.time.seconds += 3000
    bench.get(other)  # takes the only turn
    assert bench.get(cam).access_key_id == first.access_key_id
    assert isinstance(bench.get(device(3)), OverBudget)
    bench.executor.shutdown()


def test_a_changed_record_never_gets_the_token_of_before(bench: Bench) -> None:
    first = bench.get(device(revision=1))
    assert bench.get(device(revision=2)).access_key_id != first.access_key_id


def test_revoking_while_a_token_is_made() -> None:
    """A thousand interleavings: STS answers, the device is disabled meanwhile, nothing is handed
    out or kept."""
    bench = Bench(calls_per_s=100, wait_s=10.0)
    bench.still = False
    for number in range(1000):
        assert isinstance(bench.get(device(number)), DeviceChanged)
    assert len(bench.tokens) == 0
    bench.executor.shutdown()


def test_the_request_that_flies_may_be_given_up(bench: Bench) -> None:
    """The call goes on for the others, and its token is kept."""
    cam, gate = device(), threading.Event()
    bench.mint.during = lambda: gate.wait(10) and None

    async def play() -> Credentials:
        first = asyncio.create_task(bench.tokens.get(cam, wish(cam)))
        second = asyncio.create_task(bench.tokens.get(cam, wish(cam)))
        await asyncio.sleep(0)
        first.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(play()).access_key_id == "STS.cam-1.1"
    assert len(bench.mint.asked) == 1


def test_a_device_may_have_four_different_tokens(bench: Bench) -> None:
    cam = device()
    for ttl_s in (900, 1000, 1100, 1200):
        assert isinstance(bench.get(cam, ttl_s), Credentials)
    refused = bench.get(cam, 1300)
    assert isinstance(refused, TooManyTokens)
    assert 1 <= refused.retry_after_s <= 901
    assert isinstance(bench.get(cam, 900), Credentials)
    bench.time.seconds += 901
    assert isinstance(bench.get(cam, 1300), Credentials)
    assert isinstance(bench.get(device(revision=2), 1300), Credentials)


def test_one_device_asking_ten_thousand_times(bench: Bench) -> None:
    """Two calls of STS in one life at the most."""
    cam = device()
    for _ in range(100):
        bench.run(*(bench.tokens.get(cam, wish(cam)) for _ in range(100)))
        bench.time.seconds += 35
    assert len(bench.mint.asked) <= 2


def test_memory_is_bounded(bench: Bench) -> None:
    bench.tokens._capacity = 10
    for number in range(30):
        bench.get(device(number))
    assert len(bench.tokens) == 10
    assert len(bench.tokens._mine) == 10
    assert bench.get(device(29)).access_key_id == "STS.cam-29.30"
    assert len(bench.mint.asked) == 30


def test_a_token_that_ends_at_once_is_not_handed_out(bench: Bench) -> None:
    bench.tokens._issue = lambda *_: Credentials("STS.x", "s", "t", bench.time.seconds + 5)
    assert isinstance(bench.get(device()), StsUnavailable)


# -- the budget


def worst_second(turns: list[float]) -> int:
    """The most turns in any second."""
    turns = sorted(turns)
    return max(sum(1 for t in turns[i:] if t < turn + 1.0 - 1e-6) for i, turn in enumerate(turns))


@pytest.mark.parametrize("calls_per_s", [1, 2, 7, 10, 80, 100])
@pytest.mark.parametrize("pace", [0.0001, 0.003, 0.4, 1.7])
def test_no_second_sees_more_than_the_budget(calls_per_s: int, pace: float) -> None:
    time = Time()
    time.seconds = 1000.0  # as exact as a monotonic clock is
    schedule = MemorySchedule(calls_per_s, time)
    turns = []
    for step in range(1000):
        wait = schedule.take(0.5)
        if wait >= 0:
            turns.append(time.seconds + wait)
        time.seconds += pace if step % 100 else 3
    assert worst_second(turns) <= calls_per_s


@pytest.mark.parametrize("calls_per_s", [1, 2, 7, 10, 80, 100])
def test_the_budget_is_used(calls_per_s: int) -> None:
    time = Time()
    time.seconds = 1000.0  # as exact as a monotonic clock is
    schedule = MemorySchedule(calls_per_s, time)
    turns = []
    while len(turns) < 500:
        wait = schedule.take(0)
        if wait >= 0:
            turns.append(time.seconds)
        else:
            time.seconds += -wait
    assert worst_second(turns) == calls_per_s


def test_a_refused_turn_is_not_taken() -> None:
    time = Time()
    schedule = MemorySchedule(1, time)
    assert schedule.take(0) == 0
    assert [schedule.take(0) for _ in range(5)] == [-1.0] * 5
    time.seconds += 1
    assert schedule.take(0) == 0


def test_shape() -> None:
    assert [sum(shape(n)) - 1 for n in range(1, 101)] == list(range(1, 101))


# -- batches


def test_what_arrives_meanwhile_goes_together() -> None:
    calls: list[int] = []
    gate = threading.Event()

    def work(items: Any) -> list[int]:
        calls.append(len(items))
        gate.wait(10)
        return [item * 2 for item in items]

    async def play() -> list[int]:
        with ThreadPoolExecutor(1) as executor:
            batches: Batches[int, int] = Batches(work, executor, largest=50)
            tasks = [asyncio.create_task(batches.submit(0))]
            while not calls:
                await asyncio.sleep(0)
            tasks += [asyncio.create_task(batches.submit(n)) for n in range(1, 101)]
            await asyncio.sleep(0)
            gate.set()
            return list(await asyncio.gather(*tasks))

    assert asyncio.run(play()) == [n * 2 for n in range(101)]
    assert calls == [1, 50, 50]


def test_full_is_an_answer_and_errors_reach_all() -> None:
    gate = threading.Event()
    fail = True

    def work(items: Any) -> list[int]:
        gate.wait(10)
        if fail:
            raise ValueError("no")
        return list(items)

    async def play() -> list[Any]:
        nonlocal fail
        with ThreadPoolExecutor(1) as executor:
            batches: Batches[int, int] = Batches(work, executor, waiting=3)
            tasks = [asyncio.create_task(batches.submit(n)) for n in range(5)]
            await asyncio.sleep(0)
            gate.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            fail = False
            return [*outcomes, await batches.submit(9)]

    *outcomes, after = asyncio.run(play())
    assert [type(o) for o in outcomes].count(Busy) == 2
    assert [type(o) for o in outcomes].count(ValueError) == 3
    assert after == 9
