"""An ASGI application on a loopback port, by Hypercorn, in a thread with an event loop of its own: asyncio's or trio's.

For tests whose client is a browser: that one speaks TCP, and knows nothing of our event loops.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal
from hypercorn.config import Config
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import AsyncSession, async_sessionmaker, call_asyncio, database_loop

__all__ = ["MakeApp", "serve"]

MakeApp = Callable[[async_sessionmaker[AsyncSession]], Any]
"""Makes the application, in the event loop that serves it."""


@contextmanager
def serve(make_app: MakeApp, database_url: str, backend: str) -> Iterator[str]:
    """Yield the address, such as ``http://127.0.0.1:4711``; the server has ended, and its engine, when this does."""
    with (
        start_blocking_portal(backend) as portal,
        portal.wrap_async_context_manager(_serving(make_app, database_url, backend)) as address,
    ):
        yield address


@asynccontextmanager
async def _serving(make_app: MakeApp, database_url: str, backend: str) -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]  # Hypercorn's from here on, and closed by it
    config.graceful_timeout = 1  # a page that streams does not hold the test up
    config.accesslog = config.errorlog = None
    stop = anyio.Event()
    async with database_loop():
        engine = create_async_engine(database_url)
        app = make_app(async_sessionmaker(engine, expire_on_commit=False))
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_run, backend, app, config, stop)
                yield f"http://127.0.0.1:{port}"
                stop.set()
        finally:
            with anyio.CancelScope(shield=True):
                await call_asyncio(engine.dispose)


async def _run(backend: str, app: Any, config: Config, stop: anyio.Event) -> None:
    if backend == "trio":
        from hypercorn.trio import serve as serve_on_trio

        await serve_on_trio(app, config, shutdown_trigger=stop.wait)
    else:
        from hypercorn.asyncio import serve as serve_on_asyncio

        await serve_on_asyncio(app, config, shutdown_trigger=stop.wait)
