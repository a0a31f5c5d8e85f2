"""What each kind of role does, all of it: raises what the database refuses, AssertionError where rows are hidden.

The engine is the role's, ``sessions`` a superuser's, for what others have done before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, CronItem, Failed, JobKeyMode, JobRepository, JobSpec, Snoozed, async_sessionmaker
from gw_sqla.admin import (
    Action,
    Admin,
    Complete,
    EditPayload,
    Fail,
    ForwardedJobs,
    JobOrder,
    Pausing,
    Remove,
    Reschedule,
    Retry,
    RunCopy,
    ScanLimits,
    cleanup,
)
from gw_sqla.admin.cleaning import Cleaning
from gw_sqla.crontab.known_crontabs import KnownCrontabs
from gw_sqla.database.worker_connection import WorkerConnection
from gw_sqla.jobs.outcomes import Kept
from gw_sqla.jobs.run import Run
from gw_sqla.schema.rights import RoleKind
from gw_sqla.statements import holds
from gw_sqla.statements.outcomes import complete_by_handler
from gw_sqla.worker.claim_cursor import EVERYWHERE
from gw_sqla.worker.claim_store import ClaimStore
from gw_sqla.worker.kept_jobs import KeptJobs
from gw_sqla.worker.outcome_store import OUTCOME_SETTINGS, OutcomeStore
from gw_sqla.worker.registration import BEAT_SETTINGS, Registration
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Sweeps
from tests.support.pools import register, take_all

__all__ = ["WORK"]

Sessions = async_sessionmaker[AsyncSession]
Work = Callable[[AsyncEngine, Sessions], Awaitable[None]]

repo = JobRepository()
pausing = Pausing()
LONG_AGO = timedelta(hours=5)
SETTLED: dict[str, Any] = {"hold_ids": [1, 2], "job_ids": None, "delay": timedelta(0)}

FORWARDED = """insert into graphile_worker._private_sqla_forwarded
  (job_id, task_identifier, payload, priority, run_at, max_attempts, keep_until)
values (1, 'read', '{}', 0, now(), 25, now() - interval '1 hour')"""


async def add(engine: AsyncEngine, sessions: Sessions) -> None:
    """Each way of adding; names that are new, keys that are free, taken, and of a job that runs."""
    own = async_sessionmaker(engine)
    async with own.begin() as session:
        assert (await repo.add_job(session, "plain")).id
        specs = [JobSpec(task_identifier="many", queue_name="q"), JobSpec(task_identifier="many")]
        assert len(await repo.add_jobs(session, specs)) == 2
        assert (await repo.add_job(session, "keyed", job_key="k")).revision == 0
    async with own.begin() as session:
        assert (await repo.add_job(session, "keyed", job_key="k")).revision == 1
        await repo.add_job(session, "keyed", job_key="k", job_key_mode=JobKeyMode.UNSAFE_DEDUPE)
    await take_all(sessions, "others")
    async with own.begin() as session:
        assert (await repo.add_job(session, "keyed", job_key="k")).revision == 0


async def read(engine: AsyncEngine, sessions: Sessions) -> None:
    """The repository's reading, the view, cron items, workers."""
    async with sessions.begin() as session:
        job = await repo.add_job(session, "read", {"a": 1}, queue_name="read")
        await session.execute(text("insert into graphile_worker._private_known_crontabs values ('c', now())"))
        assert (await Admin().act(session, Reschedule(priority=0), [job.id], actor="somebody")).done == 1
        await session.execute(text("insert into graphile_worker._private_sqla_snoozes values (1, 1)"))
        await session.execute(text(FORWARDED))
        await pausing.pause(session, everything=True)
    await register(sessions, "pool-read", silent_for=timedelta(0))
    async with async_sessionmaker(engine)() as session:
        found = await repo.get_job(session, job.id)
        assert found is not None
        assert (found.task_identifier, found.queue_name, found.payload) == ("read", "read", {"a": 1})
        assert await repo.list_jobs(session)
        assert await repo.count_jobs_by_state(session)
        assert await session.scalar(text("select count(*) from graphile_worker.jobs"))
        await _look_at(session, job.id)
        assert await Admin().count_forwarded(session, ForwardedJobs(task="read")) == 1
        for table in ("workers", "snoozes", "pauses"):
            assert await session.scalar(text(f"select count(*) from graphile_worker._private_sqla_{table}"))
    known = KnownCrontabs(engine, "graphile_worker")
    try:
        assert await known.all()
    finally:
        await known.disconnect()


