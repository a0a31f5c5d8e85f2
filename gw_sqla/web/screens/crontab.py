"""Crontab: each item with its schedule, its zone, its last job, the next five, and whether it is late; run one now."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gw_sqla.admin import CronItemInfo
from gw_sqla.web.cron_items import items_of
from gw_sqla.web.paging import Paging
from gw_sqla.web.rights import Right
from gw_sqla.web.screen import Deed, Page, Route
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_PAGE = Paging(100)


async def show(visit: Visit) -> Response:
    """Show a page of them, by identifier."""
    items, page = items_of(visit.options), _PAGE.of(visit)

    async def ask() -> list[CronItemInfo]:
        async with visit.session() as session:
            return await visit.admin.list_cron_items(
                session, items or (), after=page.after, before=page.before, limit=page.limit
            )

    found = await visit.options.shared.get(f"crontab {page.name}", ask)
    return visit.render(
        "crontab.html",
        paged=page.cut(visit, found, lambda info: info.identifier),
        is_given=items is not None,
    )


async def run(visit: Visit) -> Response:
    """Add the job of an item now."""
    identifier = (await visit.form()).required("identifier")
    item = next((item for item in items_of(visit.options) or () if item.identifier == identifier), None)
    if item is None:
        raise HTTPException(404, f"This dashboard does not know the cron item {identifier!r}. Nothing was done.")
    async with visit.transaction() as session:
        job = await visit.admin.run_cron_item(session, item, actor=visit.actor)
    return visit.go("/crontab", f"Job {job.id} of {identifier} was added; its schedule goes on as before.")


routes: tuple[Route, ...] = (Page("/crontab", show, "Crontab"), Deed("/crontab/run", run, Right.ADD))
