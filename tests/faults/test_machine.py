"""The schema that gw_sqla makes does what the model of the contract does, in any order of calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from sqlalchemy.ext.asyncio import AsyncTransaction
from sqlalchemy.sql.selectable import TextualSelect

from gw_sqla.database.array_literals import ids_of
from gw_sqla.statements import stale_locks, workers
from tests.faults.machine import SchemaMachine, ages
from tests.faults.machine_calls import alone
from tests.faults.worlds import POOLS

MACHINE = settings(  # without shrinking, which takes longer than a test may
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
    print_blob=True,
    phases=[Phase.generate],
)


class RecoveringMachine(SchemaMachine):
    """The machine with what needs a table or a function of ours: recovery, transactional completion."""

    @rule(pool=st.sampled_from(POOLS), delay=st.sampled_from([timedelta(0), timedelta(seconds=10)]))
    def die_and_be_recovered(self, pool: str, delay: timedelta) -> None:
        self.rows(
            "insert into __schema__._private_sqla_workers values "
            """(:pool, now(), now() - interval '61 s', '60 s', '{"pid": 7, "host": "here"}')""",
            pool=pool,
        )
        parameters = {"pool_ids": [pool], "job_ids": None, "delay": delay}
        found = self.loop.run(self._execute(workers.recover(self.schema), parameters))
        what = f"{pool} (process 7 on here) sent no heartbeat for 60 s"
        freed, is_gone = self.model.recover(pool, delay, f"the worker died while it had this job: {what}")
        left = self.rows("delete from __schema__._private_sqla_workers returning pool_id")
        assert [row.pool_id for row in left] == ([] if is_gone else [pool])
        finals = [job_id for job_id in sorted(freed) if (job := self.model.jobs[job_id]).attempts >= job.max_attempts]
        expected = [(what, sorted(freed), finals)] if freed or is_gone else []
        assert [(row.what, ids_of(row.job_ids), ids_of(row.final_ids)) for row in found] == expected

    @rule()
    def unlock_stale(self) -> None:
        found = self.loop.run(self._execute(stale_locks.find_stale(self.schema), {}))
        ids = {"job_ids": [row.id for row in found if not row.is_queue], "queue_ids": []}
        ids["queue_ids"] = [row.id for row in found if row.is_queue]
        unlocked = self.loop.run(self._execute(stale_locks.unlock_stale(self.schema), ids))
        assert len(unlocked) == self.model.unlock_expired()

    @alone
    @rule(pool=st.sampled_from(POOLS), place=st.sampled_from([0, 1, 2]), age=ages, is_committed=st.booleans())
    def complete_by_handler(self, pool: str, place: int, age: int, is_committed: bool) -> None:
        _, runs = self.choose(pool, [place], age)
        if not runs:
            return
        savepoint = self.loop.run(self._savepoint())
        completed = self.loop.run(self.pools[pool].complete_by_handler(runs[0].job_id))
        if is_committed:
            assert completed == self.model.complete(runs)[0]
        else:
            self.loop.run(savepoint.rollback())

    async def _savepoint(self) -> AsyncTransaction:
        return await self.connection.begin_nested()

    async def _execute(self, statement: TextualSelect, parameters: dict[str, Any]) -> Sequence[Any]:
        return (await self.connection.execute(statement, parameters)).all()


def test_the_schema_is_the_models(database: str) -> None:
    class Ours(RecoveringMachine):
        url = database

    run_state_machine_as_test(Ours, settings=MACHINE)