async def clean(engine: AsyncEngine, sessions: Sessions) -> None:
    """Cleanup, and what comes back after it."""
    async with sessions.begin() as session:
        await session.execute(text(FORWARDED))
        count = text("select count(*) from graphile_worker._private_sqla_forwarded")
        forwarded = await session.scalar(count)
        await repo.add_job(session, "gone", queue_name="gone")
        await session.execute(text("delete from graphile_worker._private_jobs"))
        await session.execute(text("update graphile_worker._private_job_queues set locked_by = null, locked_at = null"))
        await session.execute(text("delete from graphile_worker._private_sqla_workers"))
        await session.execute(
            text(
                "insert into graphile_worker._private_sqla_workers "
                """values ('pool-kept', now(), now(), '60 s', '{"tasks": ["kept"]}')"""
            )
        )
        await session.execute(text("insert into graphile_worker._private_tasks (identifier) values ('kept')"))
        bad = await repo.add_job(session, "bad")
        await repo.permanently_fail_jobs(session, [bad.id], "no")
        await session.execute(
            text("insert into graphile_worker._private_sqla_removed values ('task', 0, 't', 'epoch')")
        )
        await session.execute(
            text(
                "insert into graphile_worker._private_sqla_removed "
                "select 'task', id, 'x' from graphile_worker._private_tasks"
            )
        )
    cleaned = await cleanup(engine, failed_after=timedelta(0))
    assert (cleaned.tasks > 0, cleaned.failed_jobs, cleaned.forwarded) == (True, 1, forwarded)
    removed = text("select name from graphile_worker._private_sqla_removed where name in ('gone', 't') order by name")
    kept = text("select count(*) from graphile_worker._private_tasks where identifier = 'kept'")
    async with sessions.begin() as session:
        assert list(await session.scalars(removed)) == ["gone", "gone"]
        assert await session.scalar(kept) == 1
        job = (await repo.add_job(session, "there", queue_name="there")).id
        await session.execute(
            text(
                "update graphile_worker._private_jobs set (task_id, job_queue_id) = ("
                "select max(id) filter (where kind = 'task'), max(id) filter (where kind = 'queue') "
                "from graphile_worker._private_sqla_removed where name = 'gone')"
            )
        )
    cleaning = Cleaning(engine, "graphile_worker")
    try:
        assert await cleaning.restore() == 2
    finally:
        await cleaning.close()
    async with sessions.begin() as session:
        found = await repo.get_job(session, job)
        assert found is not None
        assert (found.task_identifier, found.queue_name) == ("gone", "gone")


async def clean_in_turn(engine: AsyncEngine, sessions: Sessions) -> None:
    """What a worker does that cleans up by itself."""
    cleaning = Cleaning(engine, "graphile_worker")
    try:
        assert [await cleaning.take_turn(timedelta(hours=1)) for _ in range(2)] == [True, False]
    finally:
        await cleaning.close()
    await clean(engine, sessions)


async def _look_at(session: AsyncSession, job_id: int) -> None:
    """All of Admin's reading."""
    admin = Admin(limits=ScanLimits(timeout=timedelta(seconds=30)))
    text_of_all = (
        "state:ready,failed -task:z queue:* -key:* priority:<5 attempts:<9 -flag:d created:>-1d run-at:<1h -error:e "
        f"payload.a:1 id:>={job_id}"
    )
    assert [job.id for job in (await admin.list_jobs(session, text_of_all)).jobs] == [job_id]
    page = await admin.list_jobs(session, "state:waiting", order=JobOrder.TURN, limit=1)
    assert page.jobs
    await admin.list_jobs(session, "state:failed")
    assert (await admin.count_jobs(session, "state:waiting")).number
    assert not (await admin.list_failures(session)).groups
    assert (await admin.explain_job(session, job_id)).reasons
    assert await admin.list_queues(session)
    assert await admin.list_tasks(session)
    assert await admin.list_workers(session)
    assert await admin.list_audit(session)
    await admin.list_lock_owners(session)
    await admin.read_fleet(session)


