"""``doctor``: looks what is wrong with a database and the queues in it; or what a role lacks for its work."""

from __future__ import annotations

import shlex

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.crontab_items import items_by_identifier, items_option
from gw_sqla.cli.engine import connected
from gw_sqla.cli.listing import Column, format_options, print_list
from gw_sqla.cli.options import crontab_option, database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal_text import printable
from gw_sqla.crontab import CronItem
from gw_sqla.health import Finding, Verdict, examine
from gw_sqla.schema.rights import RoleKind
from gw_sqla.schema.role_check import RoleFindings, check_role

__all__ = ["command"]

_COLORS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "red", Verdict.UNKNOWN: "cyan"}

_COLUMNS: list[Column[Finding]] = [
    Column("check", lambda finding: finding.check),
    Column("verdict", lambda finding: finding.verdict),
    Column("number", lambda finding: finding.number),
    Column("found", lambda finding: finding.found),
    Column("repair", lambda finding: finding.repair),
]


@click.command()
@click.option(
    "--as",
    "as_",
    type=click.Choice(["adder", "reader", "worker", "admin", "cleaner", "migrator"]),
    help="Look at the rights for this work, and at nothing else.",
)
@click.option("--role", metavar="ROLE", help="With --as: whose rights, unquoted. Default: the role that connects.")
@database_url_option()
@schema_option
@crontab_option
@items_option
@format_options
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    as_: RoleKind | None,
    role: str | None,
    database_url: URL,
    schema: str,
    crontab: str | None,
    apps: tuple[str, ...],
    output: str | None,
) -> None:
    """Tell what is wrong with the database and its queues.

    Each check is a line: its verdict, its name, what was found; where there is something to repair, the command or SQL
    that does it follows. With --app or --crontab it looks whether cron items are late, too. The exit code is 1 if
    something is wrong; warnings, and what this role may not look at, do not change it.

    With --as it tells what a role lacks for its work (exit code 1), and what it may do beyond. Changes nothing.
    """
    if as_ is not None:
        _look_at_role(ctx, database_url, role, as_, schema)
        return
    if role is not None:
        raise click.UsageError("--role goes with --as: say for which work its rights must do")
    items = list(items_by_identifier(crontab, apps).values())
    findings = anyio.run(_examine, database_url, schema, items or None)
    if output is None:
        for finding in findings:
            _print(finding)
    else:
        print_list(findings, _COLUMNS, output, nothing="")
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        ctx.exit(1)


async def _examine(url: URL, schema: str, items: list[CronItem] | None) -> list[Finding]:
    async with connected(url) as engine:
        return await examine(engine, schema=schema, items=items)


def _print(finding: Finding) -> None:
    verdict = click.style(f"{finding.verdict:<8}", fg=_COLORS[finding.verdict])
    click.echo(f"{verdict} {finding.check:<13} {printable(finding.found)}")
    if finding.repair is not None:
        click.echo(f"{'':22} -> {printable(finding.repair)}")


def _look_at_role(ctx: click.Context, url: URL, role: str | None, as_: RoleKind, schema: str) -> None:
    findings = anyio.run(_check, url, role, as_, schema)
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
