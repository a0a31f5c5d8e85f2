"""The list of jobs: filters, pages, columns, exports."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gw_sqla import TaskRegistry
from gw_sqla.web.screens import jobs
from tests.repository.look import Look
from tests.web.conftest import ROOMY, Open

pytestmark = pytest.mark.anyio


async def fill(look: Look, number: int, task: str = "send_email") -> None:
    await look.execute("select {s}.add_job($2, json_build_object('n', n)) from generate_series(1, $1) n", number, task)


def ids(page: httpx.Response) -> list[int]:
    return [int(found) for found in re.findall(r'<a class="id" href="[^"]*">(\d+)</a>', page.text)]


def link(page: httpx.Response, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]*)"', page.text)
    assert found is not None, f"no link to the {rel} page"
    return found[1].replace("&amp;", "&")


async def test_pages_in_both_directions(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 60)
    all_ids = sorted(await look.jobs(), reverse=True)
    first = await browser.get("/jobs?size=25&filter=task:send_email")
    assert ids(first) == all_ids[:25]
    assert 'rel="prev"' not in first.text
    second = await browser.get(f"/{link(first, 'next')}")
    assert ids(second) == all_ids[25:50]
    await look.execute("delete from {s}._private_jobs where id = $1", all_ids[30])
    last = await browser.get(f"/{link(second, 'next')}")
    assert ids(last) == all_ids[50:]
    assert 'rel="next"' not in last.text
    assert ids(await browser.get(f"/{link(last, 'prev')}")) == [one for one in all_ids[24:50] if one != all_ids[30]]


async def test_order(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 3)
    first, second, third = sorted(await look.jobs())
    await look.execute("update {s}._private_jobs set priority = -1 where id = $1", second)
    assert ids(await browser.get("/jobs?sort=oldest")) == [first, second, third]
    assert ids(await browser.get("/jobs?filter=state:ready&order=turn")) == [second, first, third]
    page = await browser.get("/jobs?order=turn")
    assert page.status_code == 400
    assert "only waiting jobs have a turn" in page.text


async def test_a_filter_that_cannot_be_meant(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/jobs", params={"filter": "state:faild error:<b>"})
    assert page.status_code == 400
    assert "did you mean &#39;failed&#39;?" in page.text
    assert 'value="state:faild error:&lt;b&gt;"' in page.text  # to be mended
    assert 'aria-invalid="true"' in page.text


async def test_controls_make_a_filter(browser: httpx.AsyncClient) -> None:
    """They change what they show, and leave alone what they cannot say."""
    given = "-task:a,b queue:x payload.n:7 attempts:>=2"
    page = await browser.get("/jobs", params={"filter": given})
    assert 'name="task" value="" disabled' in page.text
    assert 'name="queue" value="x"' in page.text
    form = {
        "controls": "1",
        "filter": given,
        "state": ["failed", "retrying"],
        "queue": "",
        "key": "*",
        "error": "timed out",
    }
    moved = await browser.get("/jobs", params=form | {"size": "25", "order": "id"})
    assert moved.status_code == 303
    query = parse_qs(urlsplit(moved.headers["location"]).query)
    expected = 'state:failed,retrying -task:a,b key:* attempts:>=2 error:"timed out" payload.n:7'
    assert query == {"filter": [expected], "size": ["25"], "order": ["id"]}
    assert (await browser.get(f"/{moved.headers['location']}")).status_code == 200


async def test_facets_count_by_state(browser: httpx.AsyncClient, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_FACETS", ROOMY)
    await fill(look, 3)
    await fill(look, 2, "other")
    await look.execute("update {s}._private_jobs set attempts = 25 where id = (select min(id) from {s}._private_jobs)")
    page = await browser.get("/jobs?filter=task:send_email")
    found = dict(re.findall(r'state-(\w+)">\w+ <span class="number">([\d,+]+)</span>', page.text))
    assert found == {"locked": "0", "failed": "1", "ready": "2", "retrying": "0", "scheduled": "0"}
    assert 'in all <span class="number">3</span>' in (await browser.get("/jobs?filter=task:send_email&count=1")).text


async def test_columns(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 30)
    page = await browser.get("/jobs?column=payload&column=key&size=25")
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', page.text)
    assert heads == ["Id", "Payload", "Key"]
    assert "{&#34;n&#34; : 30}" in page.text or "{&#34;n&#34;:30}" in page.text
    assert "column=payload&column=key" in link(page, "next")
    assert '<input type="hidden" name="column" value="key">' in page.text  # for the next filter


async def test_csv(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 2)
    await look.execute("update {s}._private_jobs set last_error = '=HYPERLINK(\"http://evil.test\")'")
    page = await browser.get("/jobs.csv?sort=oldest&limit=1")
    assert page.headers["content-disposition"] == 'attachment; filename="jobs.csv"'
    [row] = csv.DictReader(io.StringIO(page.text))
    assert (int(row["id"]), row["payload"]) == (min(await look.jobs()), '{"n" : 1}')
    assert row["last_error"].startswith("'=")  # no formula
    await look.execute("update {s}._private_jobs set last_error = '\uff1d1+1'")
    [row] = csv.DictReader(io.StringIO((await browser.get("/jobs.csv?limit=1")).text))
    assert row["last_error"] == "'\uff1d1+1"  # nor in Japanese
    assert (await browser.get("/jobs.csv?filter=state:failed")).text.startswith("id,state,")  # with nothing in it, too
    rest = await browser.get("/jobs.csv", params={"sort": "oldest", "cursor": page.headers["x-next-cursor"]})
    assert len(list(csv.DictReader(io.StringIO(rest.text)))) == 1
    assert "x-next-cursor" not in rest.headers


async def test_json(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 3)
    page = (await browser.get("/jobs.json?filter=state:ready&limit=2")).json()
    assert [job["payload"] for job in page["jobs"]] == [{"n": 3}, {"n": 2}]
    rest = (await browser.get("/jobs.json", params={"filter": "state:ready", "cursor": page["next"]})).json()
    assert [job["payload"] for job in rest["jobs"]] == [{"n": 1}]
    assert rest["next"] is None


async def test_masked(open_dashboard: Open, look: Look) -> None:
    """Nowhere; and nobody can ask for a payload by filters, or overwrite it."""
    await look.execute('select {s}.add_job(\'pay\', \'{"card": "4111-1111", "order": 7}\')')
    [job] = await look.jobs()
    browser = open_dashboard(mask=lambda task, payload: payload | {"card": f"({task})"})
    for path in ("/jobs?column=payload", "/jobs.csv", "/jobs.json", f"/jobs/{job}", f"/jobs/{job}/payload.json"):
        page = await browser.get(path)
        assert "4111" not in page.text, path
        assert "(pay)" in page.text, path
    assert "4111" not in (await browser.get(f"/jobs/{job}/edit")).text
    refused = await browser.get("/jobs", params={"filter": "payload.card:4111-1111"})
    assert (refused.status_code, "masked" in refused.text) == (400, True)
    assert (await browser.get("/jobs.json", params={"filter": "payload.card:4111-1111"})).status_code == 400
    await look.execute(
        "insert into {s}._private_sqla_audit (actor, action, subject, jobs, left_out) "
        "values ('eve', 'retry', 'payload.card:4111-1111', 1, 0)"
    )
    audit = await browser.get("/system/audit")
    assert ("eve" in audit.text, "4111" in audit.text) == (True, False)
    post = {"action": "remove", "filter": "payload.card:4111-1111"}
    assert (await browser.post("/jobs/act", data=post)).status_code == 400
    await browser.post(f"/jobs/{job}/act", data={"action": "edit", "payload": "{}"})
    assert "4111-1111" in (await look.jobs())[job]["payload"]


@pytest.mark.parametrize("result", [ValueError("4111"), {1, 2}])
async def test_a_mask_that_fails_shows_nothing(open_dashboard: Open, look: Look, result: object) -> None:
    await look.execute("select {s}.add_job('pay', '{\"card\": \"4111-1111\"}')")

    def mask(task: object, payload: object) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    page = await open_dashboard(mask=mask).get("/jobs?column=payload")
    assert page.status_code == 200
    assert "4111" not in page.text


async def test_tasks_are_no_condition(open_dashboard: Open) -> None:
    assert (await open_dashboard(tasks=TaskRegistry()).get("/jobs")).status_code == 200
