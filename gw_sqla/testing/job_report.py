"""What `run_jobs` did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gw_sqla.errors import JobFailedError
from gw_sqla.jobs.outcomes import Completed, Failed, Snoozed
from gw_sqla.jobs.stored_job import JobDetails

__all__ = ["JobReport", "error_of"]


@dataclass(frozen=True, slots=True)
class JobReport:
    """What became of the jobs that were run, in the order in which they ran.

    ``outcomes`` are all; `completed`, `failed`, `retried` and `snoozed` are those of one kind. ``left``: jobs that
    are due and were not run: of tasks that were not asked for, or that the registry does not have, forbidden by a flag,
    or in a queue that a worker holds.
    """

    outcomes: Sequence[Completed | Failed | Snoozed]
    left: Sequence[JobDetails] = ()

    @property
    def completed(self) -> list[Completed]:
        """The jobs that were completed, by their handlers' transactions too."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Completed)]

    @property
    def failed(self) -> list[Failed]:
        """Those that have failed permanently."""
        return [outcome for outcome in self._failures if outcome.is_final]

    @property
    def retried(self) -> list[Failed]:
        """Those that have failed and will be tried again, after their backoff, or when a RetryAfter says."""
        return [outcome for outcome in self._failures if not outcome.is_final]

    @property
    def snoozed(self) -> list[Snoozed]:
        """Those whose handlers asked to run later, by a Snooze."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Snoozed)]

    @property
    def exceptions(self) -> list[BaseException]:
        """What the handlers raised, in the order of the jobs."""
        return [error_of(outcome) for outcome in self._failures]

    @property
    def _failures(self) -> list[Failed]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Failed)]

    def __str__(self) -> str:
        kinds = ("completed", "failed", "retried", "snoozed")
        return ", ".join(f"{kind} {len(getattr(self, kind))}" for kind in kinds)


def error_of(outcome: Failed) -> BaseException:
    """Return what the handler raised, or what says why the job failed without that."""
    job = outcome.job
    if outcome.exception is not None:
        return outcome.exception
    return JobFailedError(f"job {job.id} ({job.task_identifier}) failed: {outcome.message}")