async def administer(engine: AsyncEngine, sessions: Sessions) -> None:
    """Reading, and each function for administrators."""
    await read(engine, sessions)
    own = async_sessionmaker(engine)
    async with own.begin() as session:
        await pausing.pause(session, task="a", until=datetime.now(UTC) - LONG_AGO)
        await pausing.pause(session, task="b")
        await pausing.pause(session, task="b", reason="again")
        assert [pause.kind for pause in await pausing.resume(session, everything=True)] == ["everything", "task"]
    async with sessions.begin() as session:
        done, failing, later = [(await repo.add_job(session, "a")).id for _ in range(3)]
        await repo.add_job(session, "a", job_key="free")
    async with own.begin() as session:
        assert await repo.complete_jobs(session, [done])
        assert await repo.permanently_fail_jobs(session, [failing])
        assert await repo.reschedule_jobs(session, [later], priority=1)
        assert await repo.remove_job(session, "free")
    async with sessions.begin() as session:
        await repo.add_job(session, "a", job_key="locked", queue_name="a")
    await take_all(sessions, "dead")
    async with own.begin() as session:
        assert await repo.remove_job(session, "locked")
        await repo.force_unlock_workers(session, ["dead"])
    await _act(own, sessions)
    async with sessions() as session:
        locked = "select count(locked_by) from graphile_worker."
        assert await session.scalar(text(f"{locked}_private_jobs")) == 0
        assert await session.scalar(text(f"{locked}_private_job_queues")) == 0
    await clean(engine, sessions)


async def _act(own: Sessions, sessions: Sessions) -> None:
    """All that Admin does to jobs."""
    admin = Admin(limits=ScanLimits(timeout=timedelta(seconds=30)))
    actions: list[Action] = [
        Retry(),
        Reschedule(priority=1),
        EditPayload([1]),
        RunCopy(),
        Fail("no"),
        Complete(),
        Remove(),
    ]
    async with sessions.begin() as session:
        for _ in actions:
            await repo.add_job(session, "acted", queue_name="acted", flags=["a"])
    async with own.begin() as session:
        assert (await admin.preview(session, "task:acted")).samples
        for action in actions:
            acted = await admin.act(session, action, "task:acted", most=1, actor="somebody")
            assert acted.done == 1, acted
        assert (await admin.unlock_workers(session, ["gone"], actor="somebody")).jobs == 0
        assert (await admin.list_audit(session))[0].action == "unlock"


async def work(engine: AsyncEngine, sessions: Sessions) -> None:
    """A worker's statements: jobs run to each end, cron, heartbeats, recovery; its handlers add jobs."""
    claims = ClaimStore(WorkerConnection(engine, ends_backends=True), "graphile_worker", "pool-own")
    store = OutcomeStore(WorkerConnection(engine, OUTCOME_SETTINGS), "graphile_worker", "pool-own", claims)
    rust = RustWorkers("graphile_worker")
    pool = Registration(
        WorkerConnection(engine, BEAT_SETTINGS),
        "graphile_worker",
        "pool-own",
        rust,
        threshold=timedelta(minutes=1),
        metadata="{}",
    )
    sweeps = Sweeps(engine, "graphile_worker", rust)
    known = KnownCrontabs(engine, "graphile_worker")
    try:
        await pool.register()
        await recover(sweeps, sessions)
        await run_jobs(engine, claims, store, sessions)
        assert await known.make_known(["item"], datetime.now(UTC)) == {}
        assert set(await known.make_known(["item"], datetime.now(UTC))) == {"item"}
        item = CronItem("cron", "* * * * *", id="item")
        for minutes in (1, 2):
            tick = datetime.now(UTC) + timedelta(minutes=minutes)
            assert await known.schedule(tick, [item], backfilled=False) == ["item"]
        assert (await pool.beat([])).registered
        await pool.deregister()
        async with sessions() as session:
            assert await session.scalar(text("select count(*) from graphile_worker._private_sqla_workers")) == 0
    finally:
        await claims.close()
        await store.close()
        await pool.close()
        await sweeps.close()
        await known.disconnect()


async def recover(sweeps: Sweeps, sessions: Sessions) -> None:
    """Free what the dead have left."""
    async with sessions.begin() as session:
        await repo.add_job(session, "own", queue_name="dead")
    await take_all(sessions, "pool-dead")
    await register(sessions, "pool-dead", silent_for=LONG_AGO)
    assert [len(recovered.job_ids) for recovered in await sweeps.recover(timedelta(0))] == [1]
    await take_all(sessions, "pool-unknown", held_for=LONG_AGO)
    unlocked = await sweeps.unlock_stale()
    assert (unlocked.jobs, unlocked.queues) == (1, 1)
    assert await sweeps.unknown_tasks(timedelta(0)) == {"own": 1}
    async with sessions.begin() as session:
        await session.execute(text("insert into graphile_worker._private_sqla_snoozes values (0, 1)"))
    assert await sweeps.forget_snoozes() == 1


