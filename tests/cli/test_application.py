"""``--app``: what can be wrong with it is told apart, in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.command import error_line, python, run, run_here

FILES = {
    "good.py": "from gw_sqla import TaskRegistry\ntasks = TaskRegistry()\nother = 5\n",
    "missing.py": "\nimport something_that_is_missing\n",
    "broken.py": "def f(:\n",
    "raises.py": "import json\njson.loads('{')\n",
    "ends.py": "import sys\nsys.exit(0)\n",
    "twice.py": "from gw_sqla import TaskRegistry\nt = TaskRegistry()\nfor _ in range(2):\n"
    "    @t.task('same')\n    async def f() -> None: ...\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with applications, good and bad."""
    path = tmp_path_factory.mktemp("apps")
    for name, text in FILES.items():
        (path / name).write_text(text)
    return path


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("good", "must be MODULE:ATTRIBUTE"),
        ("./good.py:tasks", "must be MODULE:ATTRIBUTE"),
        ("good:task", "module good has no task; its registries: tasks"),
        ("good:other", "other is of type int, not a gw_sqla.TaskRegistry or Application; its registries: tasks"),
        ("nowhere:tasks", "there is no module nowhere,"),
        ("good.nowhere:tasks", "there is no module good.nowhere,"),
        ("missing:tasks", "ModuleNotFoundError: No module named 'something_that_is_missing' (missing.py, line 2)"),
        ("broken:tasks", "SyntaxError: invalid syntax (broken.py, line 1)"),
        ("raises:tasks", "(raises.py, line 2)"),
        ("ends:tasks", "SystemExit: 0 (ends.py, line 2)"),
        ("twice:t", "TaskDefinitionError: task 'same' is declared twice in this registry (twice.py, line 4)"),
    ],
)
def test_an_app_that_cannot_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch, app: str, says: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    line = error_line(run_here("schema", "--app", app), 2)
    assert says in line.replace(f"{folder}/", "")


def test_a_worker_whose_app_cannot_be_imported(folder: Path) -> None:
    url = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/d"}
    line = error_line(run("worker", "--app", "missing:tasks", env=url, cwd=folder), 2)
    assert "module missing was found, but importing it failed: ModuleNotFoundError" in line


def test_the_current_directory_is_searched_by_the_installed_script_too(folder: Path) -> None:
    done = python("-P", "-m", "gw_sqla", "schema", "--app", "good:tasks", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "{}\n"), done.stderr


def test_a_worker_needs_tasks(folder: Path) -> None:
    url = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/d"}
    line = error_line(run("worker", "--app", "good:tasks", env=url, cwd=folder), 2)
    assert "the registry is empty" in line
