"""The parsers that are Python under libFuzzer, with the coverage of their byte code as feedback.

In flow a target of python_parsers.py, whose docstring is the invariant, and libFuzzer's own
arguments and corpora; out flow a broken invariant with its input, or libFuzzer's figures. Mutations
are libFuzzer's; some are made inside a ticket's base64, and half of a spool's records get their
check sum made right again. Needs atheris.

    python -m tests.fuzz.libfuzzer_parsers ticket -runs=100000 tests/fuzz/corpus/parser_ticket
"""

from __future__ import annotations

import gc
import sys
import tempfile
from pathlib import Path
from types import FunctionType

import atheris

from tests.fuzz import python_parsers

# What the bytes reach. Functions are instrumented one by one, after the import: atheris's own
# import hook does not know an editable installation's loader.
INSTRUMENTED = {
    *("ossmedia.address", "ossmedia.checkpoint", "ossmedia.clock", "ossmedia.model"),
    *("ossmedia.spool_blocks", "ossmedia.ticket", python_parsers.__name__),
}
CORPUS = Path(__file__).parent / "corpus"
MEMORY = Path("/dev/shm")  # a checkpoint is a file; a disk's would cost most of the time
FIELDS = ("UploadAddress", "UploadAuth")


def instrument() -> None:
    """Adds the feedback to every function of those modules."""
    found = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, FunctionType) and thing.__module__ in INSTRUMENTED
    ]
    assert {function.__module__ for function in found} == INSTRUMENTED
    for function in found:
        atheris.instrument_func(function)


def corpus(name: str) -> Path:
    return CORPUS / f"parser_{name.replace(' ', '_')}"


def write_seeds(name: str, folder: Path) -> None:
    """Puts a target's good inputs beside what its corpus has already."""
    corpus(name).mkdir(exist_ok=True)
    for number, data in enumerate(python_parsers.use_folder(name, folder)):
        (corpus(name) / f"good-{number}").write_bytes(data)


def change(name: str, data: bytes, largest: int, seed: int) -> bytes:
    """One mutation of libFuzzer's, where this target wants it."""
    fix = python_parsers.TARGETS[name][2]
    if name == "ticket" and seed % 4:
        made = python_parsers.inside_ticket(
            data, FIELDS[seed % 2], lambda inner: atheris.Mutate(inner, largest)
        )
        if made != data:
            return made[:largest]
    made = atheris.Mutate(data, largest)
    if fix is not None and seed % 2:
        made = fix(made)
    return made[:largest]


def main() -> None:
    name, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        if arguments == ["--write-seeds"]:
            write_seeds(name, Path(folder))
            return
        python_parsers.use_folder(name, Path(folder))
        instrument()
        atheris.Setup(
            [sys.argv[0], *arguments],
            python_parsers.TARGETS[name][0],
            custom_mutator=lambda data, largest, seed: change(name, data, largest, seed),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
