"""passwords.py, people.py, sessions.py, tries.py: who may sign in, for how long, and how often one
may try; on SQLite and on PostgreSQL."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import delete, func, select, text

from ossmedia.server import passwords
from ossmedia.server.database import Database
from ossmedia.server.devices import Registry, UnknownDevice
from ossmedia.server.passwords import USUAL, Cost, check_password, hash_password
from ossmedia.server.people import People, Person, UnknownPerson, check_name
from ossmedia.server.schema import people as people_table
from ossmedia.server.schema import sessions as sessions_table
from ossmedia.server.schema import sign_ins
from ossmedia.server.sealing import Vault
from ossmedia.server.sessions import MOST, Sessions, csrf_of
from ossmedia.server.tries import ADDRESS, BOTH, NAME, WINDOW_S, Tries, network_of
from tests.unit.server.engines import postgresql_server
from tests.unit.server.rig import Time, write_settings

QUICK = Cost(2, 1, 1)
SECRET = "a long password"
IDLE_S, LIFE_S = 3600.0, 86_400.0


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with postgresql_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: Any, tmp_path: Path) -> Iterator[Database]:
    more = {}
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql")
        name = "people_" + re.sub(r"\W", "_", request.node.name)[:40].lower()
        outer = Database(url % "postgres")
        with outer.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        outer.close()
        more["database"] = url % name
    settings = write_settings(tmp_path, **more)
    made = Database(settings.database)
    vault = Vault.from_file(settings.key_file)
    registry = Registry(made, vault, settings.devices, settings.oss.bucket)
    for number in range(3):
        registry.add(f"cam-{number}", key=False)
    yield made
    made.close()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def people(database: Database, time: Time) -> People:
    return People(database, time, QUICK)


@pytest.fixture
def sessions(database: Database, time: Time) -> Sessions:
    return Sessions(database, IDLE_S, LIFE_S, time)


@pytest.fixture
def tries(database: Database, time: Time) -> Tries:
    return Tries(database, time)


def count(database: Database, table: Any) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


# -- passwords -----------------------------------------------------------------------------------


def test_a_stored_password_says_what_it_costs_and_is_salted() -> None:
    one, other = hash_password(SECRET, QUICK), hash_password(SECRET, QUICK)
    assert one != other
    assert one.startswith("scrypt$2$1$1$")
    assert len(hash_password(SECRET * 3)) <= 300
    assert check_password(SECRET, one)
    assert check_password(SECRET, other)
    assert not check_password(SECRET + " ", one)
    assert SECRET not in one
    assert USUAL.n * USUAL.r * 128 == 32 << 20


def test_another_implementation_reads_it() -> None:
    name, n, r, p, salt, made = hash_password(SECRET, Cost(16, 8, 2)).split("$")
    kdf = Scrypt(base64.b64decode(salt), length=32, n=int(n), r=int(r), p=int(p))
    assert (name, kdf.derive(SECRET.encode())) == ("scrypt", base64.b64decode(made))


@pytest.mark.parametrize("bad", ["", "short", "x" * 11, "x" * 257])
def test_passwords_that_cannot_be(bad: str) -> None:
    with pytest.raises(ValueError, match="password: must have 12-256 characters"):
        hash_password(bad, QUICK)
    with pytest.raises(TypeError, match="password"):
        hash_password(b"x" * 20, QUICK)  # type: ignore[arg-type]


def test_any_character_counts() -> None:
    composed, decomposed = "p\u00e4sswort mit umlaut", "pa\u0308sswort mit umlaut"
    assert check_password(decomposed, hash_password(composed, QUICK))
    strange = "\u5bc6\u7801 \0 \ud800 \U0001f512 long enough"
    assert check_password(strange, hash_password(strange, QUICK))


@pytest.mark.parametrize("stored", ["", "x", "md5$1$1$1$YQ==$YQ==", "scrypt$2$1$1$!$!", "a$b"])
def test_what_was_never_stored(stored: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        check_password(SECRET, stored)


# -- people --------------------------------------------------------------------------------------


def test_the_life_of_a_person(people: People) -> None:
    anna = people.add("anna", SECRET, cameras=["cam-1", "cam-0", "cam-1"])
    assert anna == Person("anna", False, frozenset({"cam-0", "cam-1"}), 1)
    assert anna.may_see("cam-0")
    assert not anna.may_see("cam-2")
    assert not anna.may_see("")
    boss = people.add("boss@example.com", SECRET, admin=True)
    assert boss.cameras is None
    assert boss.may_see("cam-2")
    assert [person.name for person in people.all()] == ["anna", "boss@example.com"]
    assert people.grant("anna", ["cam-2", "cam-1"]).cameras == {"cam-0", "cam-1", "cam-2"}
    assert people.revoke("anna", ["cam-0", "unknown"]).cameras == {"cam-1", "cam-2"}
    assert people.grant("anna", [], admin=True).cameras is None
    assert people.revoke("anna", [], admin=True).cameras == {"cam-1", "cam-2"}
    people.remove("anna")
    with pytest.raises(UnknownPerson, match="anna"):
        people.get("anna")


def test_what_cannot_be_is_refused_and_changes_nothing(people: People) -> None:
    people.add("anna", SECRET)
    with pytest.raises(ValueError, match="taken"):
        people.add("anna", SECRET)
    with pytest.raises(UnknownDevice):
        people.add("bea", SECRET, cameras=["cam-0", "cam-9"])
    with pytest.raises(UnknownDevice):
        people.grant("anna", ["cam-0", "cam-9"])
    assert people.all() == [Person("anna", False, frozenset(), 1)]
    for call in (people.get, people.remove):
        with pytest.raises(UnknownPerson):
            call("bea")
    for change in (people.grant, people.revoke):
        with pytest.raises(UnknownPerson):
            change("bea", ["cam-0"])
    with pytest.raises(UnknownPerson):
        people.set_password("bea", SECRET)


@pytest.mark.parametrize(
    "name", ["", "Anna", "-a", ".a", "a b", "a/b", "a\n", "\u0430nna", "a" * 65, "<b>", "a\0"]
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="name: must be 1-64"):
        check_name(name)
    with pytest.raises(TypeError, match="name"):
        check_name(7)


def test_who_proves_what(people: People) -> None:
    people.add("anna", SECRET, cameras=["cam-0"])
    assert people.prove("anna", SECRET) == people.get("anna")
    for name, password in (
        ("anna", "another password"),
        ("anna", ""),
        ("bea", SECRET),
        ("Anna", SECRET),
        ("anna\0", SECRET),
        ("\ud800", SECRET),
        ("x" * 5000, SECRET),
        ("' OR 1=1 --", SECRET),
    ):
        assert people.prove(name, password) is None


def test_an_unknown_name_takes_the_work_of_a_known_one(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add("anna", SECRET)
    work: list[Any] = []
    real = passwords.hashlib.scrypt

    def scrypt(plain: bytes, **cost: Any) -> bytes:
        work.append((cost["n"], cost["r"], cost["p"], len(cost["salt"])))
        return real(plain, **cost)

    monkeypatch.setattr(passwords.hashlib, "scrypt", scrypt)
    for name in ("anna", "bea", "not a name"):
        people.prove(name, "another password")
    assert work == [(QUICK.n, QUICK.r, QUICK.p, 16)] * 3


# -- sessions ------------------------------------------------------------------------------------


def test_a_token_is_a_person_until_it_ends(
    database: Database, people: People, sessions: Sessions, time: Time
) -> None:
    anna = people.add("anna", SECRET, cameras=["cam-0"])
    token = sessions.begin(anna)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    with database.reading() as connection:
        assert token not in str(connection.execute(select(sessions_table)).all())
    assert sessions.person(token) == anna
    people.grant("anna", ["cam-1"])
    assert sessions.person(token) == people.get("anna"), "rights are those of this moment"
    sessions.end(token)
    assert sessions.person(token) is None
    sessions.end(token)
    for wrong in ("", "x", "x" * 43, token[:-1], token + "x"):
        assert sessions.person(wrong) is None


def test_it_ends_without_use_and_at_the_latest_after_its_life(
    people: People, sessions: Sessions, time: Time
) -> None:
    token = sessions.begin(people.add("anna", SECRET))
    time.seconds += IDLE_S - 1
    assert sessions.person(token)
    time.seconds += IDLE_S - 1
    assert sessions.person(token), "use moved its end"
    time.seconds += IDLE_S
    assert sessions.person(token) is None
    token = sessions.begin(people.get("anna"))
    for _ in range(int(LIFE_S / IDLE_S * 2) - 1):
        time.seconds += IDLE_S / 2
        assert sessions.person(token)
    time.seconds += IDLE_S / 2
    assert sessions.person(token) is None


def test_a_changed_password_or_a_removed_person_ends_all(
    people: People, sessions: Sessions
) -> None:
    anna, bea = people.add("anna", SECRET), people.add("bea", SECRET)
    tokens = [sessions.begin(person) for person in (anna, anna, bea)]
    people.set_password("anna", SECRET + "!")
    assert [sessions.person(token) for token in tokens] == [None, None, bea]
    assert sessions.begin(anna) == "", "proved with the password of before"
    assert sessions.begin(people.get("anna"))
    people.remove("bea")
    assert sessions.person(tokens[2]) is None
    assert sessions.begin(bea) == ""


def test_another_sign_in_of_a_browser_ends_its_session(people: People, sessions: Sessions) -> None:
    anna = people.add("anna", SECRET)
    first = sessions.begin(anna)
    second = sessions.begin(anna, first)
    assert first != second
    assert sessions.person(first) is None
    assert sessions.person(second) == anna


def test_sessions_are_bounded(
    database: Database, people: People, sessions: Sessions, time: Time
) -> None:
    anna, bea = people.add("anna", SECRET), people.add("bea", SECRET)
    kept = sessions.begin(bea)
    tokens = []
    for _ in range(MOST + 5):
        time.seconds += 1
        tokens.append(sessions.begin(anna))
    assert [sessions.person(token) is not None for token in tokens] == [False] * 5 + [True] * MOST
    assert sessions.person(kept)
    time.seconds += IDLE_S
    sessions.begin(bea)
    assert count(database, sessions_table) == 1, "what is over is forgotten"


def test_the_csrf_text_is_the_sessions_own() -> None:
    assert csrf_of("a") != csrf_of("b")
    assert re.fullmatch(r"[0-9a-f]{64}", csrf_of("a"))


# -- tries ---------------------------------------------------------------------------------------


def test_a_name_from_a_place_has_so_many_tries(tries: Tries, time: Time) -> None:
    assert [tries.take("anna", "192.0.2.1") for _ in range(BOTH)] == [0] * BOTH
    assert tries.take("anna", "192.0.2.1") == WINDOW_S
    assert tries.take("bea", "192.0.2.1") == 0
    assert tries.take("anna", "192.0.2.2") == 0, "nobody is locked out by another"
    time.seconds += WINDOW_S - 1
    assert tries.take("anna", "192.0.2.1") == 1
    time.seconds += 1
    assert tries.take("anna", "192.0.2.1") == 0


def test_a_place_has_so_many_for_all_names(database: Database, tries: Tries) -> None:
    places = [f"2001:db8:0:1::{number:x}" for number in range(1, ADDRESS + 40)]
    waits = [tries.take(f"name-{number}", place) for number, place in enumerate(places)]
    assert waits == [0] * ADDRESS + [WINDOW_S] * 39
    assert tries.take("anna", "2001:db8:0:2::1") == 0
    rows = count(database, sign_ins)
    tries.take("anna", places[0])
    assert count(database, sign_ins) == rows, "a try that may not be made writes nothing"


def test_a_name_has_so_many_from_all_places(tries: Tries) -> None:
    waits = [tries.take("anna", f"10.{number}.0.1") for number in range(NAME + 9)]
    assert waits == [0] * NAME + [WINDOW_S] * 9


def test_a_sign_in_that_held_forgets_what_was_mistyped(tries: Tries) -> None:
    for _ in range(5):
        for _ in range(BOTH):
            assert tries.take("anna", "192.0.2.1") == 0
        tries.forget("anna", "192.0.2.1")
    assert tries.take("anna", "192.0.2.1") == 0


def test_what_is_over_is_forgotten(database: Database, tries: Tries, time: Time) -> None:
    for number in range(30):
        tries.take(f"name-{number}", "192.0.2.1")
    time.seconds += WINDOW_S
    tries.take("anna", "192.0.2.1")
    assert count(database, sign_ins) == 3
    with database.reading() as connection:
        stored = str(connection.execute(select(sign_ins)).all())
    assert "anna" not in stored
    assert "192.0.2" not in stored


def test_tries_at_the_same_time_are_counted_together(database: Database, time: Time) -> None:
    """On SQLite a writer is alone; on PostgreSQL the rows are locked while they are asked."""
    first = Tries(database, time)
    assert first.take("anna", "192.0.2.1") == 0
    gate = threading.Barrier(6)

    def take(_: int) -> list[int]:
        own = Tries(database, time)
        gate.wait()
        return [own.take("anna", "192.0.2.1") for _ in range(5)]

    with ThreadPoolExecutor(6) as pool:
        waits = [wait for taken in pool.map(take, range(6)) for wait in taken]
    assert waits.count(0) == BOTH - 1
    with database.writing() as connection:
        connection.execute(delete(sign_ins))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_places(address: str, place: str) -> None:
    assert network_of(address) == place


def test_no_table_holds_a_password(database: Database, people: People) -> None:
    people.add("anna", SECRET)
    with database.reading() as connection:
        assert SECRET not in str(connection.execute(select(people_table)).all())
