"""Acting on many jobs: preview, chunks, what is left out, and being cut off in the middle."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from gw_sqla.admin import chunks
from gw_sqla.web.screens import bulk
from tests.repository.look import Look

pytestmark = pytest.mark.anyio


async def fill(look: Look, number: int) -> list[int]:
    await look.execute("select {s}.add_job('a b', json_build_object('n', n)) from generate_series(1, $1) n", number)
    await look.execute("update {s}._private_jobs set attempts = 25")
    return sorted(await look.jobs())


async def follow(browser: httpx.AsyncClient, done: httpx.Response) -> httpx.Response:
    assert done.status_code == 303, done.text
    return await browser.get(httpx.URL(str(done.request.url)).join(done.headers["location"]))


async def test_a_preview_changes_nothing(browser: httpx.AsyncClient, look: Look) -> None:
    ids = await fill(look, 12)
    await look.lock(ids[0])
    before = await look.jobs()
    page = await browser.get("/jobs/act", params={"action": "retry", "what": "all", "filter": 'task:"a b"'})
    assert "Retry 12 jobs?" in page.text
    assert "<strong>1</strong> of them a worker has now" in page.text
    assert page.text.count('<a class="id"') == 10
    assert "gw-sqla jobs retry &#39;task:&#34;a b&#34;&#39;</pre>" in page.text
    assert await look.jobs() == before


async def test_all_that_fit(browser: httpx.AsyncClient, look: Look) -> None:
    ids = await fill(look, 5)
    await look.execute("update {s}._private_jobs set locked_at = now(), locked_by = 'pool-1' where id = $1", ids[0])
    page = await follow(browser, await browser.post("/jobs/act", data={"action": "retry", "filter": 'task:"a b"'}))
    assert f"4 jobs were retried. Left out: 1 held; such as {ids[0]} (held, by pool-1)." in page.text
    assert [job["attempts"] for _, job in sorted((await look.jobs()).items())] == [25, 0, 0, 0, 0]


async def test_those_that_were_chosen(browser: httpx.AsyncClient, look: Look) -> None:
    ids = await fill(look, 5)
    chosen: Any = {"action": "remove", "what": "some", "id": [ids[1], ids[3]], "filter": "state:failed"}
    page = await browser.get("/jobs/act", params=chosen)
    assert "Remove 2 jobs?" in page.text
    assert f'name="ids" value="{ids[1]},{ids[3]}"' in page.text
    assert f"gw-sqla jobs remove {ids[1]} {ids[3]}</pre>" in page.text
    await follow(browser, await browser.post("/jobs/act", data={"action": "remove", "ids": f"{ids[1]},{ids[3]}"}))
    assert sorted(await look.jobs()) == [ids[0], ids[2], ids[4]]


async def test_nothing_chosen(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 2)
    page = await browser.get("/jobs/act", params={"action": "remove", "what": "some", "filter": "state:failed"})
    assert page.status_code == 400
    assert "no job was chosen" in page.text
    assert "No job fits." in (await browser.get("/jobs/act?action=remove&filter=state:locked")).text


async def test_editing_is_for_one(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 2)
    before = await look.jobs()
    for page in (
        await browser.get("/jobs/act?action=edit&filter=state:failed"),
        await browser.post("/jobs/act", data={"action": "edit", "payload": "1", "filter": "state:failed"}),
    ):
        assert page.status_code == 400
    assert await look.jobs() == before


async def test_what_an_action_is_told(browser: httpx.AsyncClient, look: Look) -> None:
    await fill(look, 2)
    page = await browser.get("/jobs/act?action=fail&filter=state:failed&message=it+is+so")
    assert "gw-sqla jobs fail --message &#39;it is so&#39; state:failed</pre>" in page.text
    assert 'name="message" value="it is so"' in page.text
    await browser.post("/jobs/act", data={"action": "fail", "message": "it is so", "filter": "state:failed"})
    assert {job["last_error"] for job in (await look.jobs()).values()} == {"it is so"}


async def test_more_than_a_request_does(
    browser: httpx.AsyncClient, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how far it came, and goes on from there; jobs that are added meanwhile are not meant."""
    monkeypatch.setattr(chunks, "_CHUNK", 2)
    monkeypatch.setattr(bulk, "_WITHIN", timedelta(0))
    ids = await fill(look, 5)
    page = await follow(browser, await browser.post("/jobs/act", data={"action": "copy", "filter": "state:failed"}))
    assert "2 jobs were copied. The copies: " in page.text
    assert "There are more." in page.text
    cursor = page.text.partition('name="cursor" value="')[2].partition('"')[0]
    assert cursor == f"{ids[1]}-{ids[4]}"
    assert f"gw-sqla jobs copy --cursor {cursor} state:failed" in page.text
    for _ in range(2):
        fields = {"action": "copy", "filter": "state:failed", "cursor": cursor}
        page = await follow(browser, await browser.post("/jobs/act", data=fields))
        cursor = page.text.partition('name="cursor" value="')[2].partition('"')[0]
    assert "1 job was copied" in page.text
    assert len(await look.jobs()) == 10


async def test_cut_off_in_the_middle(browser: httpx.AsyncClient, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done before stays; the chunk that met the fault is not done at all; the page goes on from there."""
    monkeypatch.setattr(chunks, "_CHUNK", 2)
    ids = await fill(look, 6)
    await look.execute(
        "create or replace function public.refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'the disk is full' using errcode = '53100'; end $$"
    )
    await look.execute(
        "create trigger refuse before update on {s}._private_jobs for each row "
        f"when (old.id = {ids[3]}) execute function public.refuse()"
    )
    try:
        page = await browser.post("/jobs/act", data={"action": "retry", "filter": "state:failed"})
    finally:
        await look.execute("drop trigger refuse on {s}._private_jobs")
        await look.execute("drop function public.refuse()")
    assert page.status_code == 503
    assert "2 jobs were retried" in page.text
    assert "Traceback" not in page.text
    cursor = page.text.partition('name="cursor" value="')[2].partition('"')[0]
    assert [job["attempts"] for _, job in sorted((await look.jobs()).items())] == [0, 0, 25, 25, 25, 25]
    fields = {"action": "retry", "filter": "state:failed", "cursor": cursor}
    assert "4 jobs were retried" in (await follow(browser, await browser.post("/jobs/act", data=fields))).text


async def test_two_people_at_the_same_jobs(browser: httpx.AsyncClient, look: Look) -> None:
    """Each job is done by one of them; the other is told."""
    ids = await fill(look, 4)
    await look.execute(
        "begin; select id from {s}._private_jobs where id in (select min(id) from {s}._private_jobs) for update"
    )
    try:
        page = await follow(
            browser, await browser.post("/jobs/act", data={"action": "remove", "filter": "state:failed"})
        )
    finally:
        await look.execute("commit")
    assert f"3 jobs were removed. Left out: 1 busy; such as {ids[0]} (busy)." in page.text
    page = await follow(
        browser, await browser.post("/jobs/act", data={"action": "remove", "ids": ",".join(map(str, ids))})
    )
    assert "1 job was removed. Left out: 3 gone" in page.text
