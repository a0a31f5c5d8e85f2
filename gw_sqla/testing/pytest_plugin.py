"""The pytest plugin: fixtures around the session fixture that a test suite has. It is there when gw_sqla is installed.

    jobs               a `gw_sqla.testing.JobTester`, for anyio's plugin, pytest-asyncio and pytest-trio
    sync_jobs          a `gw_sqla.testing.SyncJobTester`
    gw_sqla_database   the URL of a migrated database on an embedded server (extra ``embedded``), one for each process

The suite's own fixtures are named by settings: the plugin's depend on them by name, as if they were written in its
conftest.py, so that whichever plugin runs async fixtures makes them first, in the event loop of the test. Nothing of
gw_sqla is imported before a fixture is used.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from types import ModuleType
from typing import Any

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]

_OPTIONS = "job_tester_options"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings of pytest.ini or pyproject.toml."""
    parser.addini("gw_sqla_session", "name of the fixture that is the test's AsyncSession, for jobs", default="session")
    parser.addini(
        "gw_sqla_sync_session", "name of the fixture that is the test's Session, for sync_jobs", default="session"
    )
    parser.addini(
        "gw_sqla_tasks", "the application's tasks: module:name of a TaskRegistry, or a fixture's name", default="tasks"
    )
    parser.addini(
        "gw_sqla_schema",
        "the worker schema that gw_sqla_database has; nothing, where your own migrations make it",
        default="graphile_worker",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures that depend on the settings."""
    fixtures: Any = ModuleType("gw_sqla_fixtures")
    session, sync_session, tasks = (
        str(config.getini(name)) for name in ("gw_sqla_session", "gw_sqla_sync_session", "gw_sqla_tasks")
    )
    fixtures.jobs = _fixture("jobs", _jobs, session, tasks)
    fixtures.sync_jobs = _fixture("sync_jobs", _sync_jobs, sync_session, tasks)
    config.pluginmanager.register(fixtures, "gw_sqla_fixtures")


@pytest.fixture
def job_tester_options() -> dict[str, Any]:
    """Keywords for the tester of ``jobs`` and ``sync_jobs``, ``resources`` for example: override it."""
    return {}


@pytest.fixture(scope="session")
def gw_sqla_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a migrated PostgreSQL database of this process's own; workers of pytest-xdist share the server."""
    from gw_sqla.testing.postgres import migrated_database

    is_one_of_many = hasattr(request.config, "workerinput")  # of pytest-xdist
    with migrated_database(
        schema=str(request.config.getini("gw_sqla_schema")) or None,
        shared_in=tmp_path_factory.getbasetemp().parent if is_one_of_many else None,
    ) as url:
        yield url.render_as_string(hide_password=False)


def _jobs(session: Any, tasks: Any, options: dict[str, Any]) -> Iterator[Any]:
    """Tester of the jobs of a test, in its AsyncSession's transaction; what is not awaited is an error at its end."""
    from gw_sqla.testing.job_tester import JobTester

    jobs = JobTester(session, tasks, **options)
    yield jobs
    jobs.check_awaited()


def _sync_jobs(session: Any, tasks: Any, options: dict[str, Any]) -> Iterator[Any]:
    """Tester of the jobs of a test, in its Session's transaction."""
    from gw_sqla.testing.sync_job_tester import SyncJobTester

    yield SyncJobTester(session, tasks, **options)


def _fixture(name: str, make: Callable[..., Iterator[Any]], session: str, tasks: str) -> Any:
    """Return a fixture of this name that depends on fixtures whose names are settings.

    Where one of them is not found, pytest shows the line of the function's ``def``.
    """
    is_import = ":" in tasks
    names = [session, _OPTIONS] + ([] if is_import else [tasks])

    def fixture(**values: Any) -> Iterator[Any]:  # needs the fixtures that gw_sqla_session, gw_sqla_tasks... name
        registry = _imported(tasks) if is_import else values[tasks]
        yield from make(values[session], registry, values[_OPTIONS])

    fixture.__name__ = name
    fixture.__doc__ = inspect.getdoc(make)
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in dict.fromkeys(names)]
    fixture.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return pytest.fixture(fixture)


def _imported(tasks: str) -> Any:
    try:
        return pkgutil.resolve_name(tasks)
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(f"gw_sqla_tasks = {tasks}: cannot be imported: {error}") from error
