"""Sessions of a victim's, with hostile temporary objects, which note what each name in their SQL was resolved to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.security.hostile import plant_temporary

__all__ = ["Resolved", "hostile_engine"]

_FIRST_OF_OTHERS = 16384
"""PostgreSQL's own objects have lower ids."""
_REFERENCES = re.compile(
    r":(?:funcid|opno|aggfnoid|winfnoid|relid|resulttype|consttype|paramtype|vartype|funcresulttype|opresulttype) (\d+)"
)
_ARRAYS = "text[] int2[] int4[] int8[] float8[] bool[] timestamptz[]"
_IN = """select oid from pg_catalog.pg_class where relnamespace = {0}
union select oid from pg_catalog.pg_type where typnamespace = {0}
union select oid from pg_catalog.pg_proc where pronamespace = {0}
union select oid from pg_catalog.pg_operator where oprnamespace = {0}"""


@dataclass
class Resolved:
    """The objects that are not PostgreSQL's own, by id, each with a statement that names it."""

    seen: dict[int, str] = field(default_factory=dict)
    temporary: set[int] = field(default_factory=set)
    """The hostile objects of all sessions' temporary schemas."""
    statements: int = 0

    def note(self, _: object, message: Any) -> None:
        """Take a message that has a parse tree; a log listener of asyncpg's."""
        if message.message == "parse tree:":
            self.statements += 1
            for found in _REFERENCES.findall(message.detail):
                if int(found) >= _FIRST_OF_OTHERS:
                    self.seen.setdefault(int(found), str(message.query or message.detail)[:3000])

    async def hostile(self, db: asyncpg.Connection, place: str) -> dict[int, str]:
        """Return those that are temporary or in the schema ``place``."""
        planted = await db.fetch(_IN.format(f"'{place}'::pg_catalog.regnamespace"))
        found = self.temporary | {row["oid"] for row in planted}
        return {oid: statement for oid, statement in self.seen.items() if oid in found}


def hostile_engine(url: str, role: str, resolved: Resolved) -> AsyncEngine:
    """Return an engine whose sessions are the role's, and full of hostile temporary objects."""
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"server_settings": {"role": role}})

    async def prepare(driver: asyncpg.Connection) -> None:
        # What the driver asks of its own, when it first meets these types, is not ours to decide.
        await driver.execute("set search_path = pg_catalog")
        for array in _ARRAYS.split():
            await driver.fetchval(f"select null::{array}")
        await driver.execute("reset search_path")
        await plant_temporary(driver)
        resolved.temporary.update(
            row["oid"] for row in await driver.fetch(_IN.format("pg_catalog.pg_my_temp_schema()"))
        )
        driver.add_log_listener(resolved.note)
        await driver.execute("set debug_pretty_print = off; set client_min_messages = log; set debug_print_parse = on")

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.run_async(prepare)

    return engine
