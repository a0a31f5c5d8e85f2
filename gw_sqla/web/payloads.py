"""What may be seen of payloads: all, or what the mask lets through; never more than a page can bear."""

from __future__ import annotations

import json
from typing import Any

from gw_sqla.jobs.stored_job import JobDetails

__all__ = ["flag_names", "masked", "payload_of", "payload_text", "short_payload"]

_SHORT = 160


def payload_of(job: JobDetails, mask: Any) -> Any:
    """Return what may be seen of a payload; raises ValueError or RecursionError for one that Python cannot read."""
    return job.payload if mask is None else masked(job.task_identifier, job.payload, mask)


def masked(task: str | None, payload: Any, mask: Any) -> Any:
    """Return what the mask lets through; where it fails, only that it has."""
    try:
        return json.loads(json.dumps(mask(task, payload), default=str))
    except Exception as error:  # a user's function: whatever it raises, nothing of the payload may show
        return f"(the mask failed: {type(error).__name__})"


def payload_text(job: JobDetails, mask: Any) -> str:
    """Return a payload as text: as it is stored, or what the mask lets through."""
    if mask is None:
        return job.payload_text
    try:
        return json.dumps(payload_of(job, mask), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        return f"(cannot be masked, so it is not shown: {type(error).__name__})"


def short_payload(job: JobDetails, mask: Any) -> str:
    """Return the beginning of a payload; a list has not read those that are large."""
    if not job.payload_text:
        return "(large)"
    text = payload_text(job, mask)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def flag_names(job: JobDetails) -> list[str]:
    """Return the flags of a job as text, whatever JSON somebody has put there."""
    flags: Any = job.flags
    if flags is None:
        return []
    return sorted(map(str, flags)) if isinstance(flags, dict | list) else [json.dumps(flags)]
