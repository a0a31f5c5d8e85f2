"""``postgres``: a PostgreSQL for trying things, for as long as the program runs."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click
from sqlalchemy import URL

from gw_sqla.cli.options import debug_option
from gw_sqla.database.embedded import embedded_postgres
from gw_sqla.database.embedded_watch import runs_in
from gw_sqla.errors import ConfigurationError
from gw_sqla.worker.signals import STOP_SIGNALS

__all__ = ["command"]

_LOOK_SECONDS = 0.5
"""Between two looks whether the server is still there."""


@click.command()
@click.option(
    "--data",
    "folder",
    metavar="FOLDER",
    help="Where the data is, and stays: made where it is not there, used again where it is. Default: a temporary one.",
)
@debug_option
def command(folder: str | None) -> None:
    """Run a PostgreSQL of your own until a signal, for trying things.

    Prints its URL, for --database-url, DATABASE_URL and psql, as the one line of standard output. It opens no port:
    only programs of this user (and of root) can connect. It ends with the command, and so does its data, unless a
    folder was given. Needs the extra: pip install 'gw-sqla[embedded]'
    """
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    try:
        with embedded_postgres(folder) as url:
            _stay(url, folder, stop)
    except ConfigurationError as error:
        if stop.is_set():  # a terminal's Ctrl-C has ended what makes the data, too
            raise click.Abort from error
        raise


def _stay(url: URL, folder: str | None, stop: threading.Event) -> None:
    data = Path(str(url.query["host"]))
    printed = URL.create(
        "postgresql",
        username=url.username,
        database=url.database,
        query={"host": str(data), "port": str(url.port)},
    )
    click.echo(printed.render_as_string(hide_password=False))
    ends = "its data goes with it" if folder is None else f"its data stays in {folder}"
    click.echo(f"PostgreSQL is running; Ctrl-C ends it, and {ends}", err=True)
    while not stop.wait(_LOOK_SECONDS):
        if runs_in(data) is None:
            raise click.ClickException(f"the server has ended by itself; its log: {data.with_name('log')}")
