"""Results of batch handlers. Graphile Worker's rule: one for each item; the failed items are the retry's payload.

Items that were snoozed are of them. Where all are, so is the job; else it has failed, its attempt spent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from gw_sqla.error_texts.error_text import error_text, storable_text
from gw_sqla.errors import FailPermanently, RetryAfter, Snooze
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome

__all__ = ["FailedItem", "batch_outcome", "failed_items", "retry_after", "snooze_limit", "snooze_limit_of_all"]


class FailedItem(NamedTuple):
    """An item that its handler has failed: its place in the payload, why, and in how many seconds it may come again.

    ``snooze_limit``: it was snoozed in place of that, and may be as often.
    """

    place: int
    message: str
    permanently: bool
    retry_after: float | None = None
    snooze_limit: int | None = None


def failed_items(results: Any, count: int) -> list[FailedItem]:
    """Return the items that failed; raises ValueError unless the results are None or one for each item."""
    if results is None:
        return []
    if not isinstance(results, Sequence) or isinstance(results, str) or len(results) != count:
        returned = len(results) if isinstance(results, Sequence) else f"a {type(results).__name__}"
        raise ValueError(f"a batch handler must return one result for each of {count} items, returned {returned}")
    return [
        FailedItem(
            place,
            error_text(result),
            isinstance(result, FailPermanently),
            retry_after(result),
            snooze_limit(result),
        )
        for place, result in enumerate(results)
        if isinstance(result, BaseException)
    ]


def retry_after(error: BaseException) -> float | None:
    """Return the seconds after which a handler was told to come again; None where it was not."""
    return error.delay.total_seconds() if isinstance(error, RetryAfter | Snooze) else None


def snooze_limit(error: BaseException) -> int | None:
    """Return how often a job may be snoozed that a handler has snoozed; None where it has not."""
    return error.limit if isinstance(error, Snooze) else None


def snooze_limit_of_all(failed: Sequence[FailedItem]) -> int | None:
    """Return the least of the items' limits; None where not all of them were snoozed."""
    limits = [item.snooze_limit for item in failed if item.snooze_limit is not None]
    return min(limits) if failed and len(limits) == len(failed) else None


def batch_outcome(job: ClaimedJob, failed: Sequence[FailedItem]) -> Outcome:
    """Return what becomes of a batch job: completed, or failed with the failed items as its payload."""
    if not failed:
        return Completed(job)
    items = job.payload
    verb = "failed" if snooze_limit_of_all(failed) is None else "were snoozed"
    told = [item.retry_after for item in failed if item.retry_after is not None]
    return Failed(
        job=job,
        message=storable_text(f"{len(failed)} of {len(items)} items {verb}, the first with {failed[0].message}"),
        permanently=all(item.permanently for item in failed),
        retry_after=timedelta(seconds=max(told)) if told else None,
        payload_text=json.dumps([items[item.place] for item in failed], allow_nan=False),
    )
