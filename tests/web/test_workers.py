"""The workers, one of them, unlocking, sweeping, and pausing everything."""

from __future__ import annotations

import re

import httpx
import pytest

from gw_sqla.web import ALL_RIGHTS, Right, Viewer
from tests.admin.test_explain import add, worker
from tests.repository.look import Look
from tests.web.conftest import Open

pytestmark = pytest.mark.anyio


async def held(look: Look, owner: str, since: str = "now()") -> int:
    return await add(look, queue="'q'", locked_by=f"'{owner}'", locked_at=since, attempts="1")


async def test_all(browser: httpx.AsyncClient, look: Look) -> None:
    await worker(look, concurrency=3)
    await worker(look, "pool-dead", silent="1 hour")
    await held(look, "pool-1")
    await held(look, "pool-<node>")
    page = (await browser.get("/workers")).text
    assert page.index("pool-&lt;node&gt;") < page.index("pool-1") < page.index("pool-dead"), "strangers first"
    assert ">alive<" in page
    assert ">dead<" in page
    assert "not of gw_sqla" in page
    assert "1 / 3" in page


async def test_nobody(browser: httpx.AsyncClient, look: Look) -> None:
    assert "python -m gw_sqla worker" in (await browser.get("/workers")).text


async def test_one(browser: httpx.AsyncClient, look: Look) -> None:
    await worker(look, tasks=["a", "<z>"], forbidden_flags=["slow"])
    job_id = await held(look, "pool-1")
    page = (await browser.get("/workers/one?id=pool-1")).text
    assert "&lt;z&gt;" in page
    assert "slow" in page
    assert f'href="../jobs/{job_id}"' in page
    gone = (await browser.get("/workers/one?id=pool-gone")).text
    assert "it is not registered, and holds nothing" in gone
    assert (await browser.get("/workers/one")).status_code == 404


async def test_unlocking(browser: httpx.AsyncClient, look: Look) -> None:
    await worker(look)
    living = await held(look, "pool-1")
    foreign = await held(look, "other")
    answer = await browser.post("/workers/unlock", data={"id": "other"}, follow_redirects=True)
    assert "Unlocked of other: 1 jobs, 0 queues." in answer.text
    answer = await browser.post("/workers/unlock", data={"id": "pool-1"}, follow_redirects=True)
    assert "It lives, so nothing was done." in answer.text
    jobs = await look.jobs()
    assert (jobs[foreign]["locked_by"], jobs[living]["locked_by"]) == (None, "pool-1")
    await browser.post("/workers/unlock", data={"id": "pool-1", "even_living": "1"})
    assert (await look.jobs())[living]["locked_by"] is None
    lines = await look.rows("select actor, action, subject from {s}._private_sqla_audit order by id desc")
    assert tuple(lines[0].values()) == ("tester", "unlock", "locked-by:pool-1")


async def test_pages(browser: httpx.AsyncClient, look: Look) -> None:
    """Who is not registered is shown with the first page, however one came there."""
    await held(look, "node-pool")
    for number in range(120):
        await worker(look, f"pool-{number:03}")
    second = (await browser.get("/workers?after=pool-099")).text
    assert ("pool-119" in second, "node-pool" in second) == (True, False)
    assert 'href="workers?before=pool-100"' in second
    back = (await browser.get("/workers?before=pool-100")).text
    assert ("pool-000" in back, "pool-100" in back, "node-pool" in back) == (True, False, True)


async def test_sweeping(browser: httpx.AsyncClient, look: Look) -> None:
    assert "There is nothing to free." in (await browser.get("/workers/sweep")).text
    await worker(look)
    await worker(look, "pool-dead", silent="1 hour")
    kept = [await held(look, "pool-1"), await held(look, "new")]
    freed = [await held(look, "pool-dead"), await held(look, "old", "now() - interval '5 hours'")]
    page = (await browser.get("/workers/sweep")).text
    assert "pool-dead" in page
    assert ">old<" in page
    assert ">new<" not in page
    assert all(job["locked_by"] for job in (await look.jobs()).values()), "looking frees nothing"
    answer = await browser.post("/workers/sweep", data={}, follow_redirects=True)
    assert "Swept: 1 dead workers, whose 1 jobs run again; 1 jobs and 0 queues" in answer.text
    jobs = await look.jobs()
    assert [jobs[one]["locked_by"] for one in freed] == [None, None]
    assert all(jobs[one]["locked_by"] for one in kept)
    audit = (await browser.get("/system/audit")).text
    assert "sweep" in audit
    assert "delay=10 dead=1 unknown=1 queues=0" in audit
    assert re.search(r"pool-dead \(.*, old<", audit)


async def test_pausing_everything(browser: httpx.AsyncClient, look: Look) -> None:
    answer = await browser.post("/workers/pause", data={"reason": "the <flood>"}, follow_redirects=True)
    assert "Everything is paused." in answer.text
    assert "the &lt;flood&gt;" in answer.text
    answer = await browser.post("/workers/resume", data={}, follow_redirects=True)
    assert "Everything is paused." not in answer.text


@pytest.mark.parametrize(
    ("right", "deed"),
    [(Right.UNLOCK, "unlock"), (Right.UNLOCK, "sweep"), (Right.PAUSE, "pause"), (Right.PAUSE, "resume")],
)
async def test_without_the_right(open_dashboard: Open, look: Look, right: Right, deed: str) -> None:
    await worker(look, "pool-dead", silent="1 hour")
    job_id = await held(look, "pool-dead")
    for options in ({"access": lambda _: Viewer(ALL_RIGHTS - {right})}, {"read_only": True}):
        browser = open_dashboard(**options)
        assert (await browser.post(f"/workers/{deed}", data={"id": "pool-dead"})).status_code == 403
        for path in ("/workers", "/workers/one?id=pool-dead", "/workers/sweep"):
            page = await browser.get(path)
            assert page.status_code == 200
            assert f'/{deed}"' not in page.text
    assert (await look.jobs())[job_id]["locked_by"] == "pool-dead"
    assert await look.rows("select * from {s}._private_sqla_pauses") == []
