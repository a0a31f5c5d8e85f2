"""Pausing and resuming from a screen: the form's fields, until when, and what is paused now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gw_sqla.admin import Pause
from gw_sqla.errors import InvalidJobError
from gw_sqla.web.forms import Form
from gw_sqla.web.visit import Visit

__all__ = ["pause", "paused", "resume"]

_MOST_MINUTES = 366 * 24 * 60


async def pause(visit: Visit, form: Form, **what: Any) -> str:
    """Pause what is named, as `gw_sqla.admin.Pausing.pause` has it, for as long as the form says; return a sentence."""
    minutes = form.integer("minutes")
    if minutes is not None and not 1 <= minutes <= _MOST_MINUTES:
        raise InvalidJobError("minutes", f"must be 1 to {_MOST_MINUTES}, is {minutes}")
    async with visit.transaction() as session:
        until = None if minutes is None else await visit.admin.now(session) + timedelta(minutes=minutes)
        made = await visit.admin.pause(
            session, **what, until=until, reason=form.text("reason"), paused_by=visit.actor, actor=visit.actor
        )
    return f"Paused: {made}. What runs by now goes on to its end."


async def resume(visit: Visit, **what: Any) -> str:
    """End a pause; return a sentence."""
    async with visit.transaction() as session:
        ended = await visit.admin.resume(session, **what, actor=visit.actor)
    return f"Resumed: {'; '.join(str(one) for one in ended)}" if ended else "It was not paused any more."


async def paused(visit: Visit) -> dict[tuple[str, str], Pause]:
    """Return what is paused now, by kind and name; what all viewers share."""

    async def ask() -> list[Pause]:
        async with visit.session() as session:
            return await visit.admin.list_pauses(session)

    return {(one.kind, one.name): one for one in await visit.options.shared.get("pauses", ask)}
