"""What a worker pool has beside its jobs: the register, recovery, news, cron, the cleanup, as the settings say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.clock import SystemClock
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.execution.forwarded_tasks import is_forwarded
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.task import Task
from gw_sqla.schema.supported_revisions import LEDGER_ID
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.between_claims import BetweenClaims, ClaimConnection
from gw_sqla.worker.claim_demand import Demand, Demands
from gw_sqla.worker.cron_scheduler import CronScheduler
from gw_sqla.worker.listener import Listener
from gw_sqla.worker.pauses import Pauses
from gw_sqla.worker.recovery import Recovery
from gw_sqla.worker.registration import BEAT_SETTINGS, Registration, worker_facts
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.schema_watch import SchemaWatch
from gw_sqla.worker.stop_request import StopRequest
from gw_sqla.worker.sweeps import Sweeps

if TYPE_CHECKING:
    from gw_sqla.worker.cleanup import Cleanup

__all__ = ["make_cleanup", "make_cron", "make_listener", "make_recovery", "make_registration"]


def make_registration(
    claims: ClaimConnection,
    engine: AsyncEngine,
    tasks: Mapping[str, Task[Any]],
    settings: RunnerSettings,
    pool_id: str,
    rust: RustWorkers,
) -> Registration:
    """Make what says that the pool lives, and what it is like."""
    return Registration(
        BetweenClaims(claims, engine, BEAT_SETTINGS, pooled=settings.transaction_pooler),
        settings.schema,
        pool_id,
        rust,
        threshold=settings.heartbeat_threshold,
        metadata=worker_facts(settings, tasks, [name for name, task in tasks.items() if is_forwarded(task)]),
    )


def make_recovery(sweeps: Sweeps, settings: RunnerSettings, demand: Demand | Demands, observers: Observers) -> Recovery:
    """Make what frees the locks of the dead."""
    return Recovery(
        sweeps,
        interval=settings.sweep_interval,
        delay=settings.recovery_delay,
        on_unlocked=demand.jobs_may_be_due,
        observers=observers,
    )


def make_listener(
    engine: AsyncEngine,
    settings: RunnerSettings,
    demand: Demand | Demands,
    pauses: Pauses,
    stop: StopRequest,
    observers: Observers,
) -> Listener | SchemaWatch:
    """Make what hears of jobs, pauses and migrations; through a pooler, what looks for migrations."""
    watch = SchemaWatch(engine, settings.schema, stop, pooled=settings.transaction_pooler)
    if settings.transaction_pooler:
        return watch

    def pauses_changed() -> None:
        pauses.changed()
        demand.jobs_may_be_due()

    return Listener(
        engine,
        look=watch.look,
        on_jobs=demand.jobs_may_be_due,
        on_pauses=pauses_changed,
        known_migration=LEDGER_ID,
        observers=observers,
    )


def make_cleanup(
    engine: AsyncEngine, settings: RunnerSettings, demand: Demand | Demands, observers: Observers
) -> Cleanup | None:
    """Make what deletes what nobody needs, if it was asked for."""
    if settings.cleanup_interval is None:
        return None
    from gw_sqla.admin.cleaning import Cleaning  # a worker needs nothing else of admin, which takes long to import
    from gw_sqla.worker.cleanup import Cleanup

    return Cleanup(
        Cleaning(engine, settings.schema, pooled=settings.transaction_pooler),
        interval=settings.cleanup_interval,
        failed_after=settings.cleanup_failed_after,
        keep_tasks=settings.cleanup_keep_tasks,
        on_restored=demand.jobs_may_be_due,
        told=observers,
    )


def make_cron(
    engine: AsyncEngine, settings: RunnerSettings, items: Sequence[CronItem], observers: Observers
) -> CronScheduler | None:
    """Make what schedules cron items, if there are any."""
    if not items:
        return None
    known = KnownCrontabs(engine, settings.schema, pooled=settings.transaction_pooler)
    return CronScheduler(known, items, SystemClock(), settings.crontab_catch_up, observers)
