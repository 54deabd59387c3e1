"""``ossmedia db copy``: every table, there and back, between SQLite and PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Float, Integer, LargeBinary, String, func, insert, select

from ossmedia import cli
from ossmedia.server.copying import copy
from ossmedia.server.database import Database
from ossmedia.server.parts import open_registry
from ossmedia.server.schema import metadata
from ossmedia.server.settings import Settings
from tests.unit.server.engines import PostgreSql, postgresql_engine
from tests.unit.server.rig import ROLE, upgrade

DEVICES = 3
ROWS = 2300  # more than are taken at a time, and no multiple of it
TOML = f"""
database = "%s"
[sts]
role_arn = "{ROLE}"
[oss]
bucket = "cams"
region = "cn-hangzhou"
"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    with postgresql_engine() as engine:
        yield engine


class Place:
    """A folder with settings, a key file, and any number of databases."""

    def __init__(self, folder: Path, engine: PostgreSql | None) -> None:
        self.folder, self._engine = folder, engine
        self._count = 0
        self.source = self.url("sqlite")
        self.config = folder / "ossmedia.toml"
        self.config.write_text(TOML % self.source)
        assert run("db", "upgrade", "-c", self.config) == 0

    def url(self, kind: str) -> str:
        """A new database that has no tables."""
        self._count += 1
        if kind == "sqlite":
            return f"sqlite:///{self.folder}/{self._count}.db"
        assert self._engine is not None
        return self._engine.make_database(f"t{time.time_ns()}")

    def copy(self, source: str, destination: str) -> int:
        return run("db", "copy", source, destination, "-c", self.config)

    def keys(self) -> dict[str, str]:
        """Devices, each with its key."""
        database, _, registry = open_registry(Settings.load(self.config))
        try:
            return {f"cam-{n}": registry.add(f"cam-{n}")[1] for n in range(DEVICES)}
        finally:
            database.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, None)


@pytest.fixture
def wide_place(tmp_path: Path, postgresql: PostgreSql) -> Place:
    return Place(tmp_path, postgresql)


def run(*words: object) -> int:
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return int(str(stop.code))


def filling(column: Any, number: int) -> Any:
    """A value of a column's type, another for each number, some of them awkward."""
    if column.foreign_keys:
        (key,) = column.foreign_keys
        if key.column.table.name == "devices":
            return f"cam-{number % DEVICES}"
        return filling(key.column, number)
    kind = column.type
    if column.nullable and number % 2:
        return None
    if isinstance(kind, Boolean):
        return bool(number % 3)
    if isinstance(kind, Float):
        return 1_763_900_000 + number / 7
    if isinstance(kind, Integer):
        return number if number < 10 else 2**31 - number
    if isinstance(kind, LargeBinary):
        return bytes([0, 255, number % 256])
    assert isinstance(kind, String), f"{column}: say here what fills a {kind!r}"
    return f"{number}-é'\"\\%😀"[: kind.length]


def fill(url: str) -> None:
    """Rows in every table; those of devices are there already."""
    database = Database(url)
    try:
        with database.writing() as connection:
            for table in metadata.sorted_tables:
                if table.name in ("devices", "device_keys"):
                    continue
                alone = all(c.foreign_keys for c in table.primary_key.columns)
                count = DEVICES if alone else 40
                if table.name == "nonces":
                    count = ROWS
                for number in range(count):
                    row = {c.name: filling(c, number) for c in table.columns}
                    connection.execute(insert(table), row)
    finally:
        database.close()


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    database = Database(url)
    try:
        with database.reading() as connection:
            return {
                table.name: sorted(
                    (tuple(row) for row in connection.execute(select(table))), key=repr
                )
                for table in metadata.sorted_tables
            }
    finally:
        database.close()


