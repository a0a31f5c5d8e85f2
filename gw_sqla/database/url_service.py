"""The service that a database URL names: a section of libpq's service file, which asyncpg reads.

It passes over a service that is not there, and connects to the machine's own server, or to a host without the TLS that
was asked for. libpq refuses that, and so does a URL here.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from gw_sqla.errors import ConfigurationError

__all__ = ["require_service"]


def require_service(parameters: Mapping[str, str], name: str) -> None:
    """Raise ConfigurationError, which begins with ``name`` and shows no value, for a service that cannot be had.

    The file is that of asyncpg: ``servicefile``, else ``PGSERVICEFILE``, else ``~/.pg_service.conf``.
    """
    service = parameters.get("service")
    if not service:
        return
    file = parameters.get("servicefile") or os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf"
    if (problem := _problem(service, Path(file))) is not None:
        raise ConfigurationError(f"{name} has a service that {problem}")


def _problem(service: str, file: Path) -> str | None:
    services = configparser.ConfigParser()
    try:
        services.read(file)
        if service not in services.sections():
            return f"is not in {file}"
        services.items(service)
    except (configparser.Error, UnicodeDecodeError):  # whose text has the line
        return f"cannot be read, as {file} cannot be read as a service file: a % in it is written %%"
    return None
