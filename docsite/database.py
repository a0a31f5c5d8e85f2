"""The page of the worker schema: its tables, views, types and functions, as PostgreSQL tells them of a new one."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from docsite.markup import code, section, table, title
from gw_sqla import migrate
from gw_sqla.database.embedded import embedded_postgres
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["FUNCTIONS", "TABLES", "database_page"]

TABLES = {
    "_private_jobs": "The jobs, of all workers in all languages.",
    "_private_job_queues": "The queues that have had a job, and who has a job of one.",
    "_private_tasks": "The task identifiers that have had a job.",
    "_private_known_crontabs": "The cron items that workers have seen, and when each was last due.",
    "migrations": "The ledger of Graphile Worker's migrations, which all languages share.",
    "jobs": "The jobs without their payloads: the view that programs other than workers may read.",
    "job_spec": "A job for ``add_jobs``.",
    "_private_sqla_alembic_version": "gw_sqla's own revision of the schema.",
}
"""What people should know of the relations; others are gw_sqla's own, and told of by their columns alone."""

FUNCTIONS = {
    "add_job": "Adds a job and returns it; in the caller's transaction, as all of these.",
    "add_jobs": "Adds many jobs, in their order.",
    "remove_job": "Removes the job with this key; one that runs is not tried again.",
    "complete_jobs": "Deletes jobs that no worker has, and returns them.",
    "permanently_fail_jobs": "Fails jobs that no worker has, for good, and returns them.",
    "reschedule_jobs": "Changes when and how jobs that no worker has are run, and returns them.",
    "force_unlock_workers": "Takes the locks of workers, by their ids, that are known to be dead.",
}

_COLUMNS = """
select r.relname, cast(r.relkind as text), a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
  pg_catalog.pg_get_expr(d.adbin, d.adrelid), cast(a.attidentity as text), cast(a.attgenerated as text)
from pg_catalog.pg_class r
join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
where r.relnamespace = cast(:schema as regnamespace) and r.relkind in ('r', 'v', 'c')
order by r.relname like '\\_private\\_sqla%', r.relkind, r.relname, a.attnum
"""
_FUNCTIONS = """
select p.proname, pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid)
from pg_catalog.pg_proc p
where p.pronamespace = cast(:schema as regnamespace)
order by p.proname like '\\_private%', p.proname
"""
_KINDS = {"r": "table", "v": "view", "c": "type"}


def database_page() -> str:
    """Return the page, of a schema in a PostgreSQL of its own; takes some seconds."""
    with embedded_postgres() as url:
        columns, functions = asyncio.run(_read(url.render_as_string(hide_password=False)))
    parts = [
        title(
            "Tables and functions",
            "What is in the worker schema, as PostgreSQL tells it. Names with ``_private`` may change with a revision; "
            "the functions and the view ``jobs`` are for everybody.",
        ),
        section("Functions"),
        table(("function", "returns", "what it does"), [_function(row) for row in functions]),
    ]
    for (name, kind), rows in groupby(columns, key=lambda row: (row[0], row[1])):
        parts += [section(f"{_KINDS[kind]} {name}"), TABLES.get(name, ""), ""]
        parts.append(table(("column", "type", "null", "default"), [_column(row) for row in rows]))
    return "\n".join(parts)


async def _read(url: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    engine = create_async_engine(url)
    await migrate(engine)
    async with engine.connect() as connection:
        schema = {"schema": DEFAULT_SCHEMA}
        columns = [tuple(row) for row in await connection.execute(text(_COLUMNS), schema)]
        functions = [tuple(row) for row in await connection.execute(text(_FUNCTIONS), schema)]
    await engine.dispose()
    return columns, functions


def _function(row: tuple[Any, ...]) -> tuple[str, str, str]:
    name, arguments, result = row
    return code(f"{name}({arguments})"), code(result), FUNCTIONS.get(name, "Of gw_sqla's own.")


def _column(row: tuple[Any, ...]) -> tuple[str, str, str, str]:
    _, _, name, kind, is_not_null, default, identity, generated = row
    told = "identity" if identity else f"generated: {code(default)}" if generated else code(default or "")
    return code(name), code(kind), "no" if is_not_null else "yes", told
