"""Fixtures for the dashboard: a client of one, on both event loops, without a socket; jobs to be seen in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, async_sessionmaker
from gw_sqla.admin import ScanLimits
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.web import ALL_RIGHTS, Dashboard, Viewer
from tests.repository.look import Look, open_look

ROOMY = ScanLimits(timeout=timedelta(seconds=20))
"""The machine may be busy."""

Open = Callable[..., httpx.AsyncClient]


class Browser(httpx.AsyncClient):
    """A client of an ASGI application, at http://dashboard.test; its POSTs say that they are of a page of its own."""

    def __init__(self, app: Any, prefix: str = "") -> None:
        super().__init__(
            transport=httpx.ASGITransport(app),
            base_url=f"http://dashboard.test{prefix}",
            headers={"sec-fetch-site": "same-origin"},
            timeout=60,
        )


@pytest.fixture
async def open_dashboard(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[Open]:
    """Return a function: options of a Dashboard to a client of it; anybody may do everything unless they say so."""
    async with AsyncExitStack() as stack:
        browsers: list[Browser] = []

        def open_one(**options: Any) -> Browser:
            all_options: dict[str, Any] = {
                "access": lambda _: Viewer(ALL_RIGHTS, "tester"),
                "limits": ROOMY,
                "interval": timedelta(seconds=1),
            } | options
            browser = Browser(Dashboard(all_options.pop("sessions", sessions), **all_options))
            browsers.append(browser)
            return browser

        yield open_one
        for browser in browsers:
            await stack.enter_async_context(closing(browser))


@asynccontextmanager
async def closing(browser: Browser) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await browser.aclose()


@pytest.fixture
def browser(open_dashboard: Open) -> httpx.AsyncClient:
    """A client of a dashboard in which everything may be done."""
    return open_dashboard()


@pytest.fixture
async def look(engine: AsyncEngine, clean_database: str) -> AsyncIterator[Look]:
    """A bare connection, beside the engine under test."""
    async with open_look(clean_database, DEFAULT_SCHEMA) as opened:
        yield opened
