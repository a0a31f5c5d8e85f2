"""JobsOfTest: the jobs that are there of a test, read by one statement over its connection.

Not by a session of the kit's own: that would be an ORM session, and a statement compiled anew, for each engine, as each
test may have one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gw_sqla.errors import SchemaMissingError
from gw_sqla.jobs.stored_job import JobDetails
from gw_sqla.statements import job_queries
from gw_sqla.testing.borrowed_connection import BorrowedConnection
from gw_sqla.testing.kit_clock import KitClock
from gw_sqla.types import JobState

__all__ = ["JobsOfTest"]


class JobsOfTest:
    """Of one tester. ``are_some_paused``: whether anything at all was paused when there were jobs last.

    Raises SchemaMissingError, which says how tests make one; errors of the connection as its `BorrowedConnection`.
    """

    def __init__(self, lent: BorrowedConnection, schema: str, clock: KitClock) -> None:
        self._lent = lent
        self._schema = schema
        self._query = job_queries.jobs_of_transaction(schema)
        self._clock = clock
        self.are_some_paused = False

    async def read(self) -> list[JobDetails]:
        """Return them, by their ids."""
        with self._schema_explained():
            return self._jobs(await self._lent.ask(self._query))

    def read_now(self) -> list[JobDetails]:
        """The same in sync code."""
        with self._schema_explained():
            return self._jobs(self._lent.ask_now(self._query))

    @contextmanager
    def _schema_explained(self) -> Iterator[None]:
        try:
            yield
        except SchemaMissingError as error:
            raise SchemaMissingError(
                self._schema,
                f"{error}; in tests: make it once, before them, by 'await gw_sqla.migrate(engine)' in a fixture of the "
                "session, or let the fixture gw_sqla_database make a database that has it",
            ) from error

    def _jobs(self, rows: Sequence[Any]) -> list[JobDetails]:
        """One of their times is that at which the transaction began: the database's now."""
        jobs = [_job(row) for row in rows]
        for job in jobs[:1]:
            self._clock.database_now = max(job.created_at, job.updated_at)
            self.are_some_paused = rows[0]["are_some_paused"]
        return jobs


def _job(row: Sequence[Any]) -> JobDetails:
    *of_row, flags, task_identifier, queue_name, state, _are_some_paused = row
    columns: list[Any] = [*of_row, flags and json.loads(flags), task_identifier, queue_name, JobState(state)]
    return JobDetails(*columns)
