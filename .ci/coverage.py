"""gcov of the C core by its own tests: lines and branches of each file of csrc/.

Ends with 1 when less than 90 % of all branches were taken, or a line of what recovers from a lost
answer was never run. Files for another CPU are left out.

    coverage.py [--missing FILE]    which lines and branches of a file were not reached
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sanitizers import BIN, ROOT, cmake, run

BRANCHES = 90.0
RECOVERY = ["append.c", "upload_doubt.c", "http_pool.c"]
ELSEWHERE = ["sha256_arm.c", "crc64_pmull.c"]


def measure(made: Path) -> dict[str, list[dict]]:
    """gcov's own lines of each source."""
    gcov = shutil.which("gcov")
    if gcov is None:
        raise SystemExit("coverage: needs gcov (Debian: gcc)")
    found: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory() as folder:
        notes = sorted((made / "CMakeFiles" / "ossmedia_c.dir" / "csrc").glob("*.gcda"))
        subprocess.run(
            [gcov, "--json-format", "--branch-probabilities", *map(str, notes)],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        for file in Path(folder).glob("*.json.gz"):
            for source in json.loads(gzip.decompress(file.read_bytes()))["files"]:
                if Path(source["file"]).suffix == ".c":
                    found[Path(source["file"]).name] = source["lines"]
    return {name: lines for name, lines in sorted(found.items()) if name not in ELSEWHERE}


def share(reached: int, of: int) -> float:
    return 100.0 * reached / of if of else 100.0


def counts(lines: list[dict]) -> tuple[int, int, int, int]:
    """Lines reached, lines, branches taken, branches."""
    branches = [branch for line in lines for branch in line["branches"]]
    return (
        sum(line["count"] > 0 for line in lines),
        len(lines),
        sum(branch["count"] > 0 for branch in branches),
        len(branches),
    )


def missing(name: str, lines: list[dict]) -> None:
    text = (ROOT / "csrc" / name).read_text(encoding="utf-8").splitlines()
    for line in lines:
        never = sum(branch["count"] == 0 for branch in line["branches"])
        if line["count"] == 0 or never:
            what = "never" if line["count"] == 0 else f"{never} of {len(line['branches'])}"
            print(f"{name}:{line['line_number']}: {what:8} {text[line['line_number'] - 1].strip()}")


def main() -> None:
    made = cmake(
        "coverage",
        *("-DCMAKE_BUILD_TYPE=Debug", "-DOSSMEDIA_SANITIZE=none", "-DOSSMEDIA_COVERAGE=ON"),
    )
    run(BIN / "ninja", "-C", made, "-j", "2")
    for old in made.rglob("*.gcda"):
        old.unlink()
    run(BIN / "ctest", "--test-dir", made, "-Q", "--output-on-failure")
    found = measure(made)
    for name in sys.argv[2:]:
        missing(name, found[name])
    total = [0, 0, 0, 0]
    for name, lines in found.items():
        figures = counts(lines)
        total = [old + new for old, new in zip(total, figures, strict=True)]
        print(
            f"{name:20} lines {share(*figures[:2]):6.1f} %  branches {share(*figures[2:]):6.1f} % "
            f"of {figures[3]}"
        )
    print(f"{'all':20} lines {share(*total[:2]):6.1f} %  branches {share(*total[2:]):6.1f} %")
    unseen = [name for name in RECOVERY if share(*counts(found[name])[:2]) < 100.0]
    if share(*total[2:]) < BRANCHES or unseen:
        raise SystemExit(f"branches below {BRANCHES} %, or recovery not whole: {unseen}")


if __name__ == "__main__":
    main()
