"""Checks of what keeps jobs from running: no workers, locks, queues, tasks nobody runs, cron items nobody adds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from gw_sqla.crontab import CronItem
from gw_sqla.health.finding import Finding, Verdict, of_many, sql_text
from gw_sqla.health.look import Look
from gw_sqla.statements import crontab, health
from gw_sqla.statements.forward_lag import forward_lag
from gw_sqla.statements.pauses import find_pauses
from gw_sqla.statements.quoting import quoted
from gw_sqla.statements.workers import find_unknown_tasks

__all__ = ["crontabs", "forwarding", "locks", "pauses", "queues", "tasks", "workers"]

_RECOVERED_BY = 300.0
"""Seconds after which a dead worker's locks are gone where any other lives: it sweeps every 20 s."""
_FOREIGN = 4 * 3600.0 + 900.0
"""Seconds after which any kind of worker has unlocked what nobody registered for; with the time until it looks."""
_WAITED = timedelta(minutes=10)
_CRON_LATE = timedelta(minutes=5)


def workers(look: Look) -> Iterator[Finding]:
    """How many of ours live."""
    alive = look.row(health.workers_alive(look.schema))
    if alive.workers:
        yield Finding("workers", Verdict.OK, f"{alive.workers} live, with {alive.slots} slots", alive.workers)
    else:
        repair = "python -m gw_sqla worker --app MODULE:ATTRIBUTE"
        text = "no worker of gw_sqla's lives (those of Graphile Worker do not say so)"
        yield Finding("workers", Verdict.WARNING, text, 0, repair)


def locks(look: Look) -> Iterator[Finding]:
    """Locks of dead workers, and old ones of owners that nobody here knows."""
    owners = look.rows(health.held_locks(look.schema))
    dead = [row for row in owners if (row.dead_seconds or 0) > 0]
    foreign = [row for row in owners if row.dead_seconds is None and row.seconds > _FOREIGN]
    held = sum(row.jobs + row.queues for row in owners)
    if not dead and not foreign:
        yield Finding("locks", Verdict.OK, f"{held:,} are held, by {len(owners)} workers", held)
    if dead:
        longest = max(row.dead_seconds for row in dead)
        late = longest > _RECOVERED_BY
        names = [f"{row.owner} ({row.jobs} jobs, {row.queues} queues)" for row in dead]
        yield Finding(
            "locks",
            Verdict.WRONG if late else Verdict.WARNING,
            f"{len(dead)} dead workers hold locks, silent for up to {longest:.0f} s: {of_many(names)}",
            sum(row.jobs + row.queues for row in dead),
            _unlock(look.schema, [row.owner for row in dead])
            + (" Or start a worker: it recovers them" if late else " Or wait: a living worker recovers them"),
        )
    if foreign:
        names = [f"{row.owner} ({row.jobs} jobs, {row.queues} queues)" for row in foreign]
        yield Finding(
            "locks",
            Verdict.WRONG,
            f"{len(foreign)} owners that are not registered hold locks for over four hours: {of_many(names)}",
            sum(row.jobs + row.queues for row in foreign),
            f"{_unlock(look.schema, [row.owner for row in foreign])} But first be sure that they are gone",
        )


def queues(look: Look) -> Iterator[Finding]:
    """Queues whose lock belongs to no job."""
    stuck = look.rows(health.stuck_queues(look.schema))
    if not stuck:
        yield Finding("queues", Verdict.OK, "none is stuck", 0)
        return
    conditions = [f"queue_name = {sql_text(row.queue_name)} and locked_by = {sql_text(row.owner)}" for row in stuck]
    names = [f"{row.queue_name!r}, by {row.owner} for {row.seconds:.0f} s" for row in stuck]
    yield Finding(
        "queues",
        Verdict.WRONG,
        f"{len(stuck)} are locked by who has none of their jobs: {of_many(names)}",
        len(stuck),
        f"update {quoted(look.schema)}._private_job_queues set locked_by = null, locked_at = null "  # noqa: S608
        f"where {' or '.join(f'({one})' for one in conditions)};",
    )


