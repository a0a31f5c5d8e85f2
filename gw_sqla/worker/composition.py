"""What a worker pool is made of, and who knows whom.

    listener, cron, recovery -> demand -> claimer -> slots (local queue) -> finisher -> outcome store
    (and for each sink of forwarded tasks: demand -> claimer -> forwarder -> finisher)
                                             |         |                       |
                                             +---- known runs, lease ----------+
                                             |         |
          claim store <- orphaned locks -----+     heartbeat -> registration        recovery -> sweeps
                 ^---- pauses <- claimer, listener

The finisher says when a lost lock may have left orphaned ones, the claimer releases them.
Each part is given what it may use, and nothing else; what they say to each other are the calls named here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.crontab import CronItem
from gw_sqla.crontab.clock import SystemClock
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.database.outage import Outage
from gw_sqla.database.session import async_sessionmaker
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.execution.executor import Executor
from gw_sqla.execution.forwarded_tasks import is_forwarded, keeps, most_sent, sinks_of
from gw_sqla.execution.job_context import Workplace
from gw_sqla.execution.outcome_log import OutcomeLog
from gw_sqla.execution.process_pool import ProcessPool
from gw_sqla.hooks.interceptor import Interceptor
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.task import Task
from gw_sqla.repository import JobRepository
from gw_sqla.schema.supported_revisions import LEDGER_ID
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.claim_demand import Demand, Demands
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.claimer import Claimer, Taker
from gw_sqla.worker.cron_scheduler import CronScheduler
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.forwarder import Forwarder
from gw_sqla.worker.forwarders import Forwarders
from gw_sqla.worker.heartbeat import Heartbeat
from gw_sqla.worker.kept_jobs import KeptJobs
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.listener import Listener
from gw_sqla.worker.local_queue import LocalQueue
from gw_sqla.worker.orphaned_locks import OrphanedLocks
from gw_sqla.worker.outcome_store import OUTCOME_SETTINGS, OutcomeStore
from gw_sqla.worker.pauses import Pauses
from gw_sqla.worker.recovery import Recovery
from gw_sqla.worker.registration import Registration, worker_facts
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.schema_watch import SchemaWatch
from gw_sqla.worker.slots import Slots
from gw_sqla.worker.stop_request import StopRequest
from gw_sqla.worker.sweeps import Sweeps

if TYPE_CHECKING:
    from gw_sqla.worker.cleanup import Cleanup

__all__ = ["Parts", "compose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one run of a runner."""

    outcome_log: OutcomeLog
    claim_store: ClaimStore
    outcome_store: OutcomeStore
    known: KnownRuns
    workplace: Workplace
    processes: ProcessPool
    finisher: Finisher
    slots: Slots
    forwarders: Forwarders
    claimers: Sequence[Claimer]
    orphaned_locks: OrphanedLocks
    heartbeat: Heartbeat
    sweeps: Sweeps
    recovery: Recovery
    listener: Listener | SchemaWatch
    cron: CronScheduler | None
    cleanup: Cleanup | None
    kept_jobs: KeptJobs | None


def compose(
    engine: AsyncEngine,
    tasks: Mapping[str, Task[Any]],
    settings: RunnerSettings,
    observers: Observers,
    cron_items: Sequence[CronItem],
    pool_id: str,
    stop: StopRequest,
    interceptors: Sequence[Interceptor] = (),
) -> Parts:
    """Make the parts; nothing of them runs or connects yet. To be called inside the event loop."""
    outcome_log = OutcomeLog()
    claim_store = _claim_store(engine, settings, pool_id)
    outcome_store = OutcomeStore(
        WorkerConnection(engine, OUTCOME_SETTINGS, pooled=settings.transaction_pooler),
        settings.schema,
        pool_id,
        claim_store,
        outcome_log=outcome_log,
    )
    rust = RustWorkers(settings.schema)
    registration = _registration(engine, tasks, settings, pool_id, rust)
    sweeps = Sweeps(engine, settings.schema, rust, pooled=settings.transaction_pooler)
    repository = JobRepository(settings.schema, max_payload_size=settings.max_payload_size, interceptors=interceptors)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    workplace, processes = Workplace(sessions, repository, pool_id, stop.requested), ProcessPool()
    own_tasks = {identifier: task for identifier, task in tasks.items() if not is_forwarded(task)}
    forwarded = sinks_of(tasks)
    executor = Executor(
        own_tasks, workplace, processes, observers, settings.concurrency, interceptors, outcome_log=outcome_log
    )
    lease, known, slots_demand = Lease(), KnownRuns(), Demand()
    forwarded_demands = [Demand() for _ in forwarded]
    demand = Demands([slots_demand, *forwarded_demands]) if forwarded else slots_demand
    orphaned_locks = OrphanedLocks(claim_store, known, wake_claimer=demand.jobs_may_be_due)
    finisher = Finisher(
        outcome_store,
        known,
        observers,
        most_unwritten=max(100, 4 * (settings.concurrency + settings.prefetch + sum(map(most_sent, forwarded)))),
        on_written=demand.outcomes_written,
        on_lost=orphaned_locks.release_soon,
    )
    slots = Slots(
        settings.concurrency,
        LocalQueue(settings.concurrency, settings.prefetch, settings.prefetch_ttl),
        execute=executor.execute,
        finish=finisher.add,
        superseded=finisher.superseded,
        known=known,
        lease=lease,
        on_free=slots_demand.slot_freed,
        stop=stop,
        outcome_log=outcome_log,
    )
    pauses = Pauses(claim_store, observers, interval=settings.poll_interval.total_seconds())
    forwarders = [
        Forwarder(
            of_sink,
            finish=finisher.add,
            superseded=finisher.superseded,
            lose=slots.lose,
            known=known,
            lease=lease,
            on_free=own_demand.slot_freed,
            on_reached=own_demand.jobs_may_be_due,
            observers=observers,
            stop=stop,
            outcome_log=outcome_log,
        )
        for of_sink, own_demand in zip(forwarded, forwarded_demands, strict=True)
    ]
    takers: list[tuple[Demand, Taker, Mapping[str, Task[Any]]]] = [
        (slots_demand, slots, own_tasks),
        *zip(forwarded_demands, forwarders, forwarded, strict=True),
    ]
    claimers = _claimers(takers, claim_store, finisher, known, orphaned_locks, pauses, lease, settings, observers)
    heartbeat = Heartbeat(
        registration,
        lease,
        slots,
        known,
        interval=settings.heartbeat_interval,
        threshold=settings.heartbeat_threshold,
        observers=observers,
    )
    return Parts(
        outcome_log=outcome_log,
        claim_store=claim_store,
        outcome_store=outcome_store,
        known=known,
        workplace=workplace,
        processes=processes,
        finisher=finisher,
        slots=slots,
        forwarders=Forwarders(forwarders),
        claimers=claimers,
        orphaned_locks=orphaned_locks,
        heartbeat=heartbeat,
        sweeps=sweeps,
        recovery=_recovery(sweeps, settings, demand, observers),
        listener=_listener(engine, settings, demand, pauses, stop, observers),
        cron=_cron(engine, settings, cron_items, observers),
        cleanup=_cleanup(engine, settings, demand, observers),
        kept_jobs=KeptJobs(engine, settings.schema, pooled=settings.transaction_pooler) if keeps(tasks) else None,
    )


