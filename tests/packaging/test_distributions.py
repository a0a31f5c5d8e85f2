"""The built distributions: what is in them, and that the wheel works alone.

GW_SQLA_DIST is a folder with one wheel and one sdist; ``nox -s build`` makes it. Without it these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

APP = '''
"""An application: one task, which writes where the package that runs it comes from."""

from pathlib import Path

import gw_sqla

tasks = gw_sqla.TaskRegistry()


@tasks.task("greet")
async def greet(payload: str) -> None:
    with Path("ran.txt").open("a") as file:
        file.write(f"{payload} {gw_sqla.__file__}\\n")
'''

HOST = '''
"""Runs the command line, each argument a command with its arguments, against a new PostgreSQL."""

import os
import subprocess
import sys

from gw_sqla.database.embedded import embedded_postgres

with embedded_postgres() as url:
    environment = {**os.environ, "DATABASE_URL": url.render_as_string(hide_password=False)}
    for arguments in sys.argv[1:]:
        subprocess.run([sys.executable, "-m", "gw_sqla", *arguments.split()], env=environment, check=True)
'''


@pytest.fixture(scope="module")
def distributions() -> Path:
    folder = os.environ.get("GW_SQLA_DIST")
    if not folder:
        pytest.skip("needs the built distributions: run nox -s build, or set GW_SQLA_DIST")
    return Path(folder)


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


def files(folder: Path) -> set[str]:
    """The files below a folder of the repository, without what Python has compiled."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def test_wheel_holds_the_package_with_its_migrations_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {f"gw_sqla/{name}" for name in files(ROOT / "gw_sqla")}
    scripts = {f"gw_sqla/_alembic/{name}" for name in files(ROOT / "alembic")}
    assert names == package | scripts
    assert {"gw_sqla/py.typed", "gw_sqla/_alembic/env.py", "gw_sqla/_alembic/sql/0001_functions.sql"} <= names
    assert not any(name.endswith("_alembic/__init__.py") for name in names)


def test_metadata(wheel: Path) -> None:
    told = metadata(wheel)
    assert (told["Name"], told["License-Expression"], told["Requires-Python"]) == ("gw-sqla", "MIT", ">=3.11")
    assert {"trio", "embedded"} <= set(told.get_all("Provides-Extra", []))
    needs = [need for need in told.get_all("Requires-Dist", []) if "extra ==" not in need]
    names = {need.partition(">")[0].lower() for need in needs}
    assert names >= {"sqlalchemy[asyncio]", "asyncpg", "alembic", "anyio", "croniter", "pydantic"}
    assert "trio" not in names


def test_sdist_holds_what_a_packager_tests_with(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "noxfile.py", "pyproject.toml", "alembic/env.py", "tests/conftest.py"}
    wanted |= {"docs/conf.py", "docsite/reference.py", "gw_sqla/py.typed", "SECURITY.md", "CHANGELOG.md"}
    assert wanted <= names
    assert not {name for name in names if "__pycache__" in name or name.startswith((".nox", ".venv"))}


def test_the_licences_are_in_both(wheel: Path, distributions: Path) -> None:
    licences = {
        "LICENSE",
        *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("gw_sqla/web/static/vendor/*.LICENSE")),
    }
    assert len(licences) > 1
    assert set(metadata(wheel).get_all("License-File", [])) == licences
    with zipfile.ZipFile(wheel) as archive:
        told = {name.partition(".dist-info/licenses/")[2] for name in archive.namelist()}
    assert licences <= told
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert licences <= {name.partition("/")[2] for name in archive.getnames()}


def test_classifiers_name_the_pythons_that_are_tested(wheel: Path) -> None:
    told = metadata(wheel).get_all("Classifier", [])
    versions = {found.rpartition(" ")[2] for found in told if found.startswith("Programming Language :: Python :: 3.")}
    assert versions == {"3.11", "3.12", "3.13", "3.14"}
    assert "Typing :: Typed" in told


def test_wheel_migrates_and_runs_jobs_in_a_bare_environment(wheel: Path, tmp_path: Path) -> None:
    """Nothing of the repository is in reach: another interpreter, another folder, no PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    python = tmp_path / "environment" / "bin" / "python"
    work = tmp_path / "work"
    work.mkdir()

    def run(*command: str | Path) -> str:
        ended = subprocess.run(command, cwd=work, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return ended.stdout

    uv = (sys.executable, "-m", "uv", "--quiet")  # pip would compile all that it installs, twice
    run(*uv, "venv", "--no-project", "--python", sys.executable, python.parent.parent)
    install = (*uv, "pip", "install", "--python", python)
    run(*install, wheel)
    assert "worker" in run(python.parent / "gw-sqla", "--help")
    assert "_private_jobs" in run(python, "-m", "gw_sqla", "migrate", "--sql")

    run(*install, f"gw-sqla[trio,embedded] @ {wheel.as_uri()}")
    (work / "app.py").write_text(APP)
    (work / "host.py").write_text(HOST)
    commands = ["migrate"]
    for backend in ("asyncio", "trio"):
        commands += [f'add greet --payload "{backend}"', f"worker --app app:tasks --once --backend {backend}"]
    run(python, work / "host.py", *commands)
    ran = [line.split() for line in (work / "ran.txt").read_text().splitlines()]
    assert [payload for payload, _ in ran] == ["asyncio", "trio"]
    for _, module in ran:
        assert Path(module).is_relative_to(python.parent.parent)
