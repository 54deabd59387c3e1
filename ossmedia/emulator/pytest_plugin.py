"""A pytest plugin: the local cloud as a fixture.

What flows in: a test that asks for ``oss_emulator``; with ossmedia installed pytest finds the
plugin by itself. What flows out: one running cloud for the whole session. It imports the cloud only
when a test asks for it, and it opens no port but one on loopback.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .serve import Emulator

BUCKETS = ("cams", "clips")


@pytest.fixture(scope="session")
def oss_emulator() -> Iterator[Emulator]:
    """A running cloud with two buckets, ``cams`` and ``clips``, shared by the session's tests.

    It has ``endpoint``, ``sts_endpoint``, ``region``, ``access_key_id``, ``access_key_secret``,
    ``bucket``, ``buckets``, ``role_arn``, and ``fault(...)``, ``clear_faults()``,
    ``set_clock(offset_s)``, ``set_limits(...)``, ``counters()``, ``reset()``.
    """
    from .serve import Emulator

    with Emulator(buckets=BUCKETS) as cloud:
        yield cloud


@pytest.fixture
def fresh_oss_emulator(oss_emulator: Emulator) -> Emulator:
    """:func:`oss_emulator`, brought back to its first state: empty buckets, no faults."""
    oss_emulator.reset()
    return oss_emulator
