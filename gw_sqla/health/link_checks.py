"""Checks of what is between us and the server: a pooler, and whether notifications come through."""

from __future__ import annotations

import asyncio
import secrets
import time

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla.error_texts.error_text import message_text
from gw_sqla.health.finding import Finding, Verdict
from gw_sqla.statements import health

__all__ = ["link"]

_HEARD_SECONDS = 5.0
_TOO_MANY = "53300"


async def link(engine: AsyncEngine, schema: str) -> list[Finding]:
    """Look for a pooler, and listen for a notification of our own, on two connections; on asyncio's loop.

    A pooler gives its clients process numbers of its own. Whether it keeps a session together, only listening tells.
    Where no two connections are left, that is the finding: who looks has the other findings to look at.
    """
    try:
        return await _listened(engine, schema)
    except (DBAPIError, asyncpg.PostgresError) as error:
        if getattr(getattr(error, "orig", error), "sqlstate", None) != _TOO_MANY:
            raise
        text = f"no two connections could be made to look: {message_text(error)}"
        return [Finding("listen", Verdict.UNKNOWN, text, repair="see the connections")]


async def _listened(engine: AsyncEngine, schema: str) -> list[Finding]:
    async with engine.connect() as listening, engine.connect() as telling:
        driver = (await listening.get_raw_connection()).driver_connection
        assert driver is not None
        seen = (await listening.execute(health.server(schema))).one()
        await listening.rollback()
        is_pooled = driver.get_server_pid() != seen.pid
        channel = f"sqla:doctor:{secrets.token_hex(8)}"
        heard = asyncio.Event()

        def hear(*_: object) -> None:
            heard.set()

        await driver.add_listener(channel, hear)
        try:
            began = time.perf_counter()
            await telling.execute(health.notify(schema), {"channel": channel})
            await telling.commit()
            try:
                async with asyncio.timeout(_HEARD_SECONDS):
                    await heard.wait()
            except TimeoutError:
                took = None
            else:
                took = (time.perf_counter() - began) * 1000
        finally:
            await driver.remove_listener(channel, hear)
    return [_pooler(is_pooled=is_pooled, keeps_sessions=took is not None), _listen(took)]


def _pooler(*, is_pooled: bool, keeps_sessions: bool) -> Finding:
    if not is_pooled:
        return Finding("pooler", Verdict.OK, "none is in between", 0)
    if keeps_sessions:
        return Finding("pooler", Verdict.OK, "one is in between, and keeps sessions together", 1)
    return Finding(
        "pooler",
        Verdict.WARNING,
        "one is in between, and does not keep sessions together",
        1,
        "give workers a URL without it, or its session mode; else: worker --transaction-pooler",
    )


def _listen(took: float | None) -> Finding:
    if took is not None:
        return Finding("listen", Verdict.OK, f"a notification was heard after {took:.1f} ms", round(took, 3))
    return Finding(
        "listen",
        Verdict.WRONG,
        f"no notification was heard within {_HEARD_SECONDS:.0f} s: workers find jobs at their next poll only",
        None,
        "give workers a URL by which sessions are kept together, without a pooler in transaction mode",
    )
