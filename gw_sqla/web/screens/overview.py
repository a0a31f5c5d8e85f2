"""The overview: what needs attention first, then how many jobs there are, how many come and go, and who works.

What it has read is shared by all who look; counts go no further than is cheap, and say so (``10,000+``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

from gw_sqla.admin import Count, JobFilter, ScanLimits, Worker
from gw_sqla.types import JobState
from gw_sqla.web.screen import Page, Route
from gw_sqla.web.screens.attention import Attention, find
from gw_sqla.web.screens.rates_chart import chart
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_MOST_COUNTED = 10_000
_MOST_LISTED = 1000
_MOST_GROUPS = 50
_FEW = ScanLimits(10_000, timedelta(milliseconds=100))
_FEW_ERRORS = ScanLimits(2_000, timedelta(milliseconds=100))
"""It is read again and again: the newest failures do, each of whose errors is looked into."""


@dataclass(frozen=True, slots=True)
class _Seen:
    states: Mapping[JobState, Count]
    workers: list[Worker]
    attention: list[Attention]


async def show(visit: Visit) -> Response:
    """Show it."""
    shared = visit.options.shared
    seen = await shared.get("overview", lambda: _look(visit))
    await shared.get("turnover", lambda: _read_turnover(visit))
    alive = [worker for worker in seen.workers if worker.is_alive]
    return visit.render(
        "overview.html",
        states=seen.states,
        attention=seen.attention,
        at=shared.at("overview"),
        alive=len(alive),
        dead=len(seen.workers) - len(alive),
        slots=sum(worker.concurrency or 0 for worker in alive),
        rates=shared.history.last_minute(),
        chart=chart(shared.history.rates()),
    )


async def _read_turnover(visit: Visit) -> None:
    async with visit.session() as session:
        visit.options.shared.history.add(await visit.admin.read_turnover(session))


async def _look(visit: Visit) -> _Seen:
    admin = visit.admin
    async with visit.session() as session:
        states = {
            state: await admin.count_jobs(
                session, JobFilter(states=frozenset({state})), most=_MOST_COUNTED, limits=_FEW
            )
            for state in JobState
        }
        tasks = await admin.list_tasks(session, limit=_MOST_LISTED, limits=_FEW)
        failures = await admin.list_failures(session, most=_MOST_GROUPS, limits=_FEW_ERRORS)
        owners = await admin.list_lock_owners(session, limits=_FEW)
        workers = await admin.list_workers(session, limit=_MOST_LISTED)
        pauses = await admin.list_pauses(session)
        now = await admin.now(session)
    return _Seen(states, workers, find(tasks, failures.groups, owners, pauses, workers, now))


routes: tuple[Route, ...] = (Page("/", show, "Overview"),)