def _claimers(
    takers: Sequence[tuple[Demand, Taker, Mapping[str, Task[Any]]]],
    claim_store: ClaimStore,
    finisher: Finisher,
    known: KnownRuns,
    orphaned_locks: OrphanedLocks,
    pauses: Pauses,
    lease: Lease,
    settings: RunnerSettings,
    observers: Observers,
) -> list[Claimer]:
    """Make a claimer for each of those who take jobs of some tasks."""
    outage = Outage("claiming jobs", observers)
    return [
        Claimer(
            claim_store,
            demand,
            taker,
            finisher,
            known,
            orphaned_locks,
            pauses,
            task_identifiers=list(of_taker),
            forbidden_flags=settings.forbidden_flags,
            poll_interval=settings.poll_interval,
            lease=lease,
            outage=outage,
            following=isinstance(taker, Forwarder),
            observers=observers,
        )
        for demand, taker, of_taker in takers
        if of_taker
    ]


def _claim_store(engine: AsyncEngine, settings: RunnerSettings, pool_id: str) -> ClaimStore:
    return ClaimStore(
        WorkerConnection(engine, pooled=settings.transaction_pooler, ends_backends=True),
        settings.schema,
        pool_id,
        clock=partial(datetime.now, UTC) if settings.use_local_time else None,
        max_payload_size=settings.max_payload_size,
        leaves_oversized=settings.oversized_jobs == "leave",
        accepted_flags=settings.accepted_flags,
        flag_allowlist=settings.flag_allowlist,
    )


def _registration(
    engine: AsyncEngine, tasks: Mapping[str, Task[Any]], settings: RunnerSettings, pool_id: str, rust: RustWorkers
) -> Registration:
    return Registration(
        engine,
        settings.schema,
        pool_id,
        rust,
        threshold=settings.heartbeat_threshold,
        metadata=worker_facts(settings, tasks, [name for name, task in tasks.items() if is_forwarded(task)]),
        pooled=settings.transaction_pooler,
    )


def _recovery(sweeps: Sweeps, settings: RunnerSettings, demand: Demand | Demands, observers: Observers) -> Recovery:
    return Recovery(
        sweeps,
        interval=settings.sweep_interval,
        delay=settings.recovery_delay,
        on_unlocked=demand.jobs_may_be_due,
        observers=observers,
    )


def _listener(
    engine: AsyncEngine,
    settings: RunnerSettings,
    demand: Demand | Demands,
    pauses: Pauses,
    stop: StopRequest,
    observers: Observers,
) -> Listener | SchemaWatch:
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


def _cleanup(
    engine: AsyncEngine, settings: RunnerSettings, demand: Demand | Demands, observers: Observers
) -> Cleanup | None:
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


def _cron(
    engine: AsyncEngine, settings: RunnerSettings, items: Sequence[CronItem], observers: Observers
) -> CronScheduler | None:
    if not items:
        return None
    known = KnownCrontabs(engine, settings.schema, pooled=settings.transaction_pooler)
    return CronScheduler(known, items, SystemClock(), settings.crontab_catch_up, observers)
