"""``jobs remove --key``: the one job that has a key, as Graphile Worker's ``remove_job`` removes it."""

from __future__ import annotations

import anyio
import click
from sqlalchemy import URL

from gw_sqla.admin import Admin, Choice, JobFilter, Preview, ScanLimits
from gw_sqla.admin.chunks import jobs_were
from gw_sqla.cli.job_columns import JOB_COLUMNS
from gw_sqla.cli.listing import Format, as_record, print_json, print_list
from gw_sqla.cli.looking import looking
from gw_sqla.cli.terminal import confirm
from gw_sqla.cli.terminal_text import printable
from gw_sqla.jobs.stored_job import JobRow

__all__ = ["remove_by_key"]


def remove_by_key(
    key: str,
    words: tuple[str, ...],
    *,
    database_url: URL,
    schema: str,
    everything: bool,
    yes: bool,
    dry_run: bool,
    cursor: str | None,
    actor: str | None,
    limits: ScanLimits,
    as_json: bool,
) -> None:
    """Ask, remove it, and say what became of it."""
    if words or everything or cursor is not None:
        raise click.UsageError("--key is one job: no ids, no filter, no --all and no --cursor beside it")
    admin = Admin(schema, limits=limits)
    if dry_run or not yes:
        seen = anyio.run(_look, database_url, schema, admin, key)
        if not seen.count.number:
            raise _nobody_has(key)
        if dry_run:
            _print_preview(seen, as_json=as_json)
            return
        if not as_json:
            print_list(seen.samples, JOB_COLUMNS, Format.TABLE, nothing="")
        confirm("Remove 1 job?", yes=yes)
    job = anyio.run(_remove, database_url, schema, admin, key, actor)
    if job is None:
        raise _nobody_has(key)
    is_held = job.key is None
    if as_json:
        print_json({"removed": int(not is_held), "id": job.id, "locked_by": job.locked_by if is_held else None})
    elif is_held:
        owner = printable(job.locked_by or "a worker")
        click.echo(f"job {job.id} runs at {owner}: it finishes, and is not tried again")
    else:
        click.echo(f"{jobs_were(1)} removed")


def _nobody_has(key: str) -> click.ClickException:
    return click.ClickException(f"no job has the key {printable(key)!r}: nothing was done")


def _print_preview(seen: Preview, *, as_json: bool) -> None:
    if as_json:
        samples = [as_record(job, JOB_COLUMNS) for job in seen.samples]
        print_json({"count": seen.count.number, "held": seen.held.number, "is_exact": True, "samples": samples})
        return
    print_list(seen.samples, JOB_COLUMNS, Format.TABLE, nothing="")
    held = "not be tried again, as a worker has it" if seen.held.number else "be removed"
    click.echo(f"1 job would {held}; nothing was done")


async def _look(url: URL, schema: str, admin: Admin, key: str) -> Preview:
    async with looking(url, schema) as sessions, sessions() as session:
        return await admin.preview(session, JobFilter(keys=Choice(frozenset({key}))))


async def _remove(url: URL, schema: str, admin: Admin, key: str, actor: str | None) -> JobRow | None:
    async with looking(url, schema, as_="admin") as sessions, sessions.begin() as session:
        return await admin.remove_job(session, key, actor=actor)
