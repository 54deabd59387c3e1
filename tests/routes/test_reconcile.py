"""The index follows the bucket; what is due is deleted, what is kept is not; nothing is lost on the
way, whatever dies."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oss2
import pytest

from ossmedia.server import errands
from ossmedia.server import reconcile as module
from ossmedia.server.commands import main
from ossmedia.server.errands import Errands, Lease
from ossmedia.server.oss_access import OssUnavailable
from ossmedia.server.reconcile import Tally, reconcile
from ossmedia.server.recordings import DELETING, GONE, READY, Recording, recording_id
from ossmedia.server.retention import carry_out_deletions, delete_expired, forget_gone
from tests.routes.archive_rig import Site

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread
DAY_S = 86_400.0


class Moved:
    """The real time, and as much as a test adds: the cloud signs by the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def clock() -> Moved:
    return Moved()


@pytest.fixture
def tables() -> dict[str, Any]:
    return {}


@pytest.fixture
def site(cloud: Any, tmp_path: Path, clock: Moved, tables: dict[str, Any]) -> Iterator[Site]:
    with Site(cloud, tmp_path, clock, **tables) as made:
        made.device("cam-1")
        yield made


def rows(site: Site) -> dict[str, Recording]:
    """Everything in the index by its key, what is gone included."""
    from sqlalchemy import select

    from ossmedia.server.schema import recordings

    with site.database.reading() as connection:
        found = connection.execute(select(recordings)).all()
    return {row.key: Recording.from_row(row) for row in found}


def states(site: Site) -> dict[str, str]:
    return {key.removeprefix("cams/"): row.state for key, row in rows(site).items()}


def test_the_index_becomes_what_the_bucket_holds(site: Site) -> None:
    site.device("cam-10")
    site.device("far", prefix="elsewhere/far")
    for key in ("cams/cam-1/a.mp4", "cams/cam-1/b/c d+é.mp4", "cams/cam-10/a.mp4"):
        site.store(key)
    site.store("elsewhere/far/a.mp4")
    for key in ("cams/nobody/a.mp4", "cams/cam-1", "other/a.mp4"):
        site.store(key)
    site.store("cams/cam-1/live/index.m3u8", content_type="application/vnd.apple.mpegurl")
    assert reconcile(site.archive) == Tally(listed=5, noted=4, gone=0)
    cameras = {key: row.camera for key, row in rows(site).items()}
    assert cameras == {
        "cams/cam-1/a.mp4": "cam-1",
        "cams/cam-1/b/c d+é.mp4": "cam-1",
        "cams/cam-10/a.mp4": "cam-10",
        "elsewhere/far/a.mp4": "far",
    }
    assert reconcile(site.archive) == Tally(listed=5, noted=0, gone=0)


def test_changes_and_losses_are_found(site: Site) -> None:
    for name in "abcd":
        site.store(f"cams/cam-1/{name}.mp4")
    reconcile(site.archive)
    site.oss.delete_object("cams/cam-1/a.mp4")
    site.oss.delete_object("cams/cam-1/d.mp4")
    site.store("cams/cam-1/b.mp4", b"longer than before")
    site.oss.put_symlink("cams/cam-1/b.mp4", "cams/cam-1/c.mp4")
    assert reconcile(site.archive) == Tally(listed=2, noted=1, gone=3)
    found = rows(site)
    assert states(site) == {
        **{f"cam-1/{name}.mp4": GONE for name in "acd"},
        "cam-1/b.mp4": READY,
    }
    assert found["cams/cam-1/b.mp4"].size == 18
    site.store("cams/cam-1/a.mp4", b"again")
    assert reconcile(site.archive) == Tally(listed=3, noted=1, gone=0)
    assert states(site)["cam-1/a.mp4"] == READY


def test_an_empty_bucket_empties_the_index(site: Site) -> None:
    site.store("cams/cam-1/a.mp4")
    reconcile(site.archive)
    site.oss.delete_object("cams/cam-1/a.mp4")
    assert reconcile(site.archive) == Tally(listed=0, noted=0, gone=1)


