"""System: what server and schema are, what the schema takes on the disk, who did what, and the doctor, when asked."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gw_sqla.health import examine
from gw_sqla.schema.rights import RoleKind
from gw_sqla.web.cron_items import items_of
from gw_sqla.web.screen import Page, Route
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_MOST_LINES = 50


async def show(visit: Visit) -> Response:
    """Show versions, the ledger, sizes."""
    async with visit.session() as session:
        system = await visit.admin.look_at_system(session)
    size = sum(one.bytes for one in system.relations)
    return visit.render("system.html", system=system, size=size, schema=visit.admin.schema)


async def show_audit(visit: Visit) -> Response:
    """Show who did what, newest first."""
    async with visit.session() as session:
        lines = await visit.admin.list_audit(
            session, before=visit.integer("before"), after=visit.integer("after"), limit=_MOST_LINES + 1
        )
    is_back, is_more = visit.text("after") is not None, len(lines) > _MOST_LINES
    shown = lines[-_MOST_LINES:] if is_back else lines[:_MOST_LINES]
    is_newer = is_more if is_back else visit.text("before") is not None
    return visit.render(
        "audit.html",
        lines=shown,
        newer=visit.here(after=shown[0].id, before=None) if shown and is_newer else None,
        older=visit.here(before=shown[-1].id, after=None) if shown and (is_back or is_more) else None,
    )


async def show_examination(visit: Visit) -> Response:
    """Examine, as ``doctor`` does; for the work of an admin, or of a reader where nothing can be done here."""
    engine = visit.options.engine
    if engine is None:
        raise HTTPException(501, "The sessions of this dashboard name no engine: run python -m gw_sqla doctor.")
    kind: RoleKind = "reader" if visit.options.read_only else "admin"
    findings = await examine(engine, schema=visit.admin.schema, as_=kind, items=items_of(visit.options))
    return visit.render("doctor.html", findings=findings, kind=kind)


routes: tuple[Route, ...] = (
    Page("/system", show, "System"),
    Page("/system/audit", show_audit),
    Page("/system/doctor", show_examination),
)
