"""bench.peers: what its table says of rounds, and that it names what failed or is not there."""

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.peers import crowd
from bench.peers.client import places
from bench.peers.counts import CASES, slope, system_calls
from bench.peers.measure import Failed, Place, Served, command, missing, run
from bench.peers.plot import svg
from bench.peers.scenarios import MISSING_HERE, PEERS, SCENARIOS, SHORT, Peer, scaled
from bench.peers.table import LAYERS, Rows, layers, markdown, rows

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(300)  # it may have to build the C programs first


def table(**figures):
    return Rows("title", "CPU us", "raw", figures=figures)


def test_a_ratio_is_the_median_over_the_rounds_and_best_over_best():
    found = {r.peer: r for r in rows(table(raw=[10.0, 20.0, 40.0], own=[30.0, 30.0, 60.0]))}
    assert found["raw"].ratio == found["raw"].best == 1
    own = found["own"]
    assert own.ratio == 1.5  # of 3, 1.5 and 1.5; the medians' ratio would be 1.5, too,
    assert own.best == 3  # and the best rounds' is not
    assert (own.least, own.middle, own.most, own.failed) == (30, 30, 60, 0)


def test_ratios_pair_rounds_not_medians():
    found = rows(table(raw=[1.0, 10.0, 100.0], own=[5.0, 20.0, 100.0]))[1]
    assert found.ratio == 2
    assert found.middle == 20


def test_a_failed_round_leaves_the_figures_and_is_named():
    bad = table(raw=[10.0, 10.0], own=[None, 20.0])
    bad.reasons["own"] = ["status 1: no", "status 1: no"]
    own = rows(bad)[1]
    assert (own.middle, own.ratio, own.failed) == (20, 2, 1)
    text = "\n".join(markdown(bad))
    assert "own (1 rounds failed)" in text
    assert "**own**: 1 rounds failed: status 1: no" in text
    assert text.count("status 1: no") == 1


def test_a_round_without_its_base_has_no_ratio():
    own = rows(table(raw=[None, None], own=[1.0, 2.0]))[1]
    assert (own.ratio, own.best, own.middle) == (None, None, 1.5)


def test_a_figure_is_taken_apart_by_the_rounds_that_have_all_of_it():
    parts = {name: [10.0 * n + i for n in (1, 2, 3)] for i, (name, _) in enumerate(LAYERS)}
    parts["ossmedia"] = [19.0, 29.0, 37.0]
    said = (
        "are made of: 20 the bare requests, 1 signature and CRC-64, 1 the promises in C, 7 Python"
    )
    assert layers(table(**parts)).endswith(said)
    parts["raw"] = [None, None, 30.0]
    assert layers(table(**parts)).endswith(said.replace("20 the", "30 the").replace("7 P", "5 P"))
    assert f"\n{layers(table(**parts))}" in "\n".join(markdown(table(**parts)))
    assert layers(table(raw=[1.0], ossmedia=[2.0])) == ""


def test_a_missing_peer_is_named_and_has_no_row():
    absent = table(raw=[1.0])
    absent.reasons["obstore"] = ["obstore cannot be imported"]
    text = "\n".join(markdown(absent))
    assert "| obstore" not in text
    assert "**obstore**: not run: obstore cannot be imported" in text
    assert missing(Peer("x", "no_such_program"))
    assert missing(PEERS["ossmedia"]) == ""


def test_scaling_keeps_the_work_large_enough():
    puts, one, raw = SCENARIOS["put-64k"], SCENARIOS["put-1g"], PEERS["raw"]
    assert scaled(puts, 1, raw) == (65536, 10_000)
    assert scaled(puts, 0.00001, raw) == (65536, 16)
    assert scaled(puts, 1, PEERS["oss2"]) == (65536, 2_000)
    assert scaled(one, 1, PEERS["oss2"]) == (1 << 30, 1)
    assert scaled(one, 0.001, raw) == (16 << 20, 1)


def test_every_scenario_names_known_peers_and_its_base():
    for scenario in SCENARIOS.values():
        assert set(scenario.peers) <= set(PEERS)
        assert scenario.base in scenario.peers
        assert "ossmedia" in scenario.peers
    assert set(SHORT) <= set(SCENARIOS)


def test_the_picture_shows_each_ratio_of_the_table():
    shown = rows(table(raw=[10.0], ossmedia=[13.0], oss2=[570.0]))
    picture = svg([("64 KiB <PUT>", "raw", shown)])
    texts = [t.text for t in ElementTree.fromstring(picture).iter() if t.tag.endswith("text")]
    assert "64 KiB <PUT>: client CPU, x raw (bars are logarithmic)" in texts
    assert {"1", "1.3", "57", "raw", "ossmedia", "oss2"} <= set(texts)


@pytest.fixture(scope="module")
def built():
    from bench.sink import build_peers

    try:
        build_peers()
    except FileNotFoundError as reason:
        pytest.skip(str(reason))


