"""``add --jobs``: the jobs of a file, in chunks, each in a transaction of its own.

One transaction for millions of jobs would show none of them until its end, keep others from adding the first jobs of a
new task or queue for as long, and lose all its work at a fault of the network. So a file of more than 10,000 jobs is
not all or nothing: bad lines are found before anything is added, and where a chunk fails, it is said which lines were
added and how to go on.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.admin.chunks import jobs_were
from gw_sqla.cli.adding import database_time
from gw_sqla.cli.job_lines import JobLines, Line
from gw_sqla.cli.terminal import progress
from gw_sqla.database.session import async_sessionmaker
from gw_sqla.repository import JobRepository

__all__ = ["add_lines"]

_MOST_JOBS = 10_000
_MOST_BYTES = 16 * 2**20


async def add_lines(
    engine: AsyncEngine, repository: JobRepository, lines: JobLines, count: int, *, preserve_run_at: bool
) -> None:
    """Add the jobs of lines that were checked, ``count`` of them.

    Where it ends before that, by an error or a cancellation, it says what was added. Raises database errors.
    """
    sessions = async_sessionmaker(engine)
    async with sessions() as session:
        now = await database_time(session)
    report = _Report(lines.name)
    with report, progress("adding", count) as advance:
        for chunk in _chunks(lines.read(now)):
            async with sessions() as session:
                await repository.add_jobs(
                    session,
                    [line.spec for line in chunk],
                    job_key_preserve_run_at=preserve_run_at,
                    return_rows=False,
                )
                report.committing = chunk
                await session.commit()
            report.committed(chunk)
            advance(len(chunk))


class _Report:
    """Says, where the block ends by an error, what is known of what was added before."""

    committing: list[Line] | None = None

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._last = 0

    def committed(self, chunk: list[Line]) -> None:
        self.committing = None
        self._count += len(chunk)
        self._last = chunk[-1].number

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        said = f"{jobs_were(self._count)} added" + (f", up to line {self._last}" if self._count else "")
        if self.committing:
            first, last = self.committing[0].number, self.committing[-1].number
            said += f"; whether those of lines {first} to {last} were is not certain, as their commit failed"
        elif self._count:
            said += f"; to go on: --from-line {self._last + 1}"
        click.echo(f"{self._name}: {said}", err=True)


def _chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += line.size
        if len(chunk) >= _MOST_JOBS or size >= _MOST_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
