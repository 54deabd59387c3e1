"""The plugin: a user's test gets a running cloud by asking for it."""

from __future__ import annotations

import os
import subprocess
import sys

TEST = """
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest


def test_it_answers(oss_emulator):
    assert oss_emulator.bucket == "cams"
    with pytest.raises(HTTPError) as caught:
        urlopen(oss_emulator.endpoint + "/cams/none")
    assert caught.value.code == 403
    caught.value.close()
    oss_emulator.fault("status", status=503, times=0)


def test_it_is_shared(oss_emulator):
    assert oss_emulator.counters()["requests"] == {"GetObject": 1}


def test_it_can_be_fresh(fresh_oss_emulator):
    assert fresh_oss_emulator.counters()["requests"] == {}
    with pytest.raises(HTTPError) as caught:
        urlopen(fresh_oss_emulator.endpoint + "/clips/none")
    assert caught.value.code == 403
    caught.value.close()
"""


def test_the_fixtures(tmp_path):
    (tmp_path / "test_user.py").write_text(TEST, encoding="utf-8")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"),
            # An editable install is imported before pytest looks at it.
            *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
            *("-p", "ossmedia.emulator.pytest_plugin", "--rootdir", tmp_path, tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout
