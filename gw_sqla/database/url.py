"""Database URLs as people and hosters write them, turned into what SQLAlchemy's asyncpg dialect takes.

The text is taken apart here and not by SQLAlchemy's ``make_url``, which reads ``h1:5432,h2:5433`` as a port, leaves
``%2Frun%2Fpostgresql`` as it is and forgets a parameter without a value: ``sslmode=$MODE`` with an empty variable would
connect without a word, and without TLS. A mistake is an error here, before anything connects, since the driver's own
words for it come late and name no parameter.

No error is raised while another is handled: the other's text could be a piece of the URL.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import sqlalchemy as sa

from gw_sqla.database.url_hosts import HOSTS, read_hosts
from gw_sqla.database.url_parameters import read_query, to_driver
from gw_sqla.errors import ConfigurationError

__all__ = ["parse_url"]

_DRIVER = "postgresql+asyncpg"
_EXAMPLE = "such as postgresql://user@host/database"
_URL = re.compile(  # what is before an @ can be a password, and nothing else
    r"(?P<scheme>[\w+]+)://"
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    rf"(?P<hosts>{HOSTS})"
    r"(?:/(?P<database>[^?@]*))?"
    r"(?:\?(?P<query>[^@]*))?"
)


def parse_url(text: str, name: str = "the database URL") -> sa.URL:
    """Return the URL for ``create_async_engine``; printed, it hides the password.

    ``text`` begins with ``postgres://``, ``postgresql://`` or ``postgresql+asyncpg://``. As for libpq, the host may be
    several (``h1:5432,h2:5433``), an IPv6 address in brackets or the percent-encoded directory of a socket, and
    parameters may follow, whose values are checked:

    - Passed on: ``sslmode``, ``sslrootcert``, ``sslcert``, ``sslkey``, ``sslcrl``, ``sslnegotiation``, the
      ``ssl_..._protocol_version``, ``application_name``, ``options``, ``target_session_attrs``, ``service``,
      ``servicefile``, ``passfile``, ``krbsrvname``, ``gsslib``; ``host``, ``port``, ``user``, ``password`` and
      ``dbname``, which win over what stands before the question mark; SQLAlchemy's ``prepared_statement_cache_size``.
    - Left out, as asyncpg has no such thing or takes no text for it: ``channel_binding``, ``connect_timeout``, the
      ``keepalives``, ``tcp_user_timeout``, ``gssencmode``, ``sslsni``, ``sslcompression``, ``load_balance_hosts``,
      ``client_encoding``. A limit for connecting is ``connect_args={"timeout": seconds}`` of the engine. Without
      channel binding it takes ``sslmode=verify-full`` to know that nobody stands between.
    - ``sslrootcert=system`` becomes the file with the CAs of this machine, and needs ``sslmode=verify-full``.

    Raises ConfigurationError for anything else, ``None`` included, for settings of TLS that cannot all be meant
    (``PGSSLMODE`` counts where the URL has no mode), and for a service that is not in its file. It begins with ``name``
    and shows neither the URL nor any part of it that could be a password.
    """
    if not isinstance(text, str):
        given = "None: is it set?" if text is None else f"a {type(text).__name__}:"
        raise ConfigurationError(f"{name} is {given} It has to be text {_EXAMPLE}")
    text = text.strip()
    if text.count("@") > 1:
        raise ConfigurationError(f"{name} has more than one @: write @ in a user or password as %40, / as %2F")
    if not text.isprintable() or "%00" in text:
        raise ConfigurationError(f"{name} has a character that no URL can have, such as a line break")
    parts = _URL.fullmatch(text)
    if parts is None:
        raise ConfigurationError(f"{name} is not a URL {_EXAMPLE}")
    _require_driver(parts["scheme"], name)
    query = read_query(parts["query"] or "", name)
    host, port, hosts = read_hosts(parts["hosts"], query.pop("host", None), query.pop("port", None), name)
    user, password, database = (unquote(parts[part] or "") for part in ("user", "password", "database"))
    database = query.pop("dbname", query.pop("database", database))
    return sa.URL.create(
        _DRIVER,
        username=query.pop("user", user) or None,
        password=query.pop("password", password) or None,
        host=host,
        port=port,
        database=database or None,
        query=hosts | to_driver(query, name),
    )


def _require_driver(scheme: str, name: str) -> None:
    backend, _, driver = scheme.partition("+")
    if backend not in {"postgres", "postgresql"}:
        raise ConfigurationError(f"{name} begins with {scheme}://, and gw_sqla needs PostgreSQL, {_EXAMPLE}")
    if driver not in {"", "asyncpg"}:
        raise ConfigurationError(
            f"{name} asks for the driver {driver}, and gw_sqla works with asyncpg: "
            "write postgresql:// or postgresql+asyncpg://"
        )
