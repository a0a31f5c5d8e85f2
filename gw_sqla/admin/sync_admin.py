"""SyncAdmin: the methods of `gw_sqla.admin.Admin` for a sync Session, without await; their texts are that one's."""

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
from gw_sqla.admin.admin import Admin
from gw_sqla.admin.audit import AuditLine
from gw_sqla.admin.chosen import Jobs
from gw_sqla.admin.crontabs import CronItemInfo
from gw_sqla.admin.failures import Failures
from gw_sqla.admin.fleet import Fleet, read_fleet
from gw_sqla.admin.lag import ForwardLag
from gw_sqla.admin.listings import QueueInfo, TaskInfo
from gw_sqla.admin.pages import NamePage
from gw_sqla.admin.pausing import SyncPausing
from gw_sqla.admin.reasons import Explanation
from gw_sqla.admin.replaying import ForwardedJobs, Replayed
from gw_sqla.admin.system import System
from gw_sqla.admin.turnover import Turnover
from gw_sqla.admin.values import Count, JobOrder, JobPage, ScanLimits
from gw_sqla.admin.workers import LockOwner, Worker
from gw_sqla.calls.sessions import AnySyncSession, call_in_sync
from gw_sqla.calls.texts import with_the_texts_of
from gw_sqla.crontab import CronItem
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.job_spec import JobOptions
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.jobs.task import Task
from gw_sqla.types import DEFAULT_SCHEMA, JobKeyMode

__all__ = ["SyncAdmin"]

T = TypeVar("T")
A = ParamSpec("A")


