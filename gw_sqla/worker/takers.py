"""Who takes jobs of a worker pool: the slots, a forwarder for each sink; and a claimer for each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.database.held_transaction import HeldTransaction
from gw_sqla.database.outage import Outage
from gw_sqla.execution.outcome_log import OutcomeLog
from gw_sqla.hooks.observers import Observers
from gw_sqla.jobs.outcomes import Outcome
from gw_sqla.jobs.run import Run
from gw_sqla.jobs.task import Task
from gw_sqla.settings import RunnerSettings
from gw_sqla.worker.between_claims import ClaimConnection
from gw_sqla.worker.claim_demand import Demand
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.claimer import Claimer, Taker
from gw_sqla.worker.finisher import Finisher
from gw_sqla.worker.forwarder import Forwarder
from gw_sqla.worker.held_claims import HeldClaims
from gw_sqla.worker.hold import Hold
from gw_sqla.worker.known_runs import KnownRuns
from gw_sqla.worker.lease import Lease
from gw_sqla.worker.local_queue import LocalQueue
from gw_sqla.worker.orphaned_locks import OrphanedLocks
from gw_sqla.worker.pauses import Pauses
from gw_sqla.worker.slots import Slots
from gw_sqla.worker.stop_request import StopRequest

__all__ = ["Shared", "make_claimers", "make_forwarders", "make_held_claims", "make_slots"]

Tasks = Mapping[str, Task[Any]]

_HOLDS = 2
"""How many transactions take turns."""

_IDLE_SECONDS = 5.0
"""After how much more than ``lease_after`` the server ends a transaction of a worker that stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What they share."""

    settings: RunnerSettings
    observers: Observers
    stop: StopRequest
    outcome_log: OutcomeLog
    known: KnownRuns
    lease: Lease
    claim_store: ClaimStore
    finisher: Finisher
    orphaned_locks: OrphanedLocks
    pauses: Pauses


def make_slots(
    shared: Shared, execute: Callable[[Run], Awaitable[Outcome]], demand: Demand, held: HeldClaims | None = None
) -> Slots:
    """Make the slots, with their queue."""
    settings = shared.settings
    return Slots(
        settings.concurrency,
        LocalQueue(
            settings.concurrency, settings.prefetch, settings.prefetch_ttl, batches=4 if held is None else _HOLDS
        ),
        execute=execute,
        finish=shared.finisher.add if held is None else held.finish,
        superseded=shared.finisher.superseded,
        known=shared.known,
        lease=shared.lease,
        on_free=demand.slot_freed if held is None else held.slot_freed,
        stop=shared.stop,
        outcome_log=shared.outcome_log,
    )


def make_held_claims(
    shared: Shared, engine: AsyncEngine, claims: ClaimConnection, demand: Demand, pool_id: str
) -> HeldClaims | None:
    """Make what holds jobs without a lease, if the settings say so."""
    settings = shared.settings
    if settings.lease_after is None:
        return None
    seconds = settings.lease_after.total_seconds()
    every = [
        Hold(
            HeldTransaction(engine, idle_seconds=seconds + _IDLE_SECONDS, pooled=settings.transaction_pooler),
            settings.schema,
            pool_id,
            seconds,
        )
        for _ in range(_HOLDS)
    ]
    return HeldClaims(
        every,
        shared.claim_store,
        claims,
        shared.finisher,
        demand,
        settings.schema,
        pool_id,
        on_ended=shared.orphaned_locks.release_soon,
    )


def make_forwarders(
    shared: Shared, slots: Slots, forwarded: Sequence[Tasks], demands: Sequence[Demand]
) -> list[Forwarder]:
    """Make a forwarder for the tasks of each sink, which has a demand of its own."""
    return [
        Forwarder(
            of_sink,
            finish=shared.finisher.add,
            superseded=shared.finisher.superseded,
            lose=slots.lose,
            known=shared.known,
            lease=shared.lease,
            on_free=demand.slot_freed,
            on_reached=demand.jobs_may_be_due,
            observers=shared.observers,
            stop=shared.stop,
            outcome_log=shared.outcome_log,
        )
        for of_sink, demand in zip(forwarded, demands, strict=True)
    ]


def make_claimers(shared: Shared, takers: Sequence[tuple[Demand, Taker, Tasks]]) -> list[Claimer]:
    """Make a claimer for each of those who take jobs of some tasks."""
    outage = Outage("claiming jobs", shared.observers)
    return [
        Claimer(
            shared.claim_store,
            demand,
            taker,
            shared.finisher,
            shared.known,
            shared.orphaned_locks,
            shared.pauses,
            task_identifiers=list(of_taker),
            forbidden_flags=shared.settings.forbidden_flags,
            poll_interval=shared.settings.poll_interval,
            lease=shared.lease,
            outage=outage,
            following=isinstance(taker, Forwarder),
            claim=taker.claim if isinstance(taker, HeldClaims) else None,
            observers=shared.observers,
        )
        for demand, taker, of_taker in takers
        if of_taker
    ]
