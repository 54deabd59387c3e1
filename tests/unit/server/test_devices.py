"""devices.py, sealing.py, database.py: the registry, its keys, and what lies on disk."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ossmedia.device_auth import DeviceKey
from ossmedia.server.database import Database, StoreUnavailable
from ossmedia.server.devices import EnrolmentRefused, Registry, UnknownDevice, key_place
from ossmedia.server.parts import open_registry
from ossmedia.server.schema import device_keys, metadata
from ossmedia.server.sealing import Vault, make_key_file
from tests.unit.server.rig import Camera, World

# reliability of names: none of these may become a device or a prefix of its own making.
ESCAPES = [
    *("*", "?", "**", "cam?", "cam*", "cam1/*", "*/cam1", "${", "${acs:SourceIp}", "${oss:Prefix}"),
    *("$", "../", "..", "./", "//", "/cam1", "cam1//x", "cam1/../cam2", "cam1/./", "..%2fcam2"),
    *("%2e%2e/", "%2f", "%252f", "%2a", "%3f", "%00", "\0", "\\", "cam1\\..\\cam2", ":"),
    *("acs:oss:*:*:*", ",", '"', "'", "\t", "\r", "\n", "]", "}", "\uff0f", "\u2215", "\uff0a"),
    *("\uff1f", "\uff0e\uff0e", "\u202e", "\u200b", "\ufeff", "\u0130", "e\u0301", "\xc0\xaf"),
    *("\ud800", "\U0001f600", "", " ", "cam1.", "cam1 ", "a" * 1024, "a" * 1025, "%", "cam1#"),
    *("cam1;", "~g2", "-cam", "_cam", "cam1\n", "a" * 64),
]
MERE_NAMES = ("_cam", "a" * 64)


@pytest.fixture
def registry(world: World) -> Any:
    return world.registry()


@pytest.mark.parametrize("text", ESCAPES, ids=ascii)
def test_no_escape_becomes_a_device(registry: Registry, text: str) -> None:
    with pytest.raises(ValueError, match="device_id"):
        registry.add(text)
    assert list(registry.all()) == []


@pytest.mark.parametrize("text", [t for t in ESCAPES if t], ids=ascii)
def test_no_escape_becomes_a_prefix(registry: Registry, text: str) -> None:
    if text in MERE_NAMES:  # no device's name, but a prefix's: as it stands, and nothing else
        device, _ = registry.add("cam-1", prefix=f"cams/{text}")
        assert device.prefix == f"cams/{text}"
    else:
        with pytest.raises(ValueError, match=r"^(path|prefix):"):
            registry.add("cam-1", prefix=f"cams/{text}")


def test_add_show_list(registry: Registry, world: World) -> None:
    device, key = registry.add("cam-1", modes="ra", ttl_s=900)
    assert device == registry.get("cam-1")
    assert (device.prefix, device.modes, device.ttl_s) == ("cams/cam-1", ("a", "r"), 900)
    assert (device.state, device.revision) == ("active", 1)
    assert [key_id for key_id, _ in registry.keys("cam-1")] == [DeviceKey.parse(key).id]
    for number in (3, 2):
        registry.add(f"cam-{number}")
    assert [d.id for d in registry.all()] == ["cam-1", "cam-2", "cam-3"]
    with pytest.raises(UnknownDevice, match="'nobody' is not registered"):
        registry.get("nobody")


def test_pages(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossmedia.server.devices._PAGE", 3)
    names = [f"cam-{number}" for number in range(7)]
    for name in names:
        registry.add(name, key=False)
    assert [d.id for d in registry.all()] == names


@pytest.mark.parametrize(
    "prefix",
    ["cams/a", "cams/a/", "cams/a/b", "cams/a/b/c", "cams", "cams/a/b/c/d", "cams/a/b-c/../b"],
)
def test_prefixes_never_lie_in_each_other(registry: Registry, prefix: str) -> None:
    registry.add("one", prefix="cams/a/b/c")
    registry.add("two", prefix="cams/a/b_c")
    clash = prefix in ("cams/a/b/c", "cams/a/b/c/d") or "cams/a/b/c".startswith(
        prefix.rstrip("/") + "/"
    )
    if clash or ".." in prefix:
        with pytest.raises(ValueError, match=r"prefix|path"):
            registry.add("three", prefix=prefix)
    else:
        registry.add("three", prefix=prefix)


@pytest.mark.parametrize("prefix", ["cams/a/bxc", "cams/A/b_c", "cams/a/b_", "cams/a/b_cc"])
def test_neighbours_are_no_clash(registry: Registry, prefix: str) -> None:
    registry.add("one", prefix="cams/a/b_c")
    registry.add("two", prefix=prefix)


def test_the_same_device_twice(registry: Registry) -> None:
    registry.add("cam-1")
    with pytest.raises(ValueError, match="registered already"):
        registry.add("cam-1", prefix="elsewhere/cam-1")


def test_many_adding_overlapping_prefixes_at_once(world: World) -> None:
    """Eight connections: of every nest of prefixes one is left."""
    registries = [world.registry() for _ in range(8)]
    gate = threading.Barrier(8)

    def add(number: int) -> None:
        gate.wait()
        for nest in range(5):
            prefix = f"n{nest}" + "/x" * number
            with suppress(ValueError):
                registries[number].add(f"d{number}-{nest}", prefix=prefix, key=False)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    prefixes = [d.prefix for d in registries[0].all()]
    assert sorted(prefix.split("/")[0] for prefix in prefixes) == [f"n{n}" for n in range(5)]


def test_two_keys_are_good_and_a_third_ends_the_oldest(world: World, url: str) -> None:
    registry = world.registry()
    _, first = registry.add("cam-1")
    cameras = [Camera(url, "cam-1", first, world.time)]
    for _ in range(2):
        world.time.seconds += 1
        cameras.append(Camera(url, "cam-1", registry.rotate_key("cam-1"), world.time))
        assert [c.ask().status for c in cameras[-2:]] == [200, 200]
    assert cameras[0].ask().status == 401
    newest = Camera(url, "cam-1", registry.rotate_key("cam-1", drop_old=True), world.time)
    assert [c.ask().status for c in [*cameras, newest]] == [401, 401, 401, 200]
    assert registry.get("cam-1").revision == 4


class TestEnrolment:
    def test_a_code_gives_a_key_once(self, registry: Registry) -> None:
        registry.add("cam-1", key=False)
        code = registry.enrol_code("cam-1")
        assert len(code.replace("-", "")) == 16
        DeviceKey.parse(registry.enrol("cam-1", code.lower()))
        with pytest.raises(EnrolmentRefused):
            registry.enrol("cam-1", code)

    @pytest.mark.parametrize("later", [599, 600])
    def test_it_lives_ten_minutes(self, registry: Registry, world: World, later: int) -> None:
        registry.add("cam-1", key=False)
        code = registry.enrol_code("cam-1")
        world.time.seconds += later
        if later < 600:
            registry.enrol("cam-1", code)
        else:
            with pytest.raises(EnrolmentRefused):
                registry.enrol("cam-1", code)

    def test_it_is_of_one_device(self, registry: Registry) -> None:
        for name in ("cam-1", "cam-2", "cam-3"):
            registry.add(name, key=False)
        code = registry.enrol_code("cam-1")
        registry.enrol_code("cam-2")
        for name in ("cam-2", "cam-3", "nobody"):
            with pytest.raises(EnrolmentRefused):
                registry.enrol(name, code)
        with pytest.raises(EnrolmentRefused):
            registry.enrol("cam-3", "")
        registry.enrol("cam-1", code)

    def test_a_new_code_ends_the_old_one(self, registry: Registry) -> None:
        registry.add("cam-1", key=False)
        old, new = registry.enrol_code("cam-1"), registry.enrol_code("cam-1")
        with pytest.raises(EnrolmentRefused):
            registry.enrol("cam-1", old)
        registry.enrol("cam-1", new)

    def test_disabling_ends_it(self, registry: Registry) -> None:
        registry.add("cam-1", key=False)
        code = registry.enrol_code("cam-1")
        registry.disable("cam-1")
        with pytest.raises(ValueError, match="disabled"):
            registry.enrol_code("cam-1")
        registry.enable("cam-1")
        with pytest.raises(EnrolmentRefused):
            registry.enrol("cam-1", code)

    def test_of_many_at_once_one_gets_the_key(self, world: World) -> None:
        registries = [world.registry() for _ in range(6)]
        registries[0].add("cam-1", key=False)
        code = registries[0].enrol_code("cam-1")
        gate, keys = threading.Barrier(6), []

        def enrol(one: Registry) -> None:
            gate.wait()
            with suppress(EnrolmentRefused):
                keys.append(one.enrol("cam-1", code))

        threads = [threading.Thread(target=enrol, args=(one,)) for one in registries]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 1

    def test_codes_lie_hashed(self, registry: Registry, world: World) -> None:
        registry.add("cam-1", key=False)
        code = registry.enrol_code("cam-1")
        data = b"".join(f.read_bytes() for f in world.folder.iterdir())
        assert code.encode() not in data
        assert code.replace("-", "").encode() not in data


class TestSealing:
    def test_what_is_sealed_opens_in_its_place_only(self) -> None:
        vault = Vault(bytes(32))
        sealed = vault.seal(b"secret", key_place("cam-1", "0a1b2c3d"))
        assert vault.open(sealed, key_place("cam-1", "0a1b2c3d")) == b"secret"
        assert sealed != vault.seal(b"secret", key_place("cam-1", "0a1b2c3d"))
        for place in (key_place("cam-2", "0a1b2c3d"), key_place("cam-1", "00000000")):
            with pytest.raises(ValueError, match="another server key, or damaged"):
                vault.open(sealed, place)
        with pytest.raises(ValueError, match="another server key"):
            Vault(b"x" * 32).open(sealed, key_place("cam-1", "0a1b2c3d"))
        for size in range(len(sealed)):
            with pytest.raises(ValueError, match="damaged"):
                vault.open(sealed[:size], key_place("cam-1", "0a1b2c3d"))

    def test_swapped_rows_are_of_no_use(self, world: World, url: str) -> None:
        """Whoever can write the database cannot move one device's key to another."""
        camera, other = world.camera(url), world.camera(url, "cam-2")
        registry = world.registry()
        with registry._database.writing() as connection:
            rows = {r.device_id: r.sealed for r in connection.execute(device_keys.select())}
            change = device_keys.update().where(device_keys.c.device_id == "cam-2")
            connection.execute(change.values(sealed=rows["cam-1"], key_id=camera.key.id))
        thief = Camera(url, "cam-2", camera.key.text(), world.time)
        assert [thief.ask().status, other.ask().status, camera.ask().status] == [401, 401, 200]

    def test_the_key_file_is_private_and_never_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        make_key_file(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        Vault.from_file(path)
        with pytest.raises(FileExistsError):
            make_key_file(path)
        os.chmod(path, 0o640)
        with pytest.raises(ValueError, match="owner only"):
            Vault.from_file(path)

    @pytest.mark.parametrize("text", [b"", b"00", b"zz" * 32, b"00" * 33, b"\xff" * 64])
    def test_a_wrong_key_file_is_told_but_not_repeated(self, tmp_path: Path, text: bytes) -> None:
        path = tmp_path / "key"
        make_key_file(path)
        path.write_bytes(text)
        with pytest.raises(ValueError, match="must hold 64 hex digits") as caught:
            Vault.from_file(path)
        assert "zz" not in str(caught.value)

    def test_a_missing_key_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="db upgrade"):
            Vault.from_file(tmp_path / "key")

    def test_another_servers_key_is_told_at_the_start(self, world: World) -> None:
        world.registry().add("cam-1")
        (world.folder / "server.key").unlink()
        make_key_file(world.folder / "server.key")
        with pytest.raises(ValueError, match="not the key of this database"):
            open_registry(world.settings())


