"""What every test folder shares: the local cloud, named by the environment as users would."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from hypothesis import settings

# An example's time says more of the machine than of the code.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    # A shell gives what it starts in the background no Ctrl-C, and programs hand that on to theirs:
    # the tests of Ctrl-C would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cloud(oss_emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The local cloud, and an environment that names it."""
    oss_emulator.reset()
    for name in list(os.environ):
        if name.startswith(("OSS_", "OSSMEDIA_", "ALIBABA_CLOUD_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OSSMEDIA_ENDPOINT", oss_emulator.endpoint)
    monkeypatch.setenv("OSSMEDIA_REGION", oss_emulator.region)
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", oss_emulator.access_key_id)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", oss_emulator.access_key_secret)
    return oss_emulator
