"""add_job and add_jobs: what they store, replace, refuse and notify."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.schema.waiting import Heard

pytestmark = pytest.mark.anyio

LATER = datetime(2100, 1, 1, tzinfo=UTC)
LATER_STILL = datetime(2100, 1, 2, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def add(db: asyncpg.Connection, identifier: str | None = "a", **arguments: Any) -> asyncpg.Record:
    named = "".join(f", {name} := ${number}" for number, name in enumerate(arguments, 2))
    row = await db.fetchrow(f"select * from graphile_worker.add_job($1{named})", identifier, *arguments.values())
    assert row is not None
    return row


def spec(identifier: str | None, **arguments: Any) -> tuple[Any, ...]:
    names = ("payload", "queue_name", "run_at", "max_attempts", "job_key", "priority", "flags")
    assert arguments.keys() <= set(names)
    return (identifier, *(arguments.get(name) for name in names))


async def add_many(db: asyncpg.Connection, *specs: tuple[Any, ...], preserve: bool | None = False) -> list[Any]:
    return await db.fetch("select * from graphile_worker.add_jobs($1, $2)", list(specs), preserve)


async def lock(db: asyncpg.Connection, job: asyncpg.Record, *, hours: int = 0) -> None:
    await db.execute(
        "update graphile_worker._private_jobs set locked_by = 'pool-1', attempts = attempts + 1, "
        f"locked_at = now() - interval '{hours} hours' where id = $1",
        job["id"],
    )


async def fetch(db: asyncpg.Connection, job: asyncpg.Record) -> asyncpg.Record:
    row = await db.fetchrow("select * from graphile_worker._private_jobs where id = $1", job["id"])
    assert row is not None
    return row


async def test_defaults(db: asyncpg.Connection) -> None:
    async with db.transaction():
        now = await db.fetchval("select now()")
        job = await add(db)
    task = await db.fetchval("select id from graphile_worker._private_tasks where identifier = 'a'")
    assert dict(job) == {
        "id": job["id"],
        "job_queue_id": None,
        "task_id": task,
        "payload": "{}",
        "priority": 0,
        "run_at": now,
        "attempts": 0,
        "max_attempts": 25,
        "last_error": None,
        "created_at": now,
        "updated_at": now,
        "key": None,
        "locked_at": None,
        "locked_by": None,
        "revision": 0,
        "flags": None,
        "is_available": True,
    }
    assert await fetch(db, job) == job


async def test_every_argument(db: asyncpg.Connection) -> None:
    job = await add(
        db,
        payload='{"b":  [1]}',
        queue_name="q",
        run_at=LATER,
        max_attempts=3,
        job_key="k",
        priority=-7,
        flags=["x", "y"],
    )
    queue = await db.fetchval("select id from graphile_worker._private_job_queues where queue_name = 'q'")
    assert (job["job_queue_id"], job["run_at"], job["max_attempts"]) == (queue, LATER, 3)
    assert (job["key"], job["priority"], job["payload"]) == ("k", -7, '{"b":  [1]}'), "json keeps its text"
    assert json.loads(job["flags"]) == {"x": True, "y": True}
    view = await db.fetchrow("select * from graphile_worker.jobs where id = $1", job["id"])
    assert view is not None
    assert (view["task_identifier"], view["queue_name"], view["key"]) == ("a", "q", "k")


async def test_no_flags_are_null(db: asyncpg.Connection) -> None:
    assert (await add(db, flags=[]))["flags"] is None


async def test_many_jobs_in_one_call(db: asyncpg.Connection) -> None:
    assert await add_many(db) == []
    assert await db.fetch("select * from graphile_worker.add_jobs(null)") == []
    specs = [spec("a", payload=str(n)) for n in range(3)] + [spec("b", queue_name="q"), spec("b", job_key="k")]
    jobs = await add_many(db, *specs)
    assert len(jobs) == len({job["id"] for job in jobs}) == 5
    unkeyed = sorted((job["id"], job["payload"]) for job in jobs if job["key"] is None)
    assert [payload for _, payload in unkeyed] == ["0", "1", "2", "{}"], "ids follow the order of the specs"


@pytest.mark.parametrize("mode", ["replace", None])
async def test_replace(db: asyncpg.Connection, mode: str | None) -> None:
    old = await add(db, payload='{"n": 1}', queue_name="q", run_at=LATER, job_key="k", flags=["x"], max_attempts=9)
    await db.execute(
        "update graphile_worker._private_jobs set attempts = 3, last_error = 'e', "
        "updated_at = now() - interval '1 day', created_at = now() - interval '1 day'"
    )
    old_created = (await fetch(db, old))["created_at"]
    job = await add(db, "b", payload='{"n": 2}', run_at=LATER_STILL, job_key="k", priority=1, job_key_mode=mode)
    assert job["id"] == old["id"]
    assert job["task_id"] == await db.fetchval("select id from graphile_worker._private_tasks where identifier = 'b'")
    assert (job["payload"], job["run_at"], job["priority"]) == ('{"n": 2}', LATER_STILL, 1)
    assert (job["revision"], job["attempts"], job["last_error"]) == (1, 0, None)
    assert (job["job_queue_id"], job["flags"], job["max_attempts"]) == (None, None, 25)
    assert job["created_at"] == old_created
    assert job["updated_at"] - old_created > timedelta(hours=23)
    assert await db.fetchval("select count(*) from graphile_worker._private_jobs") == 1


async def test_preserve_run_at_until_the_first_attempt(db: asyncpg.Connection) -> None:
    await add(db, run_at=LATER, job_key="k")
    kept = await add(db, run_at=LATER_STILL, job_key="k", job_key_mode="preserve_run_at")
    assert (kept["run_at"], kept["revision"]) == (LATER, 1)
    await db.execute("update graphile_worker._private_jobs set attempts = 1")
    assert (await add(db, run_at=LATER_STILL, job_key="k", job_key_mode="preserve_run_at"))["run_at"] == LATER_STILL
    (kept,) = await add_many(db, spec("a", job_key="k"), preserve=True)
    assert kept["run_at"] == LATER_STILL
    (moved,) = await add_many(db, spec("a", run_at=LATER, job_key="k"), preserve=None)
    assert moved["run_at"] == LATER


@pytest.mark.parametrize(
    ("first", "second", "stored"),
    [
        ("[1]", "[2, 3]", [1, 2, 3]),
        ("[]", "[]", []),
        ("[1]", '{"n": 2}', {"n": 2}),
        ('{"n": 1}', "[2]", [2]),
        ("[1]", None, {}),
    ],
)
async def test_arrays_are_concatenated(db: asyncpg.Connection, first: str, second: str | None, stored: object) -> None:
    await add(db, payload=first, job_key="k")
    job = await add(db, payload=second, job_key="k", job_key_mode="preserve_run_at")
    assert json.loads(job["payload"]) == stored


@pytest.mark.parametrize("mode", ["replace", "preserve_run_at"])
async def test_running_job_loses_its_key_and_its_retries(db: asyncpg.Connection, mode: str) -> None:
    old = await add(db, job_key="k", max_attempts=7)
    await lock(db, old)
    job = await add(db, job_key="k", job_key_mode=mode)
    assert (job["key"], job["attempts"], job["revision"], job["is_available"]) == ("k", 0, 0, True)
    assert job["id"] != old["id"]
    running = await fetch(db, old)
    assert (running["key"], running["attempts"], running["locked_by"]) == (None, 7, "pool-1")
    assert running["updated_at"] > old["updated_at"]


async def test_failed_job_is_not_revived(db: asyncpg.Connection) -> None:
    old = await add(db, job_key="k", payload="[1]")
    await db.execute("update graphile_worker._private_jobs set attempts = max_attempts, last_error = 'e'")
    jobs = await add_many(db, spec("a", job_key="k", payload="[2]"), spec("a"), spec("a", job_key="l"))
    assert len(jobs) == 3
    (new,) = [job for job in jobs if job["key"] == "k"]
    assert new["id"] != old["id"]
    assert new["payload"] == "[2]"
    failed = await fetch(db, old)
    assert (failed["key"], failed["attempts"], failed["last_error"]) == (None, 25, "e")


@pytest.mark.parametrize("state", ["waiting", "locked", "failed"])
async def test_unsafe_dedupe_touches_nothing_else(db: asyncpg.Connection, state: str) -> None:
    old = await add(db, payload="[1]", job_key="k", job_key_mode="unsafe_dedupe", queue_name="q")
    assert (old["revision"], old["key"]) == (0, "k")
    if state == "locked":
        await lock(db, old)
    elif state == "failed":
        await db.execute("update graphile_worker._private_jobs set attempts = max_attempts")
    before = dict(await fetch(db, old))
    job = await add(db, "b", payload="[2]", run_at=LATER, job_key="k", job_key_mode="unsafe_dedupe", priority=4)
    assert job["updated_at"] > before["updated_at"]
    assert dict(job) == {**before, "revision": 1, "updated_at": job["updated_at"]}


async def test_key_is_global_not_per_task(db: asyncpg.Connection) -> None:
    assert (await add(db, "a", job_key="k"))["id"] == (await add(db, "b", job_key="k"))["id"]


@pytest.mark.parametrize(
    ("sqlstate", "arguments"),
    [
        ("23514", {"identifier": "x" * 129}),
        ("23514", {"queue_name": "x" * 129}),
        ("23514", {"job_key": ""}),
        ("23514", {"job_key": "x" * 513}),
        ("23514", {"max_attempts": 0}),
        ("22003", {"max_attempts": 2**15}),
        ("22003", {"priority": 2**15}),
        ("22003", {"priority": -(2**15) - 1}),
        ("23502", {"identifier": None}),
        ("GWBKM", {"job_key": "k", "job_key_mode": "replce"}),
    ],
)
async def test_refusals(db: asyncpg.Connection, sqlstate: str, arguments: dict[str, Any]) -> None:
    modes: list[dict[str, str]] = [{}]
    if "job_key_mode" not in arguments:
        modes.append({"job_key": "k", "job_key_mode": "unsafe_dedupe"})
    for mode in modes:
        with pytest.raises(asyncpg.PostgresError) as raised:
            await add(db, **{**mode, **arguments})
        assert raised.value.sqlstate == sqlstate, mode
    assert await db.fetchval("select count(*) from graphile_worker._private_jobs") == 0


async def test_limits_fit(db: asyncpg.Connection) -> None:
    job = await add(db, "x" * 128, queue_name="x" * 128, job_key="x" * 512, priority=-(2**15), max_attempts=2**15 - 1)
    assert job["is_available"] is True


async def test_unknown_mode_without_a_key_is_ignored(db: asyncpg.Connection) -> None:
    assert (await add(db, job_key_mode="replce"))["key"] is None


@pytest.mark.parametrize("state", [None, "waiting", "locked"])
async def test_same_key_twice_in_one_call(db: asyncpg.Connection, state: str | None) -> None:
    if state is not None:
        job = await add(db, job_key="k")
        if state == "locked":
            await lock(db, job)
    with pytest.raises(asyncpg.CardinalityViolationError, match="same job_key stands in more than one spec") as raised:
        await add_many(db, spec("a", job_key="k"), spec("a"), spec("b", job_key="k"))
    assert raised.value.sqlstate == "21000"


async def test_payload_that_jsonb_refuses(db: asyncpg.Connection) -> None:
    job = await add(db, payload='["\\u0000"]', job_key="k")
    assert job["payload"] == '["\\u0000"]', "json keeps it"
    with pytest.raises(asyncpg.UntranslatableCharacterError):
        await add(db, payload="[1]", job_key="k")


async def test_rollback_leaves_nothing(db: asyncpg.Connection) -> None:
    transaction = db.transaction()
    await transaction.start()
    await add(db, "new", queue_name="new")
    await transaction.rollback()
    for table in ("_private_jobs", "_private_tasks", "_private_job_queues"):
        assert await db.fetchval(f"select count(*) from graphile_worker.{table}") == 0


async def test_identity_values_are_not_burnt(db: asyncpg.Connection) -> None:
    """An integer identity that each call advances runs out after 2^31 calls."""
    await add(db, "known", queue_name="known")
    sql = "select (select last_value from graphile_worker.{}), (select last_value from graphile_worker.{})"
    sql = sql.format("tasks_id_seq", "job_queues_id_seq")
    before = await db.fetchrow(sql)
    for _ in range(100):
        await add(db, "known", queue_name="known")
        await add(db, "known", queue_name="known", job_key="k", job_key_mode="unsafe_dedupe")
    await add_many(db, *[spec("known", queue_name="known")] * 100)
    assert await db.fetchrow(sql) == before


@pytest.fixture
async def heard(db2: asyncpg.Connection) -> Heard:
    heard = Heard(db2, "jobs:insert")
    await heard.start()
    return heard


async def test_notifications(db: asyncpg.Connection, heard: Heard) -> None:
    await add_many(db)
    await add_many(db, spec("a"), spec("b"), spec("a", job_key="k"))
    async with db.transaction():
        await add(db)
        await add(db)
    dedupe = {"job_key": "d", "job_key_mode": "unsafe_dedupe"}
    await add(db, **dedupe)
    await add(db, **dedupe)
    await lock(db, await add(db, job_key="k"))
    await add(db, job_key="k")
    await db.execute("select graphile_worker.remove_job('d')")
    await db.execute("select graphile_worker.remove_job('d')")
    payloads = [json.loads(payload) for payload in await heard.all()]
    assert [payload["count"] for payload in payloads] == [3, 1, 1, 1, 1, 1, -1]
    assert all(payload.keys() == {"r", "count"} for payload in payloads)
    assert len({payload["r"] for payload in payloads}) == 7


async def test_rolled_back_jobs_are_not_announced(db: asyncpg.Connection, heard: Heard) -> None:
    transaction = db.transaction()
    await transaction.start()
    await add(db)
    await transaction.rollback()
    assert await heard.all() == []


@pytest.mark.parametrize("seed", range(5))
async def test_rows_come_in_the_order_of_the_specs(db: asyncpg.Connection, seed: int) -> None:
    """Graphile Worker's client matches them by index. Keyed and not, new, replaced, and taken from a running job."""
    chance = random.Random(seed)
    keys = [f"k{number}" for number in range(20)]
    for key in chance.sample(keys, 12):
        old = await add(db, job_key=key)
        if chance.random() < 0.5:
            await lock(db, old)
    asked = [*keys, *([None] * 20)]
    chance.shuffle(asked)
    specs = [
        spec(chance.choice("abc"), job_key=key, payload=json.dumps({"number": number}))
        for number, key in enumerate(asked)
    ]
    rows = await add_many(db, *specs)
    assert [json.loads(row["payload"]) for row in rows] == [{"number": number} for number in range(40)]
    assert [row["key"] for row in rows] == asked
