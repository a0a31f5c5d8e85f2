"""``revision``: a step of the user's own history, written with the user's own template."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from gw_sqla.schema.supported_revisions import HEAD
from tests.cli.command import error_line, run, run_here


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what ``alembic init`` makes, and one revision."""
    monkeypatch.chdir(tmp_path)
    command.init(Config("alembic.ini"), "migrations")
    command.revision(Config("alembic.ini"), message="first", rev_id="aaa1")
    return tmp_path


def steps(folder: Path) -> list[tuple[str, str]]:
    """What the revisions after the first do, oldest first: upgrade and downgrade."""
    scripts = ScriptDirectory(str(folder / "migrations"))
    found = []
    for script in reversed(list(scripts.iterate_revisions("head", "aaa1"))):
        lines = [line.strip() for line in Path(script.path).read_text().splitlines()]
        assert "import gw_sqla.operations  # gives op its operations" in lines
        up, down = (line for line in lines if line.startswith("op."))
        found.append((up, down))
    return found


def test_the_first_step_and_the_next(history: Path) -> None:
    done = run_here("revision", "--revision", "0001", "-m", "the queue")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.parent.resolve() == history / "migrations" / "versions"
    assert "the_queue" in path.name
    assert steps(history) == [("op.upgrade_job_schema('0001')", "op.downgrade_job_schema('base', start='0001')")]
    done = run_here("revision")
    assert done.returncode == 0, done.stderr
    up = f"op.upgrade_job_schema('{HEAD}', start='0001')"
    assert steps(history)[1:] == [(up, f"op.downgrade_job_schema('0001', start='{HEAD}')")]
    done = run_here("revision")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"leads to gw_sqla's revision {HEAD} already" in done.stderr
    assert len(steps(history)) == 2


def test_each_schema_has_its_own_steps(history: Path) -> None:
    run_here("revision")
    done = run_here("revision", "--schema", "jobs")
    assert done.returncode == 0, done.stderr
    assert steps(history)[1][0] == f"op.upgrade_job_schema('{HEAD}', schema='jobs')"
    assert run_here("revision", "--schema", "jobs").stdout == ""


def test_pyproject(history: Path) -> None:
    (history / "alembic.ini").unlink()
    (history / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/migrations"\n')
    done = run("revision", cwd=history)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).exists()
    assert run("revision", "-c", "pyproject.toml", cwd=history).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-c", "nothing.ini"], "nothing.ini"),
        (["--revision", "head"], "has no revision 'head'"),
        (["--head", "bbb2"], "your Alembic history: No such revision or branch 'bbb2'"),
    ],
)
def test_bad_input(history: Path, arguments: list[str], problem: str) -> None:
    assert problem in error_line(run_here("revision", *arguments), 2)
    assert steps(history) == []


def test_two_heads(history: Path) -> None:
    command.revision(Config("alembic.ini"), message="second", rev_id="aaa2")
    command.revision(Config("alembic.ini"), message="other", rev_id="aaa3", head="aaa1", splice=True)
    assert "your Alembic history: " in error_line(run_here("revision"), 2)
    assert run_here("revision", "--head", "aaa3").returncode == 0


def test_a_template_without_upgrades(history: Path) -> None:
    template = history / "migrations" / "script.py.mako"
    template.write_text(template.read_text().replace('${upgrades if upgrades else "pass"}', "pass"))
    line = run_here("revision").stderr.splitlines()[-1]
    assert "your script.py.mako leaves out ${upgrades}" in line
    assert steps(history) == []
