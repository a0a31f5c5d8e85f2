"""Clears the locks of workers that are gone, by ``force_unlock_workers``; not those of workers that live.

One that lives and loses its locks goes on with its jobs, beside the worker that takes them next: gw_sqla's notice it at
their next heartbeat and cancel the handlers, Graphile Worker's do not. So ours are left alone while they beat.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from gw_sqla.admin.acted import Unlocked
from gw_sqla.admin.audit import check_audit, write
from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.values import ScanLimits
from gw_sqla.admin.workers import MOST_WORKERS, find_parts, known_workers
from gw_sqla.calls.asking import ask, require_transaction
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_bool, check_text
from gw_sqla.statements import job_actions, schema_functions

__all__ = ["unlock_workers"]


def unlock_workers(
    session: Session,
    schema: str,
    locked_by: Iterable[str] | str,
    even_living: bool,
    actor: str | None,
    limits: ScanLimits,
) -> Unlocked:
    """Unlock what they have."""
    if not isinstance(locked_by, Iterable):
        raise InvalidJobError("locked_by", f"must be a list of ids of pools, not a {type(locked_by).__name__}")
    owners = sorted({locked_by} if isinstance(locked_by, str) else set(locked_by))
    if len(owners) > MOST_WORKERS:
        raise InvalidJobError("locked_by", f"has {len(owners)} ids; {MOST_WORKERS} is the most")
    for owner in owners:
        check_text("locked_by", owner, 1000)
    check_bool("even_living", even_living)
    require_transaction(session, schema)
    check_audit(session, schema, actor)
    with bounded(session, schema, limits) as reading:
        known = known_workers(reading, schema, find_parts(reading, schema), ids=owners)
    living = tuple(worker for worker in known if worker.is_alive and not even_living)
    gone = [owner for owner in owners if owner not in {worker.pool_id for worker in living}]
    jobs = queues = 0
    if gone:
        [held] = ask(session, schema, job_actions.held_by(schema), {"owners": gone})
        jobs, queues = held.jobs, held.queues
        ask(session, schema, schema_functions.force_unlock_workers(schema), {"worker_ids": gone})
    if actor is not None:
        write(session, schema, actor, "unlock", None, f"locked-by:{','.join(gone)}", jobs, len(living))
    return Unlocked(jobs, queues, living)
