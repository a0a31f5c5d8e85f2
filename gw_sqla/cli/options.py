"""What the commands' options have in common: environment variables, the database, the schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gw_sqla.cli.log_formats import FORMATS
from gw_sqla.types import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = [
    "EXIT_CODES",
    "Invocation",
    "app_option",
    "crontab_option",
    "database_url_option",
    "debug_option",
    "lock_timeout_option",
    "log_format_option",
    "log_level_option",
    "option",
    "role_kind_option",
    "schema_option",
]

F = TypeVar("F", bound=Callable[..., Any])

EXIT_CODES = """\b
Exit codes:
  0    done; for a worker also: stopped by a signal, all jobs written
  1    the database, its schema, the role's rights or the network stood in the way; or doctor found
       something wrong; or what was named is gone, held by a worker, or not to be had
  2    wrong usage or bad input; nothing was done
  3    migrate --check: there is something to do
  57   the schema has a breaking migration that this version does not know
  130  interrupted before the command could finish, or its question was answered with no
"""


@dataclass
class Invocation:
    """A command line: as it was given, and what the top of the program must know of it once it has failed."""

    arguments: tuple[str, ...] = ()
    debug: bool = False


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an option that an environment variable can give too: ``--poll-interval`` or GW_SQLA_POLL_INTERVAL.

    Parameters are those of ``click.option``; ``envvar`` replaces the derived name of the variable.
    """
    long = next(name for name in names if name.startswith("--")).removeprefix("--")
    attributes.setdefault("envvar", f"GW_SQLA_{long.replace('-', '_').upper()}")
    return click.option(*names, show_envvar=True, **attributes)


def _note_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Invocation).debug = True


def _parse_url(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> URL | None:
    if value is None:
        return None
    from gw_sqla.database.url import parse_url

    return parse_url(value)


def _timeout(ctx: click.Context, parameter: click.Parameter, value: float | None) -> timedelta | None:
    if value is None:
        return None
    try:
        return timedelta(seconds=value)
    except (ValueError, OverflowError) as error:  # nan, inf and the like
        raise click.BadParameter(f"{value} is not a number of seconds that can be waited", ctx, parameter) from error


debug_option = option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_note_debug,
    help="Show the traceback of an error, instead of one line.",
)

schema_option = option(
    "--schema",
    envvar="GRAPHILE_WORKER_SCHEMA",
    default=DEFAULT_SCHEMA,
    metavar="NAME",
    help="Name of the worker schema, unquoted.",
)

role_kind_option = click.option(
    "--as",
    "as_",
    required=True,
    type=click.Choice(["adder", "reader", "worker", "admin", "cleaner", "migrator"]),
    help="The work of the role.",
)


def app_option(*, required: bool = True, help: str | None = None) -> Callable[[F], F]:  # noqa: A002 - click's word
    """Declare ``--app``."""
    return option(
        "--app",
        "apps",
        required=required,
        multiple=True,
        metavar="MODULE:ATTRIBUTE",
        help=help
        or "Where the TaskRegistry is, or an Application, such as myapp.jobs:tasks; the current directory is searched "
        "too. Can be repeated (in the variable: separated by spaces): the worker then has the tasks of all.",
    )


crontab_option = option(
    "--crontab",
    metavar="FILE",
    help="Cron items, beside those of the application. Default: crontab in the current directory, if it is there.",
)


log_level_option = option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    help="What to log.",
)
log_format_option = option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="text",
    help="How to write log lines; an application that configures logging itself decides that.",
)


def database_url_option(*, required: bool = True) -> Callable[[F], F]:
    """Declare ``--database-url``; the command gets a URL for ``create_async_engine``."""
    return option(
        "--database-url",
        envvar="DATABASE_URL",
        required=required,
        metavar="URL",
        callback=_parse_url,
        help="The database, such as postgresql://user:password@host/database. "
        "Prefer the variable: other users of the machine can read command lines.",
    )


def lock_timeout_option(when: str = "") -> Callable[[F], F]:
    """Declare ``--lock-timeout``; the command gets a timedelta or None. ``when`` begins its help."""
    return option(
        "--lock-timeout",
        type=float,
        callback=_timeout,
        metavar="SECONDS",
        help=f"{when}How long to wait for each lock that others hold, such as another migrate; then the exit code is "
        "1. Whom it waits for is said in any case. Default: no limit.",
    )
