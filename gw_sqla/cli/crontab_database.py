"""``crontab known`` and ``crontab run``: what the database knows of cron items, and the job of one of them now."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin
from gw_sqla.cli.adding import adding
from gw_sqla.cli.crontab_items import items_by_identifier, items_option
from gw_sqla.cli.engine import connected
from gw_sqla.cli.listing import Column, format_options, print_list, utc_text
from gw_sqla.cli.options import crontab_option, database_url_option, debug_option, schema_option
from gw_sqla.crontab import CronItem
from gw_sqla.crontab.clock import SystemClock
from gw_sqla.crontab.known_crontabs import KnownCrontab, KnownCrontabs
from gw_sqla.database.session import async_sessionmaker
from gw_sqla.errors import ConfigurationError
from gw_sqla.schema.check import check_schema

__all__ = ["known", "run"]


@click.command()
@database_url_option()
@schema_option
@crontab_option
@items_option
@format_options
@debug_option
def known(database_url: URL, schema: str, *, crontab: str | None, apps: tuple[str, ...], output: str | None) -> None:
    """Show what the database knows of cron items.

    For each identifier: since when it has been known, the minute of its last job, and, if it is in the crontab or the
    application, its next.
    """
    items = items_by_identifier(crontab, apps)
    now = SystemClock().now()

    def following(entry: KnownCrontab) -> str | None:
        item = items.get(entry.identifier)
        return None if item is None else utc_text(next(item.fires(now), None))

    columns: list[Column[KnownCrontab]] = [
        Column("identifier", lambda entry: entry.identifier),
        Column("known_since", lambda entry: utc_text(entry.known_since)),
        Column("last_execution", lambda entry: utc_text(entry.last_execution)),
        Column("next", following),
    ]
    known_there = anyio.run(_all_known, database_url, schema)
    print_list(known_there, columns, output, nothing="no cron item is known")


@click.command()
@click.argument("identifier")
@database_url_option()
@schema_option
@crontab_option
@items_option
@debug_option
def run(identifier: str, database_url: URL, schema: str, *, crontab: str | None, apps: tuple[str, ...]) -> None:
    """Add the job of one cron item now, and print its id.

    IDENTIFIER is the item's id, or else its task. The job is as the item says; _cron in its payload has the time of
    now, with its seconds, in place of a minute. The item's schedule goes on as if nothing had been.
    """
    items = items_by_identifier(crontab, apps)
    if identifier not in items:
        near = get_close_matches(identifier, items, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(items)[:20]) or 'none'}"
        raise ConfigurationError(f"there is no cron item {identifier!r}: {hint}")
    click.echo(anyio.run(_add, database_url, schema, items[identifier]))


async def _add(url: URL, schema: str, item: CronItem) -> int:
    async with connected(url) as engine, adding(engine, schema), async_sessionmaker(engine).begin() as session:
        job = await Admin(schema).run_cron_item(session, item)
    return job.id


async def _all_known(url: URL, schema: str) -> Sequence[KnownCrontab]:
    async with connected(url) as engine:
        await check_schema(engine, schema=schema, as_="reader")
        crontabs = KnownCrontabs(engine, schema)
        try:
            return await crontabs.all()
        finally:
            await crontabs.disconnect()
