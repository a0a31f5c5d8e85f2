"""Run: this claim of this job. It is the only identity by which the parts of a worker know what they hold.

         claim
           |
        WAITING ----------------------- given back ------------------------.
           |                                                               |
           | begin                                                         |
           v                                                               |
        RUNNING ---- ctx.complete(session) ----> COMPLETING                |
           |                                      ^  |    |                |
           |                             once more|  |    | committed      |
           |                                      |  v    v                |
           |                              ROLLED_BACK    COMMITTED         |
           | the handler has ended                |       |                |
           v                                      v       v                v
        ENDED <-----------------------------------'-------'----------------'
           |
           '---> written, or put aside and written later, or told to be lost

    UNDECIDED, in place of ENDED, where a handler ends while its run is COMPLETING and nobody can say what became of its
    transaction: its failure is written, and if the job is gone by then, it was committed.

    LOST, from WAITING, RUNNING or ROLLED_BACK: somebody has taken the lock away; nothing of it is written. From any
    other too, when this pool has claimed the job anew before the older run was settled.

Only the methods below change the state. A run that is COMPLETING or COMMITTED loses no lock: its own transaction
deletes the job, and whoever looks for the row may find it gone at any moment. One that is ROLLED_BACK has failed,
whatever its handler returns, unless it completes the job once more.

**Fencing.** Each write of a worker names the job's id, the pool (``locked_by``), the attempt and the time of the lock
(``locked_at``), as claimed. A pool that has lost a job and claims it anew has a younger lock, so the older run can
neither write nor be mistaken for the newer; the attempt alone would not do, for it comes again where a job is replaced
by its key after it was unlocked by hand, or was given back. A lock may be older than its run: administrators age them
by hand, and the lock would be nobody's if the times had to be the same. A job that is removed or replaced while it runs
loses its key, and its attempts become the greatest: one that was claimed with a key may be found so.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from enum import Enum, auto
from time import monotonic
from typing import Any, TypeVar, cast

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed, Outcome, Returned, Snoozed

__all__ = ["LOST", "RUNNING", "Run", "RunState"]


T = TypeVar("T", bound=Outcome)


class RunState(Enum):
    """Where a run is; the picture is in the module's docstring."""

    WAITING = auto()
    RUNNING = auto()
    COMPLETING = auto()
    ROLLED_BACK = auto()
    COMMITTED = auto()
    ENDED = auto()
    UNDECIDED = auto()
    LOST = auto()


RUNNING, LOST = RunState.RUNNING, RunState.LOST
"""For those who compare the state of every run: a property of it, or of the enum, costs a call."""

_WAITING, _COMPLETING, _ROLLED_BACK, _COMMITTED, _ENDED, _UNDECIDED = (
    RunState.WAITING,
    RunState.COMPLETING,
    RunState.ROLLED_BACK,
    RunState.COMMITTED,
    RunState.ENDED,
    RunState.UNDECIDED,
)


class Run:
    """One claim of one job. ``outcome``: what became of it, once it has ended."""

    __slots__ = ("_began", "_claimed", "_thread_ended", "job", "outcome", "state")

    outcome: Outcome
    _began: float
    _claimed: float

    def __init__(self, job: ClaimedJob) -> None:
        self.job = job
        self.state = _WAITING

    def __repr__(self) -> str:
        return f"Run({self.job!r}, {self.state.name})"

    @property
    def needs_lock(self) -> bool:
        """Whether it must end where the lock is found to be lost."""
        return self.state is _WAITING or self.state is RUNNING or self.state is _ROLLED_BACK

    @property
    def is_waiting(self) -> bool:
        """Whether no slot has begun it yet, nor anything befallen it."""
        return self.state is _WAITING

    @property
    def is_running(self) -> bool:
        """Whether a handler of its has begun and not ended, as far as the state tells: a lost one may go on."""
        return self.state is RUNNING or self.state is _ROLLED_BACK or self.is_completed_by_handler

    @property
    def has_ended(self) -> bool:
        """Whether its outcome is known, and to be written."""
        return self.state is _ENDED or self.state is _UNDECIDED

    @property
    def is_completed_by_handler(self) -> bool:
        """Whether a transaction of its handler's completes it, or has."""
        return self.state is _COMPLETING or self.state is _COMMITTED

    @property
    def is_rolled_back(self) -> bool:
        """Whether the last of those that meant to is known to be rolled back."""
        return self.state is _ROLLED_BACK

    @property
    def may_be_committed(self) -> bool:
        """Whether it ended while nobody knew whether its handler's transaction has completed it."""
        return self.state is _UNDECIDED

    @property
    def thread_ended(self) -> threading.Event | None:
        """Set when the thread of its handler's ends, if that went on where the run was cancelled."""
        return getattr(self, "_thread_ended", None)

    @property
    def is_committed(self) -> bool:
        """Whether that transaction is known to be committed."""
        return self.state is _COMMITTED

    def leave_thread(self, ended: threading.Event) -> None:
        """Take note that it was cancelled, and that the thread of its handler's goes on until ``ended``."""
        self._thread_ended = ended

    def begin(self, now: float, claimed: float) -> None:
        """A slot begins it; both are times of the monotonic clock."""
        self.state = RUNNING
        self._began = now
        self._claimed = claimed

    @property
    def wait_seconds(self) -> float:
        """How long its job had waited when it began: until the claim by the database's clock, then by ours."""
        return self.job.wait_seconds + self._began - self._claimed

    def completed(self) -> Completed:
        """Return that the handler returned, with its times."""
        completed = Completed(self.job)
        completed.seconds = monotonic() - self._began
        completed.waited_here = self._began - self._claimed
        return completed

    def timed(self, outcome: T) -> T:
        """Return the outcome, of a run that has begun, with its times."""
        if isinstance(outcome, Returned) or outcome.seconds:
            return outcome
        seconds, wait_seconds = monotonic() - self._began, self.wait_seconds
        changed: Any
        if isinstance(outcome, Completed):
            outcome.seconds, outcome.waited_here = seconds, self._began - self._claimed
            return outcome
        if isinstance(outcome, Snoozed):
            otherwise = replace(outcome.otherwise, seconds=seconds, wait_seconds=wait_seconds)
            changed = replace(outcome, otherwise=otherwise, seconds=seconds, wait_seconds=wait_seconds)
        else:
            changed = replace(outcome, seconds=seconds, wait_seconds=wait_seconds)
        return cast("T", changed)

    def completing(self) -> None:
        """A transaction of its handler's has deleted the job, and is open."""
        if self.state is not LOST:
            self.state = _COMPLETING

    def rolled_back(self) -> None:
        """That transaction is known to be rolled back."""
        if self.state is not LOST:
            self.state = _ROLLED_BACK

    def committed(self) -> None:
        """That transaction is known to be committed."""
        if self.state is not LOST:
            self.state = _COMMITTED

    def end(self, outcome: Outcome) -> None:
        """Say what became of it; one whose lock was lost stays lost."""
        self.outcome = outcome
        if self.state is RUNNING:
            self.state = _ENDED
        elif self.state is not LOST:
            self.state = _UNDECIDED if self.state is _COMPLETING else _ENDED

    def lose(self) -> bool:
        """Note that the lock was lost; return whether that changes anything for this run."""
        if not self.needs_lock:
            return False
        self.state = LOST
        return True

    def supersede(self) -> None:
        """A newer run of the same job is known, so the lock of this one is lost, wherever it is."""
        self.state = LOST
