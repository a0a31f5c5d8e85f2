"""What acting would meet, before it does: how many jobs, how many of them a worker has, ten samples."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from gw_sqla.admin.acted import Preview
from gw_sqla.admin.chosen import Jobs, chosen_ids
from gw_sqla.admin.jobs import count_jobs, list_jobs
from gw_sqla.admin.values import Count, JobOrder, ScanLimits
from gw_sqla.errors import InvalidFilterError, InvalidJobError
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.types import JobState

__all__ = ["preview"]

_SAMPLES = 10
_MOST_IDS = 1000


def preview(session: Session, schema: str, jobs: Jobs, most: int, limits: ScanLimits) -> Preview:
    """Look at them."""
    chosen = chosen_ids(jobs)
    if not isinstance(chosen, JobFilter):
        if not 1 <= len(chosen) <= _MOST_IDS:
            raise InvalidJobError("jobs", f"a preview takes 1 to {_MOST_IDS} ids, or a filter; these are {len(chosen)}")
        chosen = JobFilter(ids=frozenset(chosen))
    count = count_jobs(session, schema, chosen, most, limits)
    held = Count(0)
    if not chosen.states or JobState.LOCKED in chosen.states:
        try:
            held = count_jobs(session, schema, replace(chosen, states=frozenset({JobState.LOCKED})), most, limits)
        except InvalidFilterError:  # none that fits is locked
            held = Count(0)
    page = list_jobs(session, schema, chosen, JobOrder.ID, False, None, _SAMPLES, limits)
    return Preview(count, held, page.jobs)
