"""Cron items as people see them: what the crontab and the application say, and what the database knows of them.

The database knows an item's identifier and the minute of its last job, not its schedule: whether it is late, and when
its next jobs are due, is known of the items that are given. The job of an item can be added by hand; its schedule goes
on as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy.orm import Session

from gw_sqla.admin.adding import add_and_tell
from gw_sqla.admin.bounded import bounded
from gw_sqla.admin.pages import NamePage
from gw_sqla.admin.values import ScanLimits
from gw_sqla.calls.asking import ask
from gw_sqla.crontab import CronItem
from gw_sqla.crontab.known_crontabs import KnownCrontab
from gw_sqla.errors import InvalidJobError
from gw_sqla.jobs.stored_job import JobRow
from gw_sqla.statements import crontab, job_reports

__all__ = ["CronItemInfo", "list_cron_items", "run_cron_item"]

LATE_AFTER = timedelta(minutes=5)
_FOLLOWING = 5


@dataclass(frozen=True, slots=True)
class CronItemInfo:
    """A cron item: what was given of it (None: only the database knows it), and what the database knows of it.

    ``known`` is None where no worker has made it known. ``due_since``: the minute of the oldest job that no worker has
    added yet, None where none is due. ``is_late``: that was over five minutes ago, or nobody knows the item.
    ``following``: the next five minutes at which it is due, from now on. Times in UTC, by the database's clock.
    """

    identifier: str
    item: CronItem | None
    known: KnownCrontab | None
    due_since: datetime | None
    is_late: bool
    following: tuple[datetime, ...]


def list_cron_items(
    session: Session,
    schema: str,
    items: Sequence[CronItem],
    page: NamePage,
    limits: ScanLimits,
) -> list[CronItemInfo]:
    """Read what is known, and put it beside what was given, by identifier."""
    given = {item.identifier: item for item in _checked(items)}
    with bounded(session, schema, limits) as reading:
        [clock] = reading.ask(job_reports.now(schema))
        asked = crontab.known_page(schema, backwards=page.backwards)
        rows = page.in_order(list(reading.ask(asked, page.parameters)))
        known = {row.identifier: KnownCrontab(row.identifier, row.known_since, row.last_execution) for row in rows}
    more = [name for name in given if _is_on(page, name) and name not in known]
    if len(rows) == page.limit:  # what lies behind the page may be known all the same
        more = [name for name in more if rows[0].identifier < name or not page.backwards]
        more = [name for name in more if name < rows[-1].identifier or page.backwards]
    now: datetime = clock.now
    names = sorted([*known, *more])
    names = names[-page.limit :] if page.backwards else names[: page.limit]
    return [_info(name, given.get(name), known.get(name), now.astimezone(UTC)) for name in names]


def _is_on(page: NamePage, name: str) -> bool:
    return name < page.before if page.before is not None else name > (page.after or "")


def run_cron_item(session: Session, schema: str, item: CronItem, actor: str | None) -> JobRow:
    """Add the item's job, due now."""
    [item] = _checked([item])
    [row] = ask(session, schema, job_reports.now(schema))
    now: datetime = row.now
    return add_and_tell(
        session,
        schema,
        item.task,
        item.job_payload(now.astimezone(UTC), backfilled=False),
        item.job_key_mode,
        actor,
        action="cron",
        detail=f"item={item.identifier}",
        queue_name=item.queue_name,
        max_attempts=item.max_attempts,
        job_key=item.job_key,
        priority=item.priority,
        flags=item.flags,
    )


def _checked(items: Iterable[CronItem]) -> list[CronItem]:
    found = list(items)
    for item in found:
        if not isinstance(item, CronItem):
            raise InvalidJobError("items", f"must be CronItems, has a {type(item).__name__}")
    return found


def _info(identifier: str, item: CronItem | None, known: KnownCrontab | None, now: datetime) -> CronItemInfo:
    if item is None:
        return CronItemInfo(identifier, None, known, None, False, ())
    following = tuple(islice(item.fires(now), _FOLLOWING))
    if known is None:
        return CronItemInfo(identifier, item, None, None, True, following)
    last = (known.last_execution or known.known_since).astimezone(UTC)
    due = next(item.fires(last + timedelta(minutes=1)), None)
    due_since = due if due is not None and due <= now else None
    is_late = due_since is not None and now - due_since > LATE_AFTER
    return CronItemInfo(identifier, item, known, due_since, is_late, following)
