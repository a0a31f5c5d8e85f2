"""What handlers that work feel: each reads a row of the application's and changes it, in one transaction.

On both sides by what a worker gives its handlers: ``ctx.session()`` here, ``withPgClient`` there. That one begins no
transaction, so Graphile Worker's handler says ``begin`` and ``commit`` itself; beside it the same two statements
without, each of which commits by itself, and ours with models in place of statements.
"""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import GRAPHILE_BEST, SLOTS, Contender, graphile, ours_once
from benchmarks.database import SCHEMA, Database
from benchmarks.rates import Rate, measure
from benchmarks.throughput import FAST, Aim, report, shown

__all__ = ["real_handlers"]

_JOBS = 10_000
_TABLE = """create table if not exists bench_accounts (id integer primary key, touched integer not null);
truncate bench_accounts;
insert into bench_accounts select i, 0 from generate_series(0, 99999) i"""

_BEST = {**GRAPHILE_BEST, "maxPoolSize": SLOTS + 6}
"""Its ten connections would let fewer handlers work than there are."""


def real_handlers(database: Database, runs: int) -> dict[str, Any]:
    """One select and one update for each job, each of another row."""
    tasks = ("touch", "touch model", "touch apart")
    for task in tasks:
        database.run(f"insert into {SCHEMA}._private_tasks (identifier) values ('{task}') on conflict do nothing")
    database.run(_TABLE)
    database.run("vacuum analyze bench_accounts")
    best = graphile(_BEST, name="graphile best")
    contenders: dict[str, tuple[Contender, str]] = {
        "gw_sqla": (ours_once(*FAST), "touch"),
        "gw_sqla, models": (ours_once(*FAST, name="gw_sqla, models"), "touch model"),
        "graphile best": (best, "touch"),
        "graphile best, no transaction": (graphile(_BEST, name="graphile best, no transaction"), "touch apart"),
    }
    rates: dict[str, Rate] = {}
    for _ in range(runs):
        for contender, task in contenders.values():
            measure(database, {contender: _JOBS}, _of(task), runs=1, rates=rates)
    database.run("drop table bench_accounts")
    mine, theirs = rates["gw_sqla"].per_second, rates["graphile best"].per_second
    ratios = {name: round(rate.per_second / theirs, 2) for name, rate in rates.items()}
    return report(
        shown(rates) | {"ratios to graphile best": ratios}, Aim("to graphile best", mine / theirs, at_least=0.7)
    )


def _of(task: str) -> Any:
    def jobs(count: int) -> list[str]:
        return [f"select '{task}', json_build_object('id', i), null::text, now() from generate_series(1, {count}) i"]

    return jobs
