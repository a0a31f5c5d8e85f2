"""Failures, crontab and system."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from gw_sqla import CronItem, TaskRegistry
from gw_sqla.schema.supported_revisions import HEAD
from gw_sqla.web import ALL_RIGHTS, Right, Viewer
from tests.admin.test_cron_items import know
from tests.admin.test_failures import fail
from tests.repository.look import Look
from tests.web.conftest import Open

pytestmark = pytest.mark.anyio

ITEM = CronItem("report", "0 * * * *", id="<hourly>", tz="Europe/Paris", payload={"of": 1})


async def test_failures_in_groups(browser: httpx.AsyncClient, look: Look) -> None:
    await fail(look, "charge", *(f"Timeout: order <{n}>" for n in range(3)))
    await fail(look, "mail", "again", attempts=1)
    await look.execute("update {s}._private_jobs set run_at = now() + interval '1 h' where last_error = 'again'")
    page = (await browser.get("/failures")).text
    assert "Timeout: order &lt;&lt;n&gt;&gt;" in page
    assert "again" not in page.replace("tried again", "")
    assert "again" in (await browser.get("/failures?retrying=1")).text.replace("tried again", "")
    [retry] = re.findall(r'href="(jobs/act\?action=retry[^"]+)"', page)
    preview = await browser.get("/" + retry.replace("&amp;", "&"))
    assert preview.status_code == 200
    assert "3" in preview.text


async def test_many_failures_are_looked_at_when_asked(browser: httpx.AsyncClient, look: Look) -> None:
    """The page is quick: it looks at the newest only, and says so."""
    job = await look.value("select id from {s}.add_job('charge')")
    await look.execute("update {s}._private_jobs set attempts = 25, last_error = 'Boom' where id = $1", job)
    await look.execute(
        "insert into {s}._private_jobs (task_id, attempts, last_error) select task_id, 25, 'Bang' "
        "from {s}._private_jobs, generate_series(1, 12000)"
    )
    page = (await browser.get("/failures")).text
    assert "Boom" not in page
    assert "the others were not looked at" in page
    assert "Boom" in (await browser.get("/failures?deep=1")).text


async def test_no_failures(browser: httpx.AsyncClient, look: Look) -> None:
    assert "Nothing has failed for good." in (await browser.get("/failures")).text


async def test_failures_for_who_may_only_retry(open_dashboard: Open, look: Look) -> None:
    await fail(look, "charge", "x")
    browser = open_dashboard(access=lambda _: Viewer(frozenset({Right.READ, Right.RETRY})))
    page = (await browser.get("/failures")).text
    assert "action=retry" in page
    assert "action=remove" not in page


async def test_a_crontab(open_dashboard: Open, look: Look) -> None:
    registry = TaskRegistry()

    @registry.cron("@daily")
    @registry.task("nightly")
    async def nightly() -> None: ...

    await know(look, "theirs", "'2026-01-01 00:00Z'")
    await know(look, "<hourly>", "now() - interval '3 hours'")
    page = (await open_dashboard(tasks=registry, crontab=[ITEM]).get("/crontab")).text
    assert "&lt;hourly&gt;" in page
    assert "Europe/Paris" in page
    assert page.count(">late<") == 1
    assert page.count("nobody schedules it") == 1, "nightly"
    assert page.count("not in this crontab") == 1, "theirs"
    assert page.count("Run now") == 2


async def test_a_crontab_that_was_not_given(browser: httpx.AsyncClient, look: Look) -> None:
    await know(look, "theirs")
    page = (await browser.get("/crontab")).text
    assert "given neither a crontab nor tasks" in page
    assert "theirs" in page
    assert "Run now" not in page


async def test_running_an_item_now(open_dashboard: Open, look: Look) -> None:
    browser = open_dashboard(crontab=[ITEM])
    answer = await browser.post("/crontab/run", data={"identifier": "<hourly>"}, follow_redirects=True)
    assert "of &lt;hourly&gt; was added" in answer.text
    [row] = await look.rows("select payload from {s}._private_jobs")
    assert json.loads(row["payload"])["of"] == 1
    [line] = await look.rows("select actor, action, detail from {s}._private_sqla_audit")
    assert tuple(line.values()) == ("tester", "cron", "item=<hourly>")
    assert (await browser.post("/crontab/run", data={"identifier": "other"})).status_code == 404
    assert (await browser.post("/crontab/run", data={"identifier": ""})).status_code == 400
    forbidden = open_dashboard(crontab=[ITEM], access=lambda _: Viewer(ALL_RIGHTS - {Right.ADD}))
    assert (await forbidden.post("/crontab/run", data={"identifier": "<hourly>"})).status_code == 403
    assert "Run now" not in (await forbidden.get("/crontab")).text
    assert len(await look.jobs()) == 1


async def test_the_system(browser: httpx.AsyncClient, look: Look) -> None:
    page = (await browser.get("/system")).text
    assert f"Graphile Worker 19, gw_sqla {HEAD}" in page
    assert "_private_jobs" in page
    assert "jobs_main_index" in page


async def test_the_audit(browser: httpx.AsyncClient, look: Look) -> None:
    assert "Nothing was done." in (await browser.get("/system/audit")).text
    await look.execute(
        "insert into {s}._private_sqla_audit (actor, action, subject, jobs, left_out) "
        "select '<b>' || n, 'retry', 'state:failed', n, 0 from generate_series(1, 60) n"
    )
    page = (await browser.get("/system/audit")).text
    assert "&lt;b&gt;60" in page
    assert "&lt;b&gt;10<" not in page
    [older] = re.findall(r'href="\.\./(system/audit\?before=\d+)"', page)
    rest = (await browser.get(f"/{older}")).text
    assert "&lt;b&gt;10<" in rest
    [newer] = re.findall(r'href="\.\./(system/audit\?after=\d+)"', rest)
    back = (await browser.get(f"/{newer}")).text
    assert ("&lt;b&gt;60" in back, "&lt;b&gt;11" in back, "&lt;b&gt;10<" in back) == (True, True, False)
    assert ("Newer" in back, "Older" in back) == (False, True)
    assert (await browser.get("/system/audit?before=x")).status_code == 400


async def test_an_examination(browser: httpx.AsyncClient, look: Look) -> None:
    page = (await browser.get("/system/doctor")).text
    assert "PostgreSQL" in page
    assert "no worker of gw_sqla" in page
