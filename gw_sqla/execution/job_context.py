"""JobContext: what a handler is given beside its payload."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, Unpack, overload

import anyio
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession

from gw_sqla.database.session import AsyncSession, async_sessionmaker
from gw_sqla.execution.transactional_completion import Completions
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.job_spec import AddOptions
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.jobs.task import Resource, Task
from gw_sqla.repository import JobRepository

__all__ = ["JobContext", "Workplace"]

P = TypeVar("P")


class Workplace:
    """What all jobs of a worker pool share; made once, given to each context.

    ``sessions``: makes those of the handlers.
    ``resources``: those of the tasks, the resources, once they are open.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        repository: JobRepository,
        pool_id: str,
        stopping: anyio.Event,
    ) -> None:
        self.repository = repository
        self.stopping = stopping
        self.sessions = sessions
        self.completions = Completions(sessions, repository.schema, pool_id)
        self.logger = logging.getLogger("gw_sqla.job")
        self.resources: dict[Resource, Any] = {}


class JobContext:
    """One run of one job. A handler asks for it by annotating a parameter with this class.

    ``job``: the `gw_sqla.ClaimedJob`, with payload and attempt.
    """

    __slots__ = ("_run", "_workplace", "job")

    def __init__(self, run: Run, workplace: Workplace) -> None:
        self.job = run.job
        self._run = run
        self._workplace = workplace

    @property
    def repository(self) -> JobRepository:
        """The repository of the worker's schema, to add jobs in the transaction of a session of yours."""
        return self._workplace.repository

    @property
    def stopping(self) -> anyio.Event:
        """Set when the worker begins to stop: a long job may end early, or save where it is.

        A thread tests ``ctx.stopping.is_set()``.
        """
        return self._workplace.stopping

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines carry the job's id and attempt in the text, these and the task as ``extra``."""
        return _JobLogger(self._workplace.logger, self.job)

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Return a context manager: a session of the worker's engine in a transaction of its own.

        Commits at the end of the block, rolls back when it is left by an error or a cancellation. The
        transaction is the handler's; the job's completion is part of it if you call `complete` with the
        session. Works on both event loops.
        """
        return self._workplace.sessions.begin()

    async def complete(self, session: SqlalchemySession) -> None:
        """Complete this job in the transaction that ``session`` is in, on the worker's database.

        With its commit the job is done, together with whatever else the transaction wrote; the worker then
        leaves the job alone, even if the handler fails afterwards. If it is rolled back, the job
        has failed when the handler ends, and is tried again. End the transaction before the handler returns.

        The transaction is the caller's: it is not committed here. Raises LockLostError when this worker does not hold
        the job any more, and database errors as SQLAlchemy raises them: roll it back then. A
        cancellation cancels the statement; roll back too.
        """
        await self._workplace.completions.complete(self._run, session)

    @overload
    async def add_job(self, task: Task[P], payload: P, **options: Unpack[AddOptions]) -> JobRow: ...

    @overload
    async def add_job(self, task: Task[None], payload: None = None, **options: Unpack[AddOptions]) -> JobRow: ...

    @overload
    async def add_job(self, task: str, payload: Any = None, **options: Unpack[AddOptions]) -> JobRow: ...

    async def add_job(self, task: Task[Any] | str, payload: Any = None, **options: Unpack[AddOptions]) -> JobRow:
        """Add a job in a transaction of its own; arguments as in ``JobRepository.add_job``.

        It exists even if this job fails afterwards, or the transaction of its session is rolled back. To add it with
        other writes, give ``repository`` their session.
        From a sync handler: ``anyio.from_thread.run(ctx.add_job, ...)``.

        Returns the row as added. Raises InvalidJobError or InvalidPayloadError before the database is asked, and
        database errors as SQLAlchemy raises them. A cancellation rolls the transaction back.
        """
        async with self.session() as session:
            return await self.repository.add_job(session, task, payload, **options)


class _JobLogger(logging.LoggerAdapter[logging.Logger]):
    def __init__(self, logger: logging.Logger, job: ClaimedJob) -> None:
        super().__init__(logger, {"job_id": job.id, "task_identifier": job.task_identifier, "attempt": job.attempts})
        self._prefix = f"job {job.id}, attempt {job.attempts}: "  # no text of the job: it might hold a %

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return self._prefix + str(msg), kwargs
