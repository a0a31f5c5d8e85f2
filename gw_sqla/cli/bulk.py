"""An action on all jobs that fit a filter: a look first, then chunks of 1,000, each in a transaction of its own.

One transaction for all of them would hold locks on jobs that workers want, keep vacuum away, and lose all its work at a
fault of the network. So it is done chunk by chunk, in the order of ids, up to the newest that was there at the start;
where one fails, nothing of it is done, and it is said what was, and how to go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from gw_sqla.admin import Admin, Count, JobFilter
from gw_sqla.database.session import AsyncSession, async_sessionmaker
from gw_sqla.errors import ReadTimeoutError
from gw_sqla.jobs.stored_job import JobRow, ListedJob
from gw_sqla.models import Job, schema_option

__all__ = ["Act", "Preview", "Tally", "act_on_all", "jobs_were", "preview"]

_CHUNK = 1000
_SAMPLES = 10

Act = Callable[[AsyncSession, list[int]], Awaitable[Sequence[JobRow]]]
"""Changes those of the jobs that no worker has, in the session's transaction, and returns them."""


def jobs_were(number: int) -> str:
    """Return the beginning of a sentence on so many jobs."""
    return "1 job was" if number == 1 else f"{number:,} jobs were" if number else "no job was"


@dataclass(frozen=True, slots=True)
class Preview:
    """How many jobs there are, and the first of them."""

    count: Count
    samples: tuple[ListedJob, ...]


async def preview(sessions: async_sessionmaker[AsyncSession], admin: Admin, given: JobFilter) -> Preview:
    """Look what an action would have before it."""
    async with sessions() as session:
        count = await admin.count_jobs(session, given, most=10_000_000)
        page = await admin.list_jobs(session, given, limit=_SAMPLES)
    return Preview(count, page.jobs)


@dataclass
class Tally:
    """What was done: how many jobs were changed, the ids of those that were left out since a worker has them."""

    done: str
    """What was done to them, such as ``retried``."""
    changed: int = 0
    left_out: list[int] = field(default_factory=list)
    reached: int | None = None
    """The last id of the chunks that are committed."""
    committing: tuple[int, int] | None = None
    """The first and the last id of the chunk whose commit was begun and not answered."""

    @property
    def known(self) -> str:
        """What is known of what was done, where it ended by an error."""
        said = f"{jobs_were(self.changed)} {self.done}"
        if self.committing:
            first, last = self.committing
            said += f"; whether those with ids {first} to {last} were is not certain, as their commit failed"
        if self.reached is not None:
            said += f"; to go on behind them, add to the filter: id:>{self.reached}"
        return said


async def act_on_all(
    sessions: async_sessionmaker[AsyncSession],
    admin: Admin,
    given: JobFilter,
    act: Act,
    tally: Tally,
    advance: Callable[[int], object] = lambda _: None,
) -> None:
    """Act on every job that fits, chunk by chunk, and keep the tally; ``advance`` hears how many were looked at."""
    cursor: str | None = None
    async with sessions() as session:
        newest = await session.scalar(select(func.max(Job.id)), execution_options=schema_option(admin.schema)) or 0
    while True:
        async with sessions() as session:
            page = await admin.list_jobs(session, given, cursor=cursor, limit=_CHUNK)
            jobs = [job for job in page.jobs if job.id <= newest]
            if jobs:
                await _act_on(session, act, [job.id for job in jobs], tally)
        advance(len(page.jobs))
        if page.next is None:
            if page.stopped is not None:
                raise ReadTimeoutError(admin.limits.timeout)
            return
        if page.jobs and page.jobs[-1].id > newest:
            return
        cursor = page.next


async def _act_on(session: AsyncSession, act: Act, ids: list[int], tally: Tally) -> None:
    changed = {job.id for job in await act(session, ids)}
    tally.committing = ids[0], ids[-1]
    await session.commit()
    tally.committing = None
    tally.changed += len(changed)
    tally.left_out += [job_id for job_id in ids if job_id not in changed]
    tally.reached = ids[-1]
