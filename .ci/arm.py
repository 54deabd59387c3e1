"""The camera's part of the test suite on ARM: Debian roots, the distribution's Python and cffi, our
wheel, qemu-user; then the README's recipe for 32-bit ARM with an upload by token.

In flow wheels of dist/, out flow pytest's results per root: figures and every skip by name. What
one root's parts gave is kept under build/roots/results, and ``--record`` writes .ci/ARM.md from it.

Usage: arm.py [--record] [--parts NAMES] [ROOT ...] [-- PYTEST ARGUMENTS]
       e.g. arm.py bookworm-armhf --parts spool,hls -- -k recovery
"""

from __future__ import annotations

import argparse
import sys
import time

from arm_story import run_story
from camera_tests import PARTS, run_part
from debian_roots import MACHINES, NoRootError, prepare
from record import record, summary


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("roots", nargs="*", metavar="ROOT")
    parser.add_argument("--parts", default=",".join((*PARTS, "story")))
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments[:cut])
    options.parts = options.parts.split(",")
    for name in options.roots:
        if name not in MACHINES:
            parser.error(f"no such root: {name}; known: {', '.join(MACHINES)}")
    for name in options.parts:
        if name not in (*PARTS, "story"):
            parser.error(f"no such part: {name}; known: {', '.join((*PARTS, 'story'))}")
    return options, arguments[cut + 1 :]


def main(arguments: list[str]) -> int:
    options, more = parse(arguments)
    failed = []
    for name in options.roots or MACHINES:
        machine, began = MACHINES[name], time.monotonic()
        try:
            prepare(machine)
        except NoRootError as error:
            print(error)
            failed.append(f"{name} (not made)")
            continue
        for part in options.parts:
            print(f"== {name}: {part}", flush=True)
            status = (
                run_story(machine)
                if part == "story"
                else run_part(machine.script, name, part, more)
            )
            if status:
                failed.append(f"{name} {part}")
        print(f"== {name}: {time.monotonic() - began:.0f} s; {summary(name)}", flush=True)
    if options.record:
        record()
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
