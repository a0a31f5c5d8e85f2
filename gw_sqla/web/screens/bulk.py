"""Acting on jobs: those that were chosen, or all that fit; a preview first, then a thousand at a time.

A request acts for some seconds at most, each thousand in a transaction of its own; what is left, the next one does: the
page says how far it came, and goes on from the cursor at a click. Where it is cut off in the middle, by a fault of the
database, a closed browser or a stopped server, what was done is done, and a chunk is done whole or not at all.
"""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from gw_sqla.admin import JobFilter
from gw_sqla.admin.chunks import Tally, act_on_all, jobs_were
from gw_sqla.errors import InvalidJobError
from gw_sqla.web.faults import fault_of
from gw_sqla.web.forms import as_integer
from gw_sqla.web.screen import Deed, Page, Route
from gw_sqla.web.screens.actions import Deeds, action_by_form, action_of, command_of
from gw_sqla.web.screens.chosen_filter import filter_of
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_WITHIN = timedelta(seconds=5)
_MOST_IDS = 1000
_MOST_NAMED = 10


async def ask(visit: Visit) -> Response:
    """Show what would be met, and ask; or, with a cursor, how far it came."""
    name = visit.text("action") or ""
    action = action_of(name)
    visit.require(action.right)
    if not action.in_bulk:
        raise InvalidJobError("action", f"{name} is for one job: open it")
    is_some = visit.text("what") == "some"
    jobs = _chosen(visit, visit.texts("id") if is_some else None, visit.text("filter"))
    cursor = visit.text("cursor")
    async with visit.session() as session:
        seen = await visit.admin.preview(session, jobs)
    told = {field: value for field in action.fields if (value := visit.text(field))}
    return visit.render(
        "act.html",
        name=name,
        action=action,
        seen=seen,
        ids=",".join(map(str, jobs)) if isinstance(jobs, list) else "",
        filter="" if isinstance(jobs, list) else str(jobs),
        told=told,
        cursor=cursor,
        command=command_of(name, jobs, visit.admin.schema, told, cursor),
        fault=None,
    )


async def act(visit: Visit) -> Response:
    """Do it, for some seconds; then say how much was done, and what was left out."""
    form = await visit.form()
    name = form.required("action")
    action = action_of(name)
    visit.require(action.right)
    if not action.in_bulk:
        raise InvalidJobError("action", f"{name} is for one job: open it")
    ids, text = form.text("ids"), form.text("filter")
    jobs = _chosen(visit, ids.split(",") if ids else None, text)
    tally = Tally(action.done, form.text("cursor"))
    made = await action_by_form(visit, action, form)
    try:
        await act_on_all(visit.options.sessions, visit.admin, made, jobs, tally, actor=visit.actor, within=_WITHIN)
    except InvalidJobError:
        raise
    except Exception as error:  # whatever it is: what was done before is done, and must be said
        fault = fault_of(error)
        return visit.render(
            "cut_off.html",
            fault.status,
            name=name,
            action=action,
            fault=fault,
            known=tally.known,
            fields=_again(form_fields={"ids": ids, "filter": text}, tally=tally),
            told={field: value for field in action.fields if (value := form.text(field))},
        )
    said = _said(tally, action)
    if tally.cursor is None:
        return visit.go("/jobs", said, filter=None if ids else text)
    told = {field: form.text(field) for field in action.fields}
    chosen: dict[str, object] = {"what": "some", "id": ids} if ids else {"filter": text}
    return visit.go("/jobs/act", f"{said} There are more.", action=name, cursor=tally.cursor, **chosen, **told)


def _chosen(visit: Visit, ids: list[str] | None, text: str | None) -> JobFilter | list[int]:
    """Return the ids, or the filter; raises InvalidJobError where nothing is chosen."""
    if ids is not None:
        numbers = [as_integer("id", one) for many in ids for one in many.split(",") if one]
        if not numbers:
            raise InvalidJobError("id", "no job was chosen: tick some, or choose all that fit")
        if len(numbers) > _MOST_IDS:
            raise InvalidJobError("id", f"these are {len(numbers):,}; choose {_MOST_IDS:,} at most, or use a filter")
        return numbers
    given = filter_of(visit, text)
    return JobFilter.parse("id:>=0") if given.is_everything else given


def _again(form_fields: dict[str, str | None], tally: Tally) -> dict[str, str]:
    fields = {name: value for name, value in form_fields.items() if value}
    return fields | ({"cursor": tally.cursor} if tally.cursor else {})


def _said(tally: Tally, action: Deeds) -> str:
    said = f"{jobs_were(tally.changed).capitalize()} {action.done}."
    if tally.left_out:
        many = ", ".join(f"{number:,} {why}" for why, number in sorted(tally.left_out.items()))
        named = ", ".join(
            f"{one.job_id} ({one.why}{f', by {one.locked_by}' if one.locked_by else ''})"
            for one in tally.examples[:_MOST_NAMED]
        )
        said += f" Left out: {many}; such as {named}."
    if tally.copies:
        said += f" The copies: {', '.join(map(str, tally.copies[:_MOST_NAMED]))}"
        said += ", ..." if len(tally.copies) > _MOST_NAMED else "."
    return said


routes: tuple[Route, ...] = (Page("/jobs/act", ask), Deed("/jobs/act", act, None))
