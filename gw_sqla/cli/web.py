"""``web``: serve the dashboard."""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import sys
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
    missing = [name for name in ("starlette", "jinja2", "hypercorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise click.UsageError("web needs the extra: pip install 'gw-sqla[web]'")
    if backend == "trio" and importlib.util.find_spec("trio") is None:
        raise click.UsageError("--backend trio needs the extra: pip install 'gw-sqla[trio]'")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("give both of --tls-cert and --tls-key, or neither")
    from gw_sqla.web.serving import is_loopback, open_socket, serve

    if no_auth and not is_loopback(host):
        raise click.UsageError(
            f"--no-auth is for loopback addresses, and {host} can be reached by others: leave it out, or listen on "
            "127.0.0.1"
        )
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    options: dict[str, Any] = {
        "schema": schema,
        "tasks": load_apps(apps) if apps else None,
        "crontab": load_crontab(crontab) or None,
        "read_only": read_only,
        "interval": timedelta(seconds=every),
    }
    password = None if no_auth else os.environ.get(_PASSWORD)
    if password is not None and not password:
        raise ConfigurationError(f"{_PASSWORD} is empty: set it, or unset it to have one made")
    is_generated = password is None and not no_auth
    if is_generated:
        password = secrets.token_urlsafe(_GENERATED_BYTES)
    listener = open_socket(host, port)
    shown = f"[{host}]" if ":" in host.strip("[]") and not host.startswith("[") else host
    url = f"{'https' if tls_cert else 'http'}://{shown}:{listener.getsockname()[1]}/"

    def tell() -> None:
        click.echo(f"The dashboard is at {url}" + (" (read-only)" if read_only else ""))
        if no_auth:
            click.echo("Everybody on this machine can use it: --no-auth")
        else:
            click.echo(f"User: {user}" + (f"  Password: {password}" if is_generated else f"  Password: {_PASSWORD}"))
        if not is_loopback(host) and tls_cert is None:
            click.echo(
                "Others on the network can read the password: serve by TLS, or behind a proxy that does.", err=True
            )
        sys.stdout.flush()

    async def run() -> None:
        async with looking(database_url, schema) as sessions:
            app = _application(sessions, options, user, password)
            tell()
            await serve(app, listener, backend, cert=tls_cert, key=tls_key)

    try:
        anyio.run(run, backend=backend)
    finally:
        listener.close()


def _application(sessions: Any, options: dict[str, Any], user: str, password: str | None) -> Any:
    from gw_sqla.web import ALL_RIGHTS, Dashboard, Viewer, basic_auth
    from gw_sqla.web.guards import OnlyHosts

    if password is not None:
        return Dashboard(sessions, access=basic_auth(user, password), **options)
    everybody = Viewer(ALL_RIGHTS, user)
    return OnlyHosts(Dashboard(sessions, access=lambda _: everybody, **options), _LOOPBACK_NAMES)
