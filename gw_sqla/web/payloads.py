"""What may be seen of payloads: all, or what the mask lets through; never more than a page can bear."""

from __future__ import annotations

import json
from typing import Any

from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.web.json_texts import json_text

__all__ = ["flag_names", "payload_text", "short_payload"]

_SHORT = 160


def payload_text(job: JobDetails, mask: Any) -> str:
    """Return a payload as JSON: as it is stored, or what the mask lets through; where that fails, that it has."""
    if mask is None:
        return job.payload_text
    try:
        payload = job.payload
    except (ValueError, RecursionError) as error:
        return json_text(f"(cannot be masked, so it is not shown: {type(error).__name__})")
    try:
        return json_text(mask(job.task_identifier, payload), default=str)
    except Exception as error:  # a user's function: whatever it raises, nothing of the payload may show
        return json_text(f"(the mask failed: {type(error).__name__})")


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