def test_there_and_back(wide_place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Over both kinds of database twice: the same rows, and keys that open and are used."""
    place = wide_place
    keys = place.keys()
    fill(place.source)
    before = contents(place.source)
    assert all(before.values()), "every table has rows, or this test says nothing of it"
    chain = [place.source, *(place.url(k) for k in ("postgresql", "postgresql", "sqlite"))]
    for source, destination in pairwise(chain):
        capsys.readouterr()
        assert run("db", "copy", source, destination, "-c", place.config, "--json") == 0
        told = json.loads(capsys.readouterr().out)["rows"]
        assert told == {name: len(rows) for name, rows in before.items()}
        assert contents(destination) == before
    assert len(before["nonces"]) == ROWS
    place.config.write_text(TOML % chain[-1])
    database, vault, registry = open_registry(Settings.load(place.config))
    try:
        registry.check_vault()
        for device, key in keys.items():
            (row,) = [r for r in before["device_keys"] if r[0] == device]
            opened = vault.open(row[2], f"device key {device}/{row[1]}")
            assert key.endswith(_text(opened))
        assert registry.rotate_key("cam-1") != keys["cam-1"]
    finally:
        database.close()


def _text(secret: bytes) -> str:
    from ossmedia.device_auth import DeviceKey

    return DeviceKey("00000000", secret).text().split("_", 2)[2]


def test_no_table_counts_by_itself() -> None:
    """A column that the database numbers would need its counter copied, too."""
    numbered = [t.name for t in metadata.sorted_tables if t.autoincrement_column is not None]
    assert numbered == []


@pytest.mark.parametrize("table", [table.name for table in metadata.sorted_tables])
def test_a_destination_that_holds_anything(
    place: Place, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row in one table is enough to be refused, and nothing is added."""
    place.keys()
    url = place.url("sqlite")
    upgrade(url)
    values = [filling(column, 0) for column in metadata.tables[table].columns]
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:  # checks no foreign keys
        connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(values))})", values)
    connection.close()
    before = contents(url)
    assert [name for name, rows in before.items() if rows] == [table]
    assert place.copy(place.source, url) == 2
    assert f"must be empty, but its table {table} is not" in capsys.readouterr().err
    assert contents(url) == before


def test_the_source_is_no_destination(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.keys()
    assert place.copy(place.source, place.source) == 2
    assert "must be empty" in capsys.readouterr().err


def test_an_old_source(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables of another version, or none."""
    assert place.copy(place.url("sqlite"), place.url("sqlite")) == 2
    assert "ossmedia db upgrade" in capsys.readouterr().err


def test_another_servers_key(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody could open there is not copied."""
    place.keys()
    key = place.folder / "ossmedia.key"
    key.write_text("00" * 32)
    destination = place.url("sqlite")
    assert place.copy(place.source, destination) == 2
    assert "key_file: not the key of this database" in capsys.readouterr().err
    assert Database(destination).revision() is None


def test_a_destination_that_is_away(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.keys()
    url = "postgresql://ossmedia:canary@127.0.0.1:9/none"
    assert place.copy(place.source, url) == 1
    error = capsys.readouterr().err
    assert "database" in error
    assert "canary" not in error
    for wrong in ("mysql://a/b", "x", "sqlite://"):
        assert place.copy(place.source, wrong) == 2
        assert "database: must be" in capsys.readouterr().err


def test_a_row_that_does_not_fit_leaves_nothing(
    wide_place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite takes any length; PostgreSQL does not. The whole copy is undone."""
    place = wide_place
    place.keys()
    database = Database(place.source)
    with database.writing() as connection:
        row = {"device_id": "cam-1", "nonce": "n" * 33, "expires_at": 1.0}
        connection.execute(insert(metadata.tables["nonces"]), row)
    database.close()
    destination = place.url("postgresql")
    assert place.copy(place.source, destination) == 1
    assert "value too long" in capsys.readouterr().err
    assert not any(contents(destination).values())


@pytest.mark.parametrize("kinds", [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_it_is_of_one_moment(
    wide_place: Place, kinds: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody adds meanwhile comes whole or not at all."""
    place = wide_place
    place.keys()
    source = place.source
    if kinds[0] == "postgresql":
        source = place.url("postgresql")
        assert place.copy(place.source, source) == 0
    here, there, other = Database(source), Database(place.url(kinds[1])), Database(source)
    nonces, people = metadata.tables["nonces"], metadata.tables["people"]
    real, added = copy.__globals__["_copy_table"], []

    def adding(*arguments: Any) -> int:
        count = int(real(*arguments))
        if not added:
            with other.writing() as connection:
                for table in (nonces, people):
                    row = {c.name: filling(c, 2) for c in table.columns}
                    connection.execute(insert(table), row)
            added.append(1)
        return count

    monkeypatch.setitem(copy.__globals__, "_copy_table", adding)
    try:
        counts = copy(here, there)
        assert (counts["nonces"], counts["people"]) == (0, 0)
        with other.reading() as connection:
            query = select(func.count()).select_from(nonces)
            assert connection.execute(query).scalar_one() == 1
    finally:
        for database in (here, there, other):
            database.close()
