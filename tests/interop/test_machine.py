"""The schema that Graphile Worker makes does what the model of the contract does, as ours, in any order of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import make_url

from tests.faults.machine import SchemaMachine
from tests.faults.test_machine import MACHINE
from tests.interop.node import call
from tests.schema.peer import peer_environment
from tests.support.server import Server


@pytest.fixture
def peers_database(server: Server) -> Iterator[str]:
    """A database with the schema as graphile-worker installs it, and nothing of ours."""
    url = server.create_database()
    asyncio.run(call(peer_environment(make_url(url)), ["migrate"]))
    yield url
    server.drop_database(url)


def test_nodes_schema_is_the_models_too(peers_database: str) -> None:
    class Peers(SchemaMachine):
        url = peers_database

    run_state_machine_as_test(Peers, settings=MACHINE)
