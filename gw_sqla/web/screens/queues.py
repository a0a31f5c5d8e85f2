"""Queues: what waits in each, whose turn is next, who has its lock since when; pausing them."""

from __future__ import annotations

from starlette.responses import Response

from gw_sqla.admin import Choice, JobFilter, QueueInfo
from gw_sqla.web import pauses
from gw_sqla.web.paging import Paging
from gw_sqla.web.rights import Right
from gw_sqla.web.screen import Deed, Page, Route
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_PAGE = Paging(50)


async def show(visit: Visit) -> Response:
    """Show a page of them, by name, or of those that are locked."""
    only_locked, page = visit.text("locked") is not None, _PAGE.of(visit)

    async def ask() -> list[QueueInfo]:
        async with visit.session() as session:
            return await visit.admin.list_queues(
                session, only_locked=only_locked, after=page.after, before=page.before, limit=page.limit
            )

    queues = await visit.options.shared.get(f"queues {only_locked} {page.name}", ask)
    return visit.render(
        "queues.html",
        paged=page.cut(visit, queues, lambda queue: queue.name),
        only_locked=only_locked,
        paused=await pauses.paused(visit),
        jobs_of=_jobs_of,
    )


async def pause(visit: Visit) -> Response:
    """Pause a queue."""
    form = await visit.form()
    name = form.required("name")
    return visit.go("/queues", await pauses.pause(visit, form, queue_name=name))


async def resume(visit: Visit) -> Response:
    """Resume a queue."""
    name = (await visit.form()).required("name")
    return visit.go("/queues", await pauses.resume(visit, queue_name=name))


def _jobs_of(name: str) -> str:
    return str(JobFilter(queues=Choice(frozenset({name}))))


routes: tuple[Route, ...] = (
    Page("/queues", show, "Queues"),
    Deed("/queues/pause", pause, Right.PAUSE),
    Deed("/queues/resume", resume, Right.PAUSE),
)
