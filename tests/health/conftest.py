"""A role without rights; checks run on asyncio, but where a test says trio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.schema.roles import Role, temporary_role
from tests.support.server import Server


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "asyncio"))


@pytest.fixture
def role(server: Server, clean_database: str) -> Iterator[Role]:
    """A role without rights, in the module's database."""
    with temporary_role(server, clean_database) as made:
        yield made
