"""What jobs leave behind when they are done: dead rows, larger indexes, slower looks; and what settings do about it.

A claim writes a new version of a row, with entries in the indexes, and a completion deletes that: two dead versions for
each job, until a vacuum. The jobs go through by the writes of workers in batches, not by workers: a million of them in
a minute or two. The look that is timed is a claim's, from the start of the index, without its writes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import asyncpg

from benchmarks.database import READY, SCHEMA, Database
from benchmarks.throughput import SCHEDULED, Aim, report
from gw_sqla.database.worker_connection import SESSION_SETTINGS
from gw_sqla.statements.claim import candidates
from gw_sqla.statements.claim_rules import Bounds, Variant
from tests.statements.snapshot import DIALECT
from tests.support.server import connect

__all__ = ["garbage"]

_JOBS = 1_000_000
_BATCH = 500
_WAITING = 1_000
"""So many jobs are ready at any time."""
_LOOKS = 100

_TABLE = f"{SCHEMA}._private_jobs"

_BURDENS: dict[str, tuple[str, ...]] = {"alone": (), "beside 1,000,000 scheduled": (SCHEDULED,)}

_BY_COUNT = {
    "autovacuum_vacuum_scale_factor": 0,
    "autovacuum_vacuum_threshold": 10_000,
    "autovacuum_vacuum_cost_delay": 0,
}


@dataclass(frozen=True)
class Settings:
    """How the jobs table is vacuumed: its storage parameters, and how often the server looks at it."""

    parameters: Mapping[str, object] = field(default_factory=dict)
    naptime: str = "1min"


_SETTINGS = {
    "defaults": Settings(),
    "by count": Settings(_BY_COUNT),
    "by count, every 5 s": Settings(_BY_COUNT, naptime="5s"),
}

_ADD = f"""insert into {_TABLE} (task_id, payload)
select t.id, json_build_object('id', i)
from generate_series(1, {_BATCH}) i, {SCHEMA}._private_tasks t where t.identifier = 'trivial' returning id"""
_LOCK = f"""update {_TABLE} set attempts = attempts + 1, locked_at = now(), locked_by = 'pool-measured'
where id = any ($1)"""
_COMPLETE = f"delete from {_TABLE} where id = any ($1) and locked_by = 'pool-measured'"

_SEEN = f"""select
  pg_relation_size('{_TABLE}') / 1048576.0 as table_mib, pg_indexes_size('{_TABLE}') / 1048576.0 as indexes_mib,
  n_dead_tup as dead, autovacuum_count as vacuums, n_tup_hot_upd as hot
from pg_stat_user_tables where relid = '{_TABLE}'::regclass"""


def garbage(database: Database, runs: int) -> dict[str, Any]:  # noqa: ARG001 - six long runs
    """One million jobs, alone and beside a million of tomorrow, with defaults and with settings for the table."""
    found: dict[str, Any] = {}
    for burden, selects in _BURDENS.items():
        for name, settings in _SETTINGS.items():
            database.empty()
            database.fill(*selects, READY.format(count=_WAITING))
            database.run("select pg_stat_reset()")
            with _applied(database, settings):
                found[f"{burden}, {name}"] = asyncio.run(_churn(database))
    database.empty()
    aims = [
        Aim(
            f"most dead rows {burden}, vacuumed by count every 5 s, to defaults",
            found[f"{burden}, by count, every 5 s"]["most_dead"] / found[f"{burden}, defaults"]["most_dead"],
            at_most=0.25,
        )
        for burden in _BURDENS
    ]
    return report(found, *aims)


@contextmanager
def _applied(database: Database, settings: Settings) -> Iterator[None]:
    def set_naptime(to: str) -> None:
        database.run(f"alter system set autovacuum_naptime = '{to}'")
        database.run("select pg_reload_conf()")

    changes = ", ".join(f"{name} = {value}" for name, value in settings.parameters.items())
    set_naptime(settings.naptime)
    if changes:
        database.run(f"alter table {_TABLE} set ({changes})")
    try:
        yield
    finally:
        if changes:
            database.run(f"alter table {_TABLE} reset ({', '.join(settings.parameters)})")
        set_naptime("1min")


async def _churn(database: Database) -> dict[str, Any]:
    writer, looker = await connect(database.url), await connect(database.url)
    await writer.execute("set synchronous_commit = off")
    await looker.execute(SESSION_SETTINGS)
    waiting = deque([[row["id"] for row in await writer.fetch(f"select id from {_TABLE} where run_at <= now()")]])
    before = [await _look(looker) for _ in range(20)]
    during: list[float] = []
    seen: list[asyncpg.Record] = []
    began = time.perf_counter()
    for number in range(_JOBS // _BATCH):
        waiting.append([row["id"] for row in await writer.fetch(_ADD)])
        done = waiting.popleft()
        await writer.execute(_LOCK, done)
        await writer.execute(_COMPLETE, done)
        if number % (_JOBS // _BATCH // _LOOKS) == 0:
            during.append(await _look(looker))
            seen += await looker.fetch(_SEEN)
    seconds = time.perf_counter() - began
    await writer.execute(f"vacuum {_TABLE}")
    after = [await _look(looker) for _ in range(20)]
    [end] = await looker.fetch(_SEEN)
    await writer.close()
    await looker.close()
    return {
        "seconds": round(seconds, 1),
        "look_ms": {
            "before": round(median(before), 2),
            "p50": round(median(during), 2),
            "most": round(max(during), 2),
            "after a vacuum": round(median(after), 2),
        },
        "most_dead": max(row["dead"] for row in seen),
        "table_mib": round(max(row["table_mib"] for row in seen)),
        "indexes_mib": round(max(row["indexes_mib"] for row in seen)),
        "indexes_mib_after_a_vacuum": round(end["indexes_mib"]),
        "autovacuums": seen[-1]["vacuums"],
        "hot_updates": seen[-1]["hot"],
    }


async def _look(connection: asyncpg.Connection) -> float:
    """Milliseconds for which a claim of 24 jobs looks from the start."""
    compiled = candidates(SCHEMA, Variant()).compile(dialect=DIALECT)
    values = {"task_identifiers": ["trivial"], "count": 24, **Bounds.of(24, None)._asdict()}
    transaction = connection.transaction()
    await transaction.start()
    arguments = [values[name] for name in compiled.positiontup or ()]
    began = time.perf_counter()
    await connection.fetch(str(compiled), *arguments)
    milliseconds = 1000 * (time.perf_counter() - began)
    await transaction.rollback()
    return milliseconds