@with_the_texts_of(Admin)
class SyncAdmin(SyncPausing):
    """Looks at jobs, failures, queues, tasks and workers, and acts on them, through the caller's Session.

    The same as `gw_sqla.admin.Admin`, method by method.
    """

    def __init__(self, schema: str = DEFAULT_SCHEMA, *, limits: ScanLimits | None = None) -> None:
        super().__init__(schema)
        self.limits = limits or ScanLimits()

    def list_jobs(
        self,
        session: AnySyncSession,
        filter: JobFilter | str | None = None,  # noqa: A002 - it is the word for it
        *,
        order: JobOrder = JobOrder.ID,
        descending: bool = False,
        cursor: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> JobPage:
        return self._run(session, reading.list_jobs, filter, order, descending, cursor, limit, limits or self.limits)

    def count_jobs(
        self,
        session: AnySyncSession,
        filter: JobFilter | str | None = None,  # noqa: A002
        *,
        most: int = 10_000,
        limits: ScanLimits | None = None,
    ) -> Count:
        return self._run(session, reading.count_jobs, filter, most, limits or self.limits)

    def list_failures(
        self,
        session: AnySyncSession,
        filter: JobFilter | str | None = None,  # noqa: A002
        *,
        most: int = 50,
        limits: ScanLimits | None = None,
    ) -> Failures:
        return self._run(session, failures.list_failures, filter, most, limits or self.limits)

    def explain_job(self, session: AnySyncSession, job_id: int, *, limits: ScanLimits | None = None) -> Explanation:
        return self._run(session, explaining.explain_job, job_id, limits or self.limits)

    def list_queues(
        self,
        session: AnySyncSession,
        *,
        only_locked: bool = False,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[QueueInfo]:
        page = NamePage(after, before, limit)
        return self._run(session, listings.list_queues, only_locked, page, limits or self.limits)

    def list_tasks(
        self,
        session: AnySyncSession,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[TaskInfo]:
        page = NamePage(after, before, limit)
        return self._run(session, listings.list_tasks, page, limits or self.limits)

    def list_workers(
        self,
        session: AnySyncSession,
        *,
        pool_ids: Collection[str] | None = None,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[Worker]:
        page = NamePage(after, before, limit)
        return self._run(session, listings.list_workers, pool_ids, page, limits or self.limits)

    def list_lock_owners(self, session: AnySyncSession, *, limits: ScanLimits | None = None) -> list[LockOwner]:
        return self._run(session, listings.list_lock_owners, limits or self.limits)

    def read_turnover(self, session: AnySyncSession, *, limits: ScanLimits | None = None) -> Turnover:
        return self._run(session, turnover.read_turnover, limits or self.limits)

    def read_fleet(self, session: AnySyncSession, *, most_tasks: int = 100, limits: ScanLimits | None = None) -> Fleet:
        return self._run(session, read_fleet, most_tasks, limits or self.limits)

    def preview(
        self,
        session: AnySyncSession,
        jobs: Jobs,
        *,
        most: int = 10_000,
        limits: ScanLimits | None = None,
    ) -> Preview:
        return self._run(session, previewing.preview, jobs, most, limits or self.limits)

    def act(
        self,
        session: AnySyncSession,
        action: Action,
        jobs: Jobs,
        *,
        most: int | None = None,
        cursor: str | None = None,
        actor: str | None = None,
        on_progress: Progress | None = None,
        limits: ScanLimits | None = None,
    ) -> Acted:
        return self._run(session, acting.act, action, jobs, most, cursor, actor, on_progress, limits or self.limits)

    def remove_job(self, session: AnySyncSession, job_key: str, *, actor: str | None = None) -> JobRow | None:
        return self._run(session, removing.remove_job, job_key, actor)

    def unlock_workers(
        self,
        session: AnySyncSession,
        locked_by: Iterable[str] | str,
        *,
        even_living: bool = False,
        actor: str | None = None,
        limits: ScanLimits | None = None,
    ) -> Unlocked:
        return self._run(session, unlocking.unlock_workers, locked_by, even_living, actor, limits or self.limits)

    def list_forward_lag(
        self, session: AnySyncSession, tasks: Collection[str] | None = None, *, limits: ScanLimits | None = None
    ) -> list[ForwardLag]:
        return self._run(session, lag.list_forward_lag, tasks, limits or self.limits)

    def count_forwarded(self, session: AnySyncSession, jobs: ForwardedJobs) -> int:
        return self._run(session, replaying.count_forwarded, jobs)

    def replay_forwarded(
        self,
        session: AnySyncSession,
        jobs: ForwardedJobs,
        *,
        most: int | None = None,
        cursor: str | None = None,
        actor: str | None = None,
    ) -> Replayed:
        return self._run(session, replaying.replay_forwarded, jobs, most, cursor, actor)

    def list_audit(
        self,
        session: AnySyncSession,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[AuditLine]:
        return self._run(session, audit.list_audit, before, after, limit, limits or self.limits)

    def list_cron_items(
        self,
        session: AnySyncSession,
        items: Sequence[CronItem] = (),
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        limits: ScanLimits | None = None,
    ) -> list[CronItemInfo]:
        page = NamePage(after, before, limit)
        return self._run(session, crontabs.list_cron_items, items, page, limits or self.limits)

    def run_cron_item(self, session: AnySyncSession, item: CronItem, *, actor: str | None = None) -> JobRow:
        return self._run(session, crontabs.run_cron_item, item, actor)

    def add_job(
        self,
        session: AnySyncSession,
        task: Task[Any] | str,
        payload: Any = None,
        *,
        job_key_mode: JobKeyMode | None = None,
        actor: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobRow:
        return self._run(session, adding.add_job, task, payload, job_key_mode, actor, **options)

    def look_at_system(self, session: AnySyncSession, *, limits: ScanLimits | None = None) -> System:
        return self._run(session, system.look_at_system, limits or self.limits)

    def now(self, session: AnySyncSession, *, limits: ScanLimits | None = None) -> datetime:
        return self._run(session, system.now, limits or self.limits)

    def _run(
        self,
        session: AnySyncSession,
        call: Callable[Concatenate[Session, str, A], T],
        /,
        *args: A.args,
        **options: A.kwargs,
    ) -> T:
        return call_in_sync(session, lambda plain: call(plain, self.schema, *args, **options), of_async="Admin")