async def run_jobs(engine: AsyncEngine, claims: ClaimStore, store: OutcomeStore, sessions: Sessions) -> None:
    """Complete, fail, return, snooze, lose a job each; complete another in a transaction of its handler's."""
    await claims.register_tasks(["own", "new"])
    async with sessions.begin() as session:
        await pausing.pause(session, queue_name="paused")
    assert [pause.name for pause, _ in await claims.find_pauses()] == ["paused"]
    await add(engine, sessions)
    async with sessions.begin() as session:
        await session.execute(text("delete from graphile_worker._private_jobs"))
        await session.execute(text("update graphile_worker._private_job_queues set locked_by = null, locked_at = null"))
    async with async_sessionmaker(engine).begin() as session:
        for queue in ("a", "b", "c", "d", "e", "f"):
            await repo.add_job(session, "own", queue_name=queue)
    runs = await claims.claim(["own"], 6, [], EVERYWHERE)
    assert len(runs) == 6
    completed, failed, returned, snoozed, by_handler, left = runs
    failed.outcome = Failed(job=failed.job, message="no")
    for written in (await store.complete([completed]), await store.fail([failed]), await store.give_back([returned])):
        assert not written.lost
    await keep(engine, claims, store, sessions)
    await snooze(store, snoozed)
    assert await complete(engine, by_handler)
    assert await claims.release_orphaned([], [])
    await hold_and_settle(engine)
    async with sessions() as session:
        assert (
            await session.scalar(text(f"select locked_by from graphile_worker.jobs where id = {left.job.id}")) is None
        )


async def hold_and_settle(engine: AsyncEngine) -> None:
    """Name a hold, of which a job had begun, and let a sweep settle it."""
    connection = WorkerConnection(engine)
    sweeps = Sweeps(engine, "graphile_worker", RustWorkers("graphile_worker"))
    try:
        for ids in ([7], []):
            named = {"id": 1 + len(ids), "pool_id": "pool-own", "ids": [7]}
            await connection.fetch(holds.name_held("graphile_worker"), named)
            await connection.fetch(holds.rename_held("graphile_worker"), {"hold_id": named["id"], "ids": ids})
        await connection.fetch(holds.settle_dead_holds("graphile_worker"), SETTLED)
        assert await sweeps.settle_holds(timedelta(0)) == []
    finally:
        await connection.close()
        await sweeps.close()


async def keep(engine: AsyncEngine, claims: ClaimStore, store: OutcomeStore, sessions: Sessions) -> None:
    """Keep a forwarded job, and forget it."""
    async with async_sessionmaker(engine).begin() as session:
        await repo.add_job(session, "new")
    [run] = await claims.claim(["new"], 1, [], EVERYWHERE)
    run.outcome = Kept(run.job, keep=-timedelta(hours=1))
    assert not (await store.complete_and_keep([run])).lost
    kept = KeptJobs(engine, "graphile_worker", pooled=False)
    try:
        assert await kept.forget() == 1
    finally:
        await kept.close()


async def snooze(store: OutcomeStore, run: Run) -> None:
    failed = Failed(job=run.job, message="no")
    run.outcome = Snoozed(job=run.job, delay=timedelta(0), message="later", limit=1, otherwise=failed)
    assert not (await store.snooze([run])).lost
    assert isinstance(run.outcome, Snoozed)
    assert run.outcome.snoozes == 1


async def complete(engine: AsyncEngine, run: Run) -> bool:
    job = run.job
    parameters: dict[str, Any] = {"id": job.id, "attempt": job.attempts, "keyed": False, "locked_at": job.locked_at}
    async with async_sessionmaker(engine).begin() as session:
        statement = complete_by_handler("graphile_worker")
        return bool(await session.scalar(statement, parameters | {"queue_id": job.queue_id, "pool_id": "pool-own"}))


WORK: dict[RoleKind, Work] = {
    "adder": add,
    "reader": read,
    "worker": work,
    "admin": administer,
    "cleaner": clean_in_turn,
}
