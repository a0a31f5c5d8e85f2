"""Calls that add jobs: one, or any number in round trips of bounded size.

Several round trips are all or nothing like one: a savepoint before the first lets an error of the
caller's iterable or callback undo them, so that even a caller who catches it and commits adds none. An
error of the database needs none: PostgreSQL has aborted the transaction, which can only be rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gw_sqla.calls.protocol import Ask, Call, job_rows
from gw_sqla.calls.round_trips import Chunk, chunks
from gw_sqla.errors import InvalidJobError, SchemaError
from gw_sqla.jobs.argument_checks import check_bool, check_member
from gw_sqla.jobs.job_spec import JobOptions, JobSpec
from gw_sqla.jobs.spec_parameters import spec_to_parameters, specs_to_json
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.jobs.task import Task
from gw_sqla.statements import schema_functions
from gw_sqla.types import JobKeyMode

__all__ = ["Progress", "add_job", "add_jobs", "add_jobs_counting", "add_jobs_deduplicating", "check_mode", "spec_of"]

Progress: TypeAlias = Callable[[int], object]
"""Called after each round trip with the number of jobs added so far."""

_SAVEPOINT = text("savepoint gw_sqla_add_jobs")
_ROLLBACK = text("rollback to savepoint gw_sqla_add_jobs")
_RELEASE = text("release savepoint gw_sqla_add_jobs")
_MOST_ROUNDS = 3
"""How often a job is added that Graphile Worker's functions left out: they do so when its key's job is claimed
meanwhile. The second time they take the key from it, as its row is then locked; ours need one round."""


def add_job(
    schema: str, task: Task[Any] | str, payload: Any, job_key_mode: JobKeyMode | None, options: JobOptions
) -> Call[JobRow]:
    """Add one job."""
    spec = spec_of(task, payload, options)
    parameters = spec_to_parameters(spec, check_mode(job_key_mode, spec.job_key))
    for _ in range(_MOST_ROUNDS):
        jobs = job_rows((yield Ask(schema_functions.add_job(schema), parameters)))
        if jobs:
            return jobs[0]
    raise _left_out(schema, 1, 1)


def spec_of(task: Task[Any] | str, payload: Any, options: JobOptions) -> JobSpec:
    """Return the spec; for a declared task with its payload checked."""
    if isinstance(task, Task):
        return task.spec(payload, **options)
    return JobSpec(task_identifier=task, payload=payload, **options)


def check_mode(job_key_mode: JobKeyMode | None, job_key: object) -> JobKeyMode | None:
    """Return the mode as a member; raises InvalidJobError, also for one that is given without a key."""
    mode = None if job_key_mode is None else check_member(JobKeyMode, "job_key_mode", job_key_mode)
    if mode is not None and job_key is None:
        raise InvalidJobError("job_key_mode", "has no effect without job_key: give both or neither")
    return mode


def add_jobs(
    schema: str, specs: Iterable[JobSpec], job_key_preserve_run_at: bool, on_progress: Progress | None = None
) -> Call[list[JobRow]]:
    """Add jobs; the rows in the order of the specs."""
    check_bool("job_key_preserve_run_at", job_key_preserve_run_at)
    added: list[JobRow] = []

    def add(chunk: Chunk) -> Call[None]:
        added.extend((yield from _add(schema, chunk, job_key_preserve_run_at)))

    yield from _in_chunks(specs, add, on_progress)
    return added


def add_jobs_counting(
    schema: str, specs: Iterable[JobSpec], job_key_preserve_run_at: bool, on_progress: Progress | None = None
) -> Call[int]:
    """Add jobs; how many they are."""
    check_bool("job_key_preserve_run_at", job_key_preserve_run_at)
    return (
        yield from _in_chunks(specs, lambda chunk: _add_unseen(schema, chunk, job_key_preserve_run_at), on_progress)
    )


def add_jobs_deduplicating(schema: str, specs: Iterable[JobSpec]) -> Call[list[JobRow]]:
    """Add keyed jobs in the mode unsafe_dedupe; the rows in the order of their keys."""
    added: list[JobRow] = []
    for chunk in chunks(sorted(specs, key=lambda spec: spec.job_key or "")):
        added += job_rows((yield Ask(schema_functions.add_jobs_deduplicating(schema), {"specs": chunk.text})))
    return added


def _in_chunks(specs: Iterable[JobSpec], add: Callable[[Chunk], Call[None]], on_progress: Progress | None) -> Call[int]:
    total = 0
    protected = False
    try:
        for chunk in chunks(specs):
            if total == 0 and not (chunk.is_last and on_progress is None):
                yield Ask(_SAVEPOINT, is_command=True)
                protected = True
            yield from add(chunk)
            total += len(chunk.specs)
            if on_progress is not None:
                on_progress(total)
    except Exception as error:
        if protected and not isinstance(error, DBAPIError):
            yield Ask(_ROLLBACK, is_command=True)
            yield Ask(_RELEASE, is_command=True)
        raise
    if protected:
        yield Ask(_RELEASE, is_command=True)
    return total


def _add(schema: str, chunk: Chunk, job_key_preserve_run_at: bool) -> Call[list[JobRow]]:
    keyed: dict[str, JobRow] = {}
    plain: list[JobRow] = []
    left, texts = chunk.specs, chunk.text
    for _ in range(_MOST_ROUNDS):
        parameters = {"specs": texts, "job_key_preserve_run_at": job_key_preserve_run_at}
        rows = job_rows((yield Ask(schema_functions.add_jobs(schema), parameters)))
        keyed |= {row.key: row for row in rows if row.key is not None}
        plain += [row for row in rows if row.key is None]
        left = [spec for spec in chunk.specs if spec.job_key is not None and spec.job_key not in keyed]
        if not left:
            break
        texts = specs_to_json(left)
    if len(keyed) + len(plain) < len(chunk.specs):
        raise _left_out(schema, len(chunk.specs) - len(keyed) - len(plain), len(chunk.specs))
    unkeyed = iter(sorted(plain, key=lambda row: row.id))
    return [next(unkeyed) if spec.job_key is None else keyed[spec.job_key] for spec in chunk.specs]


def _add_unseen(schema: str, chunk: Chunk, job_key_preserve_run_at: bool) -> Call[None]:
    """Add without fetching the rows: their number, and the keys that they have, tell what was left out."""
    added = 0
    keys: set[str] = set()
    texts = chunk.text
    for _ in range(_MOST_ROUNDS):
        parameters = {"specs": texts, "job_key_preserve_run_at": job_key_preserve_run_at}
        [row] = yield Ask(schema_functions.add_jobs_counting(schema), parameters)
        added += row.added
        if added >= len(chunk.specs):
            return
        keys.update(row.keys or ())
        left = [spec for spec in chunk.specs if spec.job_key is not None and spec.job_key not in keys]
        if not left:
            break
        texts = specs_to_json(left)
    raise _left_out(schema, len(chunk.specs) - added, len(chunk.specs))


def _left_out(schema: str, count: int, specs: int) -> SchemaError:
    return SchemaError(
        schema,
        f"{count} of {specs} jobs were not added: roll the transaction back and try again (where Graphile Worker "
        f"made the schema, as {schema!r}, its functions leave out a job whose key or task changes meanwhile)",
    )
