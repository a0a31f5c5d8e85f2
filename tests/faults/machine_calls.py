"""A state machine that does the same to a worker schema and to the model, and compares every row after each step.

Here are the functions for people; what workers do is in `tests.faults.machine`. A machine begins with an empty schema.
It is in one transaction, whose time stands still, so that backoffs compare to the microsecond; others have to see its
rows before they can lock them, then it commits and goes on in another. What is locked by others stands in the way of
the functions for people: they wait for its end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql.elements import TextClause

from gw_sqla.statements.quoting import quoted
from tests.faults.model import Lock, ModelJob, Spec
from tests.faults.model_runs import WorkerModel
from tests.faults.worlds import (
    KEYS,
    POOLS,
    RECENTLY,
    REFUSED,
    arguments,
    fields,
    keyed_apart,
    picks,
    specs,
    times,
)

_ROWS = """select j.id, t.identifier as task, j.payload, q.queue_name as queue, j.run_at, j.max_attempts, j.key,
  j.priority, (select array_agg(flag order by flag) from jsonb_object_keys(j.flags) as flag) as flags, j.attempts,
  j.revision, j.last_error,
  j.locked_by, j.locked_at, j.updated_at = now() as updated, j.is_available
from __schema__._private_jobs as j
left join __schema__._private_tasks as t on t.id = j.task_id
left join __schema__._private_job_queues as q on q.id = j.job_queue_id
order by j.id"""

_QUEUES = "select queue_name, locked_by, locked_at from __schema__._private_job_queues"

_ADD = """select * from __schema__.add_job(
  :task, cast(:payload as json), :queue, :run_at, :max_attempts, :key, :priority, cast(:flags as text[]), :mode)"""

_ADD_MANY = """select * from __schema__.add_jobs(array(
  select s from json_populate_recordset(cast(null as __schema__.job_spec), cast(:specs as json)) as s
), :preserve)"""


alone = precondition(lambda machine: not machine.model.is_held)
"""For rules that would wait for what others have locked."""


class CallsMachine(RuleBasedStateMachine):
    """To be subclassed with the ``url`` of a migrated database and the ``schema`` to drive."""

    url: ClassVar[str]
    schema: ClassVar[str] = "graphile_worker"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.engine = create_async_engine(self.url, poolclass=NullPool)
        self.connection: AsyncConnection = self.loop.run(self._connect())
        self.has_committed = False
        self.model = WorkerModel(self.rows("select now()")[0][0])

    async def _connect(self) -> AsyncConnection:
        connection = await self.engine.connect()
        await connection.execute(text("set lock_timeout = '2s'"))
        await connection.commit()
        return connection

    def teardown(self) -> None:
        self.loop.run(self.connection.rollback())
        if self.has_committed:
            self.empty()
            self.loop.run(self.connection.commit())
        self.loop.run(self.connection.close())
        self.loop.close()

    def empty(self) -> None:
        for table in ("jobs", "job_queues", "tasks"):
            self.rows(f"delete from __schema__._private_{table}")

    def rows(self, sql: str, connection: AsyncConnection | None = None, **parameters: Any) -> Sequence[Any]:
        """Run SQL in the machine's transaction, or on a connection of others."""
        return self.loop.run(self._rows(sql, parameters, connection or self.connection))

    async def _rows(self, sql: str, parameters: dict[str, Any], connection: AsyncConnection) -> Sequence[Any]:
        result = await connection.execute(_text(sql, self.schema), parameters)
        return result.all() if result.returns_rows else []

    def picked(self, places: Sequence[int], pool: str | None = None) -> list[int]:
        """Return the ids at these places: of the jobs that the pool has first, then of the others."""
        ids = sorted(self.model.jobs, key=lambda job_id: (self.model.jobs[job_id].lock.pool != pool, job_id))
        return [ids[place] if place < len(ids) else 2**40 + place for place in places]

    @initialize(many=keyed_apart)
    def begin_with_some_jobs(self, many: list[Spec]) -> None:
        self.empty()
        self.add_jobs(many, preserve=False)

    @alone
    @rule(spec=specs, mode=st.sampled_from([None, "replace", "preserve_run_at", "unsafe_dedupe"]))
    def add_job(self, spec: Spec, mode: str | None) -> None:
        (row,) = self.rows(_ADD, **arguments(spec), mode=mode)
        dedupe = mode == "unsafe_dedupe" and spec.key is not None
        assert row.id == self.model.add(spec, row.id, preserve_run_at=mode == "preserve_run_at", dedupe=dedupe)
        assert (row.key, row.revision) == (spec.key, self.model.jobs[row.id].revision)

    def add_jobs(self, many: list[Spec], preserve: bool) -> None:
        added = self.rows(_ADD_MANY, specs=json.dumps([fields(spec) for spec in many]), preserve=preserve)
        assert len(added) == len(many)
        ids = {row.key: row.id for row in added if row.key is not None}
        plain = {row.id for row in added if row.key is None}
        stored = {row.id: row for row in self.rows(_ROWS) if row.id in plain}
        for spec in many:
            if spec.key is not None:
                assert self.model.add(spec, ids[spec.key], preserve_run_at=preserve) == ids[spec.key]
                continue
            self.model.add(
                spec, 0
            )  # the order of rows without a key is not in the contract: find this one's by its values
            job = self.model.jobs.pop(0)
            self.model.updated.discard(0)
            job.id = next(job_id for job_id, row in stored.items() if not _differences(row, job))
            del stored[job.id]
            self.model.jobs[job.id] = job
            self.model.updated.add(job.id)

    @alone
    @rule(many=keyed_apart, preserve=st.booleans())
    def add_some_jobs(self, many: list[Spec], preserve: bool) -> None:
        self.add_jobs(many, preserve=preserve)

    @alone
    @rule(spec=specs, change=st.sampled_from(list(REFUSED)))
    def add_what_is_refused(self, spec: Spec, change: str) -> None:
        sqlstate, bad = REFUSED[change]
        self.refused(sqlstate, _ADD, **{**arguments(spec), "mode": None, **bad})
        twice = json.dumps([{**fields(spec), "job_key": "k1"}] * 2)
        self.refused("21000", _ADD_MANY, specs=twice, preserve=False)

    @alone
    @rule(key=st.sampled_from(KEYS))
    def remove_job(self, key: str) -> None:
        (row,) = self.rows("select * from __schema__.remove_job(:key)", key=key)
        assert row.id == self.model.remove(key)

    @alone
    @rule(places=picks)
    def complete_jobs(self, places: list[int]) -> None:
        ids = self.picked(places)
        rows = self.rows("select id from __schema__.complete_jobs(:ids)", ids=ids)
        assert {row.id for row in rows} == self.model.complete_by_hand(ids)

    @alone
    @rule(places=picks, message=st.sampled_from([None, "because"]))
    def permanently_fail_jobs(self, places: list[int], message: str | None) -> None:
        ids = self.picked(places)
        rows = self.rows("select id from __schema__.permanently_fail_jobs(:ids, :message)", ids=ids, message=message)
        assert {row.id for row in rows} == self.model.fail_by_hand(ids, message)

    @alone
    @rule(
        places=picks,
        run_at=times,
        priority=st.none() | st.sampled_from([-9, 9]),
        attempts=st.sampled_from([None, None, 0, 3, 25]),
        max_attempts=st.sampled_from([None, None, 1, 3]),
    )
    def reschedule_jobs(self, places: list[int], **changes: Any) -> None:
        ids = self.picked(places)
        call = "__schema__.reschedule_jobs(:ids, :run_at, :priority, :attempts, :max_attempts)"
        rows = self.rows(f"select id from {call}", ids=ids, **changes)
        assert {row.id for row in rows} == self.model.reschedule(ids, changes)

    @alone
    @rule(pools=st.lists(st.sampled_from([*POOLS, "pool-of-another"]), unique=True))
    def force_unlock_workers(self, pools: list[str]) -> None:
        self.rows("select 1 from __schema__.force_unlock_workers(:pools)", pools=pools)
        self.model.unlock(pools)

    @alone
    @rule(pool=st.sampled_from(POOLS))
    def hours_pass_for(self, pool: str) -> None:
        for table in ("_private_jobs", "_private_job_queues"):
            sql = f"update __schema__.{table} set locked_at = locked_at - interval '5 hours' where locked_by = :pool"
            self.rows(sql, pool=pool)
        self.model.age(pool, timedelta(hours=5))

    @alone
    @rule()
    def backoffs_pass(self) -> None:
        self.rows("update __schema__._private_jobs set run_at = :then where run_at > now()", then=RECENTLY)
        for job in self.model.jobs.values():
            job.run_at = RECENTLY if job.run_at > self.model.now else job.run_at

    @invariant()
    def the_rows_are_the_models(self) -> None:
        rows = self.rows(_ROWS)
        assert [row.id for row in rows] == sorted(self.model.jobs)
        for row in rows:
            job = self.model.jobs[row.id]
            differences = _differences(row, job)
            assert not differences, f"{differences} of {job}"
            job.run_at = row.run_at
            assert row.is_available == job.available, job
            assert row.updated == (row.id in self.model.updated), f"updated_at of {job}"
        queues = {row.queue_name: Lock(row.locked_by, row.locked_at) for row in self.rows(_QUEUES)}
        assert {name: queues[name] for name in self.model.queues} == self.model.queues
        if self.model.updated:
            self.rows(
                "update __schema__._private_jobs set updated_at = '2000-01-01', "
                "created_at = case when id = any (:touched) then timestamptz '1999-01-01' else '2000-01-01' end",
                touched=list(self.model.touched),
            )
            self.model.updated.clear()

    def refused(self, sqlstate: str, sql: str, **parameters: Any) -> None:
        """Run what the database must refuse with this SQLSTATE; the transaction goes on."""

        async def try_it() -> None:
            async with self.connection.begin_nested():
                await self._rows(sql, parameters, self.connection)

        with pytest.raises(DBAPIError) as refusal:
            self.loop.run(try_it())
        assert getattr(refusal.value.orig, "sqlstate", None) == sqlstate, refusal.value


@lru_cache
def _text(sql: str, schema: str) -> TextClause:
    return text(sql.replace("__schema__", quoted(schema)))


def _differences(row: Any, job: ModelJob) -> dict[str, tuple[object, object]]:
    """What the row has, and what it should have, where that is not the same; the id aside."""
    has = {**row._mapping, "flags": row.flags and tuple(row.flags), "lock": Lock(row.locked_by, row.locked_at)}
    if abs(row.run_at - job.run_at) <= timedelta(microseconds=2):  # exp() rounds otherwise in Python
        has["run_at"] = job.run_at
    return {name: (has[name], value) for name, value in vars(job).items() if name != "id" and has[name] != value}
