"""bench.peers.goals: what a run says of each goal, and that nothing bad is hidden in an average."""

import json
import sys

import pytest

from bench.peers import __main__ as program
from bench.peers import measure
from bench.peers.extra import EXTRAS
from bench.peers.goals import GOALS, NEVER, Goal, judge, markdown
from bench.peers.measure import Place
from bench.peers.parts import PROGRAMS, SUITES
from bench.peers.scenarios import PEERS, SCENARIOS
from bench.peers.watch import BUSY_CORES, BUSY_LOAD, Watch

pytestmark = pytest.mark.timeout(300)  # it may have to build the C programs first
OVER_RAW = Goal("G1", "a PUT / raw", "put", 1.5, "raw")


@pytest.mark.parametrize(
    ("own", "met"),
    [
        ([12.0, 14.0, 30.0], "yes"),
        ([20.0, 30.0, 30.0], "no"),
        ([11.0, 20.0, 20.0], "no: the best is, the median is not"),
        ([16.0, 14.0, 14.0], "yes"),
    ],
)
def test_a_goal_asks_the_median_and_the_best(own, met):
    assert judge(OVER_RAW, {"ossmedia": own, "raw": [10.0, 10.0, 10.0]}).met == met


def test_the_median_is_of_each_rounds_ratio_and_the_best_of_the_least_figures():
    found = judge(OVER_RAW, {"ossmedia": [20.0, 20.0, 20.0], "raw": [5.0, 20.0, 20.0]})
    assert (found.middle, found.best) == (1, 4)
    assert found.met == "no: the median is, the best is not"


def test_a_goal_of_at_least_so_much():
    goal = Goal("G12", "quicker", "own", 2.5, "ours", "theirs", least=True)
    assert judge(goal, {"ours": [10.0, 10.0], "theirs": [30.0, 25.0]}).met == "yes"
    assert judge(goal, {"ours": [10.0, 10.0], "theirs": [20.0, 20.0]}).met == "no"


def test_a_figure_by_itself():
    goal = Goal("G9", "resident", "put", 20, name="ossmedia peak", unit="MiB")
    found = judge(goal, {"ossmedia peak": [19.0, 21.0, 22.0]})
    assert (found.middle, found.best) == (21, 19)
    assert found.met == "no: the best is, the median is not"


@pytest.mark.parametrize(
    "figures", [{}, {"ossmedia": [None, 2.0], "raw": [1.0, None]}, {"ossmedia": [1.0]}]
)
def test_without_a_round_that_has_both_a_goal_is_not_measured(figures):
    assert judge(OVER_RAW, figures, "no peers").met.startswith("not measured: no peers")


def test_the_table_names_what_is_missing_or_failed_and_what_did_not_run():
    figures = {"put-64k": {"ossmedia": [10.0, None], "raw": [10.0, 10.0]}}
    reasons = {("put-64k", "ossmedia"): "status -9", ("put-64k", "oss2"): "no .venv-peers"}
    text = "\n".join(markdown(figures, reasons))
    assert "| G1 | 64 KiB PUT / raw | 1.35 | 1 | 1 | yes (ossmedia: status -9) |" in text
    assert (
        "| 64 KiB PUT / oss2 | 1/40 | - | - | not measured: ossmedia: status -9; oss2: no" in text
    )
    assert "| 1,000 cameras" not in text
    assert "not in this run: put-64k-nocrc, " in text
    for number, what, why in NEVER:
        assert f"| {number} | {what} | - | - | - | not measured: {why} |" in text


def test_a_full_run_has_every_goal_of_all_thirteen():
    every = {name: {} for name in (*SCENARIOS, *EXTRAS)}
    lines = [line for line in markdown(every, {}) if line.startswith("| G")]
    assert len(lines) == len(GOALS) + len(NEVER)
    assert {goal.number for goal in GOALS} == {f"G{number}" for number in range(1, 14)}
    assert not any("not in this run" in line for line in markdown(every, {}))


def test_every_goal_asks_for_what_a_run_gives():
    own = {case[2] for cases in SUITES.values() for case in cases}
    own |= {case[1] for cases in PROGRAMS.values() for case in cases}
    for goal in GOALS:
        if goal.where in SCENARIOS:
            asked = {goal.name.removesuffix(" peak"), goal.over} - {""}
            assert asked <= set(SCENARIOS[goal.where].peers), goal
        elif goal.where == "own":
            assert {goal.name, goal.over} - {""} <= own, goal
        else:
            assert goal.where in EXTRAS


