"""What a form says of a job beside its payload: queue, time, priority, attempts, key, flags."""

from __future__ import annotations

from datetime import UTC, datetime

from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.job_spec import JobOptions
from gw_sqla.types import JobKeyMode
from gw_sqla.web.forms import Form

__all__ = ["job_key_mode_of", "job_options_of"]


def job_options_of(form: Form) -> JobOptions:
    """Return those that were filled in; raises InvalidJobError for what cannot be read."""
    options: JobOptions = {}
    if (queue := form.text("queue_name")) is not None:
        options["queue_name"] = queue
    if (run_at := form.text("run_at")) is not None:
        options["run_at"] = _time(run_at)
    if (priority := form.integer("priority")) is not None:
        options["priority"] = priority
    if (most := form.integer("max_attempts")) is not None:
        options["max_attempts"] = most
    if (key := form.text("job_key")) is not None:
        options["job_key"] = key
    if (flags := form.text("flags")) is not None:
        options["flags"] = [flag.strip() for flag in flags.split(",") if flag.strip()]
    return options


def job_key_mode_of(form: Form) -> JobKeyMode | None:
    """Return the mode that was chosen for a job with a key."""
    mode = form.text("job_key_mode")
    if mode is None or form.text("job_key") is None:
        return None
    try:
        return JobKeyMode(mode)
    except ValueError as error:
        raise InvalidJobError("job_key_mode", f"must be one of {', '.join(JobKeyMode)}, is {mode[:40]!r}") from error


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidJobError("run_at", f"must be a time such as 2026-01-31 14:00, is {text[:40]!r}") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
