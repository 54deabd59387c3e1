"""retry.py: full jitter, Retry-After, and what is final."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia import errors
from ossmedia.retry import LONGEST_RETRY_AFTER_S, Retry, final

NETWORK = errors.NetworkError("gone")


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_is_a_share_of_the_doubled_base_up_to_the_cap(attempt: int, share: float) -> None:
    delay = Retry(base_s=0.5, cap_s=8.0).delay(attempt, NETWORK, lambda: share)
    longest = min(8.0, 0.5 * 2 ** min(attempt - 1, 100))
    assert delay == pytest.approx(share * longest)
    assert delay < 8.0


@given(st.floats(0, 1e6), st.floats(0, 1, exclude_max=True), st.integers(1, 50))
def test_retry_after_is_a_lower_bound_up_to_five_minutes(
    asked: float, share: float, attempt: int
) -> None:
    retry = Retry(base_s=0.2, cap_s=20.0)
    error = errors.Unavailable("busy", status=503, code="x", retry_after_s=asked)
    delay = retry.delay(attempt, error, lambda: share)
    assert min(asked, LONGEST_RETRY_AFTER_S) <= delay <= LONGEST_RETRY_AFTER_S + 20.0


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "TotalQpsLimitExceeded"), (400, "Throttling.User"), (429, "TooMany")],
)
def test_a_rate_limit_waits_longer_than_a_lost_packet(status: int, code: str) -> None:
    limit = errors.service_error(status, code, "")
    almost = 0.999
    assert Retry().delay(1, limit, lambda: almost) == pytest.approx(almost)
    assert Retry().delay(1, NETWORK, lambda: almost) == pytest.approx(0.2 * almost)


def test_final() -> None:
    assert final(ValueError("ours"))
    assert final(errors.service_error(403, "AccessDenied", ""))
    assert final(errors.TlsError("bad certificate"))
    assert final(errors.NetworkError("x", retryable=False))
    assert not final(NETWORK)
    assert not final(errors.service_error(500, "InternalError", ""), attempt=1000)


@pytest.mark.parametrize(
    "error", [errors.IntegrityError("crc"), errors.service_error(400, "InvalidDigest", "")]
)
def test_damage_that_comes_back_is_final(error: errors.OssMediaError) -> None:
    assert [final(error, attempt) for attempt in (1, 2, 3, 4)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("arguments", "error", "field"),
    [
        ({"attempts": 0}, ValueError, "attempts"),
        ({"attempts": 101}, ValueError, "attempts"),
        ({"attempts": 1.5}, TypeError, "attempts"),
        ({"attempts": True}, TypeError, "attempts"),
        ({"base_s": 0}, ValueError, "base_s"),
        ({"base_s": float("nan")}, ValueError, "base_s"),
        ({"cap_s": -1}, ValueError, "cap_s"),
        ({"cap_s": 3601}, ValueError, "cap_s"),
        ({"give_up_after_s": "long"}, TypeError, "give_up_after_s"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, error: type, field: str) -> None:
    with pytest.raises(error, match=f"^{field}: "):
        Retry(**arguments)


def test_a_stream_may_go_on_for_ever() -> None:
    assert Retry(give_up_after_s=float("inf")).give_up_after_s == float("inf")
    assert repr(Retry(3)) == "Retry(attempts=3, base_s=0.2, cap_s=20.0, give_up_after_s=300.0)"
