"""Arrays that a worker's statements are given as text arrive as they are, and no type is looked up for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Double, event
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import FailPermanently, Runner, TaskRegistry
from gw_sqla.database.array_literals import ids_of
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.statements.quoting import BIGINTS, BOOLEANS, INTEGERS, SMALLINTS, TEXTS, TIMESTAMPS, statement
from tests.worker.conftest import AddJob, add_job, repo

__all__ = ["add_job", "repo"]

pytestmark = pytest.mark.anyio

FAR = timezone(timedelta(hours=-11, minutes=-30))
ARRAYS = [
    (BIGINTS, [1, -(2**63), 2**63 - 1, None]),
    (INTEGERS, [0, 2**31 - 1]),
    (SMALLINTS, []),
    (BOOLEANS, [True, False, None]),
    (ARRAY(Double), [0.1, 1e300, -5e-324, float("inf"), None]),
    (TIMESTAMPS, [datetime(1, 1, 2, tzinfo=UTC), datetime(2026, 2, 3, 4, 5, 6, 7, FAR), None]),
    (
        TEXTS,
        ["", " ", "null", "NULL", None, '"', "\\", '\\"', "{}", "{a,b}", ",", "\n\t\r", "é\u2028\U0001f600"],
    ),
]


def read_back(array: ARRAY[Any]) -> Any:
    """The elements one by one, as scalars: the driver knows those types."""
    return statement("select x from pg_catalog.unnest(:given) with ordinality as u (x, n) order by n", "s", given=array)


@pytest.mark.parametrize(("array", "values"), ARRAYS, ids=lambda given: str(given)[:20])
async def test_they_arrive_as_they_are(engine: AsyncEngine, array: ARRAY[Any], values: list[Any]) -> None:
    connection = WorkerConnection(engine)
    try:
        rows = await connection.fetch(read_back(array), {"given": values})
        assert [row["x"] for row in rows] == values
        [row] = await connection.fetch(statement("select :given is null as x", "s", given=array), {"given": None})
        assert row["x"] is True
    finally:
        await connection.close()


async def test_any_text(engine: AsyncEngine) -> None:
    connection = WorkerConnection(engine)
    texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    given_lists: list[list[str]] = []

    @settings(max_examples=200, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(texts, max_size=5))
    def gather(values: list[str]) -> None:
        given_lists.append(values)

    gather()
    try:
        for values in given_lists:
            rows = await connection.fetch(read_back(TEXTS), {"given": values})
            assert [row["x"] for row in rows] == values
    finally:
        await connection.close()


@pytest.mark.parametrize(("text", "ids"), [("{}", []), ("{7}", [7]), ("{1,-2,9876543210}", [1, -2, 9876543210])])
def test_ids_that_come_back(text: str, ids: list[int]) -> None:
    assert ids_of(text) == ids


async def test_a_worker_looks_no_type_up(engine: AsyncEngine, add_job: AddJob) -> None:
    """Each connection of its own would, before its first statement with an array."""
    tasks = TaskRegistry()

    @tasks.task("works")
    async def works() -> None: ...

    @tasks.task("fails")
    async def fails() -> None:
        raise FailPermanently("no")

    for task in (works, fails):
        await add_job(task)
        await add_job(task, queue_name="q", job_key=task.identifier)
    queries: list[str] = []

    def watch(connection: Any, _record: object) -> None:
        connection.driver_connection.add_query_logger(lambda query: queries.append(query.query))

    event.listen(engine.sync_engine, "connect", watch)
    await Runner(engine, tasks).run_once()
    assert any("pg_catalog.unnest" in query for query in queries)
    assert not [query for query in queries if "typeinfo" in query]
