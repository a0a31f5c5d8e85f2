"""Run: this claim of this job. It is the only identity by which the parts of a worker know what they hold.

         claim
           |
        WAITING ----------------------- given back ------------------------.
           |                                                               |
           | begin                                                         |
           v                                                               |
        RUNNING ---- ctx.complete(session) ----> COMPLETING                |
           |  ^                                   |      |                 |
           |  '--------- rolled back -------------'      | committed       |
           |                                             v                 |
           |                                         COMMITTED             |
           | the handler has ended                       |                 |
           v                                             v                 v
        ENDED <------------------------------------------'-----------------'
           |
           '---> written, or put aside and written later, or told to be lost

    LOST, from WAITING or RUNNING: somebody has taken the lock away; nothing of it is written. From any
    other too, when this pool has claimed the job anew before the older run was settled.

Only the methods below change the state. A run that is COMPLETING or COMMITTED loses no lock: its own transaction
deletes the job, and whoever looks for the row may find it gone at any moment.

**Fencing.** Each write of a worker names the job's id, the pool (``locked_by``) and the attempt, as claimed. A pool
that has lost a job and claims it anew is in another attempt, so the older run can neither write nor be mistaken for
the newer; and it knows both (`gw_sqla.worker.known_runs`), so an older run that has not been sent yet never is. A job
that is removed or replaced while it runs loses its key, and its attempts become the greatest: one that was claimed with
a key may be found so. Rejected: the time of the claim, ``locked_at``, which is never the same twice, for administrators
age locks by hand, and the lock would be nobody's.

Where this does not hold yet: a keyed ``add_job`` sets the attempts of a job that was unlocked by hand to 0, and a job
that is given back has its attempt back, so an older run and a newer one can name the same attempt.
"""

from __future__ import annotations

from enum import Enum, auto

from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Outcome

__all__ = ["LOST", "RUNNING", "Run", "RunState"]


class RunState(Enum):
    """Where a run is; the picture is in the module's docstring."""

    WAITING = auto()
    RUNNING = auto()
    COMPLETING = auto()
    COMMITTED = auto()
    ENDED = auto()
    LOST = auto()


RUNNING, LOST = RunState.RUNNING, RunState.LOST
"""For those who compare the state of every run: a property of it, or of the enum, costs a call."""

_WAITING, _COMPLETING, _COMMITTED, _ENDED = (
    RunState.WAITING,
    RunState.COMPLETING,
    RunState.COMMITTED,
    RunState.ENDED,
)


class Run:
    """One claim of one job. ``outcome``: what became of it, once it has ended."""

    __slots__ = ("job", "outcome", "state")

    outcome: Outcome

    def __init__(self, job: ClaimedJob) -> None:
        self.job = job
        self.state = _WAITING

    def __repr__(self) -> str:
        return f"Run({self.job!r}, {self.state.name})"

    @property
    def needs_lock(self) -> bool:
        """Whether it must end where the lock is found to be lost."""
        return self.state is _WAITING or self.state is RUNNING

    @property
    def is_running(self) -> bool:
        """Whether a handler of its has begun and not ended, as far as the state tells: a lost one may go on."""
        return self.state is RUNNING or self.is_completed_by_handler

    @property
    def has_ended(self) -> bool:
        """Whether its outcome is known, and to be written."""
        return self.state is _ENDED

    @property
    def is_completed_by_handler(self) -> bool:
        """Whether a transaction of its handler's completes it, or has."""
        return self.state is _COMPLETING or self.state is _COMMITTED

    @property
    def is_committed(self) -> bool:
        """Whether that transaction is known to be committed."""
        return self.state is _COMMITTED

    def begin(self) -> None:
        """A slot begins it."""
        self.state = RUNNING

    def completing(self) -> None:
        """A transaction of its handler's has deleted the job, and is open."""
        if self.state is not LOST:
            self.state = _COMPLETING

    def rolled_back(self) -> None:
        """That transaction is known to be rolled back."""
        if self.state is not LOST:
            self.state = RUNNING

    def committed(self) -> None:
        """That transaction is known to be committed: whoever called the run lost meanwhile was wrong."""
        self.state = _COMMITTED

    def end(self, outcome: Outcome) -> None:
        """Say what became of it; one whose lock was lost stays lost."""
        self.outcome = outcome
        if self.state is not LOST:
            self.state = _ENDED

    def lose(self) -> bool:
        """Note that the lock was lost; return whether that changes anything for this run."""
        if not self.needs_lock:
            return False
        self.state = LOST
        return True

    def supersede(self) -> None:
        """A newer run of the same job is known, so the lock of this one is lost, wherever it is."""
        self.state = LOST
