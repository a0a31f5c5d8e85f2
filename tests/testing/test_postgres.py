"""A server for several processes: started once, gone after the last of them, whatever befalls one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from gw_sqla import ConfigurationError
from gw_sqla.testing.postgres import migrated_database
from gw_sqla.testing.shared_server import join_server

PROGRAM = """
import sys
from pathlib import Path
from gw_sqla.testing.postgres import migrated_database
with migrated_database(shared_in=Path(sys.argv[1])) as url:
    print(url.render_as_string(hide_password=False), flush=True)
    sys.stdin.readline()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def count_jobs(url: str) -> int:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        count: int = connection.execute(text("select count(*) from graphile_worker._private_jobs")).scalar_one()
    engine.dispose()
    return count


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux tells of the end of any process")
def test_processes_share_a_server(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(3)]
    urls = [url_of(process) for process in processes]
    assert len(set(urls)) == 3
    [folder] = {str(make_url(url).query["host"]) for url in urls}
    assert [count_jobs(url) for url in urls] == [0, 0, 0]
    starter, second, third = processes
    starter.kill()  # whichever it was that started the server
    starter.communicate()
    second.communicate("\n", timeout=60)
    assert count_jobs(urls[2]) == 0
    late = start(tmp_path)
    assert str(make_url(url_of(late)).query["host"]) == folder
    server = os.pidfd_open(int(Path(folder, "postmaster.pid").read_text().split()[0]))
    for process in (third, late):
        process.communicate("\n", timeout=60)
        assert process.returncode == 0
    ended, _, _ = select.select([server], [], [], 60)
    os.close(server)
    assert ended
    with migrated_database(shared_in=tmp_path) as again:
        assert str(again.query["host"]) != folder


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("with,comma", "an embedded PostgreSQL needs a"),
        ("long" * 30, "ended while it was started: OSError"),
    ],
)
def test_an_error_of_the_keeper_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    with pytest.raises(ConfigurationError, match=told), join_server(tmp_path, "graphile_worker"):
        pass


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_database_for_migrations_of_ones_own(tmp_path: Path, is_shared: bool) -> None:
    with migrated_database(schema=None, shared_in=tmp_path if is_shared else None) as url:
        engine = create_engine(url.set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            assert connection.scalar(text("select to_regnamespace('graphile_worker')")) is None
        engine.dispose()
