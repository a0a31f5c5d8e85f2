"""KnownTasks: the application's tasks, as a test may mean them, and what it gives in place of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from gw_sqla.errors import JobTesterError
from gw_sqla.execution.forwarded_tasks import is_forwarded
from gw_sqla.execution.sink import Sink
from gw_sqla.jobs.task import Resource, Task, identifier_of

__all__ = ["KnownTasks"]


class KnownTasks:
    """All methods raise JobTesterError for what cannot be."""

    def __init__(self, tasks: Mapping[str, Task[Any]]) -> None:
        if not isinstance(tasks, Mapping) or isinstance(tasks, type):
            raise JobTesterError(f"tasks: must be a TaskRegistry, TaskRegistry(), not {tasks!r}")
        self._tasks = tasks

    def find(self, task: Task[Any] | str) -> Task[Any]:
        """Return the registry's task."""
        identifier = identifier_of(task)
        found = self._tasks.get(identifier)
        if found is None:
            near = get_close_matches(str(identifier), self._tasks, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(self._tasks)[:20]) or 'none'}"
            raise JobTesterError(f"task: the registry has no task {identifier!r}: {hint}")
        if isinstance(task, Task) and found is not task:
            raise JobTesterError(f"task: the registry has another task {identifier!r}: this one is another registry's")
        return found

    def check(self, task: Task[Any] | str) -> None:
        """Refuse a task that is not the registry's, unless it is the name of one of another worker's."""
        if (
            isinstance(task, Task)
            or not isinstance(task, str)
            or (task not in self._tasks and get_close_matches(task, self._tasks, 1, cutoff=0.8))
        ):
            self.find(task)

    def sinks(self, given: Mapping[Any, Sink]) -> dict[str, Sink]:
        """Return the sinks that are given, by the names of the forwarded tasks."""
        sinks = {}
        for task, sink in given.items():
            known = self.find(task)
            if not is_forwarded(known):
                raise JobTesterError(
                    f"sinks: task {known.identifier!r} has a handler: only forwarded tasks have a sink"
                )
            if isinstance(sink, type) or not isinstance(sink, Sink):
                raise JobTesterError(f"sinks: that of {known.identifier!r} must have open, close and send, is {sink!r}")
            sinks[known.identifier] = sink
        return sinks

    def resources(self, given: Mapping[Any, Any]) -> dict[Resource, Any]:
        """Return what is given in place of the tasks' resources, by these."""
        tasks = self._tasks.values()
        declared = {resource.type: resource for task in tasks for resource in _asked_for(task.arguments)}
        for kind in given:
            if kind not in declared:
                names = ", ".join(sorted(getattr(other, "__name__", str(other)) for other in declared)) or "nothing"
                raise JobTesterError(f"resources: no task asks for {kind!r}: they ask for {names}")
        return {declared[kind]: value for kind, value in given.items()}


def _asked_for(arguments: Iterable[Any]) -> Iterator[Resource]:
    for argument in arguments:
        if isinstance(argument.source, Resource):
            yield argument.source
            yield from _asked_for(argument.source.arguments)
