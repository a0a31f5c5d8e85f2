"""A job that waits in a session, and the handle that the caller has of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from gw_sqla.errors import JobNotAddedError
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.payload_size import check_payload_size
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.types import JobKeyMode

__all__ = ["PendingJob", "Wanted"]


class PendingJob:
    """A job that is added when its session commits; returned by ``add_job_on_commit``.

    It goes by the session's commit, also where a listener of ``after_commit`` then raises. A session that has joined a
    transaction from outside (``Session(connection)``, as tests do) has committed when it says so, though the job is
    there for others only when the transaction around it is committed: a rollback of that one takes the job away, and
    this still says that it was added.
    """

    __slots__ = ("_dropped", "_row")

    def __init__(self) -> None:
        self._row: JobRow | None = None
        self._dropped = False

    def __repr__(self) -> str:
        return f"<PendingJob {'added' if self._row else 'dropped' if self._dropped else 'waiting'}>"

    @property
    def is_added(self) -> bool:
        """Whether the transaction has committed, so that the job exists."""
        return self._row is not None

    @property
    def job(self) -> JobRow:
        """The job as it was added. Raises JobNotAddedError until, and unless, the transaction commits."""
        if self._row is not None:
            return self._row
        if self._dropped:
            raise JobNotAddedError("the job was not added: its transaction, or its savepoint, was rolled back")
        raise JobNotAddedError("the job is not there yet: it is added when the session's transaction commits")

    def added(self, row: JobRow) -> None:
        """Tell that the transaction has committed."""
        self._row = row

    def dropped(self) -> None:
        """Tell that the transaction has ended without the job."""
        self._dropped = True


@dataclass(slots=True, eq=False)
class Wanted:
    """A job as it waits: ``make`` gives its spec, once, before the commit; None: there is nothing to add.

    Of several with one ``origin`` the first is added. ``spec`` is what ``make`` gave, ``row`` what the
    database returned, while its transaction has yet to commit.
    """

    schema: str
    max_payload_size: int | None
    make: Callable[[], JobSpec | None]
    mode: JobKeyMode | None
    origin: Hashable = None
    handle: PendingJob = field(default_factory=PendingJob)
    is_made: bool = False
    spec: JobSpec | None = None
    row: JobRow | None = None

    def decide(self) -> None:
        """Make the spec, if that has not been done."""
        if not self.is_made:
            self.spec = self.make()
            if self.spec is not None:
                check_payload_size(to_json(self.spec.payload), self.max_payload_size)
            self.is_made = True
