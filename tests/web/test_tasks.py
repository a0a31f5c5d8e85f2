"""The tasks, one of them, and the form that adds a job."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel, Field

from gw_sqla import TaskRegistry
from gw_sqla.web import ALL_RIGHTS, Right, Viewer
from tests.admin.test_explain import worker
from tests.repository.look import Look
from tests.web.conftest import Open

pytestmark = pytest.mark.anyio


class Place(BaseModel):
    city: str


class Parcel(BaseModel):
    order_id: Annotated[int, Field(ge=1, description="The <order>")]
    to: Place
    day: date | None = None
    express: bool = False


tasks = TaskRegistry()


@tasks.task("ship")
async def ship(payload: Parcel) -> None:
    """Send a <parcel>."""


@tasks.task("tick")
async def tick() -> None:
    """Take no payload."""


@tasks.task("many")
async def many(payload: list[int]) -> None:
    """Take a list."""


SHIP = {"name": "ship", "payload/order_id": "7", "payload/to/city": "Lyon"}


@pytest.fixture
def browser(open_dashboard: Open) -> httpx.AsyncClient:
    return open_dashboard(tasks=tasks)


async def payloads(look: Look) -> list[Any]:
    return [json.loads(row["payload"]) for row in await look.rows("select payload from {s}._private_jobs order by id")]


async def test_all_tasks(browser: httpx.AsyncClient, look: Look) -> None:
    await look.execute("select {s}.add_job('<b>' || n) from generate_series(1, 3) n")
    await look.execute("update {s}._private_jobs set attempts = 25 where id = (select max(id) from {s}._private_jobs)")
    await worker(look, tasks=["<b>1"])
    page = (await browser.get("/tasks")).text
    assert "&lt;b&gt;1" in page
    assert "<b>1" not in page
    assert page.count("nobody runs it") == 1
    assert page.count("declared, and never used here") == 3
    assert "tasks/one?name=%3Cb%3E1" in page


async def test_pages(browser: httpx.AsyncClient, look: Look) -> None:
    await look.execute("select {s}.add_job('t' || to_char(n, 'FM000')) from generate_series(1, 120) n")
    first = (await browser.get("/tasks")).text
    assert "t100" in first
    assert "t101" not in first
    assert "declared, and" not in first
    second = (await browser.get("/tasks?after=t100")).text
    assert "t120" in second
    assert "Next" not in second
    assert 'href="tasks?before=t101"' in second
    back = (await browser.get("/tasks?before=t101")).text
    assert ("t001" in back, "t100" in back, "t101" in back, "Previous" in back) == (True, True, False, False)


async def test_one(browser: httpx.AsyncClient, look: Look) -> None:
    await worker(look, tasks=["ship"])
    await look.execute("select {s}.add_job('ship', run_at := now() + interval '1 hour')")
    page = (await browser.get("/tasks/one?name=ship")).text
    assert "scheduled 1" in page
    assert "pool-1" in page
    assert "Send a &lt;parcel&gt;." in page
    assert "The &lt;order&gt;" in page
    assert 'name="payload/to/city"' in page
    assert "&#34;minimum&#34;: 1" in page, "the schema itself"
    assert (await browser.get("/tasks/one")).status_code == 404
    unknown = (await browser.get("/tasks/one?name=%22%3E%3Cscript%3E")).text
    assert "does not know the task" in unknown
    assert "<script>" not in unknown.replace('<script src="', "")


async def test_a_job_is_added(browser: httpx.AsyncClient, look: Look) -> None:
    options = {
        "payload/express": "true", "payload/day": "2026-01-31", "queue_name": "q", "priority": "-3",
        "max_attempts": "4", "job_key": "k", "job_key_mode": "preserve_run_at", "flags": "a, b",
        "run_at": "2030-01-01T10:00",
    }  # fmt: skip
    answer = await browser.post("/tasks/add", data=SHIP | options)
    [row] = await look.rows("select * from {s}._private_jobs")
    assert (answer.status_code, answer.headers["location"]) == (303, f"../jobs/{row['id']}")
    assert await payloads(look) == [{"order_id": 7, "to": {"city": "Lyon"}, "express": True, "day": "2026-01-31"}]
    assert (row["priority"], row["max_attempts"], row["key"], json.loads(row["flags"])) == (
        -3, 4, "k", {"a": True, "b": True},
    )  # fmt: skip
    assert f"{row['run_at']:%Y-%m-%d %H:%M}" == "2030-01-01 10:00"
    assert await look.value("select queue_name from {s}._private_job_queues") == "q"
    [line] = await look.rows("select actor, action, subject from {s}._private_sqla_audit")
    assert tuple(line.values()) == ("tester", "add", f"id:{row['id']}")


async def test_other_payloads(browser: httpx.AsyncClient, look: Look) -> None:
    for form in (
        {"name": "tick"},
        {"name": "many", "payload": "[1, 2]"},
        {"name": "unknown", "payload": '{"any": "<thing>"}'},
        {"name": "unknown"},
        {"name": "ship", "raw": "1", "payload": '{"order_id": 1, "to": {"city": "x"}}'},
    ):
        assert (await browser.post("/tasks/add", data=form)).status_code == 303, form
    assert await payloads(look) == [
        {},
        [1, 2],
        {"any": "<thing>"},
        {},
        {"order_id": 1, "to": {"city": "x"}, "day": None, "express": False},
    ]


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (SHIP | {"payload/order_id": "0"}, "order_id"),
        (SHIP | {"payload/order_id": "many"}, "must be a whole number"),
        ({"name": "ship", "payload/to/city": "Lyon"}, "order_id"),
        (SHIP | {"payload/day": "never"}, "day"),
        (SHIP | {"priority": "99999"}, "priority"),
        (SHIP | {"priority": "high"}, "priority"),
        (SHIP | {"run_at": "soon"}, "run_at"),
        (SHIP | {"job_key": "k", "job_key_mode": "never"}, "job_key_mode"),
        (SHIP | {"queue_name": "q" * 129}, "queue_name"),
        ({"name": "many", "payload": "[1,"}, "is not JSON"),
        ({"name": "many", "payload": '["x"]'}, "does not fit"),
    ],
)
async def test_what_cannot_be_is_told_and_stays_filled_in(
    browser: httpx.AsyncClient, look: Look, form: dict[str, str], why: str
) -> None:
    answer = await browser.post("/tasks/add", data=form | {"flags": "kept <here>"})
    assert answer.status_code == 400
    assert why in answer.text
    assert "No job was added." in answer.text
    assert "kept &lt;here&gt;" in answer.text
    assert await payloads(look) == []


async def test_pausing(browser: httpx.AsyncClient, look: Look) -> None:
    answer = await browser.post("/tasks/pause", data={"name": "ship", "reason": "strike"}, follow_redirects=True)
    assert "strike" in answer.text
    assert "Resume this task" in answer.text
    await browser.post("/tasks/resume", data={"name": "ship"})
    assert await look.rows("select * from {s}._private_sqla_pauses") == []


@pytest.mark.parametrize(("right", "deed"), [(Right.ADD, "add"), (Right.PAUSE, "pause"), (Right.PAUSE, "resume")])
async def test_without_the_right(open_dashboard: Open, look: Look, right: Right, deed: str) -> None:
    for options in ({"access": lambda _: Viewer(ALL_RIGHTS - {right})}, {"read_only": True}):
        browser = open_dashboard(tasks=tasks, **options)
        assert f'action="{deed}"' not in (await browser.get("/tasks/one?name=ship")).text
        assert (await browser.post(f"/tasks/{deed}", data=SHIP)).status_code == 403
    assert await payloads(look) == []
    assert await look.rows("select * from {s}._private_sqla_pauses") == []


async def test_a_name_that_no_task_can_have(browser: httpx.AsyncClient, look: Look) -> None:
    for name in ("x" * 200, "\0"):
        assert (await browser.get("/tasks/one", params={"name": name})).status_code == 400
        assert (await browser.post("/tasks/add", data={"name": name, "payload": "{}"})).status_code == 400
        assert (await browser.post("/tasks/pause", data={"name": name})).status_code == 400


async def test_a_payload_is_too_large(browser: httpx.AsyncClient, look: Look) -> None:
    huge = {"name": "unknown", "payload": json.dumps("x" * 17 * 2**20)}
    assert (await browser.post("/tasks/add", data=huge)).status_code == 413
    large = {"name": "unknown", "payload": json.dumps("x" * (16 * 2**20))}
    assert (await browser.post("/tasks/add", data=large)).status_code == 400
    assert await payloads(look) == []
