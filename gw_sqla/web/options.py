"""What a dashboard was made with, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from gw_sqla.admin import Admin, ScanLimits
from gw_sqla.crontab import CronItem
from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.web.rights import Access
from gw_sqla.web.shared import Shared

__all__ = ["Mask", "Options"]

Mask: TypeAlias = Callable[[str | None, Any], Any]
"""Gets a task's identifier and a payload (JSON), returns what may be seen of it (JSON)."""

_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(hours=1)


@dataclass(frozen=True)
class Options:
    """See `gw_sqla.web.dashboard.Dashboard`; ``shared`` is what all viewers share."""

    sessions: async_sessionmaker[AsyncSession]
    access: Access
    admin: Admin
    tasks: TaskRegistry | None
    crontab: Sequence[CronItem] | None
    read_only: bool
    mask: Mask | None
    interval: timedelta
    shared: Shared

    @property
    def engine(self) -> AsyncEngine | None:
        """The engine of the sessions, where they have one."""
        bind = self.sessions.kw.get("bind")
        return bind if isinstance(bind, AsyncEngine) else None


def check_options(given: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for what cannot work."""
    if not isinstance(given["sessions"], async_sessionmaker):
        raise ConfigurationError(
            "sessions: must be a gw_sqla.async_sessionmaker (or SQLAlchemy's, on asyncio), "
            f"not a {type(given['sessions']).__name__}"
        )
    for name in ("access", "mask"):
        if not callable(given[name]) and not (name == "mask" and given[name] is None):
            raise ConfigurationError(f"{name}: must be callable, not a {type(given[name]).__name__}")
    if given["tasks"] is not None and not isinstance(given["tasks"], TaskRegistry):
        raise ConfigurationError(f"tasks: must be a gw_sqla.TaskRegistry, not a {type(given['tasks']).__name__}")
    if not isinstance(given["read_only"], bool):
        raise ConfigurationError(f"read_only: must be True or False, is {given['read_only']!r}")
    if not isinstance(given["limits"], ScanLimits):
        raise ConfigurationError(f"limits: must be ScanLimits, not a {type(given['limits']).__name__}")
    interval = given["interval"]
    if not isinstance(interval, timedelta) or not _SHORTEST <= interval <= _LONGEST:
        raise ConfigurationError(f"interval: must be a timedelta of a second to an hour, is {interval!r}")
