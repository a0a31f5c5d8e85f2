"""``doctor``: looks whether a role has what its work needs, and what it may do beyond."""

from __future__ import annotations

import shlex

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import database_url_option, debug_option, role_kind_option, schema_option
from gw_sqla.schema.rights import RoleKind
from gw_sqla.schema.role_check import RoleFindings, check_role

__all__ = ["command"]


@click.command()
@role_kind_option
@click.option("--role", metavar="ROLE", help="The role to look at, unquoted. Default: the one that connects.")
@database_url_option()
@schema_option
@debug_option
@click.pass_context
def command(ctx: click.Context, as_: RoleKind, role: str | None, database_url: URL, schema: str) -> None:
    """Tell what a role lacks for its work, and what it may do beyond.

    Each right is a line of standard output. The exit code is 1 if one is missing; what is beyond does not change it.
    For a worker, triggers on its tables that may fail on its search path are named too.
    Changes nothing, and needs no rights.
    """
    findings = anyio.run(_check, database_url, role, as_, schema)
    for right in findings.missing:
        click.echo(f"missing: {right}")
    for right in findings.beyond:
        click.echo(f"beyond: {right}")
    for trigger in findings.pathless:
        click.echo(f"trigger: {trigger} with no search_path of its own: it must name what is yours with its schema")
    if findings.missing:
        click.echo(
            f"as owner: python -m gw_sqla grants {shlex.quote(findings.role)} --as {as_} "
            f"--schema {shlex.quote(schema)} --apply",
            err=True,
        )
        ctx.exit(1)
    click.echo(f"role {findings.role!r} has what it needs as {as_} in schema {schema!r}")


async def _check(url: URL, role: str | None, as_: RoleKind, schema: str) -> RoleFindings:
    async with connected(url) as engine:
        return await check_role(engine, as_=as_, role=role, schema=schema)
