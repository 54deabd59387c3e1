"""The parsers in Python against mutated records; the figures of a long run are in RESULTS.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import python_parsers

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", python_parsers.TARGETS)
def test_mutations(name: str, tmp_path: Path) -> None:
    assert python_parsers.mutations(name, 3000, 20_251_123, tmp_path) == 3000


@pytest.mark.parametrize("name", python_parsers.TARGETS)
def test_corpus(name: str, tmp_path: Path) -> None:
    """What libFuzzer starts from, and what it has found."""
    python_parsers.use_folder(name, tmp_path)
    inputs = [*(CORPUS / f"parser_{name.replace(' ', '_')}").iterdir()]
    assert inputs
    for path in inputs:
        python_parsers.TARGETS[name][0](path.read_bytes())


def test_a_broken_parser_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that forgets its check sum."""
    monkeypatch.setattr(python_parsers, "parse_block", lambda salt, start, raw: None)
    with pytest.raises(AssertionError) as caught:
        python_parsers.mutations("spool search", 3, 1, tmp_path)
    assert "spool search" in caught.value.__notes__[0]
