"""The group: help, versions, environment variables, broken pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from typing import get_args

import click
import pytest

from gw_sqla.cli.commands import group
from gw_sqla.cli.error_report import describe, one_line
from gw_sqla.cli.options import ROLE_KINDS
from gw_sqla.schema.rights import RoleKind
from tests.cli.command import ROOT, environment, error_line, run, run_here

COMMANDS = [
    "worker",
    "migrate",
    "downgrade",
    "grants",
    "doctor",
    "jobs",
    "failures",
    "tasks",
    "queues",
    "workers",
    "pause",
    "resume",
    "pauses",
    "cleanup",
    "audit",
    "stats",
    "add",
    "schema",
    "crontab",
    "postgres",
    "quickstart",
    "completion",
]


def test_help_names_the_commands_and_the_exit_codes() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for text in (*COMMANDS, "Exit codes:", "57 ", "130 "):
        assert text in done.stdout


def test_without_a_command_the_help_is_an_error() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


def test_version() -> None:
    assert run("--version").stdout == f"gw-sqla, version {version('gw-sqla')}\n"


def test_an_unknown_command_and_an_unknown_option() -> None:
    assert "No such command 'nope'. (see" in error_line(run_here("nope"), 2)
    assert "No such command 'wroker'. Did you mean worker? (see" in error_line(run_here("wroker"), 2)
    assert "--nope" in error_line(run_here("worker", "--nope"), 2)


JOB = ["payload", "queue_name", "run_at", "max_attempts", "job_key", "job_key_mode", "priority", "flags"]
ONE_SHOT = [*JOB, "payload_file", "jobs_file", "from_line", "check"]
"""What a job is like, and what is asked once: a variable would be left in the shell for the next command."""
WHOSE_RIGHTS = ["as_", "role", "apply"]
"""Likewise."""

LOOKS = ["limit", "before", "limits", "after", "locked", "watch", "every", "most", "output", "as_json"]
"""What one wants to see, now."""

MEANT = ["task", "everything", "until", "reason", "failed_after", "tasks", "queues", "keep_tasks", "dry_run"]
"""What is paused or cleaned up, now."""

SHOWN = ["serve", "port", "no_auth"]
"""Of a dashboard, this time; no variable may open it to everybody."""

NO_VARIABLE = ("yes", "folder", *SHOWN, *LOOKS, *MEANT, *ONE_SHOT, *WHOSE_RIGHTS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_variable_that_its_help_names(name: str) -> None:
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command is not None
    text = " ".join(command.get_help(click.Context(command, info_name=name)).split())
    for parameter in command.params:
        checks_only = (name, parameter.name) == ("add", "apps")  # a variable would make it another command
        if isinstance(parameter, click.Option) and not checks_only and parameter.name not in NO_VARIABLE:
            assert isinstance(parameter.envvar, str)
            assert f"[env var: {parameter.envvar}" in text
            assert parameter.help


def test_an_output_that_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gw_sqla", "migrate", "--sql"]
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, env=environment(), cwd=ROOT, timeout=60, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_errors_in_groups_and_unexpected_ones_are_one_line() -> None:
    group = BaseExceptionGroup("two", [ExceptionGroup("one", [KeyError("x")]), ValueError("y")])
    assert describe(group) == ("unexpected KeyError: 'x'; --debug shows where", 1)
    assert describe(BaseExceptionGroup("", [KeyboardInterrupt()])) == ("interrupted", 130)


def test_an_error_does_not_act_on_the_terminal() -> None:
    line = error_line(run_here("jobs", "list", "task:\x1b[2J,", "--database-url", "postgresql://127.0.0.1:1/d"), 2)
    assert "\x1b" not in line
    assert one_line("role 'a\x1b[2J'\nlacks") == r"role 'a\x1b[2J' lacks"


@pytest.mark.parametrize("command", [("jobs", "list"), ("jobs", "retry"), ("failures",)])
def test_the_short_option_for_help_beside_words_with_a_dash(command: tuple[str, ...]) -> None:
    done = run_here(*command, "-h", "--database-url", "postgresql://127.0.0.1:1/d")
    assert (done.returncode, done.stderr) == (0, "")
    assert f" {' '.join(command)} [OPTIONS] [FILTER]...\n" in done.stdout.partition("\n\n")[0] + "\n"


@pytest.mark.parametrize(
    "command",
    ["jobs list --search-seconds", "stats --every", "workers sweep --delay", "forward --grace-period"],
)
def test_seconds_that_are_no_number(command: str) -> None:
    line = error_line(run_here(*command.split(), "nan", "--database-url", "postgresql://127.0.0.1:1/d"), 2)
    assert "nan is no number of seconds" in line
    error_line(run_here(*command.split(), "1e300", "--database-url", "postgresql://127.0.0.1:1/d"), 2)


def test_what_one_asks_once_of_a_crontab_has_no_variable() -> None:
    crontab = group.get_command(click.Context(group), "crontab")
    assert isinstance(crontab, click.Group)
    upcoming = crontab.commands["next"]
    variables = {parameter.name: getattr(parameter, "envvar", None) for parameter in upcoming.params}
    assert [variables[name] for name in ("count", "start", "as_json")] == [None, None, None]


def test_each_kind_of_role_is_explained() -> None:
    shown = run_here("grants", "--help").stdout
    for kind in get_args(RoleKind):
        assert f"\n  {kind} " in shown
    assert set(ROLE_KINDS.choices) == set(get_args(RoleKind))
