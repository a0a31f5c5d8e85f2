"""Application: what ``--app`` may name beside a registry: the tasks, and what a worker of them is given.

    tasks = TaskRegistry()
    app = Application(tasks, observers=[Watch()], interceptors=[Tenant()], settings=RunnerSettings(prefetch=500))

The decision: ``--app`` names a `gw_sqla.TaskRegistry`, which is enough for most, or an Application. Observers,
interceptors and settings come to a worker of the command line by an Application, and in no other way. A registry says
which tasks there are and what their handlers need (resources, cron items), wherever they run; it is included by others
and cut to a selection, and a hook that came along would be in workers that nobody gave it to. So there is no
``tasks.observe(...)``. Rejected as well: a function that returns the worker's parts (it would be called by ``schema``
and ``crontab`` too, which run nothing), and more options with import paths (each would have to say what goes together).

The settings of an Application are the worker's defaults; an option, or its environment variable, that is given goes
before them, one by one. Only the schema is the command line's: every command asks for it, also those that know no app.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gw_sqla.errors import ConfigurationError
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.hooks.interceptor import Interceptor, check_interceptors
from gw_sqla.hooks.observer import Observer
from gw_sqla.hooks.observers import check_observers
from gw_sqla.settings import RunnerSettings

__all__ = ["Application"]


@dataclass(frozen=True, slots=True)
class Application:
    """An application, for ``python -m gw_sqla worker --app module:name``.

    Parameters: ``tasks``; ``observers`` and ``interceptors``, as those of `gw_sqla.Runner` (the interceptors see what
    ``add --app`` adds, too); ``settings``, the worker's where the command line says nothing else. With ``--processes``
    each process imports the application, and has its own. Raises ConfigurationError for what is none of these.
    """

    tasks: TaskRegistry
    observers: Sequence[Observer] = ()
    interceptors: Sequence[Interceptor] = ()
    settings: RunnerSettings | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.tasks, TaskRegistry):
            raise ConfigurationError(f"tasks: must be a TaskRegistry, not {self.tasks!r}")
        if self.settings is not None and not isinstance(self.settings, RunnerSettings):
            raise ConfigurationError(f"settings: must be RunnerSettings(...), not {self.settings!r}")
        check_observers(self.observers)
        check_interceptors(self.interceptors)