def test_growth_is_followed_and_ends(site: Site, clock: Moved) -> None:
    site.oss.append_object("cams/cam-1/live.ts", 0, b"12345")
    reconcile(site.archive)
    first = rows(site)["cams/cam-1/live.ts"]
    assert (first.state, first.position, first.size) == ("growing", 5, 5)
    site.oss.append_object("cams/cam-1/live.ts", 5, b"678")
    assert reconcile(site.archive).noted == 1
    grown = rows(site)["cams/cam-1/live.ts"]
    assert (grown.size, grown.start_at) == (8, first.start_at)
    clock.sleep(200)
    reconcile(site.archive)
    assert rows(site)["cams/cam-1/live.ts"].state == READY


@pytest.mark.parametrize("seed", range(3))
def test_any_history_ends_with_the_truth(
    site: Site, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Small pages, so that bounds fall everywhere; keys whose order differs by alphabet; changes
    between reconciles."""
    monkeypatch.setattr("ossmedia.server.oss_access.PAGE", 7)
    monkeypatch.setattr(module, "_ROWS", 5)
    chance = random.Random(seed)
    names = [f"{a}{b}" for a in ("A", "a", "Z", "é", "z", "~", "\U0001f600") for b in "019/x"]
    names = [name.replace("/", "/n") for name in names]
    there: dict[str, bytes] = {}
    for _ in range(4):
        for name in chance.sample(names, 12):
            key = f"cams/cam-1/{name}"
            if key in there and chance.random() < 0.5:
                site.oss.delete_object(key)
                del there[key]
            else:
                there[key] = bytes(chance.randrange(1, 50))
                site.oss.put_object(key, there[key])
        reconcile(site.archive)
        known = {key: row.size for key, row in rows(site).items() if row.state == READY}
        assert known == {key: len(data) for key, data in there.items()}


def test_a_reconcile_may_stop_anywhere(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossmedia.server.oss_access.PAGE", 3)
    for number in range(10):
        site.store(f"cams/cam-1/{number}.mp4")
    for stop_at in range(1, 6):
        calls = iter(range(100))

        def go_on(stop_at: int = stop_at, calls: Iterator[int] = calls) -> None:
            if next(calls) == stop_at:
                raise module.Stopped

        if stop_at < 5:
            with pytest.raises(module.Stopped):
                reconcile(site.archive, go_on)
    reconcile(site.archive)
    assert len(rows(site)) == 10
    assert set(states(site).values()) == {READY}


def test_while_oss_fails_nothing_is_gone(site: Site) -> None:
    site.store("cams/cam-1/a.mp4")
    reconcile(site.archive)
    for fault in ("status", "garbage", "cut"):
        site.cloud.fault(fault, times=0, status=500)
        with pytest.raises(OssUnavailable):
            reconcile(site.archive)
        site.cloud.clear_faults()
        assert states(site) == {"cam-1/a.mp4": READY}, fault


class TestRetention:
    @pytest.fixture
    def tables(self) -> dict[str, Any]:
        return {"recordings": {"keep_days": 7}}

    def test_what_is_old_goes_and_what_is_kept_stays(self, site: Site, clock: Moved) -> None:
        for name in ("a", "b", "c"):
            site.store(f"cams/cam-1/{name}.mp4")
        reconcile(site.archive)
        site.archive.keep([rows(site)["cams/cam-1/b.mp4"].id], True)
        assert delete_expired(site.archive) == 0
        clock.sleep(7 * DAY_S - 60)
        assert delete_expired(site.archive) == 0
        clock.sleep(61)
        assert delete_expired(site.archive) == 2
        assert [entry.key for entry in oss2.ObjectIterator(site.oss)] == ["cams/cam-1/b.mp4"]
        assert states(site) == {"cam-1/a.mp4": GONE, "cam-1/b.mp4": READY, "cam-1/c.mp4": GONE}

    def test_a_cameras_wrong_clock_deletes_nothing_early(self, site: Site, clock: Moved) -> None:
        """It says 1971; OSS says now."""
        site.store("cams/cam-1/a.mp4", start=31_536_000_000)
        reconcile(site.archive)
        assert rows(site)["cams/cam-1/a.mp4"].start_at == 31_536_000.0
        assert delete_expired(site.archive) == 0
        clock.sleep(8 * DAY_S)
        assert delete_expired(site.archive) == 1

    def test_many_are_deleted_in_parts(
        self, site: Site, clock: Moved, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ossmedia.server.retention._AT_ONCE", 4)
        for number in range(11):
            site.store(f"cams/cam-1/{number}.mp4")
        reconcile(site.archive)
        clock.sleep(8 * DAY_S)
        assert delete_expired(site.archive) == 11
        assert list(oss2.ObjectIterator(site.oss)) == []

    def test_a_deletion_survives_an_outage_and_a_restart(self, site: Site, clock: Moved) -> None:
        """Marked before it is done; repeated by whoever lives."""
        for name in "abc":
            site.store(f"cams/cam-1/{name}.mp4")
        reconcile(site.archive)
        clock.sleep(8 * DAY_S)
        site.cloud.fault("status", operation="DeleteMultipleObjects", times=0, status=503)
        with pytest.raises(OssUnavailable):
            delete_expired(site.archive)
        assert set(states(site).values()) == {DELETING}
        site.cloud.clear_faults()
        site.cloud.fault("drop", operation="DeleteMultipleObjects", when="after", times=1)
        with pytest.raises(OssUnavailable):  # done, but the answer is lost
            carry_out_deletions(site.archive)
        assert set(states(site).values()) == {DELETING}
        assert carry_out_deletions(site.archive) == 3
        assert set(states(site).values()) == {GONE}

    def test_what_oss_does_not_delete_stays_marked_and_lets_others_pass(self, site: Site) -> None:
        for name in "ab":
            site.store(f"cams/cam-1/{name}.mp4")
        reconcile(site.archive)
        ids = [recording_id("cams", f"cams/cam-1/{name}.mp4") for name in "ab"]
        site.archive.index.doom(ids)
        deleted = site.archive.oss.delete
        site.archive.oss.delete = lambda keys: deleted([k for k in keys if k != "cams/cam-1/a.mp4"])  # type: ignore[method-assign]
        assert carry_out_deletions(site.archive) == 1
        assert states(site) == {"cam-1/a.mp4": DELETING, "cam-1/b.mp4": GONE}
        site.archive.oss.delete = deleted  # type: ignore[method-assign]
        assert carry_out_deletions(site.archive) == 1

    def test_names_of_what_is_gone_are_forgotten_after_a_month(
        self, site: Site, clock: Moved
    ) -> None:
        site.store("cams/cam-1/a.mp4")
        site.store("cams/cam-1/b.mp4", discontinuity=1)
        reconcile(site.archive)
        clock.sleep(8 * DAY_S)
        delete_expired(site.archive)
        assert forget_gone(site.archive) == 0
        clock.sleep(30 * DAY_S)
        assert forget_gone(site.archive) == 1
        assert list(states(site)) == ["cam-1/b.mp4"], "live playlists count it"


class TestLifecycle:
    @pytest.fixture
    def tables(self) -> dict[str, Any]:
        return {"recordings": {"lifecycle_days": 30}}

    def test_what_is_kept_is_tagged_for_the_rule(self, site: Site) -> None:
        site.store("cams/cam-1/a.mp4")
        reconcile(site.archive)
        ids = [recording_id("cams", "cams/cam-1/a.mp4")]
        assert site.archive.keep(ids, True)
        tags = site.oss.get_object_tagging("cams/cam-1/a.mp4").tag_set.tagging_rule
        assert tags == {"ossmedia-keep": "1"}
        assert site.archive.keep(ids, False)
        assert site.oss.get_object_tagging("cams/cam-1/a.mp4").tag_set.tagging_rule == {}

    def test_nothing_is_kept_by_half(self, site: Site) -> None:
        site.store("cams/cam-1/a.mp4")
        reconcile(site.archive)
        row = rows(site)["cams/cam-1/a.mp4"]
        site.cloud.fault("status", operation="PutObjectTagging", times=0, status=503)
        with pytest.raises(OssUnavailable):
            site.archive.keep([row.id], True)
        assert rows(site)["cams/cam-1/a.mp4"].keep is False

    def test_the_command_sets_the_rules_and_leaves_others(
        self, site: Site, capsys: pytest.CaptureFixture[str]
    ) -> None:
        site.device("far", prefix="elsewhere/far")
        other = oss2.models.LifecycleRule(
            "mine", "other/", expiration=oss2.models.LifecycleExpiration(days=9)
        )
        site.oss.put_bucket_lifecycle(oss2.models.BucketLifecycle([other]))
        config = write_config(site, "[recordings]\nlifecycle_days = 30\n")
        assert main(["recordings", "lifecycle", "-c", config]) == 0
        shown = capsys.readouterr().out
        assert "<Days>30</Days>" in shown
        assert "<Prefix>elsewhere/far/</Prefix>" in shown
        assert [rule.id for rule in site.archive.oss.lifecycle()] == ["mine"]
        for _ in range(2):
            assert main(["recordings", "lifecycle", "--set", "-c", config]) == 0
        rules = {rule.id: rule for rule in site.archive.oss.lifecycle()}
        assert list(rules) == [
            *("mine", "ossmedia-0-unfinished", "ossmedia-0-age"),
            *("ossmedia-1-unfinished", "ossmedia-1-age"),
        ]
        age = rules["ossmedia-0-age"]
        assert (age.prefix, age.expiration.days) == ("cams/", 30)
        (kept,) = age.filter.filter_not
        assert (kept.prefix, kept.tag.key, kept.tag.value) == ("cams/", "ossmedia-keep", "1")
        assert rules["ossmedia-0-unfinished"].abort_multipart_upload.days == 7


def write_config(site: Site, more: str = "") -> str:
    cloud = site.cloud
    text = f"""
database = "{site.settings.database}"
key_file = "{site.settings.key_file}"
[sts]
role_arn = "{cloud.role_arn}"
[oss]
bucket = "cams"
endpoint = "{cloud.endpoint}"
region = "{cloud.region}"
"""
    path = site.folder / "ossmedia.toml"
    path.write_text(text + more)
    return str(path)


def test_the_commands(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.store("cams/cam-1/a.mp4")
    config = write_config(site)
    assert main(["recordings", "reconcile", "-c", config]) == 0
    assert capsys.readouterr().out == "1 listed, 1 noted, 0 gone\n"
    assert main(["recordings", "reconcile", "--json", "-c", config]) == 0
    assert capsys.readouterr().out == '{"listed": 1, "noted": 0, "gone": 0}\n'
    site.archive.index.doom([recording_id("cams", "cams/cam-1/a.mp4")])
    assert main(["recordings", "expire", "-c", config]) == 0
    assert capsys.readouterr().out == "1 deleted\n"
    site.cloud.fault("status", times=0, status=403, code="AccessDenied")
    assert main(["recordings", "reconcile", "-c", config]) == 1
    assert capsys.readouterr().err == "ossmedia: OSS refused: 403 AccessDenied\n"


class TestErrands:
    @pytest.fixture
    def tables(self) -> dict[str, Any]:
        return {"recordings": {"keep_days": 1, "reconcile_s": 60}}

    def test_one_process_does_it_and_its_death_holds_nothing_up(
        self, site: Site, clock: Moved
    ) -> None:
        mine, other = (Lease(site.database, clock, "x", 60) for _ in range(2))  # type: ignore[arg-type]
        assert mine.take()
        assert not other.take()
        assert not mine.take()
        assert mine.hold()
        assert not other.hold()
        clock.sleep(errands.HELD_S + 1)  # mine died
        assert other.take()
        assert not mine.hold()
        mine.done()
        assert not mine.take(), "what is not held cannot be done"
        other.done()
        assert not mine.take()
        clock.sleep(61)
        assert mine.take()
        mine.drop()
        assert other.take()

    def test_a_round_does_what_is_due(self, site: Site, clock: Moved) -> None:
        works = Errands(site.archive)
        site.store("cams/cam-1/a.mp4")
        works.round()
        assert states(site) == {"cam-1/a.mp4": READY}
        site.store("cams/cam-1/b.mp4")
        works.round()
        assert states(site) == {"cam-1/a.mp4": READY}, "not yet due again"
        clock.sleep(61)
        works.round()
        assert len(states(site)) == 2
        clock.sleep(DAY_S + 60)
        works.round()
        assert set(states(site).values()) == {GONE}

    def test_a_failure_is_told_once_and_tried_again(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        works = Errands(site.archive)
        site.store("cams/cam-1/a.mp4")
        site.cloud.fault("status", operation="ListObjects*", times=3, status=503, code="Busy")
        for _ in range(3):
            works.round()
        told = [r.message for r in caplog.records if r.message.startswith("reconcile: ")]
        assert told == ["reconcile: OSS refused: 503 Busy; it will be tried again"]
        works.round()
        assert states(site) == {"cam-1/a.mp4": READY}

    def test_it_ends_in_the_middle(self, site: Site) -> None:
        works = Errands(site.archive)
        site.store("cams/cam-1/a.mp4")
        works.stop()
        works.round()
        assert states(site) == {}
        other = Errands(site.archive)
        other.round()
        assert states(site) == {"cam-1/a.mp4": READY}, "what was stopped is free again"
