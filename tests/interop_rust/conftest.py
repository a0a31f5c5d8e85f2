"""Fixtures of the tests with Graphile Worker RS on the same schema, which it has brought to its own revision.

GW_SQLA_RUST is the program of main.rs; ``nox -s interop_rust`` builds it. Without it these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.interop.conftest import add_job, fetch, make_due, recorder, repo, tasks
from tests.interop_rust.rust import rust_environment
from tests.support.housekeeper import Housekeeper

__all__ = ["add_job", "fetch", "make_due", "recorder", "repo", "tasks"]

_OURS = ("sqla_workers", "sqla_snoozes", "sqla_pauses", "sqla_upkeep", "sqla_removed")
TABLES = [
    f"graphile_worker._private_{table}"
    for table in ("job_retirements", "jobs", "job_queues", "tasks", "known_crontabs", "workers", *_OURS)
]

Environment = dict[str, str]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session", autouse=True)
def _peer() -> None:
    if "GW_SQLA_RUST" not in os.environ:
        pytest.skip("needs Graphile Worker RS: run nox -s interop_rust, or set GW_SQLA_RUST")


@pytest.fixture(scope="module")
def database(_peer: None, database: str) -> str:
    """The URL of this test module's own database, which we have migrated, and then Rust."""
    program = os.environ["GW_SQLA_RUST"]
    subprocess.run([program, "call"], input=b"[]", env=rust_environment(database), stdout=subprocess.PIPE, check=True)
    return database


@pytest.fixture
def clean_database(settled_database: str, housekeeper: Housekeeper) -> str:
    """The module's database, emptied of what earlier tests left, in Rust's tables too: one refers to the jobs."""
    housekeeper.execute(f"truncate {', '.join(TABLES)}")
    return settled_database


@pytest.fixture
def environment(clean_database: str) -> Environment:
    """The environment in which Rust finds the module's database."""
    return rust_environment(clean_database)
