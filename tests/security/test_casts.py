"""Casts are looked up by their types, on no path: none between PostgreSQL's own types can be made by others."""

from __future__ import annotations

import asyncio
import re

import asyncpg

from tests.security.sql_texts import texts
from tests.support.server import Server, connect

SOURCES = ["text", "json", "int4", "numeric", "timestamptz"]
REFUSED = ("must be owner of type", "are the same", "pseudo-type")


def test_nobody_else_can_make_one(server: Server, victim: str) -> None:
    """Of all that our SQL casts to: whoever makes a cast owns one of its types."""
    targets = {name for text in texts().values() for name in re.findall(r"(?:::|\bas )\s*pg_catalog\.(\w+)", text)}
    assert {"json", "text"} <= targets

    async def try_all(url: str) -> list[str]:
        db = await connect(url)
        await db.execute(f"set role {victim}")
        made = []
        for source in SOURCES:
            for target in targets:
                cast = f"pg_catalog.{source} as pg_catalog.{target}"
                await db.execute(
                    f"create or replace function pg_temp.to_{target}(pg_catalog.{source}) returns pg_catalog.{target} "
                    f"language sql as 'select null::pg_catalog.{target}'"
                )
                try:
                    await db.execute(f"create cast ({cast}) with function pg_temp.to_{target} as implicit")
                except asyncpg.PostgresError as refusal:
                    if any(reason in str(refusal) for reason in REFUSED):
                        continue
                    raise
                made.append(cast)
        await db.close()
        return made

    url = server.create_database()
    assert asyncio.run(try_all(url)) == []
    server.drop_database(url)
