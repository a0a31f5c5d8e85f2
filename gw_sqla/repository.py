"""JobRepository: everything an application does with jobs, inside its own transaction.

Every method takes the caller's session first and runs in the transaction that this session is in
(SQLAlchemy begins one where there is none). None of them begins, commits, rolls back or flushes; errors of
the database pass through as SQLAlchemy raises them, and the caller's transaction is then in the state
that PostgreSQL left it in. A cancellation cancels the statement; roll the transaction back then.

The repository holds nothing but what it was made with: make one anywhere, share it or not.
`gw_sqla.sync_repository` is the same for sync sessions, texts included; both only pass `gw_sqla.calls` on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, Unpack, overload

from sqlalchemy.orm import Session

from gw_sqla.calls import adding, changing, reading
from gw_sqla.calls.adding import Progress
from gw_sqla.calls.sessions import AnyAsyncSession, call_in_async
from gw_sqla.jobs.job_spec import AddOptions, JobSpec
from gw_sqla.jobs.stored_job import JobDetails, JobRow
from gw_sqla.jobs.task import Task
from gw_sqla.types import JobState
from gw_sqla.unit_of_work.on_commit import OnCommit

__all__ = ["JobRepository"]

P = TypeVar("P")
T = TypeVar("T")
A = ParamSpec("A")


class JobRepository(OnCommit):
    """Adds, reads and administers jobs through the caller's AsyncSession (or async_scoped_session).

    Parameters: ``schema``, the worker schema's name, unquoted (default ``graphile_worker``); ``max_payload_size``, how
    many bytes of JSON a payload may have (default 16 MiB; None is off); ``interceptors``, which see each job that is
    added and may change or refuse it, the first of them first (`gw_sqla.Interceptor`; default none). Raises
    ConfigurationError for impossible ones.

    Every method raises InvalidJobError for bad arguments, before the database is asked, and SessionError,
    SchemaMissingError or AccessError for a session in which no job can be added or read.
    """

    @overload
    async def add_job(
        self, session: AnyAsyncSession, task: Task[P], payload: P, **options: Unpack[AddOptions]
    ) -> JobRow: ...

    @overload
    async def add_job(
        self, session: AnyAsyncSession, task: Task[None], payload: None = None, **options: Unpack[AddOptions]
    ) -> JobRow: ...

    @overload
    async def add_job(
        self, session: AnyAsyncSession, task: str, payload: Any = None, **options: Unpack[AddOptions]
    ) -> JobRow: ...

    async def add_job(
        self, session: AnyAsyncSession, task: Task[Any] | str, payload: Any = None, **options: Unpack[AddOptions]
    ) -> JobRow:
        """Add one job; it exists, and workers hear of it, when the caller's transaction commits.

        ``task`` is a declared Task, whose payload type is then checked, or the identifier of any
        task, of a Node or Rust worker too. The options are those of `gw_sqla.JobSpec`: ``queue_name``,
        ``run_at``, ``max_attempts``, ``job_key``, ``priority``, ``flags``.
        ``job_key_mode`` says what happens to a job that already has the key (default
        `JobKeyMode.REPLACE`). Until the transaction ends, a worker that runs that job waits with writing
        its end; two writers of several keys can deadlock: SQLSTATE 40P01, roll back and try again.

        Returns the row as added. Raises InvalidJobError (InvalidPayloadError for the payload), before
        the database is asked, and SchemaError where Graphile Worker's function added nothing. Semantics
        are those of Graphile Worker's ``add_job``.

        The first use of a task identifier or queue name inserts its row: until the caller's
        transaction ends, another first use of that same name waits for it. Workers make their tasks
        known when they start, so this concerns new queue names in long transactions.
        """
        return await self._run(
            session,
            adding.add_job,
            task,
            payload,
            max_payload_size=self.max_payload_size,
            intercept=self.intercept,
            **options,
        )

    @overload
    async def add_jobs(
        self,
        session: AnyAsyncSession,
        specs: Iterable[JobSpec],
        *,
        job_key_preserve_run_at: bool = False,
        on_progress: Progress | None = None,
        return_rows: Literal[True] = True,
    ) -> list[JobRow]: ...

    @overload
    async def add_jobs(
        self,
        session: AnyAsyncSession,
        specs: Iterable[JobSpec],
        *,
        job_key_preserve_run_at: bool = False,
        on_progress: Progress | None = None,
        return_rows: Literal[False],
    ) -> int: ...

    async def add_jobs(
        self,
        session: AnyAsyncSession,
        specs: Iterable[JobSpec],
        *,
        job_key_preserve_run_at: bool = False,
        on_progress: Progress | None = None,
        return_rows: bool = True,
    ) -> list[JobRow] | int:
        """Add any number of jobs: up to 50,000, or 16 MiB of JSON, in each round trip.

        ``specs`` may be any iterable; it is read as the round trips need it. Make specs with
        `gw_sqla.JobSpec`, or with ``task.spec(payload, ...)`` for a checked payload.
        ``job_key_preserve_run_at``: keyed jobs that are replaced keep their run_at while no attempt
        was made. ``on_progress`` is called after each round trip with the number of jobs added so far.

        Returns the rows in the order of the specs. (In a schema that Graphile Worker created, rows
        without a key come in the order in which its function inserted them.) With
        ``return_rows=False`` it fetches none and returns the number of jobs: faster, and however many
        they are, it holds one round trip's at a time (and every key).

        Raises InvalidJobError for a key that occurs twice and for payloads that are not JSON, with
        the index of the spec. Whatever it raises, but SchemaError, leaves none of the jobs in the transaction.
        """
        if return_rows:
            return await self._run(
                session,
                adding.add_jobs,
                specs,
                job_key_preserve_run_at,
                on_progress,
                max_payload_size=self.max_payload_size,
                intercept=self.intercept,
            )
        return await self._run(
            session,
            adding.add_jobs_counting,
            specs,
            job_key_preserve_run_at,
            on_progress,
            max_payload_size=self.max_payload_size,
            intercept=self.intercept,
        )

    async def remove_job(self, session: AnyAsyncSession, job_key: str) -> JobRow | None:
        """Remove the job with this key, or let it not be tried again if a worker has it.

        Returns the job, or None where no job has the key. A locked job (for less than 4 hours) loses
        its key and its further attempts but finishes, as in Graphile Worker.
        """
        return await self._run(session, changing.remove_job, job_key)

    async def complete_jobs(self, session: AnyAsyncSession, job_ids: Iterable[int]) -> list[JobRow]:
        """Delete jobs as if they had succeeded; jobs that a worker has (for under 4 hours) stay.

        Returns the jobs that were deleted.
        """
        return await self._run(session, changing.complete_jobs, job_ids)

    async def permanently_fail_jobs(
        self, session: AnyAsyncSession, job_ids: Iterable[int], error_message: str | None = None
    ) -> list[JobRow]:
        """Fail jobs for good; jobs that a worker has (for under 4 hours) stay as they are.

        ``error_message`` becomes last_error (default "Manually marked as failed"). Returns the jobs
        that were failed.
        """
        return await self._run(session, changing.permanently_fail_jobs, job_ids, error_message)

    async def reschedule_jobs(
        self,
        session: AnyAsyncSession,
        job_ids: Iterable[int],
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        attempts: int | None = None,
        max_attempts: int | None = None,
    ) -> list[JobRow]:
        """Change when and how jobs run; None keeps what is there; ``attempts=0`` revives a failed job.

        A job that has failed permanently, and is given attempts, runs now unless ``run_at`` is given: Graphile Worker
        leaves it the time that its last backoff had set. Jobs that a worker has (for under 4 hours) stay as they are.
        Returns the jobs that were changed. No notification is sent: workers see the change at their next poll.
        """
        return await self._run(session, changing.reschedule_jobs, job_ids, run_at, priority, attempts, max_attempts)

    async def retry_jobs(
        self, session: AnyAsyncSession, job_ids: Iterable[int], *, run_at: datetime | None = None
    ) -> list[JobRow]:
        """Let jobs run again, those that have failed permanently too, with all their attempts.

        ``run_at`` is when, with a time zone; None is now.
        ``last_error`` stays until they run. Jobs that a worker has (for under 4 hours) stay as they are. Returns the
        jobs that were changed. No notification is sent: workers see the change at their next poll.
        """
        return await self._run(session, changing.retry_jobs, job_ids, run_at)

    async def force_unlock_workers(self, session: AnyAsyncSession, worker_ids: Iterable[str]) -> None:
        """Clear the locks of these worker pools, on jobs and queues: only for pools known to be dead.

        A pool that lives would go on with jobs that others now start.
        """
        await self._run(session, changing.force_unlock_workers, worker_ids)

    async def get_job(self, session: AnyAsyncSession, job_id: int) -> JobDetails | None:
        """Return the job with this id, or None: completed jobs are deleted."""
        return await self._run(session, reading.get_job, job_id)

    async def list_jobs(
        self,
        session: AnyAsyncSession,
        *,
        task: Task[Any] | str | None = None,
        queue_name: str | None = None,
        state: JobState | None = None,
        job_key: str | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> list[JobDetails]:
        """Return jobs in the order of their ids, filtered; page on with ``after=jobs[-1].id``.

        ``limit`` is 1 to 1000. Filters combine; None does not filter. Raises InvalidJobError for what
        no job can have.
        """
        return await self._run(session, reading.list_jobs, task, queue_name, state, job_key, after, limit)

    async def count_jobs_by_state(self, session: AnyAsyncSession) -> dict[JobState, int]:
        """Return the number of jobs in each state, zeros included; reads the whole table."""
        return await self._run(session, reading.count_jobs_by_state)

    async def _run(
        self,
        session: AnyAsyncSession,
        call: Callable[Concatenate[Session, str, A], T],
        /,
        *args: A.args,
        **options: A.kwargs,
    ) -> T:
        return await call_in_async(
            session, lambda plain: call(plain, self.schema, *args, **options), of_sync="SyncJobRepository"
        )
