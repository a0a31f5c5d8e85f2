"""`Dashboard`: the ASGI application, made of screens."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from gw_sqla.admin import Admin, ScanLimits
from gw_sqla.crontab import CronItem
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.web import faults
from gw_sqla.web.as_asked import AsAsked
from gw_sqla.web.guards import Guards
from gw_sqla.web.options import Mask, Options, check_options
from gw_sqla.web.rights import Access, Right, Viewer
from gw_sqla.web.schema_state import schema_warning
from gw_sqla.web.screen import Deed, Page, Route
from gw_sqla.web.screens import bulk, exports, failures, job, jobs, overview, queues, system, workers
from gw_sqla.web.screens import crontab as crontab_screen
from gw_sqla.web.screens import tasks as tasks_screen
from gw_sqla.web.shared import Shared
from gw_sqla.web.static_files import ImmutableFiles
from gw_sqla.web.visit import Visit

__all__ = ["Dashboard"]

_SCREENS: tuple[tuple[Route, ...], ...] = (
    overview.routes,
    jobs.routes,
    exports.routes,
    bulk.routes,
    job.routes,
    failures.routes,
    tasks_screen.routes,
    queues.routes,
    workers.routes,
    crontab_screen.routes,
    system.routes,
)
"""In the order of the navigation."""

_LINKS = tuple(
    (route.path, route.title) for screen in _SCREENS for route in screen if isinstance(route, Page) and route.title
)
_LONGEST_QUERY = 12_000
_SECONDS = 20.0
"""For which one request may take, waiting for a connection included."""


class Dashboard:
    """An ASGI application that shows a queue and lets people act on it, on asyncio and on trio.

    It needs no lifespan, and works under any prefix. On trio, serve it inside ``gw_sqla.database_loop()``.

    Parameters: ``sessions``, a `gw_sqla.async_sessionmaker` (on asyncio SQLAlchemy's will do). ``access``, which is
    called with each request and returns who makes it (`gw_sqla.web.Viewer`), or an awaitable of that; what it
    raises as Starlette's HTTPException is the answer. ``schema``, the worker schema's name. ``tasks``, for descriptions
    and forms of payloads. ``crontab``, the items that should be scheduled. ``read_only``: nothing can be done, whatever
    rights somebody has. ``mask``: gets a task's identifier and a payload, returns what may be seen of it; payloads
    can then neither be edited here nor filtered by. ``limits``, what a reading may cost (`gw_sqla.admin.ScanLimits`).
    ``interval``, how often what all viewers share is read, and pages refresh themselves: a second to an hour.

    Raises ConfigurationError for what cannot work.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[Any],
        *,
        access: Access,
        schema: str = DEFAULT_SCHEMA,
        tasks: TaskRegistry | None = None,
        crontab: Sequence[CronItem] | None = None,
        read_only: bool = False,
        mask: Mask | None = None,
        limits: ScanLimits | None = None,
        interval: timedelta = timedelta(seconds=5),
    ) -> None:
        limits = limits or ScanLimits(timeout=timedelta(seconds=1))
        check_options(
            {
                "sessions": sessions,
                "access": access,
                "tasks": tasks,
                "read_only": read_only,
                "mask": mask,
                "limits": limits,
                "interval": interval,
            }
        )
        admin = Admin(schema, limits=limits)
        self._options = Options(sessions, access, admin, tasks, crontab, read_only, mask, interval, Shared(interval))
        static = ImmutableFiles(directory=Path(__file__).parent / "static")
        routes = [self._route(route) for screen in _SCREENS for route in screen]
        app = Starlette(
            routes=[Mount("/static", static), *routes],
            exception_handlers={HTTPException: self._refused},
        )
        app.router.redirect_slashes = False  # its redirects name the host that the request did
        self._app = Guards(AsAsked(app))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    def _route(self, route: Route) -> StarletteRoute:
        async def endpoint(request: Request) -> Response:
            visit = Visit(request, self._options)
            return await faults.answered(visit, lambda: self._answer(visit, route))

        methods = ["GET"] if isinstance(route, Page) else ["POST"]
        return StarletteRoute(route.path, endpoint, methods=methods)

    async def _answer(self, visit: Visit, route: Route) -> Response:
        visit.viewer = await self._viewer(visit.request)
        if Right.READ not in visit.viewer.rights:
            raise HTTPException(403, "You may not see this dashboard.")
        visit.links = _LINKS
        if len(visit.request.url.query) > _LONGEST_QUERY:
            raise HTTPException(414, f"This address is too long: {_LONGEST_QUERY:,} characters is the most.")
        if isinstance(route, Deed):
            if visit.options.read_only:
                raise HTTPException(403, "This dashboard is read-only. Nothing was done.")
            if route.right is not None:
                visit.require(route.right)
        with anyio.fail_after(_SECONDS):
            visit.warning = await visit.options.shared.get("schema", lambda: schema_warning(visit))
            response = await route.answer(visit)
        if isinstance(route, Deed):
            visit.options.shared.forget()
        return response

    async def _viewer(self, request: Request) -> Viewer:
        found = self._options.access(request)
        viewer = await found if inspect.isawaitable(found) else found
        if not isinstance(viewer, Viewer):
            raise ConfigurationError(
                f"access: must return a gw_sqla.web.Viewer, has returned a {type(viewer).__name__}"
            )
        return viewer

    async def _refused(self, request: Request, error: Exception) -> Response:
        """Answer what has no screen, or that access has refused."""
        return faults.page(Visit(request, self._options), error)
