"""The overview: what needs attention, states, what comes and goes, workers."""

from __future__ import annotations

import re
from datetime import timedelta

import anyio
import httpx
import pytest

from tests.admin.test_explain import worker
from tests.repository.look import Look
from tests.web.conftest import Open

pytestmark = pytest.mark.anyio


def attention(page: httpx.Response) -> list[tuple[str, str]]:
    return re.findall(r'<li class="(\w+)"><a href="[^"]*">([^<]*)</a></li>', page.text)


async def test_nothing(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/")
    assert page.status_code == 200
    assert attention(page) == []
    assert "Nothing that is seen from here" in page.text


async def test_states(browser: httpx.AsyncClient, look: Look) -> None:
    await look.execute("select {s}.add_job('send_email') from generate_series(1, 3)")
    page = await browser.get("/")
    assert '<span class="number big">3</span> <span>ready</span>' in page.text


async def test_what_needs_attention(browser: httpx.AsyncClient, look: Look) -> None:
    await worker(look, "pool-dead", silent="1 hour")
    await look.execute("select {s}.add_job('nobody has it', null, 'q', now() - interval '2 hours')")
    await look.execute("select {s}.add_job('charge') from generate_series(1, 2)")
    await look.execute(
        "update {s}._private_jobs set attempts = 25, last_error = 'Refused: 7' where task_id = "
        "(select id from {s}._private_tasks where identifier = 'charge')"
    )
    for owner, held in (("pool-dead", "1 hour"), ("of-a-peer", "1 hour"), ("gone", "5 hours")):
        await look.execute("select {s}.add_job('held')")
        await look.execute(
            "update {s}._private_jobs set locked_by = $1, locked_at = now() - $2::text::interval "
            "where id = (select max(id) from {s}._private_jobs)",
            owner,
            held,
        )
    await look.execute("insert into {s}._private_sqla_pauses (kind, name, reason) values ('task', 'held', 'for <now>')")
    found = attention(await browser.get("/"))
    levels = [level for level, _ in found]
    assert levels == sorted(levels)  # bad ones first
    text = "\n".join(one for _, one in found)
    for part in (
        "The oldest ready job, of the task nobody has it, waits for 2 h 0 min.",
        "1 job of the task nobody has it: ready, and no living worker of gw_sqla&#39;s has it.",
        "2 jobs of the task charge failed, the last within this hour: Refused: &lt;n&gt;",
        "The dead worker pool-dead holds 1 job and 0 queues",
        "gone, which our register does not know, holds 1 job and 0 queues, the oldest for 5 h 0 min",
        "Jobs wait, and no worker of gw_sqla&#39;s lives",
        "Paused: task &#39;held&#39;: for &lt;now&gt;.",
    ):
        assert part in text
    assert "of-a-peer" not in text  # a peer's worker that is at work


async def test_each_leads_to_the_jobs_that_are_meant(browser: httpx.AsyncClient, look: Look) -> None:
    await look.execute("select {s}.add_job('a, b', null, null, now() - interval '2 hours')")
    page = await browser.get("/")
    for link in re.findall(r'<li class="\w+"><a href="([^"]*)">', page.text):
        jobs = await browser.get(f"/{link.replace('&amp;', '&')}")
        assert jobs.status_code == 200
        assert jobs.text.count('<a class="id"') == 1


async def test_what_comes_and_goes(browser: httpx.AsyncClient, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Known when this page was looked at twice." in (await browser.get("/")).text
    await look.execute("select {s}.add_job('a') from generate_series(1, 50)")
    with anyio.fail_after(60):
        while True:
            page = await browser.get("/")
            added = re.search(r'<span class="number big">([\d,]+)</span> <span class="key-added">', page.text)
            if added is not None and added[1] != "0":
                break
            await anyio.sleep(0.2)  # statistics come later: nothing says when
    assert "Known when" not in page.text


async def test_however_many_look_the_database_is_asked_once(open_dashboard: Open, look: Look) -> None:
    await look.execute("select {s}.add_job('a')")
    browser = open_dashboard(interval=timedelta(hours=1))
    pages: list[str] = []

    async def visit() -> None:
        pages.append((await browser.get("/")).text)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(visit)
    await look.execute("select {s}.add_job('a')")
    await visit()
    assert len(set(pages)) == 1
    done = await browser.post("/jobs/act", data={"action": "retry", "filter": "id:>=0"})
    assert done.status_code == 303
    assert '<span class="number big">2</span> <span>ready</span>' in (await browser.get("/")).text
