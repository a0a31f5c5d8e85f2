"""Failures: grouped by task and error, so that one can act on what fails alike."""

from __future__ import annotations

from starlette.responses import Response

from gw_sqla.admin import Failures, JobFilter
from gw_sqla.types import JobState
from gw_sqla.web.screen import Page, Route
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_MOST = 100
_FAILED = frozenset({JobState.FAILED})
_ANY_FAILURE = frozenset({JobState.FAILED, JobState.RETRYING})


async def show(visit: Visit) -> Response:
    """Show the largest groups, of what has failed for good, or of what is tried again too."""
    states = _ANY_FAILURE if visit.text("retrying") is not None else _FAILED

    async def ask() -> Failures:
        async with visit.session() as session:
            return await visit.admin.list_failures(session, JobFilter(states=states), most=_MOST)

    failures = await visit.options.shared.get(f"failures {len(states)}", ask)
    return visit.render(
        "failures.html",
        failures=failures,
        states=states,
        retrying=states is _ANY_FAILURE,
        actions=[action for action in ("retry", "remove") if visit.may(action)],
    )


routes: tuple[Route, ...] = (Page("/failures", show, "Failures"),)
