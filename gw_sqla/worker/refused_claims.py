"""RefusedClaims: jobs that cannot be claimed, as a trigger or a constraint refuses it; others are claimed around them.

A claim that is refused says nothing of which job it is about. So the jobs that it would have locked are claimed one by
one, once: those that are refused are left out of the claims of the next seconds.
"""

from __future__ import annotations

import logging
from time import monotonic

import asyncpg

from gw_sqla.error_texts.error_text import error_text

__all__ = ["RefusedClaims"]

log = logging.getLogger(__name__)

_PAUSE = 10.0
"""Seconds for which such a job is left out."""

_MOST = 1000
"""So many are left out, and reported; where there are more, claims fail."""


class RefusedClaims:
    """Of one worker pool."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}
        self._reported: set[int] = set()

    def ids(self) -> list[int]:
        """The jobs to leave out of a claim now."""
        if not self._until:
            return []
        now = monotonic()
        self._until = {job_id: until for job_id, until in self._until.items() if until > now}
        return list(self._until)

    def add(self, job_id: int, refusal: asyncpg.PostgresError) -> bool:
        """Leave a job out of the claims for a while; said once for each. False where there are too many."""
        if len(self._until) == _MOST:
            return False
        self._until[job_id] = monotonic() + _PAUSE
        if job_id not in self._reported and len(self._reported) < _MOST:
            self._reported.add(job_id)
            log.error("job %d cannot be claimed, and is tried again: %s", job_id, error_text(refusal))
        return True
