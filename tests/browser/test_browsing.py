"""The harness itself: what a page does wrong fails the test that visits it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from gw_sqla import AsyncSession, JobRepository, async_sessionmaker
from tests.browser.browsing import visit
from tests.support.serving import serve

PAGE = "<!doctype html><html lang=en><title>t</title><main><h1>h</h1>{}</main></html>"


def app(sessions: async_sessionmaker[AsyncSession]) -> Any:
    async def page(request: Request) -> HTMLResponse:
        policy = {"content-security-policy": "default-src 'self'"} if "csp" in request.query_params else {}
        return HTMLResponse(PAGE.format(request.query_params.get("body", "")), headers=policy)

    async def count(request: Request) -> HTMLResponse:
        async with sessions() as session:
            return HTMLResponse(PAGE.format(f"<p>{len(await JobRepository().list_jobs(session))} jobs</p>"))

    async def icon(request: Request) -> HTMLResponse:
        return HTMLResponse("")

    return Starlette(routes=[Route("/", page), Route("/jobs", count), Route("/favicon.ico", icon)])


def test_a_page_of_the_database(browser: Browser, clean_database: str, backend: str) -> None:
    with serve(app, clean_database, backend) as base, visit(browser, base) as window:
        window.goto("/jobs")
        assert "0 jobs" in window.text()
        window.assert_accessible()
        window.assert_fits()


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("body=<script>missing()</script>", "missing is not defined"),
        ("body=<script>console.error('told')</script>", "told"),
        ("csp=1&body=<script>alert(1)</script>", "Content Security Policy"),
        ("csp=1&body=<p style='color:red'>x", "Content Security Policy"),
        ("csp=1&body=<img src='https://127.0.0.2/x.png' alt=x>", "CSP: img-src"),
        ("body=<img src='/gone.png' alt=x>", "404"),
    ],
)
def test_faults_of_a_page_fail_its_test(browser: Browser, clean_database: str, query: str, fault: str) -> None:
    def look(base: str) -> None:
        with visit(browser, base) as window:
            window.goto(f"/?{query}")
            window.page.wait_for_load_state("networkidle")

    with serve(app, clean_database, "asyncio") as base, pytest.raises(AssertionError, match=fault):
        look(base)


def test_what_axe_and_a_narrow_window_find(browser: Browser, clean_database: str) -> None:
    with serve(app, clean_database, "trio") as base, visit(browser, base, width=320) as window:
        window.goto("/?body=<img src='data:,'>")
        with pytest.raises(AssertionError, match="image-alt"):
            window.assert_accessible()
        window.goto("/?body=<pre>" + "x" * 500)
        with pytest.raises(AssertionError, match="wider than the window"):
            window.assert_fits()


def test_an_answer_of_another_status(browser: Browser, clean_database: str) -> None:
    with serve(app, clean_database, "asyncio") as base, visit(browser, base, scripts=False) as window:
        window.goto("/nothing", status=404)
        with pytest.raises(AssertionError, match="/nothing: 404"):
            window.goto("/nothing")
