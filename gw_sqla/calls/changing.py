"""Changes jobs that are there: checks the arguments, which the schema's functions would take or refuse unnamed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from gw_sqla.calls.asking import ask, ask_for_jobs
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.argument_checks import check_ids, check_run_at, check_smallint, check_storable
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.statements import schema_functions

__all__ = [
    "complete_jobs",
    "force_unlock_workers",
    "permanently_fail_jobs",
    "remove_job",
    "reschedule_jobs",
    "retry_jobs",
]


def remove_job(session: Session, schema: str, job_key: str) -> JobRow | None:
    """Remove the job with this key."""
    check_storable("job_key", job_key)
    jobs = ask_for_jobs(session, schema, schema_functions.remove_job(schema), {"job_key": job_key})
    return jobs[0] if jobs else None


def complete_jobs(session: Session, schema: str, job_ids: Iterable[int]) -> list[JobRow]:
    """Delete jobs as if they had succeeded."""
    return ask_for_jobs(session, schema, schema_functions.complete_jobs(schema), {"job_ids": check_ids(job_ids)})


def permanently_fail_jobs(
    session: Session, schema: str, job_ids: Iterable[int], error_message: str | None
) -> list[JobRow]:
    """Fail jobs for good."""
    if error_message is not None:
        check_storable("error_message", error_message)
    parameters = {"job_ids": check_ids(job_ids), "error_message": error_message}
    return ask_for_jobs(session, schema, schema_functions.permanently_fail_jobs(schema), parameters)


def reschedule_jobs(
    session: Session,
    schema: str,
    job_ids: Iterable[int],
    run_at: datetime | None,
    priority: int | None,
    attempts: int | None,
    max_attempts: int | None,
) -> list[JobRow]:
    """Change when and how jobs run."""
    check_run_at(run_at)
    check_smallint("priority", priority)
    check_smallint("attempts", attempts, least=0)
    check_smallint("max_attempts", max_attempts, least=1)
    parameters = {
        "job_ids": check_ids(job_ids),
        "run_at": run_at,
        "run_now": False,
        "priority": priority,
        "attempts": attempts,
        "max_attempts": max_attempts,
    }
    return ask_for_jobs(session, schema, schema_functions.reschedule_jobs(schema), parameters)


def retry_jobs(session: Session, schema: str, job_ids: Iterable[int], run_at: datetime | None) -> list[JobRow]:
    """Let jobs run again, with all their attempts."""
    check_run_at(run_at)
    parameters = {
        "job_ids": check_ids(job_ids),
        "run_at": run_at,
        "run_now": run_at is None,
        "priority": None,
        "attempts": 0,
        "max_attempts": None,
    }
    return ask_for_jobs(session, schema, schema_functions.reschedule_jobs(schema), parameters)


def force_unlock_workers(session: Session, schema: str, worker_ids: Iterable[str]) -> None:
    """Clear the locks of worker pools."""
    if not isinstance(worker_ids, Iterable):
        raise InvalidJobError("worker_ids", f"must be a list of ids, not a {type(worker_ids).__name__}")
    ids = [worker_ids] if isinstance(worker_ids, str) else list(worker_ids)
    for worker_id in ids:
        check_storable("worker_ids", worker_id)
    ask(session, schema, schema_functions.force_unlock_workers(schema), {"worker_ids": ids})
