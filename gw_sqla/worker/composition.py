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
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.background import make_cleanup, make_cron, make_listener, make_recovery, make_registration
from gw_sqla.worker.between_claims import ClaimConnection, OwnFirst
from gw_sqla.worker.claim_demand import Demand, Demands
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.claimer import Claimer, Taker
from gw_sqla.worker.cron_scheduler import CronScheduler
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.forwarders import Forwarders
from gw_sqla.worker.heartbeat import Heartbeat
from gw_sqla.worker.kept_jobs import KeptJobs
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.listener import Listener
from gw_sqla.worker.orphaned_locks import OrphanedLocks
from gw_sqla.worker.outcome_store import OUTCOME_SETTINGS, OutcomeStore
from gw_sqla.worker.pauses import Pauses
from gw_sqla.worker.recovery import Recovery
from gw_sqla.worker.registration import Registration
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.schema_watch import SchemaWatch
from gw_sqla.worker.slots import Slots
from gw_sqla.worker.stop_request import StopRequest
from gw_sqla.worker.sweeps import Sweeps
from gw_sqla.worker.takers import Shared, make_claimers, make_forwarders, make_slots

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
    connection = WorkerConnection(engine, pooled=settings.transaction_pooler, ends_backends=True)
    claim_store = _claim_store(connection, settings, pool_id)
    claims = ClaimConnection(connection, claim_store.turn)
    outcome_connection = OwnFirst(claims, engine, OUTCOME_SETTINGS, pooled=settings.transaction_pooler)
    outcome_store = OutcomeStore(outcome_connection, settings.schema, pool_id, claim_store, outcome_log=outcome_log)
    rust = RustWorkers(settings.schema)
    sweeps = Sweeps(engine, settings.schema, rust, pooled=settings.transaction_pooler, claims=claims)
    repository = JobRepository(settings.schema, max_payload_size=settings.max_payload_size, interceptors=interceptors)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    workplace, processes = Workplace(sessions, repository, pool_id, stop.requested), ProcessPool()
    own_tasks = {identifier: task for identifier, task in tasks.items() if not is_forwarded(task)}
    forwarded = sinks_of(tasks)
    executor = Executor(
        own_tasks, workplace, processes, observers, settings.concurrency, interceptors, outcome_log=outcome_log
    )
    slots_demand, forwarded_demands = Demand(), [Demand() for _ in forwarded]
    demand = Demands([slots_demand, *forwarded_demands]) if forwarded else slots_demand
    shared = _shared(settings, observers, stop, outcome_log, claim_store, outcome_store, demand, forwarded)
    slots = make_slots(shared, executor.execute, slots_demand)
    forwarders = make_forwarders(shared, slots, forwarded, forwarded_demands)
    takers: list[tuple[Demand, Taker, Mapping[str, Task[Any]]]] = [
        (slots_demand, slots, own_tasks),
        *zip(forwarded_demands, forwarders, forwarded, strict=True),
    ]
    return Parts(
        outcome_log=outcome_log,
        claim_store=claim_store,
        outcome_store=outcome_store,
        known=shared.known,
        workplace=workplace,
        processes=processes,
        finisher=shared.finisher,
        slots=slots,
        forwarders=Forwarders(forwarders),
        claimers=make_claimers(shared, takers),
        orphaned_locks=shared.orphaned_locks,
        heartbeat=_heartbeat(shared, slots, make_registration(claims, engine, tasks, settings, pool_id, rust)),
        sweeps=sweeps,
        recovery=make_recovery(sweeps, settings, demand, observers),
        listener=make_listener(engine, settings, demand, shared.pauses, stop, observers),
        cron=make_cron(engine, settings, cron_items, observers),
        cleanup=make_cleanup(engine, settings, demand, observers),
        kept_jobs=KeptJobs(engine, settings.schema, pooled=settings.transaction_pooler) if keeps(tasks) else None,
    )


def _shared(
    settings: RunnerSettings,
    observers: Observers,
    stop: StopRequest,
    outcome_log: OutcomeLog,
    claim_store: ClaimStore,
    outcome_store: OutcomeStore,
    demand: Demand | Demands,
    forwarded: Sequence[Mapping[str, Task[Any]]],
) -> Shared:
    known = KnownRuns()
    orphaned_locks = OrphanedLocks(claim_store, known, wake_claimer=demand.jobs_may_be_due)
    finisher = Finisher(
        outcome_store,
        known,
        observers,
        most_unwritten=max(100, 4 * (settings.concurrency + settings.prefetch + sum(map(most_sent, forwarded)))),
        on_written=demand.outcomes_written,
        on_lost=orphaned_locks.release_soon,
    )
    return Shared(
        settings=settings,
        observers=observers,
        stop=stop,
        outcome_log=outcome_log,
        known=known,
        lease=Lease(),
        claim_store=claim_store,
        finisher=finisher,
        orphaned_locks=orphaned_locks,
        pauses=Pauses(claim_store, observers, interval=settings.poll_interval.total_seconds()),
    )


def _heartbeat(shared: Shared, slots: Slots, registration: Registration) -> Heartbeat:
    return Heartbeat(
        registration,
        shared.lease,
        slots,
        shared.known,
        interval=shared.settings.heartbeat_interval,
        threshold=shared.settings.heartbeat_threshold,
        observers=shared.observers,
    )


def _claim_store(connection: WorkerConnection, settings: RunnerSettings, pool_id: str) -> ClaimStore:
    return ClaimStore(
        connection,
        settings.schema,
        pool_id,
        clock=partial(datetime.now, UTC) if settings.use_local_time else None,
        max_payload_size=settings.max_payload_size,
        leaves_oversized=settings.oversized_jobs == "leave",
        accepted_flags=settings.accepted_flags,
        flag_allowlist=settings.flag_allowlist,
    )
