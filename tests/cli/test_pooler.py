"""Commands behind PgBouncer in transaction mode: none of them finds what another has left prepared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.command import run
from tests.support.pgbouncer import find_pgbouncer, start_pgbouncer

COMMANDS = [
    ("migrate",),
    ("add", "charge"),
    ("add", "charge", "--jobs", "-"),
    ("cleanup",),
    ("workers", "sweep"),
    ("crontab", "known"),
    ("grants", "postgres", "--as", "reader", "--apply"),
    ("jobs", "retry", "--all"),
    ("pause", "--task", "charge"),
    ("stats",),
]


@pytest.fixture
def pooled(clean_database: str) -> Iterator[str]:
    """The URL by way of the pooler."""
    program = find_pgbouncer()
    if program is None:
        pytest.skip("needs pgbouncer")
    with start_pgbouncer(program, clean_database, "transaction") as url:
        yield url


def test_one_after_the_other(pooled: str) -> None:
    for command in COMMANDS:  # each in a process of its own, as the driver numbers its statements in it
        done = run(*command, stdin=b'{"payload": 1}\n', env={"DATABASE_URL": pooled})
        assert (done.returncode, "Error" in done.stderr) == (0, False), (command, done.stderr)
