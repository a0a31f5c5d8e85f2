"""JobRepository: everything an application does with jobs, inside its own transaction.

Every method takes the caller's session first and runs in the transaction that this session is in
(SQLAlchemy begins one where there is none). None of them begins, commits or rolls back; errors of
the database pass through as SQLAlchemy raises them, and the caller's transaction is then in the state
that PostgreSQL left it in. A cancellation cancels the statement; roll the transaction back then.

The repository holds nothing but the schema's name: make one anywhere, share it or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar, Unpack, overload

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import Executable

from gw_sqla.arguments import check_ids, check_member, check_run_at, check_schema_name, check_smallint, check_storable
from gw_sqla.driver import call_asyncio
from gw_sqla.errors import InvalidJobError, SchemaError
from gw_sqla.job import JobDetails, JobOptions, JobRow, JobSpec
from gw_sqla.models import schema_option
from gw_sqla.specs import spec_to_parameters, specs_to_json
from gw_sqla.statements import functions, queries
from gw_sqla.task import Task
from gw_sqla.types import DEFAULT_SCHEMA, JobKeyMode, JobState

__all__ = ["JobRepository"]

P = TypeVar("P")

_MOST_LISTED = 1000
_MOST_ROUNDS = 3
"""How often a job is added that Graphile Worker's functions left out: they do so when its key's job is claimed
meanwhile. The second time they take the key from it, as its row is then locked; ours need one round."""


class JobRepository:
    """Adds, reads and administers jobs through the caller's AsyncSession.

    Parameters: ``schema``, the worker schema's name, unquoted (default ``graphile_worker``). Raises
    ConfigurationError for an impossible one.
    """

    def __init__(self, schema: str = DEFAULT_SCHEMA) -> None:
        check_schema_name(schema)
        self.schema = schema

    @overload
    async def add_job(
        self,
        session: AsyncSession,
        task: Task[P],
        payload: P,
        *,
        job_key_mode: JobKeyMode | None = None,
        **options: Unpack[JobOptions],
    ) -> JobRow: ...

    @overload
    async def add_job(
        self,
        session: AsyncSession,
        task: Task[None],
        payload: None = None,
        *,
        job_key_mode: JobKeyMode | None = None,
        **options: Unpack[JobOptions],
    ) -> JobRow: ...

    @overload
    async def add_job(
        self,
        session: AsyncSession,
        task: str,
        payload: Any = None,
        *,
        job_key_mode: JobKeyMode | None = None,
        **options: Unpack[JobOptions],
    ) -> JobRow: ...

    async def add_job(
        self,
        session: AsyncSession,
        task: Task[Any] | str,
        payload: Any = None,
        *,
        job_key_mode: JobKeyMode | None = None,
        **options: Unpack[JobOptions],
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
        if isinstance(task, Task):
            spec = task.spec(payload, **options)
        else:
            spec = JobSpec(task_identifier=task, payload=payload, **options)
        mode = None if job_key_mode is None else check_member(JobKeyMode, "job_key_mode", job_key_mode)
        if mode is not None and spec.job_key is None:
            raise InvalidJobError("job_key_mode", "has no effect without job_key: give both or neither")
        parameters = spec_to_parameters(spec, mode)
        for _ in range(_MOST_ROUNDS):
            jobs = await self._jobs(session, functions.add_job(self.schema), parameters)
            if jobs:
                return jobs[0]
        raise self._left_out(1, 1)

    async def add_jobs(
        self, session: AsyncSession, specs: Iterable[JobSpec], *, job_key_preserve_run_at: bool = False
    ) -> list[JobRow]:
        """Add any number of jobs in one round trip.

        Make specs with `gw_sqla.JobSpec`, or with ``task.spec(payload, ...)`` for a checked payload.
        ``job_key_preserve_run_at``: keyed jobs that are replaced keep their run_at while no attempt
        was made. Returns the rows in the order of the specs. (In a schema that Graphile Worker
        created, rows without a key come in the order in which its function inserted them.)
        Raises InvalidJobError for a key that occurs twice and for payloads that are not JSON, with
        the index of the spec.
        """
        wanted = list(specs)
        if not wanted:
            return []
        keyed: dict[str, JobRow] = {}
        plain: list[JobRow] = []
        left = wanted
        for _ in range(_MOST_ROUNDS):
            parameters = {"specs": specs_to_json(left), "job_key_preserve_run_at": job_key_preserve_run_at}
            rows = await self._jobs(session, functions.add_jobs(self.schema), parameters)
            keyed |= {row.key: row for row in rows if row.key is not None}
            plain += [row for row in rows if row.key is None]
            left = [spec for spec in wanted if spec.job_key is not None and spec.job_key not in keyed]
            if not left:
                break
        if len(keyed) + len(plain) < len(wanted):
            raise self._left_out(len(wanted) - len(keyed) - len(plain), len(wanted))
        unkeyed = iter(sorted(plain, key=lambda row: row.id))
        return [next(unkeyed) if spec.job_key is None else keyed[spec.job_key] for spec in wanted]

    async def remove_job(self, session: AsyncSession, job_key: str) -> JobRow | None:
        """Remove the job with this key, or let it not be tried again if a worker has it.

        Returns the job, or None where no job has the key. A locked job (for less than 4 hours) loses
        its key and its further attempts but finishes, as in Graphile Worker.
        """
        check_storable("job_key", job_key)
        rows = await self._jobs(session, functions.remove_job(self.schema), {"job_key": job_key})
        return rows[0] if rows else None

    async def complete_jobs(self, session: AsyncSession, job_ids: Iterable[int]) -> list[JobRow]:
        """Delete jobs as if they had succeeded; jobs that a worker has (for under 4 hours) stay.

        Returns the jobs that were deleted.
        """
        parameters = {"job_ids": check_ids(job_ids)}
        return await self._jobs(session, functions.complete_jobs(self.schema), parameters)

    async def permanently_fail_jobs(
        self, session: AsyncSession, job_ids: Iterable[int], error_message: str | None = None
    ) -> list[JobRow]:
        """Fail jobs for good; jobs that a worker has (for under 4 hours) stay as they are.

        ``error_message`` becomes last_error (default "Manually marked as failed"). Returns the jobs
        that were failed.
        """
        if error_message is not None:
            check_storable("error_message", error_message)
        parameters = {"job_ids": check_ids(job_ids), "error_message": error_message}
        return await self._jobs(session, functions.permanently_fail_jobs(self.schema), parameters)

    async def reschedule_jobs(
        self,
        session: AsyncSession,
        job_ids: Iterable[int],
        *,
        run_at: datetime | None = None,
        priority: int | None = None,
        attempts: int | None = None,
        max_attempts: int | None = None,
    ) -> list[JobRow]:
        """Change when and how jobs run; None keeps what is there; ``attempts=0`` revives a failed job.

        Jobs that a worker has (for under 4 hours) stay as they are. Returns the jobs that were
        changed. No notification is sent: workers see the change at their next poll.
        """
        check_run_at(run_at)
        check_smallint("priority", priority)
        check_smallint("attempts", attempts, least=0)
        check_smallint("max_attempts", max_attempts, least=1)
        parameters = {
            "job_ids": check_ids(job_ids),
            "run_at": run_at,
            "priority": priority,
            "attempts": attempts,
            "max_attempts": max_attempts,
        }
        return await self._jobs(session, functions.reschedule_jobs(self.schema), parameters)

    async def force_unlock_workers(self, session: AsyncSession, worker_ids: Iterable[str]) -> None:
        """Clear the locks of these worker pools, on jobs and queues: only for pools known to be dead.

        A pool that lives would go on with jobs that others now start.
        """
        ids = [worker_ids] if isinstance(worker_ids, str) else list(worker_ids)
        for worker_id in ids:
            check_storable("worker_ids", worker_id)
        await self._rows(session, functions.force_unlock_workers(self.schema), {"worker_ids": ids})

    async def get_job(self, session: AsyncSession, job_id: int) -> JobDetails | None:
        """Return the job with this id, or None: completed jobs are deleted."""
        [job_id] = check_ids([job_id], "job_id")
        rows = await self._rows(session, queries.get_job(job_id))
        return _details(rows[0]) if rows else None

    async def list_jobs(
        self,
        session: AsyncSession,
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
        identifier = task.identifier if isinstance(task, Task) else task
        for argument, text in (("task", identifier), ("queue_name", queue_name), ("job_key", job_key)):
            if text is not None:
                check_storable(argument, text)
        if after is not None:
            [after] = check_ids([after], "after")
        if not isinstance(limit, int) or not 1 <= limit <= _MOST_LISTED:
            raise InvalidJobError("limit", f"must be an int from 1 to {_MOST_LISTED}, is {limit!r}")
        query = queries.list_jobs(
            task_identifier=identifier,
            queue_name=queue_name,
            state=None if state is None else check_member(JobState, "state", state),
            job_key=job_key,
            after=after,
            limit=limit,
        )
        return [_details(row) for row in await self._rows(session, query)]

    async def count_jobs_by_state(self, session: AsyncSession) -> dict[JobState, int]:
        """Return the number of jobs in each state, zeros included; reads the whole table."""
        counts = dict.fromkeys(JobState, 0)
        for row in await self._rows(session, queries.count_by_state()):
            counts[JobState(row.state)] = row.jobs
        return counts

    async def _jobs(self, session: AsyncSession, statement: Executable, parameters: dict[str, Any]) -> list[JobRow]:
        """Return the jobs; the empty row with which Graphile Worker's functions say "none" is left out."""
        rows = await self._rows(session, statement, parameters)
        return [JobRow(**row._mapping) for row in rows if row.id is not None]

    def _left_out(self, count: int, specs: int) -> SchemaError:
        return SchemaError(
            self.schema,
            f"{count} of {specs} jobs were not added: roll the transaction back and try again (where Graphile Worker "
            f"made the schema, as {self.schema!r}, its functions leave out a job whose key or task changes meanwhile)",
        )

    async def _rows(
        self, session: AsyncSession, statement: Executable, parameters: dict[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        if not isinstance(session, AsyncSession):
            raise InvalidJobError("session", f"must be an AsyncSession, not {type(session).__name__}")
        result = await call_asyncio(
            session.execute, statement, parameters, execution_options=schema_option(self.schema)
        )
        return result.all()


def _details(row: Row[Any]) -> JobDetails:
    return JobDetails(**{**row._mapping, "state": JobState(row.state)})
