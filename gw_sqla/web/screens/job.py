"""One job: why it is not running, what it is, what became of it so far, and what can be done to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from gw_sqla.admin import Acted, Explanation, JobGone, LeftOut
from gw_sqla.filters.words import quoted
from gw_sqla.jobs.payload_size import MAX_PAYLOAD_SIZE
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.types import JobState
from gw_sqla.web.json_texts import read_for_display, reindented
from gw_sqla.web.payloads import payload_text
from gw_sqla.web.rights import Right
from gw_sqla.web.screen import Deed, Page, Route
from gw_sqla.web.screens.actions import ACTIONS, Deeds, action_by_form, action_of, command_of
from gw_sqla.web.screens.tree import Node, tree_of
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_LONGEST_SHOWN = 256 * 1024
_LONGEST_EDITED = 1024 * 1024
_LONGEST_ERROR = 100_000
_ENCODED = 3
"""How much longer a form is than what is in it, at most."""


@dataclass(frozen=True, slots=True)
class _Payload:
    """What is shown of a payload: pretty where it can be read, the raw text, whether it was cut, its tree."""

    text: str
    size: int
    is_cut: bool
    tree: Node | None


async def show(visit: Visit) -> Response:
    """Show it; a job that is gone has a page that says so."""
    job_id = visit.path_integer("job_id")
    found = await (
        visit.options.shared.get(f"job {job_id}", lambda: _read(visit, job_id))
        if visit.is_live
        else _read(visit, job_id)
    )
    if found.job is None:
        return visit.render("job_gone.html", 404, job_id=job_id, reason=JobGone(job_id))
    return visit.render(
        "job.html",
        job=found.job,
        reasons=found.reasons,
        error=(found.job.last_error or "")[:_LONGEST_ERROR],
        payload=_shown(found.job, visit.options.mask),
        timeline=_timeline(found),
        actions=_actions(visit, found.job),
        can_edit=_can_edit(visit, found.job),
        told={},
        task_filter=_only("task", found.job.task_identifier),
        queue_filter=_only("queue", found.job.queue_name),
        commands={name: command_of(name, [job_id], visit.admin.schema, {}) for name in ACTIONS},
    )


async def edit(visit: Visit) -> Response:
    """Show the form in which the payload is edited."""
    visit.require(Right.EDIT)
    job_id = visit.path_integer("job_id")
    found = await _read(visit, job_id)
    if found.job is None:
        return visit.render("job_gone.html", 404, job_id=job_id, reason=JobGone(job_id))
    text = reindented(found.job.payload_text) if _can_edit(visit, found.job) else None
    return visit.render("edit.html", job=found.job, text=text, revision=found.job.revision)


async def payload(visit: Visit) -> Response:
    """Return the whole payload, as it is stored; or what the mask lets through."""
    job_id = visit.path_integer("job_id")
    found = await _read(visit, job_id)
    if found.job is None:
        return visit.render("job_gone.html", 404, job_id=job_id, reason=JobGone(job_id))
    headers = {"Content-Disposition": f'attachment; filename="job-{job_id}.json"'}
    return Response(payload_text(found.job, visit.options.mask), media_type="application/json", headers=headers)


async def act(visit: Visit) -> Response:
    """Do something to it, and show what became of it."""
    job_id = visit.path_integer("job_id")
    form = await (visit.form(_ENCODED * MAX_PAYLOAD_SIZE) if visit.may(Right.EDIT) else visit.form())
    name = form.required("action")
    action = action_of(name)
    visit.require(action.right)
    made = await action_by_form(visit, action, form)
    async with visit.transaction() as session:
        if name == "edit":
            changed = await _changed_meanwhile(visit, session, job_id, form.integer("revision"))
            if changed:
                return visit.go(f"/jobs/{job_id}", changed)
        acted: Acted = await visit.admin.act(session, made, [job_id], actor=visit.actor)
    said = _said(job_id, acted, action)
    if acted.copies:
        return visit.go(f"/jobs/{acted.copies[0]}", f"{said} This is the copy.")
    return visit.go(f"/jobs/{job_id}" if acted.examples or name not in _ENDS else "/jobs", said)


async def _read(visit: Visit, job_id: int) -> Explanation:
    async with visit.session() as session:
        return await visit.admin.explain_job(session, job_id)


_ENDS = ("complete", "remove")


async def _changed_meanwhile(visit: Visit, session: Any, job_id: int, revision: int | None) -> str | None:
    """Return what to say where somebody else has changed the payload since the form was shown."""
    found = await visit.admin.explain_job(session, job_id)
    if found.job is None or visit.options.mask is not None:
        return f"Job {job_id} was not edited: {'its payload is masked' if found.job else 'it is gone'}."
    if revision is not None and found.job.revision != revision:
        return f"Job {job_id} was not edited: somebody has changed it meanwhile. This is what it is now."
    return None


def _said(job_id: int, acted: Acted, action: Deeds) -> str:
    if acted.done:
        return f"Job {job_id} was {action.done}."
    why = f": {_why(acted.examples[0])}" if acted.examples else ""
    return f"Job {job_id} was not {action.done}{why}."


def _why(one: LeftOut) -> str:
    by = f" by {one.locked_by} since {one.locked_at:%Y-%m-%d %H:%M:%S %Z}" if one.locked_by and one.locked_at else ""
    return {"held": "a worker has it", "busy": "somebody else is at it, try again", "gone": "it is gone"}.get(
        one.why, str(one.why)
    ) + by


def _actions(visit: Visit, job: JobDetails) -> dict[str, Deeds]:
    """Return what this viewer may do to the job as it is; a worker's job can only be copied."""
    found = {name: deed for name, deed in ACTIONS.items() if deed.in_bulk and visit.may(deed.right)}
    if job.state is JobState.LOCKED:
        return {name: deed for name, deed in found.items() if name == "copy"}
    return found


