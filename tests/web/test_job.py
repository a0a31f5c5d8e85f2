"""One job, and everything that can be done to it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.repository.look import Look
from tests.web.conftest import Open

pytestmark = pytest.mark.anyio


async def add(look: Look, payload: str = '{"to": "ada"}') -> int:
    return int(await look.value("select id from {s}.add_job('send_email', $1::json)", payload))


async def act(browser: httpx.AsyncClient, job: int, action: str, **fields: str) -> httpx.Response:
    done = await browser.post(f"/jobs/{job}/act", data={"action": action, **fields})
    assert done.status_code == 303, done.text
    return await browser.get(httpx.URL(str(done.request.url)).join(done.headers["location"]))


async def test_why_it_is_not_running(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look)
    await look.execute("update {s}._private_jobs set run_at = now() + interval '1 hour', attempts = 1")
    page = await browser.get(f"/jobs/{job}")
    assert "It is due later, after attempt 1" in page.text
    assert "No worker lives that knows its task &#39;send_email&#39;" in page.text
    assert 'id="why" data-live' in page.text


async def test_a_failed_one(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look)
    await look.execute("update {s}._private_jobs set attempts = 25, last_error = $1", "Boom: no\n  File 1\n    here")
    page = await browser.get(f"/jobs/{job}")
    assert "Boom: no\n  File 1\n    here</pre>" in page.text
    assert "25 of 25 attempts are used up: Boom: no" in page.text


async def test_its_payload(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look, '{"a": [1, {"b": null}], "c": "x"}')
    page = await browser.get(f"/jobs/{job}")
    assert '<span class="key">a</span>: [2]' in page.text
    assert '<span class="key">c</span>: &#34;x&#34;' in page.text
    download = await browser.get(f"/jobs/{job}/payload.json")
    assert download.text == '{"a": [1, {"b": null}], "c": "x"}'
    assert download.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "payload", ['{"n": 1.10}', '{"n": 1e400}', '{"a": 1, "a": 2}', "[" * 3000 + "]" * 3000, "[" * 300 + "]" * 300]
)
async def test_a_payload_that_python_would_change_is_shown_as_it_is(
    browser: httpx.AsyncClient, look: Look, payload: str
) -> None:
    job = await add(look, payload)
    for path in (f"/jobs/{job}", f"/jobs/{job}/edit"):
        page = await browser.get(path)
        assert page.status_code == 200
        assert payload.replace('"', "&#34;") in page.text


@pytest.mark.parametrize("mask", [None, lambda _, payload: payload], ids=["", "masked"])
@pytest.mark.parametrize("payload", [r'"\ud800"', r'{"a \udfff": "\ud800 x"}', '{"n": 1e999}'])
async def test_what_json_has_and_python_has_not(open_dashboard: Open, look: Look, payload: str, mask: Any) -> None:
    """Halves of surrogate pairs (Node.js writes them), numbers beyond a float: they spoil no page, and no export."""
    browser = open_dashboard(mask=mask)
    job = await add(look, payload)
    await add(look)
    for path in (f"/jobs/{job}", f"/jobs/{job}/edit", "/jobs?column=payload", "/jobs.csv", "/jobs.json"):
        page = await browser.get(path)
        assert page.status_code == 200, (path, page.text)
    assert "the mask failed" in page.text if mask and "999" in payload else payload in page.text
    assert [job["id"] for job in page.json()["jobs"]] == [job + 1, job]
    json.loads((await browser.get(f"/jobs/{job}/payload.json")).text)


@pytest.mark.parametrize("result", [{"n": float("nan")}, "\ud800", 10**5000, [[]]], ids=["nan", "half", "big", "deep"])
async def test_what_a_mask_returns_spoils_no_page(open_dashboard: Open, look: Look, result: Any) -> None:
    browser = open_dashboard(mask=lambda *_: result)
    job = await add(look)
    for path in (f"/jobs/{job}", f"/jobs/{job}/payload.json", "/jobs?column=payload", "/jobs.csv", "/jobs.json"):
        page = await browser.get(path)
        assert page.status_code == 200, (path, page.text)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ('{"n": 12345678901234567890.125}', "has more digits than a float can keep"),
        ('{"n": 1e999}', "has more digits than a float can keep"),
        ('{"n": NaN}', "NaN is no number that JSON has"),
        ('{"a": 1, "a": 2}', "the name &#39;a&#39; is there twice"),
    ],
)
async def test_an_edit_that_would_be_stored_changed_is_refused(
    browser: httpx.AsyncClient, look: Look, payload: str, why: str
) -> None:
    """Who edits one value must not lose digits of another, or a value."""
    job = await add(look)
    refused = await browser.post(f"/jobs/{job}/act", data={"action": "edit", "payload": payload})
    assert (refused.status_code, why in refused.text) == (400, True), refused.text
    assert (await look.jobs())[job]["payload"] == '{"to": "ada"}'


async def test_a_large_payload(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look, json.dumps({"n": list(range(500_000))}))
    page = await browser.get(f"/jobs/{job}")
    assert page.status_code == 200
    assert len(page.text) < 300_000
    assert "This is its beginning." in page.text
    assert "larger than a page can bear" in (await browser.get(f"/jobs/{job}/edit")).text
    assert len((await browser.get(f"/jobs/{job}/payload.json")).json()["n"]) == 500_000


async def test_a_tree_is_bounded(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look, json.dumps([[{"x": 1}] * 50] * 100))
    page = await browser.get(f"/jobs/{job}")
    assert "more than is shown" in page.text
    assert page.text.count("<details") < 2_100


async def test_retry(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look)
    await look.execute("update {s}._private_jobs set attempts = 25")
    page = await act(browser, job, "retry")
    assert f"Job {job} was retried." in page.text
    assert (await look.jobs())[job]["attempts"] == 0


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("1h", "run_at between now() + interval '50 minutes' and now() + interval '70 minutes'"),
        ("2099-01-31T08:00Z", "run_at = '2099-01-31T08:00Z'"),
        ("2099-01-31T08:00", "run_at = '2099-01-31T08:00Z'"),
    ],
)
async def test_reschedule(browser: httpx.AsyncClient, look: Look, text: str, sql: str) -> None:
    job = await add(look)
    page = await act(browser, job, "reschedule", run_at=text, priority="-3", max_attempts="7")
    assert f"Job {job} was rescheduled." in page.text
    assert await look.value(f"select {sql} from {{s}}._private_jobs")
    found = (await look.jobs())[job]
    assert (found["priority"], found["max_attempts"]) == (-3, 7)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "reschedule"},
        {"action": "reschedule", "run_at": "soon"},
        {"action": "reschedule", "run_at": "999999999w"},
        {"action": "reschedule", "priority": "1.5"},
        {"action": "reschedule", "priority": "99999"},
        {"action": "reschedule", "max_attempts": "0"},
        {"action": "edit"},
        {"action": "edit", "payload": "{"},
        {"action": "edit", "payload": '"\\u0000"'},
        {"action": "fly"},
        {"action": "fail", "message": "\x00"},
        {"action": ""},
    ],
)
async def test_bad_input_does_nothing(browser: httpx.AsyncClient, look: Look, fields: dict[str, str]) -> None:
    job = await add(look)
    before = await look.jobs()
    page = await browser.post(f"/jobs/{job}/act", data=fields)
    assert page.status_code == 400
    assert "Nothing was done." in page.text
    assert await look.jobs() == before


async def test_complete_remove_and_fail(browser: httpx.AsyncClient, look: Look) -> None:
    for action, word in (("complete", "completed"), ("remove", "removed")):
        job = await add(look)
        page = await act(browser, job, action)
        assert f"Job {job} was {word}." in page.text
        assert job not in await look.jobs()
    job = await add(look)
    await act(browser, job, "fail", message="not wanted")
    found = (await look.jobs())[job]
    assert (found["attempts"], found["last_error"]) == (25, "not wanted")


async def test_a_copy(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look)
    page = await act(browser, job, "copy")
    [copy] = set(await look.jobs()) - {job}
    assert f"<h1>Job {copy} " in page.text
    assert "This is the copy." in page.text


async def test_edit(browser: httpx.AsyncClient, look: Look) -> None:
    job = await add(look)
    form = await browser.get(f"/jobs/{job}/edit")
    assert "&#34;to&#34;: &#34;ada&#34;" in form.text
    await act(browser, job, "edit", payload='{"to":\r\n"eve"}', revision="0")
    assert json.loads((await look.jobs())[job]["payload"]) == {"to": "eve"}


async def test_two_people_edit_the_same_job(browser: httpx.AsyncClient, look: Look) -> None:
    """The second is told, and nothing is overwritten."""
    job = await add(look)
    await act(browser, job, "edit", payload='{"by": "first"}', revision="0")
    page = await act(browser, job, "edit", payload='{"by": "second"}', revision="0")
    assert "somebody has changed it meanwhile" in page.text
    assert json.loads((await look.jobs())[job]["payload"]) == {"by": "first"}


@pytest.mark.parametrize("action", ["retry", "reschedule", "complete", "fail", "remove", "edit"])
async def test_one_that_a_worker_has(browser: httpx.AsyncClient, look: Look, action: str) -> None:
    job = await add(look)
    shown = await browser.get(f"/jobs/{job}")
    assert 'value="retry"' in shown.text
    await look.lock(job)
    before = await look.jobs()
    page = await act(browser, job, action, priority="1", payload="[]")
    assert "a worker has it by pool-1 since" in page.text
    assert await look.jobs() == before
    assert f'value="{action}"' not in page.text


async def test_one_that_is_gone(browser: httpx.AsyncClient, look: Look) -> None:
    for path in ("/jobs/5", "/jobs/5/edit", "/jobs/5/payload.json"):
        page = await browser.get(path)
        assert page.status_code == 404
        assert "There is no job 5: it was completed or removed" in page.text
    page = await act(browser, 5, "retry")
    assert "Job 5 was not retried: it is gone." in page.text


async def test_odd_rows_of_others(browser: httpx.AsyncClient, look: Look) -> None:
    """Peers clean tasks up, and anybody may write flags of any JSON."""
    job = await add(look)
    await look.execute("delete from {s}._private_tasks")
    for flags in ("null", "[1, 2]", '"x"', '{"b": true, "a": true}', "5"):
        await look.execute("update {s}._private_jobs set flags = $1::jsonb", flags)
        for path in (f"/jobs/{job}", "/jobs?column=flags&column=task", "/jobs.csv", "/jobs.json"):
            page: Any = await browser.get(path)
            assert page.status_code == 200, (flags, path)


async def test_a_page_that_refreshes_itself_reads_what_is_shared(open_dashboard: Open, look: Look) -> None:
    """One that somebody opens has what is there now."""
    browser = open_dashboard(interval=timedelta(hours=1))
    job = await add(look)
    live = {"x-live": "1"}
    assert "<h1>Job" in (await browser.get(f"/jobs/{job}", headers=live)).text
    await look.execute("delete from {s}._private_jobs")
    assert (await browser.get(f"/jobs/{job}", headers=live)).status_code == 200
    assert (await browser.get(f"/jobs/{job}")).status_code == 404
