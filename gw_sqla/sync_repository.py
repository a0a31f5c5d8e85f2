"""SyncJobRepository: the methods of `gw_sqla.JobRepository` for a sync Session, without await.

For scripts, Flask, Celery, Django beside SQLAlchemy: whatever driver the engine has (psycopg, psycopg2). What the
methods ask and how they read the answer is in `gw_sqla.calls`, which both share.

What they promise, and their errors, is written once, at `gw_sqla.repository`; the methods here take that text when
the class is made, so that ``help`` shows it. Rejected: first lines of it here, which tell half and drift from the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, Unpack, overload

from sqlalchemy.orm import Session

from gw_sqla.calls import adding, changing, reading
from gw_sqla.calls.adding import Progress
from gw_sqla.calls.sessions import AnySyncSession, call_in_sync
from gw_sqla.calls.texts import with_the_texts_of
from gw_sqla.jobs.job_spec import AddOptions, JobSpec
from gw_sqla.jobs.stored_job import JobDetails, JobRow
from gw_sqla.jobs.task import Task
from gw_sqla.repository import JobRepository
from gw_sqla.types import JobState
from gw_sqla.unit_of_work.on_commit import OnCommit

__all__ = ["SyncJobRepository"]

P = TypeVar("P")
T = TypeVar("T")
A = ParamSpec("A")


@with_the_texts_of(JobRepository)
class SyncJobRepository(OnCommit):
    """Adds, reads and administers jobs through the caller's Session (or scoped_session).

    The same as `gw_sqla.JobRepository`, method by method.
    """

    @overload
    def add_job(self, session: AnySyncSession, task: Task[P], payload: P, **options: Unpack[AddOptions]) -> JobRow: ...

    @overload
    def add_job(
        self, session: AnySyncSession, task: Task[None], payload: None = None, **options: Unpack[AddOptions]
    ) -> JobRow: ...

    @overload
    def add_job(
        self, session: AnySyncSession, task: str, payload: Any = None, **options: Unpack[AddOptions]
    ) -> JobRow: ...

    def add_job(
        self, session: AnySyncSession, task: Task[Any] | str, payload: Any = None, **options: Unpack[AddOptions]
    ) -> JobRow:
        return self._run(
            session,
            adding.add_job,
            task,
            payload,
            max_payload_size=self.max_payload_size,
            intercept=self.intercept,
            **options,
        )

    @overload
    def add_jobs(
        self,
        session: AnySyncSession,
        specs: Iterable[JobSpec],
        *,
        job_key_preserve_run_at: bool = False,
        on_progress: Progress | None = None,
        return_rows: Literal[True] = True,
    ) -> list[JobRow]: ...

    @overload
    def add_jobs(
        self,
        session: AnySyncSession,
        specs: Iterable[JobSpec],
        *,
        job_key_preserve_run_at: bool = False,
        on_progress: Progress | None = None,
        return_rows: Literal[False],
    ) -> int: ...

    def add_jobs(
        self,
        session: AnySyncSession,
        specs: Iterable[JobSpec],
        *,
        job_key_preserve_run_at: bool = False,
        on_progress: Progress | None = None,
        return_rows: bool = True,
    ) -> list[JobRow] | int:
        if return_rows:
            return self._run(
                session,
                adding.add_jobs,
                specs,
                job_key_preserve_run_at,
                on_progress,
                max_payload_size=self.max_payload_size,
                intercept=self.intercept,
            )
        return self._run(
            session,
            adding.add_jobs_counting,
            specs,
            job_key_preserve_run_at,
            on_progress,
            max_payload_size=self.max_payload_size,
            intercept=self.intercept,
        )

    def remove_job(self, session: AnySyncSession, job_key: str) -> JobRow | None:
        return self._run(session, changing.remove_job, job_key)

    def complete_jobs(self, session: AnySyncSession, job_ids: Iterable[int]) -> list[JobRow]:
        return self._run(session, changing.complete_jobs, job_ids)

    def permanently_fail_jobs(
        self, session: AnySyncSession, job_ids: Iterable[int], error_message: str | None = None
    ) -> list[JobRow]:
        return self._run(session, changing.permanently_fail_jobs, job_ids, error_message)

    def reschedule_jobs(
        self,
        session: AnySyncSession,
        job_ids: Iterable[int],
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        attempts: int | None = None,
        max_attempts: int | None = None,
    ) -> list[JobRow]:
        return self._run(session, changing.reschedule_jobs, job_ids, run_at, priority, attempts, max_attempts)

    def retry_jobs(
        self, session: AnySyncSession, job_ids: Iterable[int], *, run_at: datetime | None = None
    ) -> list[JobRow]:
        return self._run(session, changing.retry_jobs, job_ids, run_at)

    def force_unlock_workers(self, session: AnySyncSession, worker_ids: Iterable[str]) -> None:
        self._run(session, changing.force_unlock_workers, worker_ids)

    def get_job(self, session: AnySyncSession, job_id: int) -> JobDetails | None:
        return self._run(session, reading.get_job, job_id)

    def list_jobs(
        self,
        session: AnySyncSession,
        *,
        task: Task[Any] | str | None = None,
        queue_name: str | None = None,
        state: JobState | None = None,
        job_key: str | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> list[JobDetails]:
        return self._run(session, reading.list_jobs, task, queue_name, state, job_key, after, limit)

    def count_jobs_by_state(self, session: AnySyncSession) -> dict[JobState, int]:
        return self._run(session, reading.count_jobs_by_state)

    def _run(
        self,
        session: AnySyncSession,
        call: Callable[Concatenate[Session, str, A], T],
        /,
        *args: A.args,
        **options: A.kwargs,
    ) -> T:
        return call_in_sync(session, lambda plain: call(plain, self.schema, *args, **options), of_async="JobRepository")
