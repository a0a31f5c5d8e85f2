"""What a rule costs a claim: the statement itself on one connection, of 500 jobs, with and without the rule, in turn.

Each is rolled back, so that the next finds the same jobs. The statement is a part of what a job costs a worker; a rule
that slows it by a tenth slows the worker by less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.database import READY, SCHEMA, Database
from benchmarks.throughput import Aim, report
from gw_sqla.database.worker_connection import SESSION_SETTINGS
from gw_sqla.statements.claim import claim
from gw_sqla.statements.claim_rules import Bounds, Variant
from gw_sqla.worker.claim_cursor import EVERYWHERE
from tests.statements.snapshot import DIALECT
from tests.support.server import connect

__all__ = ["pauses", "routing"]

_COUNT = 500
_CLAIMS = 20
"""Of each rule in a run."""

_FLAGS = """update {schema}._private_jobs
set flags = '{{"{first}": true, "b": true, "c": true, "d": true}}' where {which}"""


@dataclass(frozen=True)
class Rule:
    """A variant of the claim, with its parameters."""

    variant: Variant
    parameters: Mapping[str, Any] = field(default_factory=dict)


def routing(database: Database, runs: int) -> dict[str, Any]:
    """100,000 jobs with four flags each; none left to others, then 10,000 of them before the rest."""
    rules = {
        "no rule": Rule(Variant()),
        "forbidden_flags": Rule(Variant(forbidding_flags=True), {"forbidden_flags": ["x"]}),
        "accepted_flags": Rule(Variant(accepting_flags=True), {"accepted_flags": ["a"]}),
        "flag_allowlist": Rule(Variant(allowlisting=True), {"flag_allowlist": ["a", "b", "c", "d"]}),
    }
    database.empty()
    database.fill(READY.format(count=100_000))
    database.run(_FLAGS.format(schema=SCHEMA, first="a", which="true"))
    database.settle()
    admitted = _milliseconds(database, rules, runs)
    database.run(_FLAGS.format(schema=SCHEMA, first="x", which="(payload ->> 'id')::int <= 10000"))
    database.settle()
    beside = _milliseconds(database, rules, runs)
    database.empty()
    ratios = {name: median(admitted[name]) / median(admitted["no rule"]) for name in rules if name != "no rule"}
    details = {
        "milliseconds, all admitted": {name: round(median(values), 2) for name, values in admitted.items()},
        "milliseconds, 10,000 others first": {name: round(median(values), 2) for name, values in beside.items()},
    }
    return report(details, *(Aim(f"{name} to no rule", ratio, at_most=1.2) for name, ratio in ratios.items()))


def pauses(database: Database, runs: int) -> dict[str, Any]:
    """100,000 jobs without a queue, 1,000 in as many queues; what is paused: another queue, 100 of the queues, a task.

    The task's are 10,000 jobs before the others.
    """
    others = "select 'stuck', '{}'::json, null::text, now() - interval '1 hour' from generate_series(1, 10000) i"
    queued = "select 'trivial', '{}'::json, 'queue ' || i, now() from generate_series(1, 1000) i"
    rules = {
        "nothing paused": Rule(Variant()),
        "another queue": Rule(Variant(pausing_queues=True), {"paused_queues": ["another"]}),
        "100 queues": Rule(
            Variant(pausing_queues=True), {"paused_queues": [f"queue {number}" for number in range(1, 101)]}
        ),
    }
    database.empty()
    database.fill(READY.format(count=100_000), queued)
    found = _milliseconds(database, rules, runs)
    database.fill(others)
    task = _milliseconds(database, {"a task": Rule(Variant())}, runs)
    database.empty()
    medians = {name: median(values) for name, values in (found | task).items()}
    details = {"milliseconds": {name: round(value, 2) for name, value in medians.items()}}
    nothing = medians["nothing paused"]
    aims = [Aim(f"{name} to nothing", medians[name] / nothing, at_most=1.2) for name in ("another queue", "100 queues")]
    return report(details, *aims)


def _milliseconds(database: Database, rules: Mapping[str, Rule], runs: int) -> dict[str, list[float]]:
    return asyncio.run(_measure(database, rules, runs))


async def _measure(database: Database, rules: Mapping[str, Rule], runs: int) -> dict[str, list[float]]:
    connection = await connect(database.url)
    await connection.execute(SESSION_SETTINGS)
    found: dict[str, list[float]] = {name: [] for name in rules}
    prepared = {}
    for name, rule in rules.items():
        compiled = claim(SCHEMA, rule.variant).compile(dialect=DIALECT)
        names: Sequence[str] = compiled.positiontup or ()
        values = _parameters() | dict(rule.parameters)
        prepared[name] = await connection.prepare(str(compiled)), [values[parameter] for parameter in names]
    for _ in range(runs * _CLAIMS):
        for name, (statement, arguments) in prepared.items():
            transaction = connection.transaction()
            await transaction.start()
            began = time.perf_counter()
            rows = await statement.fetch(*arguments)
            found[name].append(1000 * (time.perf_counter() - began))
            await transaction.rollback()
            assert len(rows) == _COUNT
    await connection.close()
    return found


def _parameters() -> dict[str, Any]:
    return {
        "task_identifiers": ["trivial"],
        "count": _COUNT,
        "pool_id": "pool-measured",
        **EVERYWHERE.parameters(),
        **Bounds.of(_COUNT, None)._asdict(),
    }
