"""The state machine with workers: they claim, and write what became of older and newer runs, around what others lock.

All is in one transaction, so all claims have one time; each is moved to a time of its own afterwards, as if time had
passed: then a lock that is younger than a run is told from its own. The schema may be one that gw_sqla or one that
Graphile Worker made: what is here is what the contract says of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy.ext.asyncio import AsyncConnection

from gw_sqla.jobs.run import Run
from tests.faults.machine_calls import CallsMachine, alone
from tests.faults.model import Spec
from tests.faults.model_runs import ModelRun
from tests.faults.worlds import KEYS, POOLS, TASKS, picks
from tests.statements.pool import Pool

pools = st.sampled_from(POOLS)
ages = st.sampled_from([0, 0, 0, 1, 2])
"""Of the runs of a job by one pool: the newest, the one before it."""
writes = st.sampled_from(["complete", "fail", "give_back", "release"])
held_queues = st.lists(st.sampled_from(["q1", "q2"]), max_size=1)
EVERYWHERE = range(6)
AGE = timedelta(hours=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SchemaMachine(CallsMachine):
    """To be subclassed as `CallsMachine`."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = {name: Pool(self.connection, name, self.schema) for name in POOLS}
        self.runs: dict[tuple[str, int], list[Run]] = {}
        self.claims = 0
        self.begin = self.model.now
        self.others: AsyncConnection | None = None

    def teardown(self) -> None:
        if self.others is not None:
            self.loop.run(self.others.close())
        super().teardown()

    @alone
    @rule(pool=pools, places=picks, is_update=st.booleans(), queues=held_queues)
    def others_lock(self, pool: str, places: list[int], is_update: bool, queues: list[str]) -> None:
        """Somebody's transaction locks rows, and stays open."""
        self.loop.run(self.connection.commit())
        self.has_committed = True
        self.model.now = self.rows("select now()")[0][0]
        if self.others is None:
            self.others = self.loop.run(self._connect())
        ids = [job_id for job_id in self.picked(places, pool) if job_id in self.model.jobs]
        lock = "for no key update" if is_update else "for key share"
        jobs = f"select 1 from __schema__._private_jobs where id = any (:ids) {lock}"
        self.rows(jobs, self.others, ids=ids)
        lock_queues = "select 1 from __schema__._private_job_queues where queue_name = any (:names) for update"
        self.rows(lock_queues, self.others, names=queues)
        self.model.held_jobs = dict.fromkeys(ids, is_update)
        self.model.held_queues = set(queues)

    @precondition(lambda machine: machine.model.is_held)
    @rule()
    def others_end(self) -> None:
        assert self.others is not None
        self.loop.run(self.others.rollback())
        self.model.held_jobs.clear()
        self.model.held_queues.clear()

    @rule(
        pool=pools,
        count=st.sampled_from([1, 2, 10]),
        tasks=st.sampled_from([TASKS, TASKS, TASKS, ["b", "unheard of"]]),
        forbidden=st.sampled_from([[], [], ["f"], ["f", "g"]]),
    )
    def claim(self, pool: str, count: int, tasks: list[str], forbidden: list[str]) -> None:
        if self.model.is_held:
            count = 10  # a few may be less urgent than others: queues are chosen before their jobs are locked
        jobs = self.loop.run(self.pools[pool].claim(count, tasks=tasks, forbidden=forbidden))
        self.claims += 1
        at = self.begin + timedelta(seconds=self.claims)
        for table in ("jobs", "job_queues"):
            ids = [job.id if table == "jobs" else job.queue_id for job in jobs]
            later = f"update __schema__._private_{table} set locked_at = :at where id = any (:ids)"
            self.rows(later, at=at, ids=[row_id for row_id in ids if row_id is not None])
        self.model.claim(pool, [job.id for job in jobs], at, count, tasks, set(forbidden))
        for job in jobs:
            self.runs.setdefault((pool, job.id), []).append(
                Run(job._replace(locked_us=(at - _EPOCH) // timedelta(microseconds=1)))
            )
            known = self.model.jobs[job.id]
            assert (job.attempts, job.task_identifier, job.queue_name) == (known.attempts, known.task, known.queue)
            assert job.payload == known.payload

    @precondition(lambda machine: not machine.model.is_held)
    @rule(pool=pools)
    def age_locks(self, pool: str) -> None:
        for table in ("jobs", "job_queues"):
            older = "locked_at = locked_at - cast(:age as interval)"
            aged = f"update __schema__._private_{table} set {older} where locked_by = :pool"
            self.rows(aged, age=AGE, pool=pool)
        self.model.age_locks(pool, AGE)

    @rule(pool=pools)
    def claim_all(self, pool: str) -> None:
        self.claim(pool, 10, TASKS, [])

    @rule(pool=pools, all_but=picks)
    def claim_and_fail(self, pool: str, all_but: list[int]) -> None:
        self.claim_all(pool)
        self.fail(pool, [place for place in range(5) if place not in all_but], age=0, final=False)

    @alone
    @rule(pool=pools, how_lost=st.sampled_from(["unlocked", "replaced", "given back"]), aged=st.booleans(), what=writes)
    def an_older_run_writes(self, pool: str, how_lost: str, aged: bool, what: str) -> None:
        """A pool loses the locks of its runs, claims the jobs anew, and writes what became of the older runs.

        One that is replaced after it was unlocked, or that is given back, is in the same attempt again. Where somebody
        has aged the new locks, as administrators do who test the sweep, only the attempt tells the runs apart.
        """
        self.claim_all(pool)
        if how_lost == "given back":
            self.give_back(pool, EVERYWHERE, age=0)
        else:
            self.force_unlock_workers([pool])
        if how_lost == "replaced":
            for key in KEYS:
                self.add_job(Spec(TASKS[0], key=key), None)
        self.claim_all(pool)
        if aged:
            self.age_locks(pool)
        self.write(what, pool, EVERYWHERE, age=1)

    @alone
    @rule(pool=pools, places=picks, is_update=st.booleans(), queues=held_queues, what=writes)
    def write_around_locks(self, pool: str, places: list[int], is_update: bool, queues: list[str], what: str) -> None:
        self.claim_all(pool)
        self.others_lock(pool, places, is_update, queues)
        self.write(what, pool, EVERYWHERE, age=0)

    def write(self, what: str, pool: str, places: Sequence[int], age: int) -> None:
        if what == "fail":
            self.fail(pool, places, age, final=False)
        else:
            {"complete": self.complete, "give_back": self.give_back, "release": self.release}[what](pool, places, age)

    @rule(pool=pools, places=picks, age=ages)
    def complete(self, pool: str, places: Sequence[int], age: int) -> None:
        ids, runs = self.choose(pool, places, age)
        written = self.loop.run(self.pools[pool].complete(*ids, around_locks=self.model.is_held))
        assert (written, self.pools[pool].busy) == self.model.complete(runs)

    @alone
    @rule(pool=pools, age=ages)
    def complete_alike(self, pool: str, age: int) -> None:
        _, runs = self.choose(pool, EVERYWHERE, age)
        runs = [run for run in runs if run.key is run.queue is None and run.attempt == runs[0].attempt]
        if runs:
            done = self.loop.run(self.pools[pool].complete_alike(*(run.job_id for run in runs)))
            assert done == self.model.complete_alike(runs)

    @rule(pool=pools, places=picks, age=ages, final=st.booleans())
    def fail(self, pool: str, places: Sequence[int], age: int, final: bool) -> None:
        ids, runs = self.choose(pool, places, age)
        what: dict[str, Any] = {"messages": ["oh"] * len(ids), "final": [final] * len(ids)}
        written = self.loop.run(self.pools[pool].fail(*ids, **what, around_locks=self.model.is_held))
        assert (written, self.pools[pool].busy) == self.model.fail(runs, "oh", final=final)

    @rule(pool=pools, places=picks, age=ages)
    def give_back(self, pool: str, places: Sequence[int], age: int) -> None:
        ids, runs = self.choose(pool, places, age)
        written = self.loop.run(self.pools[pool].give_back(*ids, around_locks=self.model.is_held))
        assert (written, self.pools[pool].busy) == self.model.give_back(runs)

    @rule(pool=pools, places=picks, age=ages)
    def release(self, pool: str, places: Sequence[int], age: int) -> None:
        ids, runs = self.choose(pool, places, age)
        assert self.loop.run(self.pools[pool].release(*ids)) == self.model.release(pool, runs)

    def choose(self, pool: str, places: Sequence[int], age: int) -> tuple[list[int], list[ModelRun]]:
        """Return the jobs at these places, and the pool's runs of them: the newest, or older ones.

        The pool's next write is about these.
        """
        ids = self.picked(places, pool)
        chosen: list[ModelRun] = []
        for job_id in ids:
            if known := self.model.runs.get((pool, job_id)):
                place = max(0, len(known) - 1 - age)
                chosen.append(known[place])
                self.pools[pool].runs[job_id] = self.runs[pool, job_id][place]
        return ids, chosen
