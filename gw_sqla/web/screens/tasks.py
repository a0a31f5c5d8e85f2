"""Tasks: what waits, since when, what fails, who runs them; pausing them; adding a job by a form made of the schema."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gw_sqla.admin import Choice, Count, JobFilter, TaskInfo, Worker
from gw_sqla.errors import InvalidJobError, InvalidPayloadError, TaskDefinitionError
from gw_sqla.jobs.task import Task
from gw_sqla.types import JobKeyMode, JobState
from gw_sqla.web import pauses
from gw_sqla.web.forms import Form
from gw_sqla.web.job_options import job_key_mode_of, job_options_of
from gw_sqla.web.json_texts import read_written
from gw_sqla.web.paging import Paging
from gw_sqla.web.payload_fields import PayloadField, fields_of, payload_of_form
from gw_sqla.web.rights import Right
from gw_sqla.web.screen import Deed, Page, Route
from gw_sqla.web.visit import Visit

__all__ = ["routes"]

_PAGE = Paging(100)
_MOST_WORKERS = 1000
_LONGEST_FORM = 17 * 2**20
"""Bytes: a payload has 16 MiB at most."""


async def show(visit: Visit) -> Response:
    """Show a page of them, by name; of those that the application declares, the ones without jobs too."""
    page = _PAGE.of(visit)

    async def ask() -> list[TaskInfo]:
        async with visit.session() as session:
            return await visit.admin.list_tasks(session, after=page.after, before=page.before, limit=page.limit)

    tasks = await visit.options.shared.get(f"tasks {page.name}", ask)
    paged = page.cut(visit, tasks, lambda task: task.identifier)
    is_all = paged.previous is None and paged.next is None
    seen = {task.identifier for task in tasks}
    declared: Collection[str] = visit.options.tasks or ()
    return visit.render(
        "tasks.html",
        paged=paged,
        unused=sorted(name for name in declared if name not in seen) if is_all else [],
        declared=declared,
        paused=await pauses.paused(visit),
        jobs_of=_jobs_of,
    )


async def show_one(visit: Visit) -> Response:
    """Show a task, and the form that adds a job of it."""
    return await _show_one(visit, _named(visit), Form(()))


async def add(visit: Visit) -> Response:
    """Add a job; where something in the form cannot be, show it again, with what was filled in."""
    form = await visit.form(_LONGEST_FORM)
    name = form.required("name")
    task = _declared(visit, name)
    fields = None if form.text("raw") is not None else _fields(task)
    try:
        payload, faults = _payload(task, fields, form)
        options, mode = job_options_of(form), job_key_mode_of(form)
        if not faults:
            async with visit.transaction() as session:
                job = await visit.admin.add_job(
                    session, task or name, payload, job_key_mode=mode, actor=visit.actor, **options
                )
            return visit.go(f"/jobs/{job.id}", f"Job {job.id} of {name} was added.")
        problem = "Some of what was filled in cannot be read. No job was added."
    except (InvalidPayloadError, InvalidJobError) as error:
        problem, faults = f"{error} No job was added.", {}
    return await _show_one(visit, name, form, problem, faults, status=400)


async def pause(visit: Visit) -> Response:
    """Pause a task."""
    form = await visit.form()
    name = form.required("name")
    return visit.go("/tasks/one", await pauses.pause(visit, form, task=name), name=name)


async def resume(visit: Visit) -> Response:
    """Resume a task."""
    name = (await visit.form()).required("name")
    return visit.go("/tasks/one", await pauses.resume(visit, task=name), name=name)


async def _show_one(
    visit: Visit, name: str, form: Form, problem: str | None = None, faults: Any = None, *, status: int = 200
) -> Response:
    counts, workers = await _look_at(visit, name)
    task = _declared(visit, name)
    schema = _schema(task)
    is_raw = (visit.text("raw") or form.text("raw")) is not None
    return visit.render(
        "task.html",
        status,
        name=name,
        task=task,
        counts=counts,
        workers=workers,
        schema=None if schema is None else json.dumps(schema, indent=2, ensure_ascii=False),
        fields=None if is_raw else _fields(task),
        can_be_fields=_fields(task) is not None,
        is_raw=is_raw,
        form=form,
        is_sent=problem is not None,
        problem=problem,
        faults=faults or {},
        pause=(await pauses.paused(visit)).get(("task", name)),
        jobs_of=_jobs_of,
        modes=[mode.value for mode in JobKeyMode],
    )


async def _look_at(visit: Visit, name: str) -> tuple[dict[JobState, Count], list[Worker]]:
    counts = {}
    async with visit.session() as session:
        for state in JobState:
            counts[state] = await visit.admin.count_jobs(session, _jobs_of(name, state))
        workers = await visit.admin.list_workers(session, limit=_MOST_WORKERS)
    return counts, [worker for worker in workers if worker.is_alive and worker.knows(name)]


def _payload(task: Task[Any] | None, fields: list[PayloadField] | None, form: Form) -> tuple[Any, dict[str, str]]:
    if task is not None and not task.takes_payload:
        return None, {}
    if fields is not None:
        return payload_of_form(fields, form)
    text = form.text("payload")
    if text is None:
        return None if task is None else {}, {}
    try:
        return read_written(text), {}
    except InvalidPayloadError as error:
        return None, {"payload": error.problem}


def _named(visit: Visit) -> str:
    name = visit.text("name")
    if name is None:
        raise HTTPException(404, "No task is named.")
    return name


def _declared(visit: Visit, name: str) -> Task[Any] | None:
    return None if visit.options.tasks is None else visit.options.tasks.get(name)


def _schema(task: Task[Any] | None) -> dict[str, Any] | None:
    """Return the JSON Schema of its payloads, None where it has none."""
    if task is None or not task.takes_payload:
        return None
    try:
        return task.json_schema()
    except TaskDefinitionError:
        return None


def _fields(task: Task[Any] | None) -> list[PayloadField] | None:
    schema = _schema(task)
    return None if schema is None else fields_of(schema)


def _jobs_of(name: str, state: JobState | None = None) -> str:
    states = frozenset({state} if state is not None else ())
    return str(JobFilter(tasks=Choice(frozenset({name})), states=states))


routes: tuple[Route, ...] = (
    Page("/tasks", show, "Tasks"),
    Page("/tasks/one", show_one),
    Deed("/tasks/add", add, Right.ADD),
    Deed("/tasks/pause", pause, Right.PAUSE),
    Deed("/tasks/resume", resume, Right.PAUSE),
)