# ---- a whole run, with something wrong in it ----


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """``python -m bench.peers put-64k`` with the words; its status and what it printed."""
    from bench.sink import build_peers

    try:
        build_peers()
    except FileNotFoundError as reason:
        pytest.skip(str(reason))

    def go(*words):
        report = tmp_path / "report.json"
        given = ["put-64k", "--scale", "0.001", "--sleepy", "--rounds", "2", "--json", str(report)]
        monkeypatch.setattr(sys, "argv", ["bench.peers", *given, *words])
        status = program.main()
        return status, *capfd.readouterr(), json.loads(report.read_text())

    measure.missing.cache_clear()
    yield go
    measure.missing.cache_clear()


def test_a_run_without_the_peers_environment_names_each_and_is_good(run, monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "VENV", tmp_path / "none")
    monkeypatch.setattr(program, "VENV", tmp_path / "none")
    status, out, _, found = run()
    assert status == 0
    absent = [name for name in SCENARIOS["put-64k"].peers if PEERS[name].package != "ossmedia"]
    for name in (n for n in absent if PEERS[n].package):
        assert f"- **{name}**: not run: no .venv-peers: make peers" in out
        assert f"\n| {name} |" not in out
    assert "not measured: oss2: no .venv-peers: make peers" in out
    assert {row["peer"] for row in found["put-64k"]} == set(SCENARIOS["put-64k"].peers)


@pytest.mark.parametrize(("killed", "status"), [("ossmedia", 1), ("libcurl+v4+crc", 0)])
def test_a_client_that_is_killed_is_a_failed_round_that_is_named(run, monkeypatch, killed, status):
    if measure.missing(PEERS[killed]):
        pytest.skip(measure.missing(PEERS[killed]))
    true, asked = measure.command, []

    def second_dies(peer, given):
        asked.append(peer.name)
        if peer.name == killed and asked.count(killed) == 2:
            return ["sh", "-c", "kill -9 $$"]
        return true(peer, given)

    monkeypatch.setattr(measure, "command", second_dies)
    found, out, err, rows = run("--peers", "ossmedia", "libcurl+v4+crc")
    assert found == status
    assert f"| {killed} (1 rounds failed) |" in out
    assert f"- **{killed}**: 1 rounds failed: status -9: no word why" in out
    assert (f"64 KiB PUT: {killed}: status -9" in err) == bool(status)
    row = next(row for row in rows["put-64k"] if row["peer"] == killed)
    assert row["rounds"][1] is None
    assert row["middle"] == row["rounds"][0]


def test_one_core_is_named(run, monkeypatch):
    monkeypatch.setattr(measure, "CORES", [0])
    status, out, *_ = run("--peers", "ossmedia")
    assert status == 0
    assert "- **not pinned**: fewer than two cores, or no taskset" in out
    assert "clients on core" not in out


def test_a_busy_machine_is_named(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    monkeypatch.setattr("bench.peers.watch.STAT", stat)
    monkeypatch.setattr("bench.peers.watch.os.getloadavg", lambda: (BUSY_LOAD + 1, 0, 0))
    stat.write_text("cpu 1000 0 0 0 0 0 0 0 0 0\n")
    watch = Watch()
    assert "**busy machine**: other work ran at the start" in "\n".join(watch.told())
    assert "ran beside it" not in "\n".join(watch.told())
    stat.write_text("cpu 900000 0 0 0 0 0 0 0 0 0\n")
    assert "**busy machine**: other work ran beside it" in "\n".join(watch.told())
    stat.write_text("cpu 1000 0 0 0 0 0 0 900000 0 0\n")
    assert "**busy machine**: other work ran beside it" in "\n".join(watch.told())


def test_a_quiet_machine_is_not_called_busy(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu 1000 0 0 0 0 0 0 0 0 0\n")
    monkeypatch.setattr("bench.peers.watch.STAT", stat)
    monkeypatch.setattr("bench.peers.watch.os.getloadavg", lambda: (BUSY_LOAD - 0.1, 0, 0))
    assert BUSY_CORES > 0
    assert "busy" not in "\n".join(Watch().told())


def test_a_place_makes_the_same_work_each_time(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    assert Place(first).frames(100)[1] == Place(second).frames(100)[1]
    one, other = (Place(folder).payload(1 << 20) for folder in (first, second))
    with open(one, "rb") as a, open(other, "rb") as b:
        assert a.read() == b.read()
