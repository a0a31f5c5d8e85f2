"""The list of jobs: its address is its whole state, so it can be kept and sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from gw_sqla.admin import Admin, Count, JobFilter, JobOrder, JobPage, ScanLimits
from gw_sqla.errors import InvalidFilterError
from gw_sqla.types import JobState
from gw_sqla.web.screen import Page, Route
from gw_sqla.web.screens.actions import bulk_actions
from gw_sqla.web.screens.chosen_filter import LONGEST_FILTER, filter_of
from gw_sqla.web.screens.columns import ALL_COLUMNS, chosen_columns
from gw_sqla.web.screens.controls import controls_of, filter_by_controls
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_SIZES = (25, 50, 100, 200)
_MOST_EXACT = 10_000_000
_EXACT = ScanLimits(_MOST_EXACT, timedelta(seconds=10))
_FACETS = ScanLimits(10_000, timedelta(milliseconds=60))
_MOST_IN_FACET = 1_000
_EMPTY = JobPage((), None, None, 0)


async def show(visit: Visit) -> Response:
    """Show a page of them; a filter that cannot be meant is shown with what is wrong with it."""
    try:
        given = filter_of(visit, visit.text("filter"))
        if visit.text("controls"):
            return visit.go("/jobs", filter=filter_by_controls(visit, given), **_kept(visit))
    except InvalidFilterError as error:
        return _page(visit, JobFilter(), _EMPTY, {}, None, error)
    order = JobOrder.TURN if visit.text("order") == "turn" else JobOrder.ID
    facets: dict[JobState, Count] = {}
    exact: Count | None = None
    async with visit.session() as session:
        try:
            page = await visit.admin.list_jobs(
                session,
                given,
                order=order,
                descending=order is JobOrder.ID and visit.text("sort") != "oldest",
                cursor=visit.text("cursor"),
                limit=_size(visit),
            )
        except InvalidFilterError as error:  # only waiting jobs have a turn
            return _page(visit, given, _EMPTY, {}, None, error)
        facets = await _facets(visit.admin, session, given)
        if visit.text("count"):
            exact = await visit.admin.count_jobs(session, given, most=_MOST_EXACT, limits=_EXACT)
    return _page(visit, given, page, facets, exact, None)


def _page(
    visit: Visit,
    given: JobFilter,
    page: JobPage,
    facets: Mapping[JobState, Count],
    exact: Count | None,
    error: InvalidFilterError | None,
) -> Response:
    text = visit.text("filter") or ""
    return visit.render(
        "jobs.html",
        400 if error else 200,
        filter=str(given) if error is None else text[:LONGEST_FILTER],
        controls=controls_of(given),
        states=list(JobState),
        error=error,
        page=page,
        facets=facets,
        facet_filters={state: str(replace(given, states=frozenset({state}))) for state in facets},
        exact=exact,
        columns=chosen_columns(visit.texts("column")),
        all_columns=ALL_COLUMNS,
        size=_size(visit),
        sizes=_SIZES,
        order=visit.text("order") or "id",
        sort=visit.text("sort") or "newest",
        kept=_kept(visit),
        actions=bulk_actions(visit),
    )


async def _facets(admin: Admin, session: AsyncSession, given: JobFilter) -> dict[JobState, Count]:
    """Count the jobs of each state that fit all the rest of the filter, as far as it costs next to nothing."""
    found: dict[JobState, Count] = {}
    for state in JobState:
        try:
            only = replace(given, states=frozenset({state}))
        except InvalidFilterError:  # no job of this state can fit the rest
            continue
        found[state] = await admin.count_jobs(session, only, most=_MOST_IN_FACET, limits=_FACETS)
    return found


def _size(visit: Visit) -> int:
    return {str(size): size for size in _SIZES}.get(visit.text("size") or "", 50)


def _kept(visit: Visit) -> dict[str, list[str]]:
    """Return what stays in the address when the filter changes."""
    return {name: values for name in ("order", "sort", "size", "column") if (values := visit.texts(name))}


routes: tuple[Route, ...] = (Page("/jobs", show, "Jobs"),)
