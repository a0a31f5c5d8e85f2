"""The administrators of a storm, and its applications: what people do to jobs that run, and leave open.

Each of them does one thing after the other, each on a connection of its own: locks rows, removes, replaces and deletes
jobs, in a transaction that stays open for a while and is then committed or rolled back; cuts connections; unlocks
workers that live; lets a trigger refuse a job. Another adds jobs, so that the workers never run out of them. What they
did is in `Deeds`; what they may have done, as no answer came to a commit, is excused there and not counted.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import asyncpg

from tests.faults.storm_app import task_of
from tests.faults.storm_judge import Deeds
from tests.faults.storm_worker import Plan
from tests.support.server import connect

REFUSING = """create table storm_refused (job_id bigint primary key, code text not null);
create function storm_refuse() returns trigger language plpgsql as $$
declare
  refusal text;
begin
  select r.code into refusal from public.storm_refused as r where r.job_id = old.id;
  if found then
    raise exception 'refused for a while' using errcode = refusal;
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger storm_refuse before update or delete on graphile_worker._private_jobs
for each row execute function storm_refuse()"""

_CODES = ["P0001", "23514", "40001", "53200", "55P03", "57014"]
_LOCKS = ["for update", "for no key update", "for share", "for key share"]
_PICK = """select id, key, queue_id, n from (
  select id, key, job_queue_id as queue_id, cast(cast(payload as text) as int) as n, locked_at
  from graphile_worker._private_jobs where attempts < max_attempts
) j
where ({condition}) order by locked_at is null, random() limit 1"""
_ADD = """select count(graphile_worker.add_job(
  s.task, s.payload, queue_name => s.queue, job_key => s.key, job_key_mode => s.mode
)) from json_to_recordset(cast($1 as json)) as s (task text, payload json, queue text, key text, mode text)"""
_FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def fields(n: int, queues: int, key: str | None = None, mode: str | None = None) -> dict[str, Any]:
    """The arguments of the job with this number."""
    queue = f"q{n % queues}" if n % 3 else None
    key = key or (f"k{n}" if n % 5 < 2 else None)
    return {"task": task_of(n), "payload": n, "queue": queue, "key": key, "mode": mode}


@dataclass
class _Change:
    """What an open transaction does to jobs, once it is committed."""

    added: set[int] = field(default_factory=set)
    excused: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    deleted_at: dict[int, datetime] = field(default_factory=dict)


class Administrators(threading.Thread):
    """``living`` tells the ids of worker pools that live; ``taken`` has those that were unlocked, and when."""

    def __init__(self, url: Any, plan: Plan, deeds: Deeds, living: Callable[[], list[str]]) -> None:
        super().__init__(name="administrators", daemon=True)
        self._url = url
        self._plan = plan
        self._deeds = deeds
        self._living = living
        self._numbers = count(plan.jobs)
        self._over = threading.Event()
        self.taken: list[tuple[str, datetime, datetime]] = []

    def run(self) -> None:
        asyncio.run(self._work())

    def stop(self) -> None:
        """Let them end what they do, and wait for that."""
        self._over.set()
        self.join()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._plan.administrators):
                group.create_task(self._administrate(random.Random(self._plan.seed + number)))
            group.create_task(self._feed())

    async def _administrate(self, chance: random.Random) -> None:
        transactions = {"jobs locked": _lock, "jobs removed": _remove, "jobs deleted": _delete, "queues locked": _queue}
        while not self._over.is_set():
            what = chance.choice([*transactions, "jobs replaced", "cut", "unlock", "refuse"])
            await asyncio.sleep(chance.uniform(0.1, 1))
            try:
                if what in transactions:
                    await self._open(what, chance, transactions[what])
                elif what == "jobs replaced":
                    await self._open(what, chance, self._replace)
                else:
                    await {"cut": self._cut, "unlock": self._unlock, "refuse": self._refuse}[what](chance)
            except _FAULTS:
                self._deeds.counts["deeds cut short"] += 1

    async def _open(
        self,
        what: str,
        chance: random.Random,
        work: Callable[[asyncpg.Connection, random.Random], Awaitable[_Change | None]],
    ) -> None:
        """Do this in a transaction that stays open for a while; then commit it, or roll it back."""
        connection = await connect(self._url)
        try:
            await connection.execute("set lock_timeout = '15s'")
            transaction = connection.transaction()
            await transaction.start()
            change = await work(connection, chance)
            if change is None:
                return
            await asyncio.sleep(self._hold(chance))
            if chance.random() < 0.3:
                await transaction.rollback()
                self._deeds.counts["transactions rolled back"] += 1
                return
            self._deeds.excused |= change.excused
            self._deeds.deleted_at |= change.deleted_at
            await transaction.commit()
            self._deeds.added |= change.added
            self._deeds.deleted |= change.deleted
            self._deeds.counts[what] += 1
        finally:
            connection.terminate()

    async def _replace(self, connection: asyncpg.Connection, chance: random.Random) -> _Change | None:
        if (job := await _picked(connection, "key is not null")) is None:
            return None
        select = (
            "select cast(cast(payload as text) as int) from graphile_worker._private_jobs where key = $1 for update"
        )
        old = await connection.fetchval(select, job["key"])
        if old is None:
            return None
        n = next(self._numbers)
        mode = chance.choice(["replace", "preserve_run_at"])
        await connection.execute(_ADD, json.dumps([fields(n, self._plan.queues, job["key"], mode)]))
        return _Change(added={n}, excused={old})

    async def _cut(self, chance: random.Random) -> None:
        connection = await connect(self._url)
        try:
            cut = await connection.fetchval(
                "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity "
                "where backend_type = 'client backend' and pid <> pg_backend_pid() order by random() limit $1) b",
                chance.randint(1, 4),
            )
            self._deeds.counts["connections cut"] += cut
        finally:
            connection.terminate()

    async def _unlock(self, chance: random.Random) -> None:
        if not (living := self._living()):
            return
        pool_id = chance.choice(living)
        connection = await connect(self._url)
        since = datetime.now(UTC)
        try:
            await connection.execute("set lock_timeout = '5s'")
            await connection.execute("select graphile_worker.force_unlock_workers($1)", [pool_id])
            self._deeds.counts["workers unlocked"] += 1
        finally:
            self.taken.append((pool_id, since, datetime.now(UTC) + timedelta(seconds=1)))
            connection.terminate()

    async def _refuse(self, chance: random.Random) -> None:
        connection = await connect(self._url)
        try:
            if (job := await _picked(connection, "locked_at is not null")) is None:
                return
            refuse = "insert into storm_refused values ($1, $2) on conflict do nothing"
            await connection.execute(refuse, job["id"], chance.choice(_CODES))
        finally:
            connection.terminate()
        self._deeds.counts["rows refused"] += 1
        await asyncio.sleep(self._hold(chance))
        await self._until_done("delete from storm_refused where job_id = $1", job["id"])

    async def _feed(self) -> None:
        """Add jobs while there are few, some at a time."""
        while not self._over.is_set():
            await asyncio.sleep(0.5)
            try:
                connection = await connect(self._url)
                try:
                    if (
                        await connection.fetchval("select count(*) from graphile_worker._private_jobs")
                        < self._plan.jobs / 2
                    ):
                        numbers = list(islice(self._numbers, 100))
                        await connection.execute(_ADD, json.dumps([fields(n, self._plan.queues) for n in numbers]))
                        self._deeds.added |= set(numbers)
                finally:
                    connection.terminate()
            except _FAULTS:
                self._deeds.counts["deeds cut short"] += 1

    async def _until_done(self, sql: str, *parameters: object) -> None:
        while True:
            try:
                connection = await connect(self._url)
                try:
                    await connection.execute(sql, *parameters)
                    return
                finally:
                    connection.terminate()
            except _FAULTS:
                await asyncio.sleep(0.1)

    def _hold(self, chance: random.Random) -> float:
        return chance.choice([0, 0.2, 1, chance.uniform(1, self._plan.hold)])


async def _picked(connection: asyncpg.Connection, condition: str) -> asyncpg.Record | None:
    """Pick a job, one that runs if there is any."""
    return await connection.fetchrow(_PICK.format(condition=condition))


async def _lock(connection: asyncpg.Connection, chance: random.Random) -> _Change | None:
    job = await _picked(connection, "locked_at is not null")
    return await _locked(connection, "jobs", None if job is None else job["id"], chance.choice(_LOCKS))


async def _queue(connection: asyncpg.Connection, chance: random.Random) -> _Change | None:
    job = await _picked(connection, "locked_at is not null and queue_id is not null")
    return await _locked(connection, "job_queues", None if job is None else job["queue_id"], chance.choice(_LOCKS))


async def _locked(connection: asyncpg.Connection, table: str, row_id: int | None, lock: str) -> _Change | None:
    rows = await connection.fetch(f"select from graphile_worker._private_{table} where id = $1 {lock}", row_id)
    return _Change() if rows else None


async def _remove(connection: asyncpg.Connection, chance: random.Random) -> _Change | None:
    if (job := await _picked(connection, "key is not null")) is None:
        return None
    rows = await connection.fetch("select cast(payload as text) as n from graphile_worker.remove_job($1)", job["key"])
    return _Change(excused=_numbers(rows))


async def _delete(connection: asyncpg.Connection, chance: random.Random) -> _Change | None:
    if (job := await _picked(connection, "locked_at is not null")) is None:
        return None
    since = datetime.now(UTC)
    delete = "delete from graphile_worker._private_jobs where id = $1 returning cast(payload as text) as n"
    numbers = _numbers(await connection.fetch(delete, job["id"]))
    return _Change(excused=numbers, deleted=numbers, deleted_at={job["id"]: since})


def _numbers(rows: Iterable[asyncpg.Record]) -> set[int]:
    return {int(row["n"]) for row in rows if row["n"] is not None}
