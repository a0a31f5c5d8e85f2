"""What a database URL says of TLS: whether it can all be meant, and where the machine's CAs are.

Settings of which one would silently lose are an error, as TLS may be lost with it. So are files that are not looked at:
asyncpg, as libpq by and large, verifies nobody below ``require``, whatever CA it is given.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from gw_sqla.errors import ConfigurationError

__all__ = ["SSL_MODES", "TLS_VERSIONS", "require_consistent_tls", "system_ca_file"]

TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_WITH_TLS = ("require", "verify-ca", "verify-full")
_OF_TLS = ("sslrootcert", "sslcrl", "sslcert", "sslkey", "ssl_min_protocol_version", "ssl_max_protocol_version")
_TO_VERIFY = ("sslrootcert", "sslcrl")
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


def require_consistent_tls(parameters: Mapping[str, str], name: str) -> None:
    """Raise ConfigurationError, which begins with ``name``, for parameters that cannot all be meant."""
    alias, mode = parameters.get("ssl"), parameters.get("sslmode")
    if alias and mode and alias != mode and not (alias == "true" and mode in _WITH_TLS):
        raise ConfigurationError(f"{name} has ssl and sslmode, which contradict each other: leave ssl out")
    mode = mode or alias
    if parameters.get("sslnegotiation") == "direct" and mode not in {"true", *_WITH_TLS}:
        raise ConfigurationError(f"{name} has sslnegotiation=direct, which needs sslmode=require or a stricter one")
    oldest, newest = (parameters.get(f"ssl_{end}_protocol_version") for end in ("min", "max"))
    if oldest and newest and TLS_VERSIONS.index(oldest) > TLS_VERSIONS.index(newest):
        raise ConfigurationError(f"{name} has an ssl_min_protocol_version that is newer than ssl_max_protocol_version")
    _require_use(parameters, mode or os.environ.get("PGSSLMODE") or None, name)


def system_ca_file(ssl_mode: str, name: str) -> str:
    """Return the file for ``sslrootcert=system``, libpq's word, which asyncpg takes for a file's name."""
    if ssl_mode != "verify-full":
        raise ConfigurationError(f"{name} has sslrootcert=system, which needs sslmode=verify-full")
    for file in (ssl.get_default_verify_paths().cafile, *_CA_FILES):
        if file and Path(file).is_file():
            return file
    raise ConfigurationError(f"{name} has sslrootcert=system, and no file with CAs was found: name it in sslrootcert")


def _require_use(parameters: Mapping[str, str], mode: str | None, name: str) -> None:
    """Raise for what has no effect in this mode; a service may have the mode that is not here."""
    given = [key for key in _OF_TLS if parameters.get(key)]
    if mode == "disable" and given:
        raise ConfigurationError(f"{name} has sslmode=disable and {', '.join(given)}, which contradict each other")
    if mode in {"true", *_WITH_TLS} or (mode is None and parameters.get("service")):
        return
    idle = [key for key in _TO_VERIFY if parameters.get(key) and parameters[key] != "system"]
    if idle:
        raise ConfigurationError(f"{name} has {', '.join(idle)}, which is not looked at: add sslmode=verify-full")
