"""Where monitoring asks: ``HOST:PORT``, and the listeners there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.abc import SocketAttribute, SocketListener

from gw_sqla.errors import ConfigurationError

__all__ = ["Address", "listen", "port_of"]

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")


@dataclass(frozen=True, slots=True)
class Address:
    """A host, as a name or an address, and a TCP port; 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, field: str = "http") -> Address:
        """Read ``HOST:PORT``, an IPv6 address in brackets. Raises ConfigurationError, which names the ``field``.

        The host must be said: whether others than this machine may ask is not for a default to decide.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdecimal() and int(port) <= 65535):
            raise ConfigurationError(
                f"{field}: must be HOST:PORT, such as 127.0.0.1:9000 (0.0.0.0:9000 for all networks), is {text!r}"
            )
        if host.startswith("[") and host.endswith("]"):
            try:
                return cls(str(ipaddress.IPv6Address(host[1:-1])), int(port))
            except ValueError as error:
                raise ConfigurationError(f"{field}: {host} is no IPv6 address") from error
        if not _HOST.fullmatch(host):
            raise ConfigurationError(f"{field}: {host!r} is no host (an IPv6 address has brackets: [::1]:9000)")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def listen(address: Address | str) -> Sequence[SocketListener]:
    """Listen at an address, or at the path of a Unix socket. Raises OSError."""
    if isinstance(address, str):
        return [await anyio.create_unix_listener(address, mode=0o600)]
    multi = await anyio.create_tcp_listener(local_host=address.host, local_port=address.port)
    return [listener for listener in multi.listeners if isinstance(listener, SocketListener)]


def port_of(listeners: Sequence[SocketListener]) -> int:
    """Return the port of TCP listeners."""
    return int(listeners[0].extra(SocketAttribute.local_port))  # noqa: S610 - anyio's, not Django's
