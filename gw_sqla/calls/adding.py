"""Adds jobs: one, or any number in round trips of bounded size.

Several round trips are all or nothing like one: a savepoint before the first lets an error of the
caller's iterable or callback undo them, so that even a caller who catches it and commits adds none. An
error of our own statements needs none: PostgreSQL has aborted the transaction, which can only be rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias, Unpack

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gw_sqla.calls.asking import ask, ask_for_jobs, command, require_transaction
from gw_sqla.calls.round_trips import Chunk, chunks
from gw_sqla.errors import GwSqlaError, SchemaError
from gw_sqla.hooks.interceptor import Intercept
from gw_sqla.jobs.argument_checks import check_bool, check_job_key_mode
from gw_sqla.jobs.job_spec import JobOptions, JobSpec
from gw_sqla.jobs.spec_parameters import spec_to_parameters, specs_to_json
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.jobs.task import Task, spec_of
from gw_sqla.statements import schema_functions
from gw_sqla.types import JobKeyMode

__all__ = ["Progress", "add_job", "add_jobs", "add_jobs_counting", "add_jobs_deduplicating"]

Progress: TypeAlias = Callable[[int], object]
"""Called after each round trip with the number of jobs added so far."""

_SAVEPOINT = text("savepoint gw_sqla_add_jobs")
_ROLLBACK = text("rollback to savepoint gw_sqla_add_jobs")
_RELEASE = text("release savepoint gw_sqla_add_jobs")
_MOST_ROUNDS = 3
"""How often a job is added that Graphile Worker's functions left out: they do so when its key's job is claimed
meanwhile. The second time they take the key from it, as its row is then locked; ours need one round."""


def add_job(
    session: Session,
    schema: str,
    task: Task[Any] | str,
    payload: Any,
    job_key_mode: JobKeyMode | None = None,
    *,
    max_payload_size: int | None,
    intercept: Intercept | None = None,
    **options: Unpack[JobOptions],
) -> JobRow:
    """Add one job."""
    spec = spec_of(task, payload, options)
    if intercept is not None:
        spec = intercept(spec)
    mode = check_job_key_mode(job_key_mode, has_key=spec.job_key is not None)
    parameters = spec_to_parameters(spec, mode, max_payload_size)
    require_transaction(session, schema)
    for _ in range(_MOST_ROUNDS):
        jobs = ask_for_jobs(session, schema, schema_functions.add_job(schema), parameters)
        if jobs:
            return _named(jobs[0], spec)
    raise _left_out(schema, 1, 1)


def add_jobs(
    session: Session,
    schema: str,
    specs: Iterable[JobSpec],
    job_key_preserve_run_at: bool,
    on_progress: Progress | None = None,
    *,
    max_payload_size: int | None,
    intercept: Intercept | None = None,
) -> list[JobRow]:
    """Add jobs; the rows in the order of the specs."""
    check_bool("job_key_preserve_run_at", job_key_preserve_run_at)
    added: list[JobRow] = []

    def add(chunk: Chunk) -> int:
        rows = _add(session, schema, chunk, job_key_preserve_run_at)
        added.extend(rows)
        return len(rows)

    _in_round_trips(session, schema, chunks(specs, max_payload_size, intercept), add, on_progress)
    return added


def add_jobs_counting(
    session: Session,
    schema: str,
    specs: Iterable[JobSpec],
    job_key_preserve_run_at: bool,
    on_progress: Progress | None = None,
    *,
    max_payload_size: int | None,
    intercept: Intercept | None = None,
) -> int:
    """Add jobs; how many they are."""
    check_bool("job_key_preserve_run_at", job_key_preserve_run_at)

    def add(chunk: Chunk) -> int:
        return _add_unseen(session, schema, chunk, job_key_preserve_run_at)

    return _in_round_trips(session, schema, chunks(specs, max_payload_size, intercept), add, on_progress)


def add_jobs_deduplicating(session: Session, schema: str, specs: Iterable[JobSpec]) -> list[JobRow]:
    """Add keyed jobs in the mode unsafe_dedupe; the rows in the order of their keys."""
    require_transaction(session, schema)
    added: list[JobRow] = []
    for chunk in chunks(sorted(specs, key=lambda spec: spec.job_key or ""), None):
        statement = schema_functions.add_jobs_deduplicating(schema)
        by_key = {spec.job_key: spec for spec in chunk.specs}
        rows = ask_for_jobs(session, schema, statement, {"specs": chunk.text})
        added += [_named(row, by_key[row.key]) for row in rows]
    return added


def _in_round_trips(
    session: Session, schema: str, trips: Iterator[Chunk], add: Callable[[Chunk], int], on_progress: Progress | None
) -> int:
    """Call ``add``, which returns how many it has added, for each round trip; return how many specs there were."""
    chunk = next(trips, None)
    require_transaction(session, schema)
    is_protected = chunk is not None and not (chunk.is_last and on_progress is None)
    if is_protected:
        command(session, schema, _SAVEPOINT)
    total = 0
    while chunk is not None:
        added = add(chunk)
        try:
            if added < len(chunk.specs):
                raise _left_out(schema, len(chunk.specs) - added, len(chunk.specs))
            total += len(chunk.specs)
            if on_progress is not None:
                on_progress(total)
            chunk = next(trips, None)
        except Exception:
            if is_protected:
                with suppress(SQLAlchemyError, GwSqlaError):  # where it fails, nobody can commit this transaction
                    command(session, schema, _ROLLBACK)
                    command(session, schema, _RELEASE)
            raise
    if is_protected:
        command(session, schema, _RELEASE)
    return total


def _add(session: Session, schema: str, chunk: Chunk, job_key_preserve_run_at: bool) -> list[JobRow]:
    """Add and return the rows, in the order of the specs, without those that were left out."""
    keyed: dict[str, JobRow] = {}
    plain: list[JobRow] = []
    for specs in _rounds(chunk, keyed):
        parameters = {"specs": specs, "job_key_preserve_run_at": job_key_preserve_run_at}
        rows = ask_for_jobs(session, schema, schema_functions.add_jobs(schema), parameters)
        keyed |= {row.key: row for row in rows if row.key is not None}
        plain += [row for row in rows if row.key is None]
    unkeyed = iter(sorted(plain, key=lambda row: row.id))
    found = [next(unkeyed, None) if spec.job_key is None else keyed.get(spec.job_key) for spec in chunk.specs]
    return [_named(row, spec) for row, spec in zip(found, chunk.specs, strict=True) if row is not None]


def _add_unseen(session: Session, schema: str, chunk: Chunk, job_key_preserve_run_at: bool) -> int:
    """Add without fetching the rows: their number, and the keys that they have, tell what was left out."""
    added = 0
    keys: set[str] = set()
    for specs in _rounds(chunk, keys):
        parameters = {"specs": specs, "job_key_preserve_run_at": job_key_preserve_run_at}
        [row] = ask(session, schema, schema_functions.add_jobs_counting(schema), parameters)
        added += row.added
        if added >= len(chunk.specs):
            break
        keys.update(row.keys or ())
    return added


def _rounds(chunk: Chunk, added: Container[str]) -> Iterator[str]:
    """Yield what to send: all specs, then, a few times, those whose key is not in ``added`` by now."""
    yield chunk.text
    for _ in range(_MOST_ROUNDS - 1):
        left = [spec for spec in chunk.specs if spec.job_key is not None and spec.job_key not in added]
        if not left:
            return
        yield specs_to_json(left)


def _named(row: JobRow, spec: JobSpec) -> JobRow:
    """Return the row with the name of its task, which the statement that has just made it known does not see."""
    return row if row.task_identifier is not None else replace(row, task_identifier=spec.task_identifier)


def _left_out(schema: str, count: int, specs: int) -> SchemaError:
    return SchemaError(
        schema,
        f"{count} of {specs} jobs were not added: roll the transaction back and try again (where Graphile Worker "
        f"made the schema, as {schema!r}, its functions leave out a job whose key or task changes meanwhile)",
    )
