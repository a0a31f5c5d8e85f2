"""Failures: grouped by task and error, so that one can act on what fails alike."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from gw_sqla.admin import Failures, JobFilter, ScanLimits
from gw_sqla.types import JobState
from gw_sqla.web.screen import Page, Route
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_MOST = 100
_QUICK = ScanLimits(10_000, timedelta(milliseconds=120))
"""What a page may cost that somebody has not asked to look at more: each error is looked into."""
_FAILED = frozenset({JobState.FAILED})
_ANY_FAILURE = frozenset({JobState.FAILED, JobState.RETRYING})


async def show(visit: Visit) -> Response:
    """Show the largest groups, of what has failed for good, or of what is tried again too."""
    states = _ANY_FAILURE if visit.text("retrying") is not None else _FAILED

    is_deep = visit.text("deep") is not None

    async def ask() -> Failures:
        given = JobFilter(states=states)
        async with visit.session() as session:
            if not is_deep:
                found = await visit.admin.list_failures(session, given, most=_MOST, limits=_QUICK)
                if found.scanned or not found.stopped:
                    return found
            return await visit.admin.list_failures(session, given, most=_MOST)

    failures = await visit.options.shared.get(f"failures {len(states)} {is_deep}", ask)
    return visit.render(
        "failures.html",
        failures=failures,
        states=states,
        deeper=visit.here(deep=1) if failures.stopped and not is_deep else None,
        retrying=states is _ANY_FAILURE,
        actions=[action for action in ("retry", "remove") if visit.may(action)],
    )


routes: tuple[Route, ...] = (Page("/failures", show, "Failures"),)
