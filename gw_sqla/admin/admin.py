"""Admin: what somebody looks at and does who is on call, in the caller's own transaction.

Every method takes the caller's session first and runs in the transaction that it is in (SQLAlchemy begins one where
there is none). Reading does it in a savepoint that leaves no trace (`gw_sqla.admin.bounded`). Nothing is committed,
rolled back or flushed, and the transaction's settings stay. A cancellation cancels the statement; roll the transaction
back then.

A class that holds the schema's name, as `gw_sqla.JobRepository`: who knows that one knows this one. Rejected: more
methods of the repository, which belongs to the code of an application, and functions, each with the schema's name.
`gw_sqla.admin.sync_admin` is the same for sync sessions, texts included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack

from sqlalchemy.orm import Session

from gw_sqla.admin import (
    acting,
    adding,
    audit,
    crontabs,
    explaining,
    failures,
    lag,
    listings,
    previewing,
    removing,
    replaying,
    system,
    turnover,
    unlocking,
)
from gw_sqla.admin import jobs as reading
from gw_sqla.admin.acted import Acted, Preview, Unlocked
from gw_sqla.admin.acting import Progress
from gw_sqla.admin.actions import Action
from gw_sqla.admin.audit import AuditLine
from gw_sqla.admin.chosen import Jobs
from gw_sqla.admin.crontabs import CronItemInfo
from gw_sqla.admin.failures import Failures
from gw_sqla.admin.fleet import Fleet, read_fleet
from gw_sqla.admin.lag import ForwardLag
from gw_sqla.admin.listings import QueueInfo, TaskInfo
from gw_sqla.admin.pages import NamePage
from gw_sqla.admin.pausing import Pausing
from gw_sqla.admin.reasons import Explanation
from gw_sqla.admin.replaying import ForwardedJobs, Replayed
from gw_sqla.admin.system import System
from gw_sqla.admin.turnover import Turnover
from gw_sqla.admin.values import Count, JobOrder, JobPage, ScanLimits
from gw_sqla.admin.workers import LockOwner, Worker
from gw_sqla.calls.sessions import AnyAsyncSession, call_in_async
from gw_sqla.crontab import CronItem
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.job_spec import JobOptions
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.jobs.task import Task
from gw_sqla.types import DEFAULT_SCHEMA, JobKeyMode

__all__ = ["Admin"]

T = TypeVar("T")
A = ParamSpec("A")


class Admin(Pausing):
    """Looks at jobs, failures, queues, tasks and workers, and acts on them, through the caller's AsyncSession.

    It pauses and resumes too: `gw_sqla.admin.Pausing`.

    Parameters: ``schema``, the worker schema's name, unquoted (default ``graphile_worker``); ``limits``, what one call
    may cost (`gw_sqla.admin.ScanLimits`); each call may have its own. Raises ConfigurationError for impossible ones.

    A filter is a `gw_sqla.admin.JobFilter` or its text form, None is all jobs. Every method raises InvalidJobError
    (InvalidFilterError for filters) for bad arguments, before the database is asked; SessionError, SchemaMissingError
    or AccessError for a session in which nothing can be read; and ReadTimeoutError where it has no answer in time.
    """

    def __init__(self, schema: str = DEFAULT_SCHEMA, *, limits: ScanLimits | None = None) -> None:
        super().__init__(schema)
        self.limits = limits or ScanLimits()

    async def list_jobs(
        self,
        session: AnyAsyncSession,
        filter: JobFilter | str | None = None,  # noqa: A002 - it is the word for it
        *,
        order: JobOrder = JobOrder.ID,
        descending: bool = False,
        cursor: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> JobPage:
        """Return a page of the jobs that fit, ``limit`` (1 to 1000) at most.

        ``order`` by id, or by turn (priority, run_at, id), which only waiting jobs have: the filter must say so.
        ``cursor`` is a page's ``next`` or ``previous``, in the same order; what was deleted meanwhile shifts no page,
        and the filter may be another one. A page may end before it is full, where few jobs fit: see `JobPage.stopped`.
        """
        return await self._run(
            session, reading.list_jobs, filter, order, descending, cursor, limit, limits or self.limits
        )

    async def count_jobs(
        self,
        session: AnyAsyncSession,
        filter: JobFilter | str | None = None,  # noqa: A002
        *,
        most: int = 10_000,
        limits: ScanLimits | None = None,
    ) -> Count:
        """Count the jobs that fit, up to ``most``; where that or the limits ended it, there may be more: "10,000+"."""
        return await self._run(session, reading.count_jobs, filter, most, limits or self.limits)

    async def list_failures(
        self,
        session: AnyAsyncSession,
        filter: JobFilter | str | None = None,  # noqa: A002
        *,
        most: int = 50,
        limits: ScanLimits | None = None,
    ) -> Failures:
        """Group jobs by task and first line of their error, the ``most`` (1 to 1000) largest groups first.

        Without a filter, those that have failed permanently; ``state:failed,retrying`` is all that has failed so far.
        """
        return await self._run(session, failures.list_failures, filter, most, limits or self.limits)

    async def explain_job(
        self, session: AnyAsyncSession, job_id: int, *, limits: ScanLimits | None = None
    ) -> Explanation:
        """Say why this job is not running: every reason that holds now, each a value whose ``str`` is a sentence."""
        return await self._run(session, explaining.explain_job, job_id, limits or self.limits)

    async def list_queues(
        self,
        session: AnyAsyncSession,
        *,
        only_locked: bool = False,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[QueueInfo]:
        """Return queues by name, or locked ones only: ``limit`` (1 to 1000) of those behind the name ``after``.

        Instead of it ``before``: the nearest before that name, by name all the same; so too for the other lists here.
        """
        page = NamePage(after, before, limit)
        return await self._run(session, listings.list_queues, only_locked, page, limits or self.limits)

    async def list_tasks(
        self,
        session: AnyAsyncSession,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[TaskInfo]:
        """Return tasks by name, ``limit`` (1 to 1000) of those behind the name ``after``."""
        page = NamePage(after, before, limit)
        return await self._run(session, listings.list_tasks, page, limits or self.limits)

    async def list_workers(
        self,
        session: AnyAsyncSession,
        *,
        pool_ids: Collection[str] | None = None,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[Worker]:
        """Return gw_sqla's workers, dead ones too, by their pools' ids: ``limit`` (1 to 1000) behind ``after``.

        ``pool_ids``: those alone; who is not there is none of ours, or has gone.
        """
        page = NamePage(after, before, limit)
        return await self._run(session, listings.list_workers, pool_ids, page, limits or self.limits)

    async def list_lock_owners(self, session: AnyAsyncSession, *, limits: ScanLimits | None = None) -> list[LockOwner]:
        """Return who has locks, of the newest jobs and queues that may be looked at; other kinds of workers too."""
        return await self._run(session, listings.list_lock_owners, limits or self.limits)

    async def read_turnover(self, session: AnyAsyncSession, *, limits: ScanLimits | None = None) -> Turnover:
        """Return how many jobs were ever added and deleted; two of them, by `Turnover.since`, give jobs per second.

        They are PostgreSQL's statistics: a second late, and with what was rolled back (`gw_sqla.admin.turnover`). In
        one transaction they may stay as they were at first.
        """
        return await self._run(session, turnover.read_turnover, limits or self.limits)

    async def read_fleet(
        self, session: AnyAsyncSession, *, most_tasks: int = 100, limits: ScanLimits | None = None
    ) -> Fleet:
        """Return the whole queue in a few figures, for monitoring: `gw_sqla.admin.Fleet`.

        Of each state 20,000 jobs at most are looked at; of ``most_tasks`` (1 to 1000) with ready jobs it tells more.
        """
        return await self._run(session, read_fleet, most_tasks, limits or self.limits)

    async def preview(
        self,
        session: AnyAsyncSession,
        jobs: Jobs,
        *,
        most: int = 10_000,
        limits: ScanLimits | None = None,
    ) -> Preview:
        """Look at the jobs that acting would meet: how many (up to ``most``), how many a worker has, ten samples.

        ``jobs`` as for `act`; of ids 1000 at most.
        """
        return await self._run(session, previewing.preview, jobs, most, limits or self.limits)

    async def act(
        self,
        session: AnyAsyncSession,
        action: Action,
        jobs: Jobs,
        *,
        most: int | None = None,
        cursor: str | None = None,
        actor: str | None = None,
        on_progress: Progress | None = None,
        limits: ScanLimits | None = None,
    ) -> Acted:
        """Do something to jobs: a filter (or its text), which may not be of all jobs, or ids (or one id).

        ``action``: `Complete`, `Remove`, `Fail`, `Retry`, `Reschedule`, `EditPayload` or `RunCopy`. It is done a
        thousand at a time, in savepoints: what one raises undoes that one; what was done before stays, uncommitted.
        What a worker has (for less than four hours, as in Graphile Worker), or another transaction, is left out and
        told; nothing waits for a lock. A filter means the jobs that are there when it begins.

        ``most``: after so many jobs it returns with a ``cursor``; call again with it, for the same jobs, to go on. So
        you can commit in between, and an outage undoes no more than what was not committed. ``actor``: who does it;
        a line is then left for `list_audit`. ``on_progress`` is called after each thousand with what was done so far.

        Workers of all kinds see what is due at their next poll. Raises, beside what every method does,
        InvalidPayloadError for a payload, and SchemaBehindError for an ``actor`` where the table is not there.
        """
        return await self._run(
            session, acting.act, action, jobs, most, cursor, actor, on_progress, limits or self.limits
        )

    async def remove_job(self, session: AnyAsyncSession, job_key: str, *, actor: str | None = None) -> JobRow | None:
        """Remove the job with this key, as `gw_sqla.JobRepository.remove_job` does; ``actor`` as for `act`.

        Returns the job, or None where no job has the key. One that a worker has (for less than four hours) has lost its
        key, as it is returned, and its further attempts, but finishes.
        """
        return await self._run(session, removing.remove_job, job_key, actor)

    async def unlock_workers(
        self,
        session: AnyAsyncSession,
        locked_by: Iterable[str] | str,
        *,
        even_living: bool = False,
        actor: str | None = None,
        limits: ScanLimits | None = None,
    ) -> Unlocked:
        """Clear the locks of workers that are gone: ids of pools, as jobs and queues have them in locked_by.

        Those of gw_sqla's that live are left alone, unless ``even_living``. Whether a worker of Graphile Worker's lives
        is not known: stop it first, or its jobs run twice. ``actor`` as for `act`.
        """
        return await self._run(session, unlocking.unlock_workers, locked_by, even_living, actor, limits or self.limits)

    async def list_forward_lag(
        self, session: AnyAsyncSession, tasks: Collection[str] | None = None, *, limits: ScanLimits | None = None
    ) -> list[ForwardLag]:
        """Tell how far behind forwarding is, for each of the tasks; None: of those that registered workers forward.

        A task that nobody knows is in it, with no jobs. The jobs are read once: a quarter of a second for a million.
        """
        return await self._run(session, lag.list_forward_lag, tasks, limits or self.limits)

    async def count_forwarded(self, session: AnyAsyncSession, jobs: ForwardedJobs) -> int:
        """Count the jobs that were forwarded and are kept (``keep`` of `gw_sqla.TaskRegistry.forward`)."""
        return await self._run(session, replaying.count_forwarded, jobs)

    async def replay_forwarded(
        self,
        session: AnyAsyncSession,
        jobs: ForwardedJobs,
        *,
        most: int | None = None,
        cursor: str | None = None,
        actor: str | None = None,
    ) -> Replayed:
        """Add jobs anew that were forwarded and are kept, in the order in which they were sent.

        They are new jobs: due now, with other ids and without keys. ``most``, ``cursor`` and ``actor`` as for `act`;
        what is forwarded and kept after the first call is not meant. Raises SchemaBehindError where there is no table.
        """
        return await self._run(session, replaying.replay_forwarded, jobs, most, cursor, actor)

    async def list_audit(
        self,
        session: AnyAsyncSession,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[AuditLine]:
        """Return what was done by actors that were named, newest first: ``limit`` (1 to 1000) before an id.

        Instead of ``before``, ``after``: those that were written next after that one, newest first all the same.
        """
        return await self._run(session, audit.list_audit, before, after, limit, limits or self.limits)

    async def list_cron_items(
        self,
        session: AnyAsyncSession,
        items: Sequence[CronItem] = (),
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[CronItemInfo]:
        """Return cron items by identifier, those given and those known: ``limit`` (1 to 1000) behind ``after``.

        ``items``: those of the crontab and of the application, which say when each is due.
        """
        page = NamePage(after, before, limit)
        return await self._run(session, crontabs.list_cron_items, items, page, limits or self.limits)

    async def run_cron_item(self, session: AnyAsyncSession, item: CronItem, *, actor: str | None = None) -> JobRow:
        """Add the job of a cron item now; ``_cron`` in its payload has this time, with its seconds, for the minute.

        The item's schedule goes on as if nothing had been. ``actor`` as for `act`.
        """
        return await self._run(session, crontabs.run_cron_item, item, actor)

    async def add_job(
        self,
        session: AnyAsyncSession,
        task: Task[Any] | str,
        payload: Any = None,
        *,
        job_key_mode: JobKeyMode | None = None,
        actor: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobRow:
        """Add a job by hand, as `gw_sqla.JobRepository.add_job` does; ``actor`` as for `act`."""
        return await self._run(session, adding.add_job, task, payload, job_key_mode, actor, **options)

    async def look_at_system(self, session: AnyAsyncSession, *, limits: ScanLimits | None = None) -> System:
        """Return the versions of server and schema, the ledger of migrations, and what the schema takes on the disk."""
        return await self._run(session, system.look_at_system, limits or self.limits)

    async def now(self, session: AnyAsyncSession, *, limits: ScanLimits | None = None) -> datetime:
        """Return the database's time, at which this transaction began: what is due, and for how long, goes by it."""
        return await self._run(session, system.now, limits or self.limits)

    async def _run(
        self,
        session: AnyAsyncSession,
        call: Callable[Concatenate[Session, str, A], T],
        /,
        *args: A.args,
        **options: A.kwargs,
    ) -> T:
        return await call_in_async(
            session, lambda plain: call(plain, self.schema, *args, **options), of_sync="SyncAdmin"
        )
