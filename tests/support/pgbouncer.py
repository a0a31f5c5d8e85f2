"""A PgBouncer of the tests' own, as Debian packages it, before a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, make_url

_CONFIGURATION = """
[databases]
* = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 6
max_client_conn = 100
server_login_retry = 1
"""
_DEADLINE = 30.0
"""Seconds that it may take to start; nothing waits so long unless it is broken."""


def find_pgbouncer() -> str | None:
    """Return the path of the program; None where it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def start_pgbouncer(program: str, server: str, mode: Literal["session", "transaction"]) -> Iterator[str]:
    """Start a PgBouncer before the server of a URL; yield the URL of the same database by way of it.

    It has four connections to the server at most, so that clients have to share them.
    """
    url = make_url(server)
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="gw_sqla-") as directory:
        configuration = Path(directory) / "pgbouncer.ini"
        configuration.write_text(_CONFIGURATION.format(target=_target(url), port=port, mode=mode))
        user = _user(url)
        if user is not None:
            Path(directory).chmod(0o755)
        process = subprocess.Popen(
            [program, "--quiet", str(configuration)], user=user, cwd=directory, stdin=subprocess.DEVNULL
        )
        try:
            _wait_until_it_listens(process, port)
            yield url.difference_update_query(["host"]).set(host="127.0.0.1", port=port).render_as_string(False)
        finally:
            process.kill()
            process.wait()


def _target(url: URL) -> str:
    values = {
        "host": url.query.get("host", url.host),
        "port": url.port or 5432,
        "user": url.username,
        "password": url.password,
    }
    return " ".join(f"{name}='{value}'" for name, value in values.items() if value)


def _user(url: URL) -> str | None:
    """The user to run it as: it refuses to be root, and must be one who may reach the server's socket."""
    if os.geteuid() != 0:
        return None
    directory = url.query.get("host")
    return Path(str(directory)).owner() if directory else "nobody"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _DEADLINE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "PgBouncer ended"
            assert time.monotonic() < deadline, "PgBouncer did not start"
            time.sleep(0.05)
        else:
            return