def tasks(look: Look) -> Iterator[Finding]:
    """Tasks with jobs that have been ready for long, and that no living worker of ours knows."""
    unknown = look.rows(find_unknown_tasks(look.schema), waited=_WAITED)
    if not unknown:
        yield Finding("tasks", Verdict.OK, "each task with waiting jobs is known to a worker that lives", 0)
        return
    jobs = sum(row.jobs for row in unknown)
    names = [f"{row.identifier} ({row.jobs:,} jobs)" for row in unknown]
    yield Finding(
        "tasks",
        Verdict.WRONG,
        f"{len(unknown)} have jobs that wait for over 10 minutes, and no worker of gw_sqla's: {of_many(names)}",
        jobs,
        "start a worker whose application has them, or remove their jobs",
    )


def forwarding(look: Look) -> Iterator[Finding]:
    """Tasks that workers forward, and that are behind."""
    rows = look.rows(forward_lag(look.schema, registered=True))
    late = [row for row in rows if (row.seconds or 0) > _WAITED.total_seconds()]
    waiting = sum(row.waiting for row in rows)
    if rows and not late:
        yield Finding("forwarding", Verdict.OK, f"{len(rows)} tasks, {waiting:,} jobs are due", waiting)
    if late:
        names = [f"{row.task} ({row.waiting:,} jobs, the oldest due for {row.seconds:.0f} s)" for row in late]
        yield Finding(
            "forwarding",
            Verdict.WARNING,
            f"{len(late)} tasks are over 10 minutes behind: {of_many(names)}",
            waiting,
            "the log of the worker that forwards them says whether their sink is out of reach",
        )


def pauses(look: Look) -> Iterator[Finding]:
    """What somebody has paused, and may have forgotten."""
    paused = look.rows(find_pauses(look.schema))
    if not paused:
        yield Finding("pauses", Verdict.OK, "nothing is paused", 0)
        return
    names = [
        f"{f'{row.kind} {row.name!r}' if row.name else row.kind} since {row.paused_at:%Y-%m-%d %H:%M} UTC"
        f"{f', by {row.paused_by}' if row.paused_by else ''}{f': {row.reason}' if row.reason else ''}"
        for row in paused
    ]
    repair = "python -m gw_sqla resume --task NAME, --queue NAME or --everything"
    yield Finding("pauses", Verdict.WARNING, f"{len(paused)} hold: {of_many(names)}", len(paused), repair)


def crontabs(look: Look) -> Iterator[Finding]:
    """Cron items whose job is overdue; without the items only how many are known."""
    known = {row.identifier: row for row in look.rows(crontab.known_crontabs(look.schema))}
    if look.items is None:
        text = f"{len(known)} items are known; whether one is late, only their schedule says"
        verdict = Verdict.UNKNOWN if known else Verdict.OK
        yield Finding("crontabs", verdict, text, len(known), "give --app or --crontab" if known else None)
        return
    now = look.now or datetime.now(UTC)
    late = []
    for item in look.items:
        row = known.get(item.identifier)
        if row is None:
            late.append(f"{item.identifier} (no worker has made it known)")
        elif (due := _next(item, row.last_execution or row.known_since)) is not None and now - due > _CRON_LATE:
            late.append(f"{item.identifier} (due since {due:%Y-%m-%d %H:%M} UTC)")
    if late:
        yield Finding(
            "crontabs",
            Verdict.WRONG,
            f"{len(late)} of {len(look.items)} items are not scheduled: {of_many(late)}",
            len(late),
            "start a worker that has them: python -m gw_sqla worker with this --app or --crontab",
        )
    else:
        yield Finding("crontabs", Verdict.OK, f"{len(look.items)} items, none is late", 0)


def _next(item: CronItem, after: datetime) -> datetime | None:
    """Return the first minute at which it fires behind the last one, in UTC."""
    return next(item.fires(after.astimezone(UTC) + timedelta(minutes=1)), None)


def _unlock(schema: str, owners: list[str]) -> str:
    names = ", ".join(sql_text(owner) for owner in owners)
    return f"select {quoted(schema)}.force_unlock_workers(array[{names}]);"
