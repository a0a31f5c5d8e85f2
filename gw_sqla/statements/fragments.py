"""What several statements say of a job's lock and attempt, in the same words. The row of the job is ``j``."""

from __future__ import annotations

__all__ = ["ATTEMPT_BACK", "RETIRED", "UNLOCK"]

UNLOCK = "locked_at = null, locked_by = null"
"""For a job or a queue."""

ATTEMPT_BACK = "greatest(0, j.attempts - 1)"
"""The attempts of a job that was claimed and not begun."""

RETIRED = "exists (select from __schema__._private_job_retirements retired where retired.id = j.id)"
"""Graphile Worker RS has marked the job: its attempt is not to be given back. Only where that table is there."""
