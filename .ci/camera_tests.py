"""The camera's part of the test suite, run by any Python that has the wheel.

In flow a Python and a part's name, out flows JUnit's XML under build/roots/results. It runs the
tests from a copy, where the package's sources do not lie beside them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from debian_roots import BUILD, ROOT, environment

RESULTS = BUILD / "results"
# Pieces of some minutes each under qemu: what runs on a camera. Not here: figures of memory and of
# instructions, which would be qemu's own.
PARTS = {
    "core": (
        *("unit/address", "unit/answer_xml", "unit/appender", "unit/bucket", "unit/capture_time"),
        *("unit/cli", "unit/clock", "unit/credentials", "unit/errors", "unit/headers"),
        *("unit/listing", "unit/model", "unit/native", "unit/policy", "unit/pump_stay"),
        *("unit/put", "unit/put_plain", "unit/put_receipt", "unit/reader", "unit/retry"),
        *("unit/session", "unit/terminal", "unit/writer"),
    ),
    "upload": (
        *("unit/app_server", "unit/app_server_certificates", "unit/checkpoint"),
        *("unit/completion_in_doubt", "unit/resumable", "unit/sts", "unit/ticket"),
        *("unit/upload", "unit/vod", "unit/vod_api", "unit/vod_tickets"),
    ),
    "hls": (
        *("unit/access_units", "unit/clocked", "unit/hls", "unit/hls_bad_frames"),
        *("unit/hls_commands", "unit/hls_keys", "unit/hls_queue", "unit/hls_rules"),
        *("unit/hls_spool", "unit/hls_trouble", "unit/picture_order", "unit/playlist"),
        *("unit/playlist_object", "unit/segments", "unit/ts"),
    ),
    "spool": (
        *("unit/spool", "unit/spool_blocks", "unit/spool_commands", "unit/spool_commit"),
        *("unit/spool_dead_disk", "unit/spool_folder", "unit/spool_news", "unit/spool_policy"),
        *("unit/spool_reading", "unit/spool_recovery", "unit/spool_refused"),
        *("routes/spool", "routes/spool_obstacles"),
    ),
    "routes": (
        *("routes/frame", "routes/foreign_bytes", "routes/https", "routes/exit"),
        *("routes/secrets", "routes/addressing", "routes/ticket", "routes/hls"),
    ),
}
# A plugin of hypothesis's own: emulated, a slow start looks like a bad test, and a hundred examples
# take minutes. The properties are searched at length on the developer's machine.
PATIENCE = """
from hypothesis import HealthCheck, settings

FEW = {"max_examples": 10, "deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("patience", **FEW)
settings.load_profile("patience")


def pytest_collection_modifyitems(items):
    for item in items:
        own = getattr(item.obj, "_hypothesis_internal_use_settings", None)
        if own is not None:
            item.obj._hypothesis_internal_use_settings = settings(own, **FEW)
"""


def files(part: str) -> list[str]:
    paths = [name.split("/") for name in PARTS[part]]
    return [f"tests/{folder}/test_{name}.py" for folder, name in paths]


def copy_tests(name: str) -> Path:
    """The tests without the package's sources, which would be found before the wheel."""
    work = BUILD / f"{name}-work"
    shutil.rmtree(work, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", ".mypy_cache")
    shutil.copytree(ROOT / "tests", work / "tests", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", work)
    (work / "patience.py").write_text(PATIENCE)
    return work


def run_part(python: Path, name: str, part: str, more: list[str]) -> int:
    """pytest's status; its result stays as RESULTS/``name``/``part``.xml, unless ``more`` makes it
    another run."""
    results = (BUILD / "partial" if more else RESULTS) / name / f"{part}.xml"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-p", "patience", "-q"]
    command += ["-o", "timeout=600", f"--junitxml={results}"]
    # hypothesis's table of Unicode: more than a minute's work where the machine is emulated.
    kept = BUILD / f"{name}-hypothesis"
    variables = environment(LC_ALL="C.UTF-8", HYPOTHESIS_STORAGE_DIRECTORY=str(kept))
    work = copy_tests(name)
    done = subprocess.run([*command, *files(part), *more], check=False, cwd=work, env=variables)
    return done.returncode
