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
from functools import partial
from gc import get_referents
from operator import attrgetter
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

from gw_sqla.database.event_loops import on_trio

__all__ = ["TaskTraces"]


class TaskTraces:
    """To be made in the task, before its first job.

    ``are_there()`` tells whether the task is not as it was: it is not to run another job. ``has_open_scope()`` tells
    whether it is inside a scope that it was not in before. The former is called after each job: a function that holds
    what it looks at takes half of the time of a method.
    """

    def __init__(self) -> None:
        self.are_there, self.has_open_scope = _watch()


def _watch() -> tuple[Callable[[], bool], Callable[[], bool]]:
    task: Any
    if on_trio():
        task = sys.modules["trio"].lowlevel.current_task()
        innermost_scope = _reader(task, "_cancel_status")
    else:
        task = asyncio.current_task()
        states: Any = getattr(sys.modules.get("anyio._backends._asyncio"), "_task_states", {})
        innermost_scope = _reader(states.get(task), "cancel_scope")
    scope = innermost_scope()
    cancelling: Callable[[], int] = getattr(task, "cancelling", int)
    context = copy_context()

    def are_there() -> bool:
        links = getrefcount(task) + getweakrefcount(task) + len(get_referents(task))  # a callback is one more
        if links != links_before or cancelling() or innermost_scope() is not scope:
            return True
        try:
            return copy_context() != context
        except Exception:  # a value of the user's that cannot be compared: somebody has set it
            return True

    def has_open_scope() -> bool:
        return innermost_scope() is not scope

    links_before = getrefcount(task) + getweakrefcount(task) + len(get_referents(task))
    return are_there, has_open_scope


def _reader(holder: Any, name: str) -> Callable[[], object]:
    return partial(attrgetter(name), holder) if hasattr(holder, name) else lambda: None
