"""TaskTraces: what a handler has left behind in the task that ran it.

A task and a context for each run would be the simple way; it costs 20 microseconds a job, more than all else that is
done for it in Python. So a slot's task runs one job after the other for as long as their handlers leave it
as they found it: most do. After one that did not, the slot goes on in a new task, with the context that the runner was
started in. What is looked at, for half a microsecond:

- Context variables: the task's context equals the one before.
- References to the task: ``async_scoped_session`` by current task, a task-local store, a library that
  keeps a weak reference, somebody who means to cancel the task later. All of them hold a reference more than before.
- On asyncio: callbacks for its end, and a cancellation that has not arrived yet.
- A cancel scope or task group that is open still. Then the run has failed too. Neither anyio nor trio tells the
  innermost scope of a task by a public name; where the private ones are not found, nothing is noticed.

A reference that is about to go (an exception in a cycle) costs a new task, no more.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import copy_context
from gc import get_referents
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

from gw_sqla.database.event_loops import on_trio

__all__ = ["TaskTraces"]


class TaskTraces:
    """To be made in the task, before its first job."""

    def __init__(self) -> None:
        self._task: Any
        self._scopes: Any
        if on_trio():
            self._task = self._scopes = sys.modules["trio"].lowlevel.current_task()
            self._scope_name = "_cancel_status"
        else:
            self._task = asyncio.current_task()
            states: Any = getattr(sys.modules.get("anyio._backends._asyncio"), "_task_states", {})
            self._scopes, self._scope_name = states.get(self._task), "cancel_scope"
        self._cancelling: Callable[[], int] = getattr(self._task, "cancelling", int)
        self._scope = self._innermost_scope()
        self._context = copy_context()
        self._links = self._count_links()

    def has_open_scope(self) -> bool:
        """Tell whether the task is inside a scope that it was not in before."""
        return self._innermost_scope() is not self._scope

    def are_there(self) -> bool:
        """Tell whether the task is not as it was: it is not to run another job."""
        if (
            self._count_links() != self._links
            or self._cancelling()
            or getattr(self._scopes, self._scope_name, None) is not self._scope
        ):
            return True
        try:
            return copy_context() != self._context
        except Exception:  # a value of the user's that cannot be compared: somebody has set it
            return True

    def _innermost_scope(self) -> object:
        return getattr(self._scopes, self._scope_name, None)

    def _count_links(self) -> int:
        """Count references to the task, and what it refers to: a callback is one more."""
        task = self._task
        return getrefcount(task) + getweakrefcount(task) + len(get_referents(task))
