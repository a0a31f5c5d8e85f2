"""The overview: what needs attention first."""

from __future__ import annotations

from starlette.responses import Response

from gw_sqla.admin import Count, JobFilter
from gw_sqla.types import JobState
from gw_sqla.web.screen import Page, Route
from gw_sqla.web.visit import Visit

__all__ = ["routes"]


async def show(visit: Visit) -> Response:
    """Show it."""

    async def ask() -> dict[JobState, Count]:
        async with visit.session() as session:
            return {
                state: await visit.admin.count_jobs(session, JobFilter(states=frozenset({state}))) for state in JobState
            }

    states = await visit.options.shared.get("states", ask)
    return visit.render("overview.html", states=states)


routes: tuple[Route, ...] = (Page("/", show, "Overview"),)
