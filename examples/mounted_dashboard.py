"""The dashboard inside an application of your own: under FastAPI, Starlette and Litestar, for those whom it lets in.

    pip install '.[web]' fastapi litestar uvicorn     # in a clone of the repository
    export DATABASE_URL=postgresql://localhost/mydb
    python -m gw_sqla migrate
    uvicorn examples.mounted_dashboard:app            # FastAPI; starlette_app and litestar_app are there too

    curl -i localhost:8000/admin/jobs/ -H 'x-token: look'      # may look
    curl -i localhost:8000/admin/jobs/ -H 'x-token: repair'    # may retry and pause, too

``access`` says who makes a request, and what they may do: here by a token, in place of your own login.
"""

from __future__ import annotations

import os
from typing import Any, cast

from fastapi import FastAPI
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from gw_sqla import AsyncSession, TaskRegistry, async_sessionmaker, parse_url
from gw_sqla.web import Dashboard, Right, Viewer, reader

PEOPLE = {
    "look": reader("grace"),
    "repair": Viewer(frozenset({Right.READ, Right.RETRY, Right.PAUSE}), "ada"),
}

tasks = TaskRegistry()


@tasks.task("greet")
async def greet(payload: dict[str, str]) -> None:
    """Say hello."""
    print(f"Hello {payload['name']}")


def access(request: Request) -> Viewer:
    """Say who it is: an application has its own login, and asks it here; this may be an async function, too."""
    found = PEOPLE.get(request.headers.get("x-token", ""))
    if found is None:
        raise HTTPException(401, "Who are you? Say it in the header X-Token.")
    return found


def make_dashboard(sessions: async_sessionmaker[AsyncSession]) -> Dashboard:
    """Make the ASGI application that is mounted; it needs nothing of the one around it."""
    return Dashboard(sessions, access=access, tasks=tasks)


def fastapi_app(sessions: async_sessionmaker[AsyncSession]) -> FastAPI:
    """Under FastAPI: its own routes stay as they are."""
    app = FastAPI()
    app.mount("/admin/jobs", make_dashboard(sessions))

    @app.get("/")
    async def index() -> str:
        return "hello"

    return app


def starlette_app(sessions: async_sessionmaker[AsyncSession]) -> Starlette:
    """Under Starlette."""

    async def index(_: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/", index), Mount("/admin/jobs", make_dashboard(sessions))])


def litestar_app(sessions: async_sessionmaker[AsyncSession]) -> Litestar:
    """Under Litestar."""
    dashboard = make_dashboard(sessions)

    @asgi("/admin/jobs", is_mount=True, copy_scope=True)
    async def jobs(scope: Scope, receive: Receive, send: Send) -> None:
        await dashboard(cast("Any", scope), cast("Any", receive), cast("Any", send))

    return Litestar([jobs])


def __getattr__(name: str) -> Any:
    """Make the application that a server names: it is imported without a database, too."""
    if name != "app":
        raise AttributeError(name)
    return fastapi_app(async_sessionmaker(create_async_engine(parse_url(os.environ["DATABASE_URL"]))))
