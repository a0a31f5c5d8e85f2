"""The tables that only Graphile Worker RS makes, where they are there beside ours. They are never made by us."""

from __future__ import annotations

import logging

import asyncpg

from gw_sqla.database.driver_statements import Statements
from gw_sqla.error_texts.error_text import error_text
from gw_sqla.statements.quoting import quoted
from gw_sqla.statements.rust_tables import find_table

__all__ = ["RustRefusal", "RustWorkers", "has_retirements"]

log = logging.getLogger(__name__)

RustRefusal = asyncpg.SyntaxOrAccessError
"""What a statement raises to which such a table is not what it expects, or forbidden."""


async def has_retirements(connection: Statements, schema: str) -> bool:
    """Look for the marks of jobs whose attempts are not to be given back. Raises and cancels as `fetch`."""
    return await _is_there(connection, schema, "_private_job_retirements")


class RustWorkers:
    """The table of workers, whose recovery takes an owner without a row in it for dead.

    What it refuses (it is newer than the grants of our role, perhaps) is said once for a worker pool.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._has_refused = False
        self.name = f"{quoted(schema)}._private_workers"

    async def are_there(self, connection: Statements) -> bool:
        """Look for the table. Raises and cancels as `fetch`."""
        return await _is_there(connection, self._schema, "_private_workers")

    def say_refusal(self, refusal: asyncpg.PostgresError) -> None:
        """Say that the table cannot be used, if that was not said yet."""
        if not self._has_refused:
            self._has_refused = True
            log.warning("%s, which Graphile Worker RS made, cannot be used: %s", self.name, error_text(refusal))


async def _is_there(connection: Statements, schema: str, table: str) -> bool:
    [row] = await connection.fetch(find_table(schema, table), {})
    return bool(row["found"])
