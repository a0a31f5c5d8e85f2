"""Jobs and notifications that anybody can put into the database: a worker runs or fails each job, and goes on."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import anyio
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import RunCounts, Runner, RunnerSettings, TaskRegistry, call_asyncio, database_loop
from tests.support.recorder import Recorder
from tests.support.server import connect

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=SLOW)

TEXT = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NASTY = [
    *("1e400", "-0", "9" * 5000, "[" * 6000 + "]" * 6000, '{"a":' * 3000 + "1" + "}" * 3000),
    *(r'"\u0000"', r'"\ud800"', r'{"\u0000": 1}', '{"a":1,"a":[]}', " \n[ ]\t", r'{"_cron": "\udead"}', '"\u2028"'),
    *('{"n": 1}', '{"n": "x"}', '{"n": 1, "_trace": {}}', "[1, [2]]"),
]
"""Texts that PostgreSQL's json may take, and that are hard on those who read them."""
PAYLOADS = (
    st.sampled_from(NASTY) | VALUES.map(json.dumps) | VALUES.map(lambda value: json.dumps(value, ensure_ascii=False))
)


class Numbered(BaseModel):
    n: int


def registry() -> TaskRegistry:
    """A task of each kind that reads its payload otherwise."""
    tasks = TaskRegistry()

    @tasks.task("any")
    async def any_(payload: Any) -> None: ...

    @tasks.task("model")
    async def model(payload: Numbered) -> None: ...

    @tasks.task("batch", batch=True)
    async def batch(payload: list[Any]) -> list[Any]:
        return [ValueError(item) for item in payload]

    @tasks.task("none")
    async def none() -> None: ...

    return tasks


async def store(connection: asyncpg.Connection, task: str, payload: str) -> int:
    """Add a job by SQL, as somebody else would; return 1, or 0 where PostgreSQL refuses the text."""
    try:
        await connection.execute("select graphile_worker.add_job($1, $2::text::json)", task, payload)
    except (asyncpg.DataError, UnicodeEncodeError, asyncpg.ProgramLimitExceededError):
        return 0
    return 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@FEW
@given(st.lists(st.tuples(st.sampled_from(["any", "model", "batch", "none"]), PAYLOADS), min_size=5, max_size=20))
def test_any_payload_is_run_or_failed(clean_database: str, backend: str, jobs: list[tuple[str, str]]) -> None:
    async def work() -> None:
        async with database_loop():
            db = await call_asyncio(connect, clean_database)
            await call_asyncio(db.execute, "truncate graphile_worker._private_jobs")
            stored = sum([await call_asyncio(store, db, *job) for job in jobs])
            engine = create_async_engine(clean_database)
            counts: RunCounts = await Runner(engine, registry()).run_once()
            assert counts.completed + counts.failed == stored
            left = "select count(*), count(last_error) filter (where attempts = 1 and locked_at is null)"
            [row] = await call_asyncio(db.fetch, f"{left} from graphile_worker._private_jobs")
            assert tuple(row) == (counts.failed, counts.failed)
            await call_asyncio(engine.dispose)
            await call_asyncio(db.close)

    anyio.run(work, backend=backend)


NOTICES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60) | st.builds(
    json.dumps,
    st.dictionaries(
        st.sampled_from(["r", "count", "migrationNumber", "breaking", "x"]),
        VALUES.filter(lambda value: value is not True),  # a breaking migration ends a worker, as it must
    ),
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(FEW, max_examples=3)
@given(st.lists(st.tuples(st.sampled_from(["jobs:insert", "worker:migrate"]), NOTICES), min_size=30, max_size=60))
def test_any_notification_leaves_the_worker_listening(
    clean_database: str, backend: str, notices: list[tuple[str, str]]
) -> None:
    async def work() -> None:
        async with database_loop():
            recorder = Recorder()
            db = await call_asyncio(connect, clean_database)
            await call_asyncio(db.execute, "truncate graphile_worker._private_jobs")
            engine = create_async_engine(clean_database)
            only_notified = RunnerSettings(poll_interval=timedelta(hours=1))
            async with Runner(engine, registry(), only_notified, observers=[recorder]):
                await call_asyncio(store, db, "none", "1")
                await recorder.until(lambda: recorder.completed)  # found by the first claim, or announced
                for channel, payload in notices:
                    await call_asyncio(db.execute, "select pg_notify($1, $2)", channel, payload)
                await call_asyncio(store, db, "none", "2")  # it can only be told of this one
                await recorder.until(lambda: len(recorder.completed) == 2)
            await call_asyncio(engine.dispose)
            await call_asyncio(db.close)

    anyio.run(work, backend=backend)
