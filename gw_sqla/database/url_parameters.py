"""The parameters of a database URL: which there are, what they may be, and how they get to asyncpg.

SQLAlchemy gives asyncpg what stands after the question mark as keyword arguments, as text. What asyncpg knows only as
libpq's parameters, or takes as a dictionary, travels in its ``dsn``, which is a keyword argument as well. The
alternative, ``connect_args``, would need a second thing beside the URL, which every caller had to pass on. The ``dsn``
holds no host, user or password: a printed URL shows it. ``sslpassword`` would be a secret in it, so it is refused.

Some parameters cannot reach asyncpg as text, or ask for what it does not do. Where that is only less comfortable they
are left out, so that a hoster's URL works as it is. That goes for ``channel_binding=require`` too, which Neon hands out
with every URL: asyncpg knows no channel binding, and TLS stays as ``sslmode`` says. A parameter that is not here is
refused, ``require_auth`` and ``requirepeer`` among them: what someone asked for to be safe is not dropped in silence.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa

from gw_sqla.database.url_service import require_service
from gw_sqla.database.url_tls import SSL_MODES, TLS_VERSIONS, require_consistent_tls, system_ca_file
from gw_sqla.errors import ConfigurationError

__all__ = ["in_dsn", "read_query", "to_driver"]

log = logging.getLogger(__name__)

_PARTS_OF_URL = frozenset({"database", "dbname", "host", "password", "port", "user"})
_KEYWORDS = frozenset(
    {"gsslib", "krbsrvname", "passfile", "prepared_statement_cache_size", "servicefile", "target_session_attrs"}
)
_IN_DSN = frozenset(
    {
        "application_name",
        "options",
        "service",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslnegotiation",
        "sslrootcert",
    }
)
_LEFT_OUT = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
    }
)
_KNOWN = _PARTS_OF_URL | _KEYWORDS | _IN_DSN | _LEFT_OUT | {"ssl", "sslmode"}

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
    "gsslib": ("gssapi", "sspi"),
    "load_balance_hosts": ("disable", "random"),
    "ssl": (*SSL_MODES, "true"),
    "ssl_max_protocol_version": TLS_VERSIONS,
    "ssl_min_protocol_version": TLS_VERSIONS,
    "sslcompression": ("0", "1"),
    "sslmode": SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "sslsni": ("0", "1"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_NUMBERS = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "prepared_statement_cache_size",
        "tcp_user_timeout",
    }
)


def read_query(query: str, name: str) -> dict[str, str]:
    """Return the parameters, each known and with a value that it can have; hosts given one by one are joined.

    A parameter without a value is as if it were not there, unless only certain values make sense. Raises
    ConfigurationError, which begins with ``name`` and shows no value.
    """
    items = [(key, value) for key, value in parse_qsl(query, keep_blank_values=True) if value or _is_checked(key)]
    keys = [key for key, _ in items]
    if "sslpassword" in keys:
        raise ConfigurationError(
            f"{name} has sslpassword, a secret that a printed URL would show: use a key without a passphrase, or an "
            "engine of your own with an SSLContext in its connect_args"
        )
    if unknown := sorted(set(keys) - _KNOWN):
        if "password" in keys:
            raise ConfigurationError(
                f"{name} has a password, and parameters that asyncpg does not take from a URL: an & in a password is "
                "written %26"
            )
        raise ConfigurationError(
            f"{name} has parameters that asyncpg does not take from a URL ({', '.join(unknown)}): leave them out"
        )
    if repeated := sorted({key for key in keys if keys.count(key) > 1} - {"host", "port"}):
        raise ConfigurationError(f"{name} has more than once: {', '.join(repeated)}")
    for key, value in items:
        _require_value(key, value, name)
    parameters = {key: ",".join(value for other, value in items if other == key) for key in keys}
    require_consistent_tls(parameters, name)
    require_service(parameters, name)
    return parameters


def to_driver(parameters: Mapping[str, str], name: str) -> dict[str, str]:
    """Return what of ``parameters`` travels to asyncpg, as a SQLAlchemy URL's query.

    Raises ConfigurationError for a ``sslrootcert=system`` that cannot be had.
    """
    wanted = dict(parameters)
    ssl_mode = wanted.pop("ssl", None)
    ssl_mode = wanted.pop("sslmode", "require" if ssl_mode == "true" else ssl_mode)  # ssl=true: JDBC's, libpq's too
    if wanted.get("sslrootcert") == "system":
        ssl_mode = ssl_mode or "verify-full"
        wanted["sslrootcert"] = system_ca_file(ssl_mode, name)
    if left_out := sorted(wanted.keys() & _LEFT_OUT):
        log.debug("%s: left out, as asyncpg does not take them from a URL: %s", name, ", ".join(left_out))
    query = {key: wanted[key] for key in sorted(wanted.keys() & _KEYWORDS)}
    if ssl_mode:
        query["ssl"] = ssl_mode
    if carried := {key: wanted[key] for key in sorted(wanted.keys() & _IN_DSN)}:
        query["dsn"] = f"postgresql://?{urlencode(carried)}"
    return query


def in_dsn(url: sa.URL) -> dict[str, str]:
    """Return the parameters that travel in the ``dsn`` of a URL that `to_driver` made."""
    return dict(parse_qsl(urlsplit(str(url.query.get("dsn", ""))).query))


def _is_checked(key: str) -> bool:
    return key in _CHOICES or key in _NUMBERS


def _require_value(key: str, value: str, name: str) -> None:
    choices = _CHOICES.get(key)
    if choices and value not in choices:
        raise ConfigurationError(f"{name} has a value for {key} that there is not: it is one of {', '.join(choices)}")
    number = "-?[0-9]{1,9}" if key in _LEFT_OUT else "[0-9]{1,9}"  # libpq: connect_timeout=-1 is no limit
    if key in _NUMBERS and not re.fullmatch(number, value):
        raise ConfigurationError(f"{name} has for {key} a number that cannot be used: it is a whole number, such as 10")
