"""How a claimed job ended.

``seconds`` is how long its handler and its interceptors took, ``wait_seconds`` how long the job had waited before since
it was due. Of jobs that have completed both are measured where somebody is told of them, and are 0 elsewhere: to read a
clock for each job is not free.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from gw_sqla.jobs.claimed_job import ClaimedJob

__all__ = ["Completed", "CompletedByHandler", "Failed", "Kept", "Outcome", "Returned", "Snoozed"]


@dataclass(slots=True, unsafe_hash=True)
class Completed:
    """The handler returned: the job is deleted. Not to be changed; frozen it would cost each job twice as much."""

    job: ClaimedJob
    seconds: float = field(init=False, compare=False)
    wait_seconds: float = field(init=False, compare=False)
    waited_here: float = field(init=False, compare=False, repr=False)
    """For how long it has waited in this worker; ``wait_seconds`` is made of it."""

    def __getattr__(self, name: str) -> float:
        """Return 0 for a time that was not measured; to set it to that would cost each job two stores.

        And make ``wait_seconds`` where anybody asks: it takes as long as all else that an observer costs.
        """
        if name == "seconds":
            return 0.0
        if name == "wait_seconds":
            return self.job.wait_seconds + self.waited_here if self.seconds else 0.0
        raise AttributeError(name)


@dataclass(slots=True, unsafe_hash=True)
class CompletedByHandler(Completed):
    """The handler's own transaction has deleted the job already: nothing is left to write."""


@dataclass(slots=True, unsafe_hash=True)
class Kept(Completed):
    """The job was forwarded: it is deleted, and what it was is kept for ``keep``, to be sent again if need be."""

    keep: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The handler failed: the job waits for another attempt, or has failed permanently.

    ``retry_after`` replaces the contract's backoff; ``payload_text`` replaces the payload (the
    failed items of a batch job). ``exception`` is what the handler raised, None where nothing was (a shutdown, a task
    that this worker does not know); of a batch an ExceptionGroup; of a handler in a process an exception whose
    text is the original's type and message.
    """

    job: ClaimedJob
    message: str
    permanently: bool = False
    retry_after: timedelta | None = None
    payload_text: str | None = None
    exception: BaseException | None = field(default=None, compare=False, repr=False)
    seconds: float = field(default=0.0, compare=False)
    wait_seconds: float = field(default=0.0, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether no further attempt will be made."""
        return self.permanently or self.job.attempts >= self.job.max_attempts


@dataclass(frozen=True, slots=True)
class Returned:
    """The job was not started, or its sink was out of reach: its lock goes, its attempt is given back."""

    job: ClaimedJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    """The handler asked to run later: the job waits for ``delay``, its attempt is given back.

    ``message`` is the handler's reason. ``snoozes``: how often that was by now; None until it is written, and where the
    answer to the write was lost. After ``limit`` snoozes it is ``otherwise`` that is written, and told to observers; so
    it is where the job was removed or replaced meanwhile. ``payload_text`` replaces the payload (the items of a batch
    job that are left).
    """

    job: ClaimedJob
    delay: timedelta
    message: str
    limit: int
    otherwise: Failed
    payload_text: str | None = None
    snoozes: int | None = None
    seconds: float = field(default=0.0, compare=False)
    wait_seconds: float = field(default=0.0, compare=False)


Outcome = Completed | Failed | Returned | Snoozed
