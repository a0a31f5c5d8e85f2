"""A job as the database has it: frozen, free of sessions, to be kept, logged and sent between threads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gw_sqla.types import JobState

__all__ = ["JobDetails", "JobRow", "ListedJob"]


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the schema's functions return it: the columns of ``_private_jobs``, in order, and its task's name.

    ``task_identifier`` is None where a peer's clean-up removed the task's row under the job.
    ``payload_text`` is the JSON as stored, parsed when ``payload`` is asked for: a payload that Python
    cannot parse (nested too deeply, say) does not stand in the way of looking at its job or removing it.
    """

    id: int
    task_id: int
    job_queue_id: int | None
    payload_text: str = field(repr=False)
    priority: int
    run_at: datetime
    attempts: int
    max_attempts: int
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    key: str | None
    locked_at: datetime | None
    locked_by: str | None
    revision: int
    flags: dict[str, bool] | None
    task_identifier: str | None

    @property
    def payload(self) -> Any:
        """The payload as plain JSON, parsed anew at each access."""
        return json.loads(self.payload_text)


@dataclass(frozen=True, slots=True)
class JobDetails(JobRow):
    """A job as it was read, with the name of its queue and its state."""

    queue_name: str | None
    state: JobState


@dataclass(frozen=True, slots=True)
class ListedJob(JobDetails):
    """A job in a list: a payload of more than 2 KiB (as it is stored) is not read, of last_error 2,000 characters are.

    ``stored_size``: how many bytes the payload takes where it is stored, which may compress it.
    """

    stored_size: int

    @property
    def has_payload(self) -> bool:
        """Whether the payload was read."""
        return bool(self.payload_text)

    @property
    def payload(self) -> Any:
        """The payload as plain JSON, parsed anew at each access; raises ValueError where it was not read."""
        if not self.payload_text:
            raise ValueError(f"the payload ({self.stored_size} bytes) was not read with the list: get_job reads it")
        return json.loads(self.payload_text)
