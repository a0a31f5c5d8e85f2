"""A job to run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from gw_sqla.jobs.payload import to_json

__all__ = ["ClaimedJob"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ClaimedJob(NamedTuple):
    """A job that this worker pool holds the lock of; its fields are the columns of the claim, in order.

    ``payload_text`` and ``flags_text`` are the JSON as stored; ``attempts`` counts this one too; ``locked_us``
    is the database's time of the claim, in microseconds since 1970, and ``queue_id`` the queue that was locked with it.
    A named tuple, because one is made for every job, and a frozen dataclass takes more than twice as long.
    """

    id: int
    task_identifier: str
    payload_text: str
    queue_name: str | None
    priority: int
    run_at: datetime
    attempts: int
    max_attempts: int
    key: str | None
    flags_text: str | None
    locked_us: int
    queue_id: int | None

    @property
    def locked_at(self) -> datetime:
        """The database's time of the claim."""
        return _EPOCH + timedelta(microseconds=self.locked_us)

    @property
    def wait_seconds(self) -> float:
        """How long it had been due when it was claimed, by the database's clock."""
        return max(0.0, self.locked_us / 1e6 - self.run_at.timestamp())

    @property
    def payload(self) -> Any:
        """The payload as plain JSON, parsed anew at each access."""
        return json.loads(self.payload_text)

    @property
    def flags(self) -> dict[str, bool] | None:
        """The flags, each true; None where there are none."""
        return None if self.flags_text is None else json.loads(self.flags_text)

    def with_payload(self, payload: Any) -> Self:
        """Return the job with another payload; raises InvalidPayloadError for what is not JSON.

        For an interceptor, whose ``call_next`` takes it: the row keeps its own.
        """
        return self._replace(payload_text=to_json(payload))

    def __repr__(self) -> str:  # the payload may be a secret
        return f"ClaimedJob(id={self.id}, task_identifier={self.task_identifier!r}, attempts={self.attempts})"
