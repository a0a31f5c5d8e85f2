"""examples/nightly.py, as a user runs it after some days without it."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

import pytest

from tests.examples.support import program, read_until, rows


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_it_makes_up_for_the_reports_of_days_without_it(clean_database: str) -> None:
    since = datetime.now(UTC) - timedelta(days=6)
    known = "graphile_worker._private_known_crontabs"
    await rows(clean_database, f"insert into {known} values ('report_osaka', '{since.isoformat()}')")
    async with program("nightly.py", clean_database) as process:
        await read_until(process, "(made up for)")
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    found = await rows(clean_database, f"select identifier, last_execution is null from {known}")
    assert ("report_paris", True) in found
    assert ("report_osaka", False) in found
