"""What the repositories of both kinds of session have in common: the schema, and ``add_job_on_commit``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar, Unpack, overload

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from gw_sqla.errors import InvalidJobError
from gw_sqla.hooks.interceptor import Intercept, Interceptor, check_interceptors, intercept_adding
from gw_sqla.jobs.argument_checks import check_job_key_mode, check_schema_name
from gw_sqla.jobs.job_spec import AddOptions, JobOptions, JobSpec, check_options
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.payload_size import MAX_PAYLOAD_SIZE, check_max_payload_size, check_payload_size
from gw_sqla.jobs.task import Task, identifier_of, may_have_key, spec_of
from gw_sqla.types import DEFAULT_SCHEMA, JobKeyMode
from gw_sqla.unit_of_work.gathering import gather
from gw_sqla.unit_of_work.pending_job import PendingJob, Wanted

__all__ = ["AnySession", "OnCommit"]

P = TypeVar("P")
AnySession: TypeAlias = Session | scoped_session[Any] | AsyncSession | async_scoped_session[Any]


class OnCommit:
    """Adds jobs with the unit of work of any session; the base of both repositories."""

    def __init__(
        self,
        schema: str = DEFAULT_SCHEMA,
        *,
        max_payload_size: int | None = MAX_PAYLOAD_SIZE,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        check_schema_name(schema)
        check_max_payload_size(max_payload_size)
        self.schema = schema
        self.max_payload_size = max_payload_size
        self.intercept = intercept_adding(check_interceptors(interceptors))
        """What each job that is added goes through; None where nobody looks."""

    @overload
    def add_job_on_commit(
        self, session: AnySession, task: Task[P], payload: P | Callable[[], P], **options: Unpack[AddOptions]
    ) -> PendingJob: ...

    @overload
    def add_job_on_commit(
        self, session: AnySession, task: Task[None], payload: None = None, **options: Unpack[AddOptions]
    ) -> PendingJob: ...

    @overload
    def add_job_on_commit(
        self, session: AnySession, task: str, payload: Any = None, **options: Unpack[AddOptions]
    ) -> PendingJob: ...

    def add_job_on_commit(
        self, session: AnySession, task: Task[Any] | str, payload: Any = None, **options: Unpack[AddOptions]
    ) -> PendingJob:
        """Add one job when the session's transaction commits; a plain call, for either kind of session.

        Nothing is awaited, and the database is not asked now: jobs gather in the session, like the objects
        that are added to it, and go in one round trip when it commits. So it can be called in ORM
        events and in sync code under an AsyncSession. The arguments are those of ``add_job``, but ``payload``
        may also be a function without parameters. It is called once, after the flush before the commit: primary
        keys and server defaults are known. It may use the session, and add objects and jobs. (It must
        not await; what it loads lazily is loaded as in ``run_sync``.)

        A rollback drops what was added in the transaction, the rollback of a savepoint what was added in
        the savepoint, and so does a session that is closed without a commit. The same ``job_key``
        more than once in a transaction gives one job: the last replaces the others, as if they were
        added one after another.

        Returns a handle whose ``job`` is there after the commit. Raises InvalidJobError for bad arguments
        now (for what a function returns, from the commit), SessionError for a session whose transaction
        cannot be committed any more. What a payload function or the database raises comes out of the
        commit, which then has not happened: roll back. Begins a transaction, as ``session.add`` does,
        where the session is in none.
        """
        wanted = _wanted(self.schema, self.max_payload_size, self.intercept, task, payload, **options)
        gather(_sync_session(session), wanted)
        return wanted.handle


def _wanted(
    schema: str,
    max_payload_size: int | None,
    intercept: Intercept | None,
    task: Task[Any] | str,
    payload: Any,
    job_key_mode: JobKeyMode | None = None,
    **options: Unpack[JobOptions],
) -> Wanted:
    mode = check_job_key_mode(job_key_mode, has_key=may_have_key(task, options))
    check_options(options)
    if callable(payload):
        JobSpec(task_identifier=identifier_of(task), **options)  # what is wrong with them is told now

        def make() -> JobSpec:
            spec = spec_of(task, payload(), options)
            return spec if intercept is None else _intercepted(spec, mode, intercept)

        return Wanted(schema, max_payload_size, make, mode)
    spec = spec_of(task, payload, options)
    if intercept is not None:
        spec = _intercepted(spec, mode, intercept)
    text = to_json(spec.payload)
    check_payload_size(text, max_payload_size)
    spec = replace(spec, payload=json.loads(text))  # what the caller does to it later changes nothing
    return Wanted(schema, max_payload_size, lambda: spec, mode, is_made=True, spec=spec)


def _intercepted(spec: JobSpec, mode: JobKeyMode | None, intercept: Intercept) -> JobSpec:
    spec = intercept(spec)
    check_job_key_mode(mode, has_key=spec.job_key is not None)
    return spec


def _sync_session(session: AnySession) -> Session:
    found = session() if isinstance(session, (scoped_session, async_scoped_session)) else session
    if isinstance(found, AsyncSession):
        found = found.sync_session
    if not isinstance(found, Session):
        raise InvalidJobError("session", f"must be a Session or AsyncSession, not a {type(session).__name__}")
    return found
