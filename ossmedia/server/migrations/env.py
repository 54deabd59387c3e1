"""Run by Alembic: applies the changes on the connection that ``Database.upgrade`` hands over."""

from __future__ import annotations

from alembic import context

from ossmedia.server.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
