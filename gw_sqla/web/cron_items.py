"""The cron items that a dashboard knows: those of its crontab, and those that its tasks declare."""

from __future__ import annotations

from collections.abc import Sequence

from gw_sqla.crontab import CronItem
from gw_sqla.web.options import Options

__all__ = ["items_of"]


def items_of(options: Options) -> Sequence[CronItem] | None:
    """Return them, one of each identifier, as a worker has them; None where the dashboard was given neither."""
    if options.crontab is None and options.tasks is None:
        return None
    declared = options.tasks.cron_items if options.tasks is not None else ()
    return tuple({item.identifier: item for item in (*(options.crontab or ()), *declared)}.values())