def test_frames_of_another_size_are_other_bytes(tmp_path):
    """All together they are more than a first-level cache holds, as a camera's are."""
    sizes = Place(tmp_path).frames(20_000)[1]
    found = sorted(places(sizes).items())
    assert len(found) == len(set(sizes)) == 64
    assert found[0][1] == 0
    for (size, at), (_, following) in pairwise(found):
        assert following == at + size
    assert sum(set(sizes)) > 1 << 20


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        (name, peer)
        for name in ("put-64k", "append-256k", "camera", "parts-1g")
        for peer in ("raw+v4+crc", "libcurl+v4+crc", "ossmedia core", "ossmedia")
        if peer in SCENARIOS[name].peers
    ],
)
@pytest.mark.usefixtures("built")
def test_a_run_stores_what_was_to_be_sent(tmp_path, name, peer):
    """The driver's own CRC-64 of the work decides: C and Python send the same bytes in the same
    order, a camera's frames from the same places."""
    if missing(PEERS[peer]):
        pytest.skip(missing(PEERS[peer]))
    place = Place(tmp_path)
    with Served(SCENARIOS[name], place, spin=False) as sink:
        done = run(PEERS[peer], SCENARIOS[name], sink, place, 0.001)
        assert done.used["cpu"] > 0
        assert done.value > 0
        with pytest.raises(Failed, match="nothing was stored"):
            sink.stored("peers-none")


@pytest.mark.usefixtures("built")
def test_other_bytes_than_sent_are_a_failed_round(tmp_path, monkeypatch):
    place = Place(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(bytes(1 << 22))

    def wrong(peer, given):
        return command(peer, given | {"payload": str(other)})

    monkeypatch.setattr("bench.peers.measure.command", wrong)
    with (
        Served(SCENARIOS["put-64k"], place, spin=False) as sink,
        pytest.raises(Failed, match="stored were 65536 bytes"),
    ):
        run(PEERS["raw"], SCENARIOS["put-64k"], sink, place, 0.001)


@pytest.mark.usefixtures("built")
def test_the_program_prints_the_table_and_what_is_missing(tmp_path):
    report, picture = tmp_path / "report.json", tmp_path / "picture.svg"
    words = ["put-64k", "--rounds", "2", "--scale", "0.001", "--peers", "ossmedia", "--sleepy"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", *words, "--json", report, "--plot", picture],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for text in ("| ossmedia |", "| raw |", "load average", "2 rounds, scale 0.001"):
        assert text in done.stdout
    for name in MISSING_HERE:
        assert name in done.stdout
    found = json.loads(report.read_text())["put-64k"]
    assert [row["peer"] for row in found] == ["raw", "ossmedia"]
    assert found[1]["ratio"] > 0
    ElementTree.parse(picture)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.usefixtures("built")
def test_a_crowd_tells_of_many_cameras_next_to_few(tmp_path, capsys, monkeypatch, tls):
    if tls and shutil.which("openssl") is None:
        pytest.skip("the openssl program is needed to make a certificate")
    monkeypatch.setattr(crowd, "TURNS", 1)
    scenario = SCENARIOS["put-64k-aes" if tls else "put-64k"]
    with Served(scenario, Place(tmp_path), spin=False) as sink:
        assert crowd.main([sink.endpoint, "20", *([sink.ca] if tls else [])]) == 0
        assert sink.stored("crowd/15")[0] == crowd.SIZE
        with pytest.raises(Failed, match="nothing was stored"):
            sink.stored("crowd/16")  # a multiple of the threads, so that all do as much
    found = json.loads(capsys.readouterr().out)
    assert found["cameras"] == 16
    assert found["descriptors"] == 1
    assert found["threads"] >= crowd.THREADS + 1
    assert min(found[name] for name in ("first", "one", "many", "few8", "many8")) > 0


@pytest.mark.usefixtures("built")
def test_a_camera_of_the_crowd_that_fails_ends_it(tmp_path):
    with Served(SCENARIOS["put-64k"], Place(tmp_path), spin=False) as sink:
        cameras = [crowd.camera(sink.endpoint, number, "") for number in range(8)]
        cameras[5].close()
        with pytest.raises(ValueError, match="closed"):
            crowd.sent(cameras, 8, 8, bytes(1024))
        for camera in cameras:
            camera.close()


def test_more_cameras_than_files_are_refused(monkeypatch):
    monkeypatch.setattr(crowd.resource, "getrlimit", lambda _: (256, 1024))
    with pytest.raises(SystemExit, match="1000 cameras need 3100 files, 1024 are allowed"):
        crowd.room(1000)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.skipif("san" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer is loaded")
@pytest.mark.usefixtures("built")
def test_a_put_is_two_system_calls(tmp_path):
    found = slope(system_calls, PEERS["ossmedia"], CASES[0], Place(tmp_path))
    assert 2 <= found <= 2.2, "one to send head and body, one to receive the answer"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["put-65k"], "scenario: must be all or some of put-1g"),
        (["--rounds", "0"], "--rounds must be 1 or more"),
        (["--peers", "boto9"], "--peers: must be some of raw"),
    ],
)
def test_bad_words_are_refused(words, said):
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
