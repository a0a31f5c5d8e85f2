"""The function by which docs/schema-and-migrations.md lets others add jobs hands out none of its owner's rights."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from gw_sqla.schema.grants import grants
from tests.security.hostile import called, plant_temporary, watch
from tests.support.server import Server, connect

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs" / "schema-and-migrations.md"
OWNER, CALLER = f"gw_sqla_jobs_adder_{os.getpid()}", f"gw_sqla_web_shop_{os.getpid()}"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def adders_database(server: Server, template: str) -> Iterator[str]:
    """A database with the function; its owner's role and its caller's."""
    url = server.create_database(template)
    for role in (OWNER, CALLER):
        server.execute(f"create role {role}")
    yield url
    server.drop_database(url)
    for role in (OWNER, CALLER):
        server.execute(f"drop role {role}")


@pytest.fixture
async def caller(adders_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A session of a role that may call the function, and nothing else."""
    db = await connect(adders_database)
    for statement in (*grants(OWNER, as_="adder"), _advised()):
        await db.execute(statement)
    await watch(db)
    await db.execute(f"set role {CALLER}")
    yield db
    await db.close()


def _advised() -> str:
    found = re.search(r"```sql\n(create role web_shop;.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert found is not None
    text = found[1].replace("create role web_shop;\n", "")
    return text.replace("jobs_adder", OWNER).replace("web_shop", CALLER)


async def test_temporary_objects_of_the_caller(caller: asyncpg.Connection) -> None:
    """A domain with the name of a type that is used inside: its check would run with the rights of the owner."""
    await plant_temporary(caller)
    await caller.execute("select public.send_email('ada@example.com')")
    await caller.execute("reset role")
    assert await called(caller) is None
    assert await caller.fetchval("select count(*) from graphile_worker._private_jobs") == 1


async def test_with_an_empty_path_only_the_schemas_functions_are_safe(caller: asyncpg.Connection) -> None:
    """As the docs had it once: what is called inside is found among the temporary types first; ours name theirs."""
    await caller.execute("reset role; alter function send_email(text) set search_path = ''")
    body = "select graphile_worker.add_job(cast('send_email' as {text}))"
    for type_, is_called in (("pg_catalog.text", False), ("text", True)):
        await caller.execute("reset role")
        await caller.execute(
            "create or replace function public.send_email(address pg_catalog.text) returns pg_catalog.void "
            f"language sql security definer set search_path = '' as $$ {body.format(text=type_)} $$; set role {CALLER}"
        )
        if not is_called:
            await plant_temporary(caller)
        await caller.execute("select public.send_email('a')")
        assert (await called(caller) is not None) is is_called
