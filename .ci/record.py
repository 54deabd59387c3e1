"""What the camera's tests gave on other machines and Pythons, for people: .ci/ARM.md.

In flow JUnit files of build/roots/results, out flow totals, failures and skips by name with their
reasons. It runs nothing.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from camera_tests import PARTS, RESULTS
from debian_roots import MACHINES, ROOT

HEAD = (
    "# The camera's tests on ARM and on other Pythons",
    "",
    "Written by `make arm` and `make pythons` from pytest's own results. ARM runs under qemu-user",
    "with the distribution's Python, OpenSSL and cffi; the story is the README's recipe for 32-bit",
    "ARM and an upload with nothing but a token.",
    "",
    "| where | passed | failed | skipped | tests' time | day | story | not run |",
    "|---|---|---|---|---|---|---|---|",
)

NO_ROW_FOR_314T = (
    "No row for 3.14t, the free-threaded build: Debian's bookworm and sid have no package of it,",
    "the package index no interpreter. Looked for on 2026-11-23, as was the source of Debian's",
    "python3.14, which the mirror does not hold. `make python-3.14t` is for a machine that has",
    "python3.14t on PATH: a nightly target.",
)


class Result(NamedTuple):
    """Of one part in one root."""

    passed: int
    failed: list[str]
    skipped: list[tuple[str, str]]  # name, reason
    seconds: float
    day: str


def read_part(path: Path) -> Result:
    passed, failed, skipped, seconds = 0, [], [], 0.0
    for case in ElementTree.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own file
        test = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        seconds += float(case.get("time", "0"))
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(test)
        elif skip is not None:
            skipped.append((test, skip.get("message", "")))
        else:
            passed += 1
    day = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d")
    return Result(passed, failed, skipped, seconds, day)


def results_of(name: str) -> list[Result]:
    return [read_part(path) for path in sorted((RESULTS / name).glob("*.xml"))]


def summary(name: str) -> str:
    """One line over all parts that have run."""
    results = results_of(name)
    passed, failed = sum(r.passed for r in results), sum(len(r.failed) for r in results)
    return f"{passed} passed, {failed} failed, {sum(len(r.skipped) for r in results)} skipped"


def row(name: str) -> str:
    results = results_of(name)
    wanted = () if name.startswith("c-") else PARTS
    missing = [part for part in wanted if not (RESULTS / name / f"{part}.xml").exists()]
    passed, failed = sum(r.passed for r in results), sum(len(r.failed) for r in results)
    seconds, days = sum(r.seconds for r in results), sorted({r.day for r in results})
    story = RESULTS / name / "story.txt"
    told = story.read_text().strip() if story.exists() else "-"
    return (
        f"| {name} | {passed} | {failed} | {sum(len(r.skipped) for r in results)} | "
        f"{seconds:.0f} s | {', '.join(days) or '-'} | {told} | {', '.join(missing) or '-'} |"
    )


def named(name: str) -> list[str]:
    """The failures and skips of one root, as lines."""
    lines = []
    for result in results_of(name):
        lines += [f"- FAILED {test}" for test in result.failed]
        lines += [f"- skipped {test}: {reason}" for test, reason in result.skipped]
    return lines


def record() -> Path:
    """Writes .ci/ARM.md."""
    there = sorted(path.name for path in RESULTS.iterdir()) if RESULTS.exists() else []
    names = [*MACHINES, *[name for name in there if name not in MACHINES]]
    lines = [*HEAD, *[row(name) for name in names], "", f"Host: {platform.machine()}."]
    if "python-3.14t" not in names:
        lines += ["", *NO_ROW_FOR_314T]
    for name in names:
        if results_of(name):
            lines += ["", f"## {name}: what did not pass", "", *(named(name) or ["- nothing"])]
    path = ROOT / ".ci" / "ARM.md"
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    print(record())
