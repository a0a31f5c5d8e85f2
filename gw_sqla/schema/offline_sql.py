"""Writes our Alembic revisions as SQL, without a database: a script for psql, or a part of somebody's."""

from __future__ import annotations

import io
from functools import partial
from typing import TextIO, TypedDict

from alembic.runtime.migration import MigrationContext

from gw_sqla.schema import migration_path
from gw_sqla.schema.migration_lock import lock_sql
from gw_sqla.schema.revision_scripts import Steps, downgrade_steps, options, upgrade_steps
from gw_sqla.schema.sql_files import statements

__all__ = ["OFFLINE_DIALECT", "run_offline", "upgrade_script", "write_downgrade", "write_upgrade"]


class OfflineDialect(TypedDict):
    dialect_name: str
    dialect_opts: dict[str, str]


OFFLINE_DIALECT = OfflineDialect(dialect_name="postgresql", dialect_opts={"paramstyle": "named"})
"""For Alembic without a connection. The parameter style is one that does not double the % in a schema's name."""


def upgrade_script(*, schema: str, adopt: bool) -> str:
    """Return the whole upgrade as text for psql: one transaction that first checks what is there."""
    buffer = io.StringIO()
    run_offline(_offline(schema, upgrade_steps("head"), "head", buffer), schema, adopt=adopt)
    return buffer.getvalue()


def write_upgrade(output: TextIO, *, schema: str, start: str | None, revision: str, adopt: bool) -> None:
    """Write the upgrade from one revision (None: nothing) to another, as a part of somebody's script."""
    _write_steps(_offline(schema, upgrade_steps(revision), revision, output, start), schema, adopt=adopt)


def write_downgrade(output: TextIO, *, schema: str, start: str, revision: str) -> None:
    """Write the downgrade from one revision to another or to ``base``, as a part of somebody's script."""
    _write_steps(_offline(schema, downgrade_steps(revision), revision, output, start), schema, adopt=False)


def _offline(schema: str, steps: Steps, revision: str, output: TextIO, start: str | None = None) -> MigrationContext:
    opts = {**options(schema), "as_sql": True, "output_buffer": output, "fn": steps}
    opts |= {"destination_rev": revision, "starting_rev": start}
    return MigrationContext.configure(**OFFLINE_DIALECT, opts=opts)


def run_offline(ctx: MigrationContext, schema: str, *, adopt: bool) -> None:
    """Write what the context was configured for, as one transaction, to its output buffer."""
    with ctx.begin_transaction():
        _write_steps(ctx, schema, adopt=adopt)


def _write_steps(ctx: MigrationContext, schema: str, *, adopt: bool) -> None:
    run_sql = partial(_write, ctx, schema)
    to_base = ctx.opts.get("destination_rev") == "base"
    ctx.impl.static_output(f"{migration_path.SET};")
    ctx.impl.static_output(f"{lock_sql(schema)};")
    if not to_base and not ctx.get_current_heads():
        run_sql("offline_adopt.sql" if adopt else "offline_create.sql")
        run_sql("schema_create.sql")
    ctx.run_migrations(run_sql=run_sql, adopt=adopt)
    if to_base:
        run_sql("schema_drop.sql")
    ctx.impl.static_output(f"{migration_path.PUT_BACK};")


def _write(ctx: MigrationContext, schema: str, file: str) -> None:
    for statement in statements(file, schema):
        ctx.impl.static_output(statement)