class TestDatabase:
    def test_migrations_make_what_the_schema_says(self, tmp_path: Path) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        from ossmedia.server.migrations import versions

        newest = sorted(Path(versions.__file__).parent.glob("v*.py"))[-1].name[1:5]
        database = Database(f"sqlite:///{tmp_path}/x.db")
        assert database.upgrade() == newest
        assert database.upgrade() == newest
        with database.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600
        database.close()

    def test_old_tables_are_told(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}/x.db")
        told = r"none, this version needs \d{4}.*ossmedia db upgrade"
        with pytest.raises(ValueError, match=told):
            database.require_current()
        database.close()

    def test_a_failed_transaction_leaves_nothing(self, registry: Registry) -> None:
        with pytest.raises(RuntimeError), registry._database.writing() as connection:
            connection.execute(device_keys.delete())
            raise RuntimeError
        registry.add("cam-1")
        with pytest.raises(KeyError), registry._database.writing() as connection:
            connection.execute(device_keys.delete())
            raise KeyError
        assert len(registry.keys("cam-1")) == 1

    def test_errors_hold_no_parameters(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}/x.db")
        with pytest.raises(StoreUnavailable) as caught, database.writing() as connection:
            row = {"device_id": "d", "key_id": "k", "sealed": b"canary", "created_at": 0}
            connection.execute(device_keys.insert().values(row))
        assert "no such table" in str(caught.value)
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None
        database.close()
