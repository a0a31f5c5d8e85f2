"""``workers``: who is there and what each holds; take locks away by hand; sweep, as each worker does by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, LockOwner, ScanLimits, Worker
from gw_sqla.admin import Unlocked as UnlockedByHand
from gw_sqla.cli.engine import connected
from gw_sqla.cli.listing import Column, format_options, json_option, print_json, print_list, utc_text
from gw_sqla.cli.looking import actor_option, looking, search_option
from gw_sqla.cli.options import SecondsRange, database_url_option, debug_option, schema_option
from gw_sqla.cli.terminal import confirm, yes_option
from gw_sqla.cli.terminal_text import counted, printable
from gw_sqla.schema.check import check_schema
from gw_sqla.worker.rust_tables import RustWorkers
from gw_sqla.worker.sweeps import Recovered, Sweeps, Unlocked

__all__ = ["command"]

_MOST = 1000


@dataclass(frozen=True, slots=True)
class _Row:
    """A worker, what it holds, or both: who is not registered is known by its locks only."""

    pool_id: str
    worker: Worker | None
    locks: LockOwner | None

    @property
    def state(self) -> str:
        return "unknown" if self.worker is None else "alive" if self.worker.is_alive else "dead"


_COLORS = {"alive": "green", "dead": "red", "unknown": "yellow"}

_COLUMNS: list[Column[_Row]] = [
    Column("pool_id", lambda row: row.pool_id),
    Column("state", lambda row: row.state, color=lambda row: _COLORS[row.state]),
    Column("host", lambda row: row.worker and row.worker.host, cuts=True),
    Column("pid", lambda row: row.worker and row.worker.pid, right=True),
    Column("version", lambda row: row.worker and row.worker.version),
    Column("concurrency", lambda row: row.worker and row.worker.concurrency, right=True),
    Column("jobs", lambda row: row.locks.jobs if row.locks else 0, right=True),
    Column("queues", lambda row: row.locks.queues if row.locks else 0, right=True),
    Column(
        "oldest_lock",
        lambda row: row.locks and row.locks.since,
        lambda row: utc_text(row.locks.since) if row.locks else None,
    ),
    Column(
        "last_heartbeat",
        lambda row: row.worker and row.worker.last_heartbeat_at,
        lambda row: utc_text(row.worker.last_heartbeat_at) if row.worker else None,
    ),
    Column("started_at", lambda row: row.worker and row.worker.started_at, in_table=False),
    Column("heartbeat_threshold", lambda row: row.worker and row.worker.heartbeat_threshold, in_table=False),
    Column("tasks", lambda row: row.worker and row.worker.tasks, in_table=False),
    Column("forbidden_flags", lambda row: row.worker and row.worker.forbidden_flags, in_table=False),
    Column("accepted_flags", lambda row: row.worker and row.worker.accepted_flags, in_table=False),
    Column("flag_allowlist", lambda row: row.worker and row.worker.flag_allowlist, in_table=False),
]


@click.group()
def command() -> None:
    """Look at workers, and take locks away from those that are gone."""


@command.command("list")
@database_url_option()
@schema_option
@search_option
@format_options
@debug_option
def list_(database_url: URL, schema: str, *, limits: ScanLimits, output: str | None) -> None:
    """List workers and what they hold.

    STATE is alive, dead, or unknown: who holds locks and is not registered, as workers of Graphile Worker are. --json
    and --csv have their tasks, too.
    """
    rows = anyio.run(_look, database_url, schema, limits)
    print_list(rows, _COLUMNS, output, nothing="no workers")


async def _look(url: URL, schema: str, limits: ScanLimits) -> list[_Row]:
    admin = Admin(schema, limits=limits)
    async with looking(url, schema) as sessions, sessions() as session:
        owners = {owner.locked_by: owner for owner in await admin.list_lock_owners(session)}
        workers: list[Worker] = []
        while page := await admin.list_workers(session, after=workers[-1].pool_id if workers else None, limit=_MOST):
            workers += page
            if len(page) < _MOST:
                break
    rows = [_Row(worker.pool_id, worker, owners.pop(worker.pool_id, None)) for worker in workers]
    return [*rows, *(_Row(owner.locked_by, owner.worker, owner) for owner in owners.values())]


@command.command()
@click.argument("pool_ids", nargs=-1, required=True, metavar="POOL_ID...")
@database_url_option()
@schema_option
@actor_option
@search_option
@yes_option
@debug_option
def unlock(
    pool_ids: tuple[str, ...], database_url: URL, schema: str, *, actor: str | None, limits: ScanLimits, yes: bool
) -> None:
    """Take all locks from workers that are gone; asks first.

    Their jobs are run again; the attempt that was cut off is spent. A worker that lives would go on with them beside
    the one that has them then: those of gw_sqla's that sent a heartbeat lately are left alone, and the exit code is 1.
    """
    confirm(f"Unlock all that {', '.join(map(printable, pool_ids))} hold?", yes=yes)
    unlocked = anyio.run(_unlock, database_url, schema, pool_ids, actor, limits)
    click.echo(f"unlocked {counted(unlocked.jobs, 'job')} and {counted(unlocked.queues, 'queue')}")
    if unlocked.living:
        living = ", ".join(printable(worker.pool_id) for worker in unlocked.living)
        raise click.ClickException(f"{living}: alive, left alone; it unlocks by itself when it is stopped")


async def _unlock(
    url: URL, schema: str, pool_ids: Sequence[str], actor: str | None, limits: ScanLimits
) -> UnlockedByHand:
    async with looking(url, schema, as_="admin") as sessions, sessions.begin() as session:
        return await Admin(schema, limits=limits).unlock_workers(session, pool_ids, actor=actor)


@command.command()
@database_url_option()
@schema_option
@click.option(
    "--delay", type=SecondsRange(0, 86400), default=10.0, metavar="SECONDS", help="How long the jobs of the dead wait."
)
@click.option("--dry-run", is_flag=True, help="Free nothing: say what it would be.")
@actor_option
@json_option
@debug_option
def sweep(database_url: URL, schema: str, *, delay: float, dry_run: bool, actor: str | None, as_json: bool) -> None:
    """Free the locks of dead workers, and those of unknown owners that are over four hours old.

    As each worker does by itself, three times a minute: it is needed where none of gw_sqla's runs.
    """
    recovered, unlocked = anyio.run(_sweep, database_url, schema, None if dry_run else delay, actor)
    if as_json:
        dead = [{"what": pool.what, "job_ids": pool.job_ids, "final_ids": pool.final_ids} for pool in recovered]
        print_json(
            {"recovered": dead, "stale": {"owners": unlocked.owners, "jobs": unlocked.jobs, "queues": unlocked.queues}}
        )
        return
    recovered_word, unlocked_word = ("would be recovered", "would unlock") if dry_run else ("recovered", "unlocked")
    for pool in recovered:
        freed = counted(len(pool.job_ids), "job")
        click.echo(f"{recovered_word}: {printable(pool.what)}; {unlocked_word} {freed} of its")
    if unlocked.owners:
        owners = ", ".join(map(printable, unlocked.owners))
        freed = f"{counted(unlocked.jobs, 'job')} and {counted(unlocked.queues, 'queue')}"
        click.echo(f"{unlocked_word} after four hours: {freed} of {owners}")
    if not recovered and not unlocked.owners:
        click.echo("nothing to free")


async def _sweep(url: URL, schema: str, delay: float | None, actor: str | None) -> tuple[list[Recovered], Unlocked]:
    """Sweep; without a delay, look what a sweep would free."""
    async with connected(url) as engine:
        await check_schema(engine, schema=schema, as_="worker" if delay is not None else "reader")
        sweeps = Sweeps(engine, schema, RustWorkers(schema), pooled=True)
        try:
            if delay is None:
                return await sweeps.look()
            return await sweeps.sweep_for(actor, timedelta(seconds=delay))
        finally:
            await sweeps.close()
