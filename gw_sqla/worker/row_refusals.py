"""Where the server refuses one row (a trigger or a constraint of the user's), the others are not to wait for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import asyncpg
from sqlalchemy.sql.elements import ClauseElement

from gw_sqla.database.driver_statements import Statements
from gw_sqla.database.outage import is_answer
from gw_sqla.error_texts.error_text import error_text

__all__ = ["unlock_around_refusals"]

log = logging.getLogger(__name__)


async def unlock_around_refusals(
    connection: Statements,
    statement: ClauseElement,
    all_at_once: dict[str, Any],
    one_by_one: Iterable[tuple[str, dict[str, Any]]],
    *,
    level: int = logging.WARNING,
    not_of_a_row: tuple[type[asyncpg.PostgresError], ...] = (),
) -> list[Any]:
    """Run a statement that unlocks rows; where the server refuses that, run it ``one_by_one``. Return its rows.

    Of those it is told what each is about: what the server refuses even then is logged, at ``level``, and stays locked.
    Raises `gw_sqla.database.outage.DATABASE_FAULTS`, and the refusal of all at once where it is ``not_of_a_row``.
    """
    try:
        return list(await connection.fetch(statement, all_at_once))
    except asyncpg.PostgresError as refusal:  # of one row, perhaps, with whatever code its trigger raises
        if not is_answer(refusal) or isinstance(refusal, not_of_a_row):
            raise
    rows: list[Any] = []
    for what, parameters in one_by_one:
        try:
            rows += await connection.fetch(statement, parameters)
        except asyncpg.PostgresError as refusal:
            if not is_answer(refusal):
                raise
            log.log(level, "%s stays locked: %s", what, error_text(refusal))
    return rows
