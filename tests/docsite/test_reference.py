"""The reference leaves out nothing: each public name, command, variable, error, event, metric, table and function."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import get_args

import pytest
from click.testing import CliRunner

import gw_sqla
from docsite.api import module_pages, public_modules
from docsite.commands import READ_ELSEWHERE, commands, commands_page, environment_page, variables
from docsite.errors import WHAT_TO_DO, errors_page, public_errors
from docsite.links import ROOT
from docsite.observing import events_page, metrics, metrics_page
from docsite.settings import settings_page
from gw_sqla.cli.commands import group
from gw_sqla.jobs.outcomes import CompletedByHandler, Kept

OURS_ALONE = {"GW_SQLA_LIFELINE", "GW_SQLA_HTTP_SOCKET"}
"""What a supervisor tells its workers."""


def test_each_public_module_has_a_page_with_each_of_its_names() -> None:
    pages = module_pages()
    wings = [import_module(f"gw_sqla.{found.name}") for found in iter_modules(gw_sqla.__path__) if found.ispkg]
    doors = {wing.__name__ for wing in wings if "__all__" in vars(wing)}
    assert {module.__name__ for module in public_modules()} == {"gw_sqla", "gw_sqla.models", *doors}
    for module in public_modules():
        page = pages[f"api-{module.__name__}"]
        described = re.findall(r"^\.\. (?:autoclass|autofunction|py:data):: (\w+)$", page, re.MULTILINE)
        assert described == list(module.__all__)


def test_what_a_class_has_from_a_base_that_is_not_public_is_described_with_it() -> None:
    page = module_pages()["api-gw_sqla"]
    repository = page.partition(".. autoclass:: JobRepository\n")[2].partition("\n\n")[0]
    public = [name for name in dir(gw_sqla.JobRepository) if not name.startswith("_")]
    assert {"add_job", "on_commit"} & set(public)
    assert [name for name in public if name not in re.findall(r"\w+", repository)] == []


def test_each_command_is_told_of_by_its_own_help() -> None:
    page = commands_page()
    assert len(commands()) > 40
    for name in ("worker", "jobs list", "crontab check", "forward replay"):
        said = CliRunner().invoke(group, [*name.split(), "--help"], prog_name="gw-sqla", terminal_width=100)
        assert said.exit_code == 0
        assert [line for line in said.output.splitlines() if line not in page] == []


def read_variables() -> Iterator[str]:
    """Find the names with which the code reads the environment."""
    reading = {"os.environ.get", "os.environ.pop", "os.getenv"}
    for path in (ROOT / "gw_sqla").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in reading:
                name = node.args[0]
                told = name.value if isinstance(name, ast.Constant) else constants.get(ast.unparse(name))
                yield str(told or ast.unparse(name))


def test_each_environment_variable_is_there() -> None:
    read = set(read_variables())
    assert {"DATABASE_URL", "NO_COLOR"} <= read
    assert read - {"SOCKET_VARIABLE", "VARIABLE"} - OURS_ALONE <= {*variables(), *READ_ELSEWHERE}
    assert not READ_ELSEWHERE.keys() & variables().keys()
    page = environment_page()
    for name in (*variables(), *READ_ELSEWHERE):
        assert f"``{name}``" in page


def test_each_error_says_what_to_do() -> None:
    assert {error.__name__ for error in public_errors()} == WHAT_TO_DO.keys()
    page = errors_page()
    for error in public_errors():
        assert f":py:class:`gw_sqla.{error.__name__}`" in page
        assert inspect.getdoc(error)


def test_each_event_is_there() -> None:
    page = events_page()
    for kind in get_args(gw_sqla.Event):
        if kind not in {CompletedByHandler, Kept}:
            assert f":py:class:`gw_sqla.{kind.__name__}`" in page


def test_each_metric_is_there_with_its_labels() -> None:
    found = {family.name: family.labels for family in metrics()}
    assert found["gw_sqla_jobs_total"] == ("task", "outcome")
    assert found["gw_sqla_task_ready_jobs"] == ("task",)
    assert len(found) >= 27
    page = metrics_page()
    declared = set()
    for file in (ROOT / "gw_sqla/telemetry").glob("*.py"):
        declared |= set(re.findall(r'(?:counter|gauge|histogram)\(\s*"(?:gw_sqla_)?(\w+)"', file.read_text("utf-8")))
    assert len(declared) > 20
    assert [name for name in declared if f"``gw_sqla_{name}" not in page] == []


@pytest.mark.parametrize("setting", list(gw_sqla.RunnerSettings.__annotations__))
def test_each_setting_is_there(setting: str) -> None:
    assert f"RunnerSettings.{setting}`" in settings_page()
