"""The demo's shop, as ``quickstart --serve`` opens it, at a test's own database, with a worker that runs its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import Runner, RunnerSettings, async_sessionmaker, call_asyncio, database_loop
from gw_sqla.cli.demo import CRONTAB, open_shop, tasks
from gw_sqla.web import ALL_RIGHTS, Dashboard, Viewer
from tests.support.serving import serve

__all__ = ["dashboard", "open_for_visitors"]


def dashboard(sessions: Any, **options: Any) -> Dashboard:
    """Make the shop's dashboard; anybody may do everything, unless the options say so."""
    everything: dict[str, Any] = {
        "access": lambda _: Viewer(ALL_RIGHTS, "ada"),
        "tasks": tasks,
        "crontab": CRONTAB,
        "interval": timedelta(seconds=1),
    }
    return Dashboard(sessions, **everything | options)


@contextmanager
def open_for_visitors(database_url: str, backend: str, **options: Any) -> Iterator[str]:
    """Fill the database, run a worker beside, serve the dashboard; yield its address."""

    async def work() -> None:
        async with database_loop():
            engine = create_async_engine(database_url)
            try:
                await open_shop(async_sessionmaker(engine, expire_on_commit=False))
                opened.set()
                settings = RunnerSettings(concurrency=6, crontab=CRONTAB, grace_period=timedelta(0))
                await Runner(engine, tasks, settings).run()
            finally:
                with anyio.CancelScope(shield=True):
                    await call_asyncio(engine.dispose)

    with start_blocking_portal(backend) as portal:
        opened = portal.call(anyio.Event)
        worker = portal.start_task_soon(work)
        try:
            portal.call(opened.wait)
            with serve(lambda sessions: dashboard(sessions, **options), database_url, backend) as base:
                yield base
        finally:
            worker.cancel()
