"""The hosts and ports of a database URL, as libpq reads them.

Several go to SQLAlchemy as ``host=a,b&port=1,2``. Its other way, ``host=a:1&host=b:2``, cannot express IPv6 addresses:
it takes them apart at each colon.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import unquote

from gw_sqla.errors import ConfigurationError

__all__ = ["HOSTS", "read_hosts"]

_ONE = r"(?:\[[\w.:%~-]*\]|[\w.%~-]*)(?::[0-9]*)?"
HOSTS = rf"{_ONE}(?:,{_ONE})*"
"""What may stand between ``//`` or ``@`` and the path."""

_WITH_PORT = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>.*))?")
_DEFAULT_PORT = "5432"


def read_hosts(
    authority: str, host: str | None, port: str | None, name: str
) -> tuple[str | None, int | None, dict[str, str]]:
    """Return the URL's host, its port, and the parameters that stand for them where they are several or a socket.

    ``authority`` matches `HOSTS`; ``host`` and ``port`` are the parameters after the question mark, which win.
    One port is for all hosts; where several hosts have none, it is 5432. Raises ConfigurationError, which begins
    with ``name``.
    """
    hosts, ports = _split(authority)
    hosts = [unquote(one) for one in hosts]
    if host is not None:
        hosts, own_ports = _split(host)
        ports = own_ports if any(own_ports) else ports
    if port is not None:
        ports = port.split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    several = len(hosts) > 1
    if len(ports) != len(hosts) or not all(map(_is_port, ports)) or not all(_is_host(one, several) for one in hosts):
        raise ConfigurationError(
            f"{name} has a host or port that cannot be used: ports are 1 to 65535, and of several hosts each has its "
            "port or all have the same (host=a,b&port=5432,5433)"
        )
    if several:
        return None, None, {"host": ",".join(hosts), "port": ",".join(one or _DEFAULT_PORT for one in ports)}
    number = int(ports[0]) if ports[0] else None
    if hosts[0].startswith("/"):
        return None, number, {"host": hosts[0]}
    return hosts[0] or None, number, {}


def _split(hosts: str) -> tuple[list[str], list[str]]:
    """Return the hosts and their ports. More than one colon without brackets is an IPv6 address or a socket's."""
    pairs = []
    for one in hosts.split(","):
        parts = _WITH_PORT.fullmatch(one) if one.count(":") == 1 or one.startswith("[") else None
        pairs.append((parts["address"] or parts["name"] or "", parts["port"] or "") if parts else (one, ""))
    return [host for host, _ in pairs], [port for _, port in pairs]


def _is_port(port: str) -> bool:
    return not port or (re.fullmatch("[0-9]{1,5}", port) is not None and 0 < int(port) < 2**16)


def _is_host(host: str, several: bool) -> bool:
    if not host:
        return not several
    if ":" not in host or host.startswith("/"):
        return re.fullmatch(r"/[^,]*|[\w.-]+", host) is not None
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False
