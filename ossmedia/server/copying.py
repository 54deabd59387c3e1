"""A whole database, taken to another place: from SQLite to PostgreSQL, or back.

In flow two databases, out flows how many rows each table has. What is read is one moment of the
source; what is written is one transaction, committed when every table holds as many rows there as
here. It changes nothing in the source, adds to nothing in the destination, and opens no secret:
sealed keys stay sealed under the same server key.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, insert, select, text

from ossmedia.server.database import Database
from ossmedia.server.schema import metadata

__all__ = ["copy"]

_ROWS = 1000  # at a time


def copy(source: Database, destination: Database) -> dict[str, int]:
    """Copies all tables. The tables of the destination are made if there are none. Servers that
    write into the source must be stopped first: what they write after the beginning is not copied.

    Returns:
        Rows by table.

    Raises:
        ValueError: the source's tables are not those of this version, or the destination
            holds rows (that of the source itself does).
        StoreUnavailable: a database does not answer, or refuses a row; nothing was copied then.
    """
    source.require_current()
    if destination.revision() is None:
        destination.upgrade()
    destination.require_current()
    with source.reading() as here, destination.writing() as there:
        if source.postgresql:
            here.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        for table in metadata.sorted_tables:
            if _count(there, table):
                raise ValueError(f"destination: must be empty, but its table {table.name} is not")
        return {table.name: _copy_table(here, there, table) for table in metadata.sorted_tables}


def _copy_table(here: Connection, there: Connection, table: Table) -> int:
    names = table.columns.keys()
    rows = here.execution_options(yield_per=_ROWS).execute(select(table))
    for part in rows.partitions():
        there.execute(insert(table), [dict(zip(names, row, strict=True)) for row in part])
    expected, found = _count(here, table), _count(there, table)
    if expected != found:
        raise ValueError(f"destination: table {table.name} has {found} rows, not {expected}")
    return found


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
