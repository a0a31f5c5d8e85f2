"""Finds what a worker works by: the tasks of ``--app module:attribute`` and ``--tasks folder``, and the crontab."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from gw_sqla.cli.startup_imports import import_to_stay
from gw_sqla.crontab import CronItem, read_crontab
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import ConfigurationError, TaskDefinitionError
from gw_sqla.execution.executable_tasks import executable_of, load_executable_tasks
from gw_sqla.execution.task_registry import TaskRegistry

__all__ = ["load_apps", "load_crontab", "load_tasks"]

_CRONTAB = "crontab"


def load_apps(texts: Sequence[str]) -> TaskRegistry:
    """Return the registry that is named, or one that includes all that are; raises ConfigurationError."""
    registries = [_load_app(text) for text in texts]
    if len(registries) == 1:
        return registries[0]
    all_tasks = TaskRegistry()
    for text, registry in zip(texts, registries, strict=True):
        try:
            all_tasks.include(registry)
        except TaskDefinitionError as error:
            raise ConfigurationError(f"--app {text}: {error}".replace("include: ", "")) from error
    return all_tasks


def load_tasks(
    apps: Sequence[str], folder: str | None, *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> TaskRegistry:
    """Return the tasks of the registries and of the folder of executable files, or those of them that are chosen.

    Raises ConfigurationError.
    """
    if not apps and folder is None:
        raise ConfigurationError("no tasks: give --app MODULE:ATTRIBUTE, --tasks FOLDER, or both")
    tasks = load_apps(apps)
    if folder is not None:
        tasks = _with_executables(tasks, folder)
    if not only and not without:
        return tasks
    try:
        return tasks.selection(only, without=without)
    except TaskDefinitionError as error:
        raise ConfigurationError(f"--only-task, --not-task: {error}") from error


def _with_executables(tasks: TaskRegistry, folder: str) -> TaskRegistry:
    executables = load_executable_tasks(folder)
    for identifier, task in executables.items():
        if identifier in tasks:
            path = executable_of(task).path
            raise ConfigurationError(
                f"--tasks {folder}: {path} is the task {identifier!r}, which an --app has too: rename one"
            )
    executables.include(tasks)
    return executables


def _load_app(text: str) -> TaskRegistry:
    """Import the module, with the current directory on the path, and return its registry.

    Raises ConfigurationError, which says whether the text, the module, something inside the module or the
    attribute is wrong.
    """
    module_name, _, attribute = text.partition(":")
    names = [*module_name.split("."), *attribute.split(".")]
    if not all(name.isidentifier() for name in names):
        raise ConfigurationError(f"--app {text}: must be MODULE:ATTRIBUTE, such as myapp.jobs:tasks")
    module = _import(module_name)
    found: object = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ConfigurationError(
                f"--app {text}: module {module_name} has no {attribute}{_registries(module)}"
            ) from error
    if not isinstance(found, TaskRegistry):
        kind = type(found).__name__
        raise ConfigurationError(
            f"--app {text}: {attribute} is of type {kind}, not a gw_sqla.TaskRegistry{_registries(module)}"
        )
    return found


def load_crontab(file: str | None) -> list[CronItem]:
    """Return the items of the file that is named, or else of ``crontab`` in the current directory if it is there.

    Raises ConfigurationError for a file that is named and not there, CrontabError for one with faults.
    """
    if file is not None:
        return read_crontab(file)
    return read_crontab(_CRONTAB) if Path(_CRONTAB).is_file() else []


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_to_stay(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"--app: there is no module {error.name}, neither in the current directory nor installed"
            ) from error
        raise ConfigurationError(_broken(name, error)) from error
    except (Exception, SystemExit) as error:  # a module can raise anything while it is imported
        raise ConfigurationError(_broken(name, error)) from error


def _broken(name: str, error: BaseException) -> str:
    """What is wrong inside the module, and the deepest line of the application's own that led there."""
    if isinstance(error, SyntaxError):
        where, what = f"{error.filename}, line {error.lineno}", f"{type(error).__name__}: {error.msg}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if _is_own(frame.filename)]
        where, what = f"{(own or frames)[-1].filename}, line {(own or frames)[-1].lineno}", error_text(error)
    return f"--app: module {name} was found, but importing it failed: {what} ({where})"


def _is_own(filename: str) -> bool:
    return Path(filename).is_relative_to(Path.cwd()) and "site-packages" not in filename


def _registries(module: ModuleType) -> str:
    names = sorted(name for name, value in vars(module).items() if isinstance(value, TaskRegistry))
    return f"; its registries: {', '.join(names)}" if names else "; it has no registry"
