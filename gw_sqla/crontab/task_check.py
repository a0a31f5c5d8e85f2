"""Cron items and the tasks of a registry: whether their payloads fit, and all items that a worker schedules."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gw_sqla.crontab import CronItem
from gw_sqla.errors import ConfigurationError, InvalidPayloadError
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.task import Task

__all__ = ["check_fit", "check_items"]

log = logging.getLogger(__name__)

_SOME_MINUTE = datetime(2000, 1, 1, tzinfo=UTC)


def check_fit(item: CronItem, task: Task[Any]) -> None:
    """Raise ConfigurationError if the task could not run the item's jobs: its payload, with ``_cron``, does not fit."""
    if task.batch:
        raise ConfigurationError(
            f"cron item {item.identifier!r}: a crontab's payload is an object, and {item.task!r} is a batch task"
        )
    if not task.takes_payload:
        return
    try:
        task.payload_type.load(to_json(item.job_payload(_SOME_MINUTE, backfilled=False)))
    except InvalidPayloadError as error:
        raise ConfigurationError(f"cron item {item.identifier!r}: {error}") from error


def check_items(items: Sequence[CronItem], tasks: Mapping[str, Task[Any]]) -> None:
    """Raise ConfigurationError for an identifier that occurs twice and for payloads that do not fit tasks of ours."""
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, CronItem):
            raise ConfigurationError(f"crontab: must be a list of CronItem, has a {type(item).__name__}")
        if item.identifier in seen:
            raise ConfigurationError(
                f"cron item {item.identifier!r}: two items have this identifier: give one of them another id"
            )
        seen.add(item.identifier)
        if item.task in tasks:
            check_fit(item, tasks[item.task])
