"""Finds what a worker works by: ``--app module:attribute`` and ``--tasks folder``, and the crontab.

``--app`` names a TaskRegistry or an Application (`gw_sqla.application` says why); several make one Application.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from gw_sqla.application import Application
from gw_sqla.cli.startup_imports import import_to_stay
from gw_sqla.crontab import CronItem, read_crontab
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import ConfigurationError, TaskDefinitionError
from gw_sqla.execution.executable_tasks import executable_of, load_executable_tasks
from gw_sqla.execution.task_registry import TaskRegistry

__all__ = ["load_application", "load_apps", "load_crontab"]

H = TypeVar("H")

_CRONTAB = "crontab"


def load_apps(texts: Sequence[str]) -> Application:
    """Return the application that is named, or one that has all that are; raises ConfigurationError.

    The tasks are those of all, and so are the observers and the interceptors, each once, in the order of the names.
    """
    applications = [_load_app(text) for text in texts]
    if len(applications) == 1:
        return applications[0]
    all_tasks = TaskRegistry()
    for text, application in zip(texts, applications, strict=True):
        try:
            all_tasks.include(application.tasks)
        except TaskDefinitionError as error:
            raise ConfigurationError(f"--app {text}: {error}".replace("include: ", "")) from error
    settings = {id(application.settings): application.settings for application in applications if application.settings}
    if len(settings) > 1:
        raise ConfigurationError("--app: more than one of these applications has settings: one worker has one of them")
    return Application(
        all_tasks,
        observers=_each_once(observer for application in applications for observer in application.observers),
        interceptors=_each_once(one for application in applications for one in application.interceptors),
        settings=next(iter(settings.values()), None),
    )


def load_application(
    apps: Sequence[str], folder: str | None, *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> Application:
    """Return the applications as one, with the tasks of the folder of executable files, or those that are chosen.

    Raises ConfigurationError.
    """
    if not apps and folder is None:
        raise ConfigurationError("no tasks: give --app MODULE:ATTRIBUTE, --tasks FOLDER, or both")
    application = load_apps(apps)
    tasks = application.tasks
    if folder is not None:
        tasks = _with_executables(tasks, folder)
    try:
        chosen = tasks.selection(only, without=without) if only or without else tasks
    except TaskDefinitionError as error:
        raise ConfigurationError(f"--only-task, --not-task: {error}") from error
    return replace(application, tasks=chosen)


def _each_once(hooks: Iterable[H]) -> list[H]:
    return list({id(hook): hook for hook in hooks}.values())


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


def _load_app(text: str) -> Application:
    """Import the module, with the current directory on the path, and return its application.

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
    if isinstance(found, Application):
        return found
    if not isinstance(found, TaskRegistry):
        kind = type(found).__name__
        raise ConfigurationError(
            f"--app {text}: {attribute} is of type {kind}, not a gw_sqla.TaskRegistry or Application"
            f"{_registries(module)}"
        )
    return Application(found)


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
    found = [(name, isinstance(value, Application)) for name, value in vars(module).items() if _is_app(value)]
    registries = sorted(name for name, is_application in found if not is_application)
    applications = sorted(name for name, is_application in found if is_application)
    if not found:
        return "; it has no registry"
    said = f"; its registries: {', '.join(registries)}" if registries else ""
    return said + (f"; its applications: {', '.join(applications)}" if applications else "")


def _is_app(value: object) -> bool:
    return isinstance(value, (TaskRegistry, Application))
