"""``web``: serve the dashboard."""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import anyio
import click
from sqlalchemy import URL

from gw_sqla.cli.application import load_apps, load_crontab
from gw_sqla.cli.looking import looking
from gw_sqla.cli.options import app_option, crontab_option, database_url_option, debug_option, option, schema_option
from gw_sqla.errors import ConfigurationError

__all__ = ["command"]

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_PASSWORD = "GW_SQLA_WEB_PASSWORD"  # noqa: S105 - the name of a variable
_GENERATED_BYTES = 18


@click.command()
@database_url_option()
@schema_option
@app_option(required=False, help="The application's tasks, for descriptions and forms; can be repeated.")
@crontab_option
@option("--host", default="127.0.0.1", metavar="HOST", help="The address to listen on.", envvar="GW_SQLA_WEB_HOST")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    metavar="N",
    help="The port; 0 takes any that is free.",
    envvar="GW_SQLA_WEB_PORT",
)
@option("--user", default="admin", metavar="NAME", help="The name to log in with.", envvar="GW_SQLA_WEB_USER")
@option("--read-only", is_flag=True, help="Nothing can be done, only looked at.", envvar="GW_SQLA_WEB_READ_ONLY")
@click.option("--no-auth", is_flag=True, help="Ask for no password; on a loopback address only.")
@option(
    "--every",
    type=click.FloatRange(1, 3600),
    default=5.0,
    metavar="SECONDS",
    help="How often what is shown is read anew, at most, for all who look.",
    envvar="GW_SQLA_WEB_EVERY",
)
@option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", help="The event loop.")
@option("--tls-cert", metavar="FILE", help="A certificate, to serve by TLS.", envvar="GW_SQLA_WEB_TLS_CERT")
@option("--tls-key", metavar="FILE", help="Its key.", envvar="GW_SQLA_WEB_TLS_KEY")
@debug_option
def command(
    database_url: URL,
    schema: str,
    *,
    apps: tuple[str, ...],
    crontab: str | None,
    host: str,
    port: int,
    user: str,
    read_only: bool,
    no_auth: bool,
    every: float,
    backend: str,
    tls_cert: str | None,
    tls_key: str | None,
) -> None:
    """Serve the dashboard: what waits, runs and fails, why, and what to do about it.

    Behind a password (Basic authentication): that of the variable GW_SQLA_WEB_PASSWORD, else one that is made anew and
    printed. Ends at SIGINT or SIGTERM. Needs the extra:
    pip install 'gw-sqla[web]'
    """
    _check(host, backend, tls_cert, tls_key, no_auth=no_auth)
    from gw_sqla.web.serving import open_socket, serve

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    options: dict[str, Any] = {
        "schema": schema,
        "tasks": load_apps(apps) if apps else None,
        "crontab": load_crontab(crontab) or None,
        "read_only": read_only,
        "interval": timedelta(seconds=every),
    }
    login = _Login.make(user, no_auth=no_auth)
    listener = open_socket(host, port)

    async def run() -> None:
        async with looking(database_url, schema) as sessions:
            app = login.guard(sessions, options)
            login.tell(host, listener.getsockname()[1], is_read_only=read_only, by_tls=tls_cert is not None)
            await serve(app, listener, backend, cert=tls_cert, key=tls_key)

    try:
        anyio.run(run, backend=backend)
    finally:
        listener.close()


def _check(host: str, backend: str, tls_cert: str | None, tls_key: str | None, *, no_auth: bool) -> None:
    """Raise UsageError for what is not installed, and for options that do not go together."""
    missing = [name for name in ("starlette", "jinja2", "hypercorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise click.UsageError("web needs the extra: pip install 'gw-sqla[web]'")
    if backend == "trio" and importlib.util.find_spec("trio") is None:
        raise click.UsageError("--backend trio needs the extra: pip install 'gw-sqla[trio]'")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("give both of --tls-cert and --tls-key, or neither")
    from gw_sqla.web.serving import is_loopback

    if no_auth and not is_loopback(host):
        raise click.UsageError(
            f"--no-auth is for loopback addresses, and {host} can be reached by others: leave it out, or listen on "
            "127.0.0.1"
        )


@dataclass(frozen=True, slots=True)
class _Login:
    """Who may come in: the name, and the password, None without one; whether that was made here.

    ``access``: the dashboard's.
    """

    user: str
    password: str | None
    is_generated: bool
    access: Any

    @classmethod
    def make(cls, user: str, *, no_auth: bool) -> _Login:
        """Take the password of the environment, or make one; raises ConfigurationError."""
        password = None if no_auth else os.environ.get(_PASSWORD)
        if password is not None and not password:
            raise ConfigurationError(f"{_PASSWORD} is empty: set it, or unset it to have one made")
        from gw_sqla.web import ALL_RIGHTS, Viewer, basic_auth

        is_generated = password is None and not no_auth
        if is_generated:
            password = secrets.token_urlsafe(_GENERATED_BYTES)
        everybody = Viewer(ALL_RIGHTS, user)
        access = basic_auth(user, password) if password is not None else lambda _: everybody
        return cls(user, password, is_generated, access)

    def guard(self, sessions: Any, options: dict[str, Any]) -> Any:
        """Return the application that lets in nobody else."""
        from gw_sqla.web import Dashboard
        from gw_sqla.web.guards import OnlyHosts

        app = Dashboard(sessions, access=self.access, **options)
        return app if self.password is not None else OnlyHosts(app, _LOOPBACK_NAMES)

    def tell(self, host: str, port: int, *, is_read_only: bool, by_tls: bool) -> None:
        """Print where it is, and how one comes in."""
        from gw_sqla.web.serving import is_loopback

        shown = f"[{host}]" if ":" in host.strip("[]") and not host.startswith("[") else host
        url = f"{'https' if by_tls else 'http'}://{shown}:{port}/"
        click.echo(f"The dashboard is at {url}" + (" (read-only)" if is_read_only else ""))
        if self.password is None:
            click.echo("Everybody on this machine can use it: --no-auth")
        else:
            click.echo(f"User: {self.user}  Password: {self.password if self.is_generated else _PASSWORD}")
        if not is_loopback(host) and not by_tls:
            click.echo(
                "Others on the network can read the password: serve by TLS, or behind a proxy that does.", err=True
            )
        sys.stdout.flush()
