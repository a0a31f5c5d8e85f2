"""What commands share that look at jobs: the session, how long the database may search, the words of a filter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import click
from sqlalchemy import URL

from gw_sqla.admin import JobFilter, ScanLimits
from gw_sqla.cli.engine import connected
from gw_sqla.cli.options import option
from gw_sqla.database.session import AsyncSession, async_sessionmaker
from gw_sqla.errors import SchemaBehindError, SchemaMissingError
from gw_sqla.schema.check import check_schema
from gw_sqla.schema.rights import RoleKind

__all__ = [
    "WORDS",
    "actor_option",
    "after_option",
    "filter_of",
    "limit_option",
    "looking",
    "search_option",
    "words_argument",
]

_ROWS = 10_000_000
"""The time ends a search of the command line, not the number of rows: somebody waits for it."""

WORDS: dict[str, Any] = {"help_option_names": ["--help"], "ignore_unknown_options": True}
"""Context settings of a command with words of a filter, which may begin with a dash: ``-flag:slow``."""

words_argument = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[FILTER]...")


limit_option = click.option("--limit", type=click.IntRange(1, 1000), default=100, metavar="N", help="How many at most.")
actor_option = option(
    "--actor", metavar="NAME", help="Who does it; leaves a line for gw-sqla audit, which keeps it for 90 days."
)
after_option = click.option("--after", metavar="NAME", help="Those behind this name only: the next page.")


def _limits(_ctx: click.Context, _parameter: click.Parameter, seconds: float) -> ScanLimits:
    return ScanLimits(_ROWS, timedelta(seconds=seconds))


search_option = click.option(
    "--search-seconds",
    "limits",
    type=click.FloatRange(0.01, 3600),
    default=10.0,
    callback=_limits,
    metavar="SECONDS",
    help="For how long the database may search, for each page.",
)


@asynccontextmanager
async def looking(url: URL, schema: str, as_: RoleKind = "reader") -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Yield a maker of sessions, if the role may do the work of ``as_``; a pooler may be in between.

    They are at READ COMMITTED, whatever the database's default is: what others change meanwhile is gone around, which
    the stricter levels answer with an error. Raises AccessError, SchemaMissingError and such, each of which says what
    to do; UnreachableError. Where the block misses a table in a schema that was not migrated to the end,
    SchemaBehindError.
    """
    async with connected(url, isolation_level="READ COMMITTED") as engine:
        behind: SchemaBehindError | None = None
        try:
            await check_schema(engine, schema=schema, as_=as_)
        except SchemaBehindError as error:  # most of what is looked at is in every schema that can be adopted
            behind = error
        try:
            yield async_sessionmaker(engine, expire_on_commit=False)
        except SchemaMissingError as error:
            raise behind or error from error


def filter_of(words: Sequence[str]) -> JobFilter:
    """Return the filter of a command line's words; a number is an id. Raises InvalidFilterError, UsageError.

    The shell has taken the quotes of ``error:"timed out"``: a word with spaces gets them back, unless each of its parts
    is a word of its own.
    """
    ids = [word for word in words if word.isdecimal() and word.isascii()]
    texts = [f"id:{','.join(ids)}"] if ids else []
    for word in words:
        if word == "-h":  # as an option of click's it would be looked for in -flag:h, too
            context = click.get_current_context()
            click.echo(context.get_help())
            context.exit()
        if word.startswith("--"):
            raise click.UsageError(f"No such option: {word}")
        if word not in ids:
            texts.append(_quoted(word))
    return JobFilter.parse(" ".join(texts))


def _quoted(word: str) -> str:
    field, colon, value = word.partition(":")
    if not colon or '"' in word or not any(map(str.isspace, word)) or all(":" in part for part in word.split()):
        return word
    return f'{field}:"{value}"'