def _can_edit(visit: Visit, job: JobDetails) -> bool:
    is_free = job.state is not JobState.LOCKED and len(job.payload_text) <= _LONGEST_EDITED
    return visit.may(Right.EDIT) and visit.options.mask is None and is_free


def _only(word: str, name: str | None) -> str:
    return "" if name is None else f"{word}:{quoted(name)}"


def _timeline(found: Explanation) -> list[tuple[str, datetime | None, str]]:
    """Return what is known of the job's life: what, when, more about it; Graphile Worker keeps no more than this."""
    job = found.job
    assert job is not None
    line: list[tuple[str, datetime | None, str]] = [("Added", job.created_at, "")]
    if job.revision or job.updated_at != job.created_at:  # endless ones have no zone: they cannot be ordered
        changes = f"revision {job.revision}" if job.revision else ""
        line.append(("Changed", job.updated_at, changes))
    if job.attempts:
        line.append(("Attempts made", None, f"{job.attempts} of {job.max_attempts}"))
    if job.locked_at is not None:
        line.append(("Running since", job.locked_at, f"at {job.locked_by}"))
    elif job.state is JobState.FAILED:
        line.append(("Failed for good", None, "no attempt is left"))
    else:
        line.append(("Due", job.run_at, f"priority {job.priority}"))
    return line


def _shown(job: JobDetails, mask: Any) -> _Payload:
    size, text = len(job.payload_text.encode()), payload_text(job, mask)
    if max(size, len(text)) > _LONGEST_SHOWN:
        return _Payload(text[:_LONGEST_SHOWN], size, len(text) > _LONGEST_SHOWN, None)
    try:
        tree = tree_of(read_for_display(text))
    except (ValueError, RecursionError):
        tree = None
    return _Payload(reindented(text), size, False, tree)


routes: tuple[Route, ...] = (
    Page("/jobs/{job_id}", show),
    Page("/jobs/{job_id}/edit", edit),
    Page("/jobs/{job_id}/payload.json", payload),
    Deed("/jobs/{job_id}/act", act, None),
)
