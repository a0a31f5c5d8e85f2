"""The innermost cancel scope of a task: a handler that leaves one open has spoiled the task that called it.

Neither anyio nor trio tells it by a public name; where the private ones are not found, nothing is noticed. To
enter and leave a scope around each job would cost some ten microseconds, this look costs a tenth of one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from gw_sqla.database.event_loops import on_trio

__all__ = ["innermost_scope"]


def innermost_scope() -> Callable[[], object]:
    """Return a function that gives the scope that this task is in at the time of the call."""
    holder: Any
    if on_trio():
        holder, name = sys.modules["trio"].lowlevel.current_task(), "_cancel_status"
    else:
        states: Any = getattr(sys.modules.get("anyio._backends._asyncio"), "_task_states", {})
        holder, name = states.get(asyncio.current_task()), "cancel_scope"
    return partial(getattr, holder, name, None)
