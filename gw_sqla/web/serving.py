"""Serving an ASGI application by Hypercorn, on the event loop that runs, until a signal.

Hypercorn, for it alone runs on asyncio and on trio. The socket is made here: an address that is taken is an error
before anything else begins, and with port 0 the address is known.
"""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable
from typing import Any

import anyio
from hypercorn.config import Config
from starlette.types import ASGIApp

from gw_sqla.errors import ConfigurationError

__all__ = ["is_loopback", "open_socket", "serve"]

_GRACE = 5.0
"""Seconds that requests have to end when it stops."""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the host; ``localhost`` counts as such."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; raises ConfigurationError, which says why it cannot."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind)
    except OSError as error:
        raise ConfigurationError(f"--host {host}: {error.strerror or error}") from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(100)
    except OSError as error:
        opened.close()
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
    return opened


async def serve(
    app: ASGIApp, listener: socket.socket, backend: str, *, cert: str | None = None, key: str | None = None
) -> None:
    """Serve on the socket, on the ``backend`` that runs (asyncio or trio), until SIGINT, SIGTERM or SIGHUP.

    With TLS where ``cert`` and ``key`` name files.
    """
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = cert, key
    config.errorlog = None
    config.graceful_timeout = _GRACE
    config.include_server_header = False
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:
        await tasks.start(_wait_for_signals, stop)
        run = _hypercorn(backend)
        await run(app, config, shutdown_trigger=stop.wait)
        tasks.cancel_scope.cancel()


def _hypercorn(backend: str) -> Callable[..., Any]:
    if backend == "trio":
        from hypercorn.trio import serve as on_trio

        return on_trio
    from hypercorn.asyncio import serve as on_asyncio

    return on_asyncio


async def _wait_for_signals(stop: anyio.Event, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    with anyio.open_signal_receiver(*(getattr(signal, name) for name in names)) as signals:
        task_status.started()
        async for _ in signals:
            stop.set()
            return
