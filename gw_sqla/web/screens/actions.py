"""What can be done to jobs: the action of a form, the right that it needs, and the command that does the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gw_sqla.admin import Action, Complete, EditPayload, Fail, JobFilter, Remove, Reschedule, Retry, RunCopy
from gw_sqla.errors import InvalidJobError
from gw_sqla.filters.times import parse_time
from gw_sqla.types import DEFAULT_SCHEMA
from gw_sqla.web.forms import Form
from gw_sqla.web.json_texts import read_written
from gw_sqla.web.rights import Right
from gw_sqla.web.visit import Visit

__all__ = ["ACTIONS", "Deeds", "action_by_form", "action_of", "bulk_actions", "command_of"]


@dataclass(frozen=True, slots=True)
class Deeds:
    """An action: the words for it and for what was done, its right, whether it asks for ``fields``, what it makes."""

    word: str
    done: str
    right: Right
    make: Callable[[Form, datetime], Action]
    fields: tuple[str, ...] = ()
    is_destructive: bool = False
    in_bulk: bool = True


async def action_by_form(visit: Visit, action: Deeds, form: Form) -> Action:
    """Return what a form asks for; what is from now on (10m), is so by the database's clock."""
    now = datetime.now(UTC)
    if form.text("run_at") and "run_at" in action.fields:
        async with visit.session() as session:
            now = await visit.admin.now(session)
    return action.make(form, now)


def _when(form: Form, now: datetime) -> datetime | None:
    """Return the time of the field run_at: a time, as a filter or a browser writes it, or from now on (10m)."""
    text = (form.text("run_at") or "").strip()
    if not text:
        return None
    try:
        at = parse_time(text)
        return now + at if isinstance(at, timedelta) else at
    except (ValueError, OverflowError) as error:
        what = f"{text[:40]!r} is no time: 2030-01-31T08:00Z (UTC without a zone), or from now on, 10m"
        raise InvalidJobError("run_at", what) from error


def _payload(form: Form, _: datetime) -> EditPayload:
    return EditPayload(read_written(form.required("payload")))


ACTIONS = {
    "retry": Deeds("Retry", "retried", Right.RETRY, lambda form, now: Retry(_when(form, now)), ("run_at",)),
    "reschedule": Deeds(
        "Reschedule",
        "rescheduled",
        Right.RESCHEDULE,
        lambda form, now: Reschedule(
            run_at=_when(form, now), priority=form.integer("priority"), max_attempts=form.integer("max_attempts")
        ),
        ("run_at", "priority", "max_attempts"),
    ),
    "copy": Deeds("Run a copy of", "copied", Right.COPY, lambda *_: RunCopy()),
    "complete": Deeds("Complete", "completed", Right.COMPLETE, lambda *_: Complete(), is_destructive=True),
    "fail": Deeds("Fail", "failed", Right.FAIL, lambda form, _: Fail(form.text("message")), ("message",), True),
    "remove": Deeds("Remove", "removed", Right.REMOVE, lambda *_: Remove(), is_destructive=True),
    "edit": Deeds("Edit", "edited", Right.EDIT, _payload, ("payload",), True, in_bulk=False),
}


def bulk_actions(visit: Visit) -> dict[str, Deeds]:
    """Return those that this viewer may do to many jobs."""
    return {name: deed for name, deed in ACTIONS.items() if deed.in_bulk and visit.may(deed.right)}


def action_of(name: str | None) -> Deeds:
    """Return the action of this name; raises InvalidJobError where there is none."""
    found = ACTIONS.get(name or "")
    if found is None:
        raise InvalidJobError("action", f"{(name or '')[:40]!r} is none: {', '.join(ACTIONS)}")
    return found


def command_of(
    name: str, jobs: JobFilter | list[int], schema: str, told: Mapping[str, str], cursor: str | None = None
) -> str:
    """Return the command line that does the same, to be pasted into a shell; ``told`` are the fields of the action."""
    chosen = map(str, jobs) if isinstance(jobs, list) else [str(jobs)]
    words = ["gw-sqla", "jobs", name]
    if schema != DEFAULT_SCHEMA:
        words += ["--schema", schema]
    for field, value in told.items():
        words += [f"--{field.replace('_', '-')}", value]
    if cursor:
        words += ["--cursor", cursor]
    return shlex.join([*words, *chosen])
