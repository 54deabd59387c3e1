"""The database behind the application server: one text for SQLite and PostgreSQL.

In flows a URL, out flow transactions. SQLite runs in WAL mode, which survives the death of a
process at any moment; writers begin at once as writers, so that two processes wait for each other
instead of failing. Parameters never reach an exception's text. The tables are made and changed by
``upgrade`` only; nothing else alters them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ossmedia.server.schema import device_keys

__all__ = ["Database", "StoreUnavailable"]

BUSY_S = 10.0  # how long a writer waits for another process's


class StoreUnavailable(Exception):
    """The database, or the shared cache, does not answer; the same call may succeed later."""


class Database:
    """An open database.

    Args:
        url: "sqlite:///file.db" or "postgresql://user@host/name".

    Raises:
        ValueError: any other URL (its password is not repeated).
    """

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self.postgresql = self._url.get_backend_name() == "postgresql"
        self.engine = self._open()

    def _open(self) -> Engine:
        if self.postgresql:
            return create_engine(
                self._url, hide_parameters=True, pool_pre_ping=True, pool_size=4, max_overflow=4
            )
        engine = create_engine(
            self._url,
            hide_parameters=True,
            connect_args={"timeout": BUSY_S, "cached_statements": 256},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, or undone by an exception.

        Raises:
            StoreUnavailable: the database does not answer, or another writer did not end in time.
        """
        with _translated(), self.engine.connect() as plain:
            connection = plain.execution_options(ossmedia_writes=True)
            with connection.begin():
                yield connection

    def upgrade(self) -> str:
        """Makes or changes the tables to what this version needs; harmless when repeated.

        Returns:
            The revision that the database has now.
        """
        self._make_private()
        config = _alembic()
        with self.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return self.revision() or ""

    def _make_private(self) -> None:
        """An SQLite file that does not exist yet is made readable by its owner only."""
        name = self._url.database
        if not self.postgresql and name and name != ":memory:":
            os.close(os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def revision(self) -> str | None:
        """The revision of the tables; None for a database without any."""
        with self.reading() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def require_current(self) -> None:
        """Raises ValueError when the tables are not those of this version."""
        head, found = ScriptDirectory.from_config(_alembic()).get_current_head(), self.revision()
        if found != head:
            raise ValueError(
                f"database: its tables have revision {found or 'none'}, this version needs {head}; "
                "run: ossmedia db upgrade"
            )

    def sealed(self) -> bool:
        """Whether it holds anything that only the server's key can open."""
        with self.reading() as connection:
            return connection.execute(select(device_keys.c.key_id).limit(1)).first() is not None

    def close(self) -> None:
        """Gives the connections back."""
        self.engine.dispose()

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)!r})"


def parse_url(url: str) -> URL:
    """The URL of a database of a known kind.

    Raises:
        ValueError: any other (its password is not repeated).
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("database: must be sqlite:///FILE or postgresql://...") from None
    kind = parsed.drivername
    if kind in ("postgresql", "postgresql+psycopg") and parsed.database:
        return parsed.set(drivername="postgresql+psycopg")
    if kind in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise ValueError("database: must be sqlite:///FILE or postgresql://USER@HOST/NAME")


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "ossmedia.server:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, see _begin_sqlite
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("ossmedia_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        text = f"database: {type(error).__name__}: {_first_line(error)}"
        raise StoreUnavailable(text) from None


def _first_line(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None)
    return str(cause if cause is not None else error).strip().split("\n", 1)[0][:200]
