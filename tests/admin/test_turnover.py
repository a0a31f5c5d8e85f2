"""How many jobs come and go, by PostgreSQL's statistics."""

from __future__ import annotations

import anyio
import pytest

from gw_sqla.admin import Rates, Turnover
from tests.admin.door import Door
from tests.admin.test_explain import add
from tests.repository.look import Look

pytestmark = pytest.mark.anyio


async def test_it_counts_what_anybody_adds_and_completes(door: Door, look: Look) -> None:
    before = await door.ask("read_turnover")
    for _ in range(3):
        await add(look)
    await look.execute("delete from {s}._private_jobs where id = (select max(id) from {s}._private_jobs)")
    with anyio.fail_after(30):
        while True:
            now = await door.ask("read_turnover")
            if (now.inserted - before.inserted, now.deleted - before.deleted) == (3, 1):
                break
            await anyio.sleep(0.1)  # statistics come later: nothing says when
    rates = now.since(before)
    assert rates.added == pytest.approx(3 * rates.gone)
    assert rates.gone > 0


def test_statistics_that_began_anew() -> None:
    assert Turnover(2.0, 5, 5).since(Turnover(1.0, 100, 90)) == Rates(0, 0)
    assert Turnover(3.0, 110, 90).since(Turnover(1.0, 100, 90)) == Rates(5, 0)
