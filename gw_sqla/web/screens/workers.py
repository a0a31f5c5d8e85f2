"""Workers: ours by their register, others by the locks they hold; what each runs; taking locks away; pausing all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gw_sqla.admin import Choice, JobFilter, JobPage, LockOwner, Worker
from gw_sqla.types import JobState
from gw_sqla.web import pauses
from gw_sqla.web.paging import Paging
from gw_sqla.web.rights import Right
from gw_sqla.web.screen import Deed, Page, Route
from gw_sqla.web.visit import Visit
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Sweeps

__all__ = ["routes"]

_PAGE = Paging(100)
_MOST_JOBS = 100
_MOST_SWEPT = 1000
_DELAY = timedelta(seconds=10)
"""For which the jobs of the dead wait, as where a worker sweeps."""
_STALE = timedelta(hours=4)
"""After which any kind of worker takes the locks of an owner that is not registered."""


@dataclass(frozen=True, slots=True)
class Row:
    """A worker, what it holds, or both: who is not registered is known by its locks only."""

    pool_id: str
    worker: Worker | None
    locks: LockOwner | None

    @property
    def state(self) -> str:
        """Whether it lives, as far as anybody knows."""
        return "unknown" if self.worker is None else "alive" if self.worker.is_alive else "dead"


async def show(visit: Visit) -> Response:
    """Show a page of ours, and before the first whoever else holds locks."""
    page = _PAGE.of(visit)

    async def ask() -> tuple[list[Worker], list[LockOwner]]:
        async with visit.session() as session:
            workers = await visit.admin.list_workers(session, after=page.after, before=page.before, limit=page.limit)
            return workers, await visit.admin.list_lock_owners(session)

    workers, owners = await visit.options.shared.get(f"workers {page.name}", ask)
    held = {owner.locked_by: owner for owner in owners}
    paged = page.cut(visit, workers, lambda worker: worker.pool_id)
    rows = [Row(worker.pool_id, worker, held.get(worker.pool_id)) for worker in paged.rows]
    others = [] if paged.previous else [Row(owner.locked_by, None, owner) for owner in owners if owner.worker is None]
    return visit.render(
        "workers.html",
        rows=[*others, *rows],
        paged=paged,
        everything=(await pauses.paused(visit)).get(("everything", "")),
    )


async def show_one(visit: Visit) -> Response:
    """Show what a worker said of itself, and what it runs now."""
    pool_id = visit.text("id")
    if pool_id is None:
        raise HTTPException(404, "No worker is named.")
    row, jobs = await _look_at(visit, pool_id)
    return visit.render("worker.html", row=row, jobs=jobs, jobs_filter=_jobs_of(pool_id))


async def unlock(visit: Visit) -> Response:
    """Clear the locks of a worker that is gone; of one that lives only if that is said."""
    form = await visit.form()
    pool_id = form.required("id")
    async with visit.transaction() as session:
        unlocked = await visit.admin.unlock_workers(
            session, pool_id, even_living=form.text("even_living") is not None, actor=visit.actor
        )
    if unlocked.living:
        said = (
            "It lives, so nothing was done. If its jobs may run twice, tick that they shall be unlocked all the same."
        )
        return visit.go("/workers/one", said, id=pool_id)
    return visit.go("/workers", f"Unlocked of {pool_id}: {unlocked.jobs:,} jobs, {unlocked.queues:,} queues.")


async def show_sweep(visit: Visit) -> Response:
    """Show whose locks a sweep would free, as a worker does three times a minute."""
    async with visit.session() as session:
        workers = await visit.admin.list_workers(session, limit=_MOST_SWEPT)
        owners = await visit.admin.list_lock_owners(session)
        now = await visit.admin.now(session)
    held = {owner.locked_by: owner for owner in owners}
    dead = [Row(one.pool_id, one, held.get(one.pool_id)) for one in workers if not one.is_alive]
    stale = [Row(owner.locked_by, None, owner) for owner in owners if _is_stale(owner, now)]
    return visit.render("sweep.html", dead=dead, stale=stale)


async def sweep(visit: Visit) -> Response:
    """Sweep, over a connection of its own: each pool is recovered in a statement of its own where rows refuse it."""
    engine = visit.options.engine
    if engine is None:
        raise HTTPException(501, "The sessions of this dashboard name no engine: run python -m gw_sqla workers sweep.")
    sweeps = Sweeps(engine, visit.admin.schema, RustWorkers(visit.admin.schema), pooled=True)
    try:
        recovered, stale = await sweeps.sweep_for(visit.actor, _DELAY)
    finally:
        await sweeps.close()
    jobs = sum(len(pool.job_ids) for pool in recovered)
    said = f"Swept: {len(recovered)} dead workers, whose {jobs:,} jobs run again"
    more = f"; {stale.jobs:,} jobs and {stale.queues:,} queues locked for over four hours" if stale.owners else ""
    return visit.go("/workers", f"{said}{more}.")


async def pause(visit: Visit) -> Response:
    """Pause everything."""
    return visit.go("/workers", await pauses.pause(visit, await visit.form(), everything=True))


async def resume(visit: Visit) -> Response:
    """Resume everything, single tasks and queues too."""
    return visit.go("/workers", await pauses.resume(visit, everything=True))


def _is_stale(owner: LockOwner, now: datetime) -> bool:
    return owner.worker is None and now - owner.since > _STALE


async def _look_at(visit: Visit, pool_id: str) -> tuple[Row, JobPage]:
    async def ask() -> tuple[Worker | None, list[LockOwner], JobPage]:
        async with visit.session() as session:
            workers = await visit.admin.list_workers(session, pool_ids=[pool_id])
            owners = await visit.admin.list_lock_owners(session)
            jobs = await visit.admin.list_jobs(session, _jobs_of(pool_id), descending=True, limit=_MOST_JOBS)
            return next(iter(workers), None), owners, jobs

    worker, owners, jobs = await visit.options.shared.get(f"worker {pool_id}", ask)
    locks = next((owner for owner in owners if owner.locked_by == pool_id), None)
    return Row(pool_id, worker, locks), jobs


def _jobs_of(pool_id: str) -> str:
    return str(JobFilter(states=frozenset({JobState.LOCKED}), locked_by=Choice(frozenset({pool_id}))))


routes: tuple[Route, ...] = (
    Page("/workers", show, "Workers"),
    Page("/workers/one", show_one),
    Page("/workers/sweep", show_sweep),
    Deed("/workers/sweep", sweep, Right.UNLOCK),
    Deed("/workers/unlock", unlock, Right.UNLOCK),
    Deed("/workers/pause", pause, Right.PAUSE),
    Deed("/workers/resume", resume, Right.PAUSE),
)
