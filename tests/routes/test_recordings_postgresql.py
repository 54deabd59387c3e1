"""The recordings on PostgreSQL: the same answers, and no two processes in each other's way."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ossmedia.server.database import Database
from ossmedia.server.errands import Lease
from ossmedia.server.reconcile import Tally, reconcile
from ossmedia.server.recordings import Found, Index
from ossmedia.server.sightings import Sightings
from tests.routes.archive_rig import Site
from tests.unit.server.engines import postgresql_server
from tests.unit.server.rig import Time, upgrade

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread
DAY = 1_749_945_600.0  # 2025-06-15
DATE = "2025-06-15"
PROCESSES = 4


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """A database of this test's own, upgraded."""
    import psycopg

    name = f"t{abs(hash(request.node.nodeid))}"
    with psycopg.connect(server % "postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    upgrade(server % name)
    return server % name


@pytest.fixture
def databases(url: str) -> Iterator[list[Database]]:
    """One for each of several processes."""
    made = [Database(url) for _ in range(PROCESSES)]
    yield made
    for database in made:
        database.close()


def test_the_tables_are_those_of_the_schema(databases: list[Database]) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from ossmedia.server.schema import metadata

    with databases[0].reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_same_answers(cloud: Any, tmp_path: Path, url: str) -> None:
    """Keys whose order differs by alphabet; a list, its pages, days, spans, a run."""
    with Site(cloud, tmp_path, database=url) as site:
        site.device("cam-1")
        ann = site.viewer("ann", "cam-1")
        for number, name in enumerate(("a", "A", "é", "~", "Z", "z", "\U0001f600", "_", "a/b")):
            start = int((DAY + 60 * number) * 1000)
            site.store(f"cams/cam-1/{name}.mp4", start=start, duration=1000)
        for number in range(20):
            at = DAY + 7200 + 6 * number
            name = f"live/20250615/20250615T02{number // 10:02d}{6 * (number % 10):02d}000Z"
            site.store(
                f"cams/cam-1/{name}-{number:08d}.ts",
                start=int(at * 1000),
                duration=6000,
                content_type="video/mp2t",
                discontinuity=int(number == 7),
            )
        assert reconcile(site.archive) == Tally(29, 29, 0)
        assert reconcile(site.archive) == Tally(29, 0, 0)
        site.oss.delete_object("cams/cam-1/Z.mp4")
        assert reconcile(site.archive) == Tally(28, 0, 1)
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            more = {"cursor": cursor} if cursor else {}
            page = ann.get("/v1/recordings", camera="cam-1", day=DATE, limit=2, **more).json
            seen += [entry["title"] for entry in page["recordings"]]
            cursor = page["next"]
        names = ["live", "b", "_", "\U0001f600", "z", "~", "é", "A", "a"]
        assert [title.removesuffix(".mp4") for title in seen] == names
        (day,) = ann.get("/v1/days", camera="cam-1", month="2025-06").json["days"]
        assert day == {"day": DATE, "count": 9, "bytes": 28 * 5, "seconds": 128.0}
        spans = ann.get("/v1/timeline", camera="cam-1", day=DATE).json["spans"]
        assert spans[-1] == {"from": 7200.0, "to": 7320.0, "kind": "hls"}
        assert len(spans) == 9
        run = ann.list("cam-1", DATE)[0]
        assert (run["discontinuities"], run["duration_s"]) == (1, 120.0)
        assert ann.get(run["playlist"]).body.count(b"#EXTINF") == 20
        assert ann.change("DELETE", f"/v1/recordings/{run['id']}").json["state"] == "gone"


def test_many_processes_note_the_same_objects(databases: list[Database]) -> None:
    """Batches in different orders, versions mixed: no deadlock, the newest wins."""
    clock = Time()
    chance = random.Random(11)
    news = [
        Found("cams", f"cams/cam-1/{n}", "cam-1", "file", v + 1, str(v), DAY + v)
        for n in range(30)
        for v in range(4)
    ]

    def note(database: Database) -> None:
        index = Index(database, clock)
        mine = chance.sample(news, len(news))
        for start in range(0, len(mine), 10):
            index.record_all(mine[start : start + 10])

    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(note, databases))
    rows = Index(databases[0], clock).get_all({item.id for item in news})
    assert len(rows) == 30
    assert {(row.etag, row.size) for row in rows} == {("3", 4)}


def test_keep_and_delete_at_once_have_one_winner(databases: list[Database]) -> None:
    clock = Time()
    indexes = [Index(database, clock) for database in databases[:2]]
    for number in range(40):
        rows = indexes[0].record_all(
            [Found("cams", f"k{number}/{n}", "cam-1", "file", 1, "A", DAY) for n in range(3)]
        )
        ids = [row.id for row in rows]
        gate = threading.Barrier(2)

        def keep(ids: list[str] = ids, gate: threading.Barrier = gate) -> bool:
            gate.wait()
            return indexes[0].keep(ids, True)

        def doom(ids: list[str] = ids, gate: threading.Barrier = gate) -> bool:
            gate.wait()
            return indexes[1].doom(ids)

        with ThreadPoolExecutor(2) as pool:
            kept, doomed = pool.submit(keep), pool.submit(doom)
        assert kept.result() != doomed.result()
        after = {(row.keep, row.state) for row in indexes[0].get_all(ids)}
        assert after == {(True, "ready") if kept.result() else (False, "deleting")}


def test_one_of_many_processes_has_an_errand(databases: list[Database]) -> None:
    clock = Time()
    leases = [Lease(database, clock, "x", 60) for database in databases]  # type: ignore[arg-type]
    for _ in range(10):
        gate = threading.Barrier(PROCESSES)

        def take(lease: Lease, gate: threading.Barrier = gate) -> bool:
            gate.wait()
            return lease.take()

        with ThreadPoolExecutor(PROCESSES) as pool:
            taken = list(pool.map(take, leases))
        assert sum(taken) == 1
        leases[taken.index(True)].done()
        clock.sleep(61)


def test_many_processes_hear_a_fleet(databases: list[Database], url: str) -> None:
    from ossmedia.server.schema import devices

    row = {"modes": "read", "ttl_s": 900, "state": "active", "revision": 1}
    times = {"created_at": 0.0, "changed_at": 0.0}
    fleet = [f"d{number}" for number in range(50)]
    with databases[0].writing() as connection:
        connection.execute(
            devices.insert(), [{"id": d, "prefix": f"cams/{d}", **row, **times} for d in fleet]
        )
    clock = Time()
    with ThreadPoolExecutor(PROCESSES) as pool:
        ears = [Sightings(database, pool, clock) for database in databases]
        for ear in ears:
            for device in random.Random(3).sample(fleet, len(fleet)):
                ear.heard(device)
    assert ears[0].all() == dict.fromkeys(fleet, clock.now())
