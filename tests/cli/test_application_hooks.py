"""``--app`` that names an Application: its observers, interceptors and settings are the worker's."""

from __future__ import annotations

import json

import pytest

from gw_sqla import ConfigurationError
from gw_sqla.cli.application import load_apps
from tests.cli.command import error_line, fetch, run, started

APP = "tests.cli.app_hooks:application"
METADATA = "select metadata from graphile_worker._private_sqla_workers"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_worker_has_its_hooks(clean_database: str, backend: str, processes: str) -> None:
    added = run("add", "whose", "--app", APP, "--payload", '"this"', "--database-url", clean_database)
    assert added.returncode == 0, added.stderr
    options = ("--once", "--backend", backend, "--processes", processes)
    done = run("worker", "--app", APP, "--database-url", clean_database, *options)
    assert (done.returncode, done.stdout) == (0, "observed: whose in True\ncompleted 1, failed 0\n"), done.stderr
    assert "marked this is run for somebody" in done.stderr


def test_the_jobs_of_a_file_go_through_its_interceptors(clean_database: str) -> None:
    lines = "\n".join(json.dumps({"task": "whose", "payload": text}) for text in ("a", "b"))
    added = run("add", "--app", APP, "--jobs", "-", "--database-url", clean_database, stdin=lines)
    assert added.returncode == 0, added.stderr
    rows = fetch(clean_database, "select payload::text from graphile_worker._private_jobs order by id")
    assert [row["payload"] for row in rows] == ['"marked a"', '"marked b"']


@pytest.mark.parametrize(
    ("options", "env", "slots"),
    [
        ((), {}, "in 3 slots"),
        (("--concurrency", "1"), {}, "in 1 slots"),
        ((), {"GW_SQLA_CONCURRENCY": "2"}, "in 2 slots"),
    ],
)
def test_what_the_command_line_says_goes_before_its_settings(
    clean_database: str, options: tuple[str, ...], env: dict[str, str], slots: str
) -> None:
    with started("worker", "--app", APP, "--database-url", clean_database, *options, env=env) as running:
        running.wait_for(slots)


def test_its_settings_name_no_schema_of_their_own(clean_database: str) -> None:
    done = run("worker", "--app", "tests.cli.app_hooks:other_schema", "--once", "--database-url", clean_database)
    assert "the schema is the command line's, which is 'graphile_worker'" in error_line(done, 2)


def test_several_are_one() -> None:
    app = load_apps(["tests.cli.app:tasks", APP, "tests.cli.app_hooks:application"])
    assert {"whose", "greet"} <= app.tasks.keys()
    assert (len(app.observers), len(app.interceptors)) == (1, 1)
    assert app.settings is not None
    with pytest.raises(ConfigurationError, match="more than one of these applications has settings"):
        load_apps([APP, "tests.cli.app_hooks:other_schema"])


def test_only_some_of_its_tasks(clean_database: str) -> None:
    options = ("--only-task", "nothing", "--once", "--database-url", clean_database)
    assert "there is no task 'nothing'" in error_line(run("worker", "--app", APP, *options), 2)
