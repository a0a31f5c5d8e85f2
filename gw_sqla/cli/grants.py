"""``grants``: the least rights that a role needs for its work, as SQL, or given."""

from __future__ import annotations

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import database_url_option, debug_option, role_kind_option, schema_option
from gw_sqla.schema.grants import apply_grants, grants
from gw_sqla.schema.rights import RoleKind

__all__ = ["command"]


@click.command()
@click.argument("role")
@role_kind_option
@database_url_option(required=False)
@schema_option
@click.option("--apply", is_flag=True, help="Run the SQL instead of printing it. Has no environment variable.")
@debug_option
def command(role: str, as_: RoleKind, database_url: URL | None, schema: str, *, apply: bool) -> None:
    """Print the SQL that gives a role the least rights for its work.

    ROLE is the name of a role that is there, unquoted. Policies are included, so that it needs no BYPASSRLS. Nothing is
    taken away: doctor tells what a role may do beyond. To be run by the owner of the schema's tables, or a superuser,
    after migrate; a migrator's by a superuser. It can be run again, and is after a migration.

    \b
    adder     adds jobs, itself or as the owner of a security definer function
    reader    reads jobs with their payloads, cron items, workers
    worker    runs jobs, and adds them by cron and by its handlers
    admin     reads, and completes, fails, reschedules, removes and unlocks jobs
    cleaner   deletes unused tasks and queues, and jobs that failed, beside what a worker may
    migrator  owns what is in the schema, instead of who owned it
    """
    if not apply:
        click.echo("\n".join(["begin;", *grants(role, as_=as_, schema=schema), "commit;"]))
    elif database_url is None:
        raise click.UsageError("no database: give --database-url, or set DATABASE_URL")
    else:
        anyio.run(_apply, database_url, role, as_, schema)


async def _apply(url: URL, role: str, as_: RoleKind, schema: str) -> None:
    async with connected(url) as engine:
        await apply_grants(engine, role, as_=as_, schema=schema)
    click.echo(f"role {role!r} has what it needs as {as_} in schema {schema!r}")
