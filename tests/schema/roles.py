"""Database roles with few rights."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.support.server import Server, execute

_numbers = count(1)


@dataclass(frozen=True)
class Role:
    """A role without rights of its own; it cannot log in, a superuser's session takes it on."""

    name: str

    def engine(self, url: str) -> AsyncEngine:
        """Return an engine that acts as this role."""
        return create_async_engine(url, poolclass=NullPool, connect_args={"server_settings": {"role": self.name}})


@contextmanager
def temporary_role(server: Server, url: str) -> Iterator[Role]:
    """Create a role; at the end drop it with all that it owns and was granted in the database."""
    role = Role(f"gw_sqla_test_role_{os.getpid()}_{next(_numbers)}")
    server.execute(f"create role {role.name}")
    try:
        yield role
    finally:
        asyncio.run(execute(url, f"drop owned by {role.name} cascade"))
        server.execute(f"drop role {role.name}")
