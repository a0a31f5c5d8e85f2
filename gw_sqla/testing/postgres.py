"""A database for tests without effort: an embedded server, once for all processes of a test run, and a copy each.

The worker schema is made once, in a template; each process has a database of its own that is copied from it, so that no
test waits for what a test of another process has not committed (a task's name, say, that both use first). Processes
that share the server find it by a file in a folder that they share; it lives as long as one of them does
(`gw_sqla.testing.shared_server`).

Needs the extra: ``pip install 'gw-sqla[embedded]'``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from gw_sqla.testing.shared_server import join_server
from gw_sqla.testing.template_server import copied, template_server
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["migrated_database"]


@contextmanager
def migrated_database(*, schema: str | None = DEFAULT_SCHEMA, shared_in: Path | None = None) -> Iterator[URL]:
    """Yield the URL of a new database that has the worker schema; it is dropped at the end of the block.

    Parameters: ``schema``, the worker schema's name, None where your own migrations make it; ``shared_in``, a folder in
    which other processes of this test run look for the server too (they must ask for the same schema); None: a server
    for this block alone. Raises ConfigurationError where the extra is not installed, or the server cannot run. Blocks:
    for some seconds where the server has to be started. It may be called with an event loop running.
    """
    with (
        template_server(schema) if shared_in is None else join_server(shared_in, schema) as server,
        copied(server) as url,
    ):
        yield url
