"""A page of jobs as CSV and as JSON: up to 1,000 from where the list is, and where to go on."""

from __future__ import annotations

from starlette.responses import Response

from gw_sqla.admin import JobOrder, JobPage
from gw_sqla.web.screen import Page, Route
from gw_sqla.web.screens.chosen_filter import filter_of
from gw_sqla.web.screens.columns import as_csv, as_json
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_MOST = 1000


async def csv(visit: Visit) -> Response:
    """Return CSV; the header X-Next-Cursor says where to go on."""
    page = await _read(visit)
    headers = {"Content-Disposition": 'attachment; filename="jobs.csv"'}
    if page.next:
        headers["X-Next-Cursor"] = page.next
    return Response(as_csv(page.jobs, visit.options.mask), media_type="text/csv; charset=utf-8", headers=headers)


async def json(visit: Visit) -> Response:
    """Return JSON: ``jobs``, and ``next`` and ``previous``, cursors."""
    page = await _read(visit)
    return Response(as_json(page, visit.options.mask), media_type="application/json")


async def _read(visit: Visit) -> JobPage:
    given = filter_of(visit, visit.text("filter"))
    order = JobOrder.TURN if visit.text("order") == "turn" else JobOrder.ID
    async with visit.session() as session:
        return await visit.admin.list_jobs(
            session,
            given,
            order=order,
            descending=order is JobOrder.ID and visit.text("sort") != "oldest",
            cursor=visit.text("cursor"),
            limit=min(_MOST, max(1, visit.integer("limit") or _MOST)),
        )


routes: tuple[Route, ...] = (Page("/jobs.csv", csv), Page("/jobs.json", json))
