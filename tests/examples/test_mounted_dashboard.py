"""examples/mounted_dashboard.py: the dashboard under each framework's prefix, whose links stay below it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from examples.mounted_dashboard import fastapi_app, litestar_app, starlette_app
from gw_sqla import AsyncSession, JobRepository, async_sessionmaker

pytestmark = pytest.mark.anyio

FRAMEWORKS = {"fastapi": fastapi_app, "starlette": starlette_app, "litestar": litestar_app}
PREFIX = "http://service.test/admin/jobs/"


@pytest.fixture(params=FRAMEWORKS)
def app(request: pytest.FixtureRequest, sessions: async_sessionmaker[AsyncSession]) -> Any:
    make: Callable[..., Any] = FRAMEWORKS[request.param]
    return make(sessions)


def client_of(app: Any, token: str | None = "repair") -> httpx.AsyncClient:
    headers = {"sec-fetch-site": "same-origin"} | ({"x-token": token} if token else {})
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=PREFIX, headers=headers, follow_redirects=True, timeout=60
    )


def links_of(page: httpx.Response, attributes: str) -> set[str]:
    found = re.findall(rf'(?:{attributes})="([^"#]*)', page.text)
    return {urljoin(str(page.url), link.replace("&amp;", "&")) for link in found}


def path_of(link: str) -> str:
    return link.removeprefix(PREFIX).partition("?")[0]


async def test_all_that_is_linked_is_below_the_prefix(app: Any, sessions: async_sessionmaker[AsyncSession]) -> None:
    async with sessions.begin() as session:
        for number in range(3):
            await JobRepository().add_job(session, "greet", {"name": "Ada"}, queue_name=f"q{number}")
    async with client_of(app) as client:
        queue, seen = ["http://service.test/admin/jobs"], set[str]()
        while queue and len(seen) < 60:
            url = queue.pop(0)
            page = await client.get(url)
            assert page.status_code == 200, (url, page.status_code)
            if "text/html" not in page.headers["content-type"]:
                continue
            found = re.findall(r'(?:href|src|action)="([^"#]*)', page.text)
            links = {urljoin(str(page.url), link.replace("&amp;", "&")) for link in found}
            assert all(link.startswith(PREFIX) for link in links), (url, links)
            gets = {
                urljoin(str(page.url), link.replace("&amp;", "&")) for link in re.findall(r'href="([^"#]*)', page.text)
            }
            fresh = {link for link in gets if link.partition("?")[0] not in {one.partition("?")[0] for one in seen}}
            queue += sorted(fresh - set(queue))
            seen |= gets
        paths = {link.removeprefix(PREFIX).partition("?")[0] for link in seen}
        assert {"", "jobs", "failures", "tasks", "queues", "workers", "crontab", "system"} <= paths


async def test_a_deed_and_where_it_leads(app: Any, sessions: async_sessionmaker[AsyncSession]) -> None:
    async with client_of(app) as client:
        answer = await client.post("tasks/pause", data={"name": "greet", "reason": "a test"})
        assert answer.status_code == 200
        assert str(answer.url) == f"{PREFIX}tasks/one?name=greet"
        assert "Resume this task" in answer.text
        assert (await client.post("tasks/add", data={"name": "greet", "payload": "{}"})).status_code == 403


async def test_who_is_not_let_in(app: Any) -> None:
    async with client_of(app, None) as client:
        assert (await client.get("")).status_code == 401
        assert (await client.post("tasks/pause", data={"name": "greet"})).status_code == 401
    async with client_of(app, "look") as client:
        assert (await client.get("")).status_code == 200
        assert (await client.post("tasks/pause", data={"name": "greet"})).status_code == 403
