"""The full runs' own book-keeping: rows of RESULTS.md, names, and what cannot run here."""

from __future__ import annotations

import pytest

from tests.faults import __main__ as full
from tests.faults.tally import Tally

HEAD = "# Runs\n\n| command | |\n|---|---|--:|--:|---|--:|--:|---|---|\n"


@pytest.fixture
def results(tmp_path, monkeypatch):
    path = tmp_path / "RESULTS.md"
    path.write_text(HEAD)
    monkeypatch.setattr(full, "RESULTS", path)
    return path


def record(command: str, name: str, *, wrong: str = "", **notes: object) -> None:
    tally = Tally(name, 7, tried=3, notes=dict(notes))
    tally.expect(not wrong, wrong)
    full._record(full._row(command, tally, 1.4))


def test_a_row_takes_the_place_of_its_last_one(results):
    record("power", "power cut", cuts=1)
    record("lost", "lost answer of put")
    record("lost", "lost answer of append")
    record("power", "power cut", cuts=2)
    rows = results.read_text().removeprefix(HEAD).splitlines()
    assert [row.split(" | ")[1] for row in rows] == [
        "lost answer of put",
        "lost answer of append",
        "power cut",
    ]
    assert "| power | power cut | 3 | 0/0/0 | cuts 2 | 7 | 1 |" in rows[2]
    assert all(row.endswith("| pass |") for row in rows)


def test_a_failure_says_what_was_wrong(results):
    record("twice", "delivered twice", wrong="a | b\n\nis stored" + " x" * 500)
    record("lost", "lost answer of put")
    last = results.read_text().splitlines()[-1]
    assert "**fail**: a / b is stored x x" in last
    assert last.endswith(" |")
    assert len(last) < 400


def test_what_cannot_run_here_is_counted(monkeypatch, capsys):
    monkeypatch.setitem(full.RUNS, "power", (lambda: "needs root", None))
    monkeypatch.setattr("sys.argv", ["faults", "power", "--seed", "5"])
    assert full.main() == 0
    assert capsys.readouterr().out == "seed 5: 0 failed, 1 skipped; power: needs root\n"


def test_a_run_says_what_it_found(monkeypatch, capsys, results):
    monkeypatch.setattr("sys.argv", ["faults", "lost", "--seed", "5", "--record"])
    played = [Tally("one", 5), Tally("other", 5, wrong=["lost"])]
    monkeypatch.setitem(full.RUNS, "lost", (lambda: "", lambda rig, seed, folder: played))
    assert full.main() == 1
    assert "seed 5: 1 failed, 0 skipped" in capsys.readouterr().out
    assert results.read_text().count("| lost |") == 2


def test_a_name_that_is_none(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["faults", "earthquake"])
    with pytest.raises(SystemExit):
        full.main()
    assert "no such run: earthquake" in capsys.readouterr().err
