"""A primary and a standby that replicates it synchronously, of the PostgreSQL that is installed on the machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL

__all__ = ["Pair", "start_pair"]

_SETTINGS = "-c listen_addresses=127.0.0.1 -c max_connections=100"


@dataclass(frozen=True)
class Pair:
    """Two servers on two ports; ``url`` names both, and asks for the one that takes writes."""

    binaries: Path
    home: Path
    user: str | None
    ports: tuple[int, int]

    @property
    def url(self) -> str:
        """As an application has it."""
        primary, standby = self.ports
        hosts = f"127.0.0.1:{primary},127.0.0.1:{standby}"
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    def url_of(self, index: int) -> URL:
        """Of one server alone: 0 was the primary, 1 the standby."""
        return URL.create("postgresql+asyncpg", "postgres", None, "127.0.0.1", self.ports[index], "postgres")

    def crash_primary(self) -> None:
        """End the primary without a goodbye: nothing more is written or replicated."""
        self.run("pg_ctl", "-D", "primary", "-w", "-m", "immediate", "stop")

    def promote_standby(self) -> None:
        """Let the standby take writes; returns when it does."""
        self.run("pg_ctl", "-D", "standby", "-w", "promote")

    def start(self, name: str) -> None:
        """Start one of the two: ``primary`` or ``standby``."""
        port = self.ports[name == "standby"]
        options = f"{_SETTINGS} -c port={port} -c unix_socket_directories='{self.home}'"
        self.run("pg_ctl", "-D", name, "-w", "-o", options, "-l", f"{name}.log", "start")

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL's as the servers' user, in their folder."""
        subprocess.run(
            [self.binaries / program, *arguments],
            user=self.user,
            cwd=self.home,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )


@contextmanager
def start_pair() -> Iterator[Pair]:
    """Yield a primary with a synchronous standby; skips the test where no PostgreSQL is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("pg_basebackup")
    if not found and on_path is None:
        pytest.skip("needs an installed PostgreSQL with pg_basebackup (Debian: apt-get install postgresql)")
    binaries = found[-1].parent if found else Path(str(on_path)).resolve().parent
    with tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True) as folder:
        user = "postgres" if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        pair = Pair(binaries, Path(folder), user, (_free_port(), _free_port()))
        pair.run("initdb", "-D", "primary", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        pair.start("primary")
        try:
            address = ("-h", "127.0.0.1", "-p", str(pair.ports[0]), "-U", "postgres")
            pair.run("pg_basebackup", *address, "-D", "standby", "-R", "-X", "stream", "-c", "fast", "--no-sync")
            pair.start("standby")
            pair.run("psql", *address, "-c", "alter system set synchronous_standby_names = '*'")
            pair.run("psql", *address, "-c", "select pg_reload_conf()")
            yield pair
        finally:
            for name in ("primary", "standby"):
                with suppress(subprocess.CalledProcessError):  # it has crashed already, or never started
                    pair.run("pg_ctl", "-D", name, "-w", "-m", "immediate", "stop")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
