"""What acting would meet, before it does: how many jobs, how many of them a worker has, ten samples.

All of it within the limits of one reading: the samples first, which are quick, then the counts in what time is left.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from gw_sqla.admin.acted import Preview
from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.chosen import Jobs, chosen_ids
from gw_sqla.admin.jobs import MOST_COUNTED, count_fitting, read_page
from gw_sqla.admin.values import Count, JobOrder, ScanLimits
from gw_sqla.errors import InvalidJobError
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.jobs.argument_checks import check_count
from gw_sqla.types import JobState

__all__ = ["preview"]

_SAMPLES = 10
_MOST_IDS = 1000
_LOCKED = frozenset({JobState.LOCKED})


def preview(session: Session, schema: str, jobs: Jobs, most: int, limits: ScanLimits) -> Preview:
    """Look at them."""
    check_count("most", most, MOST_COUNTED)
    chosen = chosen_ids(jobs)
    if not isinstance(chosen, JobFilter):
        if not 1 <= len(chosen) <= _MOST_IDS:
            raise InvalidJobError("jobs", f"a preview takes 1 to {_MOST_IDS} ids, or a filter; these are {len(chosen)}")
        chosen = JobFilter(ids=frozenset(chosen))
    may_be_held = not chosen.states or JobState.LOCKED in chosen.states
    with bounded(session, schema, limits) as reading:
        page = read_page(reading, schema, chosen, JobOrder.ID, False, None, _SAMPLES, limits)
        count, held = count_fitting(
            reading, schema, chosen, most, limits, held=may_be_held and chosen.states != _LOCKED
        )
    if chosen.states == _LOCKED:
        held = count
    return Preview(count, held if may_be_held else Count(0), page.jobs)
