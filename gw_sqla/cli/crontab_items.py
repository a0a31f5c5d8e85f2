"""What the commands of ``crontab`` share: the items of a file and of applications."""

from __future__ import annotations

import contextlib
import sys

from gw_sqla.cli.application import load_apps, load_crontab
from gw_sqla.cli.options import app_option, option
from gw_sqla.crontab import CronItem
from gw_sqla.execution.task_registry import TaskRegistry

__all__ = ["items_by_identifier", "items_option", "json_option", "load"]

items_option = app_option(
    required=False, help="Where a TaskRegistry is, for the items that it declares; can be repeated."
)
json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")


def load(apps: tuple[str, ...]) -> TaskRegistry:
    """Return the tasks of the applications."""
    with contextlib.redirect_stdout(sys.stderr):  # what the application prints must not end up in what is printed
        return load_apps(apps).tasks


def items_by_identifier(crontab: str | None, apps: tuple[str, ...]) -> dict[str, CronItem]:
    """Return the items of the crontab and of the applications by identifier."""
    declared = load(apps).cron_items if apps else ()
    return {item.identifier: item for item in (*load_crontab(crontab), *declared)}
