"""Database URLs as people write them, turned into what SQLAlchemy's asyncpg dialect takes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from gw_sqla.errors import ConfigurationError

__all__ = ["parse_url"]

_DRIVER = "postgresql+asyncpg"
_PARAMETERS = frozenset(
    {
        "database",
        "gsslib",
        "host",
        "krbsrvname",
        "passfile",
        "password",
        "port",
        "prepared_statement_cache_size",
        "service",
        "servicefile",
        "ssl",
        "target_session_attrs",
        "user",
    }
)
"""What asyncpg, and SQLAlchemy's dialect for it, take as text after the question mark."""


def parse_url(text: str, name: str = "the database URL") -> sa.URL:
    """Return the URL for ``create_async_engine``.

    Takes ``postgres://``, ``postgresql://`` and ``postgresql+asyncpg://``; libpq's ``sslmode`` becomes
    asyncpg's ``ssl``. Raises ConfigurationError, which begins with ``name`` and shows neither the URL nor
    any part of it that could be a password.
    """
    example = "such as postgresql://user@host/database"
    if text.count("@") > 1:
        raise ConfigurationError(f"{name} has more than one @: write @ in a user or password as %40, / as %2F")
    try:
        url = sa.make_url(text.strip())
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is not a number
        raise ConfigurationError(f"{name} is not a URL {example}") from error
    backend, _, driver = url.drivername.partition("+")
    if backend not in {"postgres", "postgresql"}:
        raise ConfigurationError(f"{name} begins with {url.drivername}://, and gw_sqla needs PostgreSQL, {example}")
    if driver not in {"", "asyncpg"}:
        raise ConfigurationError(
            f"{name} asks for the driver {driver}, and gw_sqla works with asyncpg: "
            "write postgresql:// or postgresql+asyncpg://"
        )
    if "sslmode" in url.query:
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})
    unknown = sorted(set(url.query) - _PARAMETERS)
    if unknown:
        raise ConfigurationError(
            f"{name} has parameters that asyncpg does not take from a URL ({', '.join(unknown)}): leave them out"
        )
    url = url.set(drivername=_DRIVER)
    _require_usable(url, name)
    return url


def _require_usable(url: sa.URL, name: str) -> None:
    """Raise for hosts, ports and numbers with which the driver would only fail later, in words of its own."""
    try:
        _, options = url.get_dialect()().create_connect_args(url)
        ports = options.get("port", [])
        usable = all(0 < int(port) < 2**16 for port in (ports if isinstance(ports, list) else [ports]))
    except (ArgumentError, ValueError):
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{name} has a host, port or number that cannot be used: ports are 1 to 65535, and of several hosts "
            "each has its port (host=a:5432&host=b:5432)"
        )
