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

__all__ = ["ACTIONS", "Deeds", "action_of", "bulk_actions", "command_of"]


@dataclass(frozen=True, slots=True)
class Deeds:
    """An action: the words for it and for what was done, its right, whether it asks for ``fields``, what it makes."""

    word: str
    done: str
    right: Right
    make: Callable[[Form], Action]
    fields: tuple[str, ...] = ()
    is_destructive: bool = False
    in_bulk: bool = True


def _when(form: Form) -> datetime | None:
    """Return the time of the field run_at: a time, as a filter or a browser writes it, or from now on (10m)."""
    text = (form.text("run_at") or "").strip()
    if not text:
        return None
    try:
        at = parse_time(text)
        return datetime.now(UTC) + at if isinstance(at, timedelta) else at
    except (ValueError, OverflowError) as error:
        what = f"{text[:40]!r} is no time: 2030-01-31T08:00Z (UTC without a zone), or from now on, 10m"
        raise InvalidJobError("run_at", what) from error


def _payload(form: Form) -> EditPayload:
    return EditPayload(read_written(form.required("payload")))


ACTIONS = {
    "retry": Deeds("Retry", "retried", Right.RETRY, lambda form: Retry(_when(form)), ("run_at",)),
    "reschedule": Deeds(
        "Reschedule",
        "rescheduled",
        Right.RESCHEDULE,
        lambda form: Reschedule(
            run_at=_when(form), priority=form.integer("priority"), max_attempts=form.integer("max_attempts")
        ),
        ("run_at", "priority", "max_attempts"),
    ),
    "copy": Deeds("Run a copy of", "copied", Right.COPY, lambda _: RunCopy()),
    "complete": Deeds("Complete", "completed", Right.COMPLETE, lambda _: Complete(), is_destructive=True),
    "fail": Deeds("Fail", "failed", Right.FAIL, lambda form: Fail(form.text("message")), ("message",), True),
    "remove": Deeds("Remove", "removed", Right.REMOVE, lambda _: Remove(), is_destructive=True),
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
