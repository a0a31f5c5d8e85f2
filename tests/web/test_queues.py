"""The queues."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.repository.look import Look
from tests.web.conftest import Open

pytestmark = pytest.mark.anyio


async def fill(look: Look, count: int = 3) -> None:
    await look.execute(
        "select {s}.add_job('mail', queue_name := 'q' || to_char(n, 'FM000')) from generate_series(1, $1) n", count
    )


async def test_what_waits_and_who_has_the_lock(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look)
    await look.execute(
        "update {s}._private_job_queues set locked_by = 'pool-<x>', locked_at = now() where queue_name = 'q002'"
    )
    page = (await browser.get("/queues")).text
    assert page.index("q001") < page.index("q002") < page.index("q003")
    assert "workers/one?id=pool-%3Cx%3E" in page
    assert "pool-&lt;x&gt;" in page
    assert "not of gw_sqla" in page
    page = (await browser.get("/queues?locked=1")).text
    assert "q002" in page
    assert "q001" not in page


async def test_pages(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 120)
    first = (await browser.get("/queues")).text
    assert "q050" in first
    assert "q051" not in first
    assert 'href="queues?after=q050"' in first
    second = (await browser.get("/queues?after=q050")).text
    assert "q051" in second
    last = (await browser.get("/queues?after=q100")).text
    assert "q120" in last
    assert 'rel="next"' not in last
    assert 'href="queues?before=q101"' in last
    back = (await browser.get("/queues?before=q101")).text
    assert re.findall(r"queues\?(?:before|after)=q\d+", back) == ["queues?before=q051", "queues?after=q100"]
    assert ("q051" in back, "q050" in back, "q101" in back) == (True, False, False)
    begin = (await browser.get("/queues?before=q051")).text
    assert re.findall(r"queues\?(?:before|after)=q\d+", begin) == ["queues?after=q050"]
    assert 'href="queues">' in (await browser.get("/queues?after=z")).text, "a page that is empty by now leads back"
    assert (await browser.get("/queues?after=a&before=b")).status_code == 400


async def test_pausing(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 1)
    answer = await browser.post("/queues/pause", data={"name": "q001", "minutes": "60", "reason": "too <much>"})
    assert (answer.status_code, answer.headers["location"]) == (303, "../queues")
    [row] = await look.rows("select *, paused_until - paused_at as length from {s}._private_sqla_pauses")
    assert (row["kind"], row["name"], row["reason"], row["paused_by"]) == ("queue", "q001", "too <much>", "tester")
    assert row["length"].total_seconds() == 3600
    page = (await browser.get("/queues")).text
    assert "too &lt;much&gt;" in page
    assert "Resume q001" in page
    await browser.post("/queues/resume", data={"name": "q001"})
    assert await look.rows("select * from {s}._private_sqla_pauses") == []
    lines = await look.rows("select actor, action from {s}._private_sqla_audit order by id")
    assert [tuple(line.values()) for line in lines] == [("tester", "pause"), ("tester", "resume")]
    again = await browser.post("/queues/resume", data={"name": "q001"}, follow_redirects=True)
    assert "not paused any more" in again.text


@pytest.mark.parametrize("form", [{"name": "q", "minutes": "0"}, {"name": "q", "minutes": "x"}, {"minutes": "5"}, {}])
async def test_what_cannot_be_meant(browser: httpx.AsyncClient, look: Look, form: dict[str, str]) -> None:
    assert (await browser.post("/queues/pause", data=form)).status_code in {400, 415}
    assert await look.rows("select * from {s}._private_sqla_pauses") == []


async def test_without_the_right(open_dashboard: Open, look: Look) -> None:
    from gw_sqla.web import ALL_RIGHTS, Right, Viewer

    await fill(look, 1)
    browser = open_dashboard(access=lambda _: Viewer(ALL_RIGHTS - {Right.PAUSE}))
    assert "Pause q001" not in (await browser.get("/queues")).text
    for deed in ("pause", "resume"):
        assert (await browser.post(f"/queues/{deed}", data={"name": "q001"})).status_code == 403
    assert await look.rows("select * from {s}._private_sqla_pauses") == []
