"""Pages and counts: how they end, how they go on, and what a cursor may be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla import InvalidFilterError, InvalidJobError
from gw_sqla.admin import Count, JobOrder, JobPage, ScanLimits, ScanStop, paths
from gw_sqla.admin.cursors import Cursor, read_cursor, write_cursor
from gw_sqla.statements.job_ranges import Place
from tests.admin.door import Door
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

SECONDS = timedelta(seconds=20)

FILL = """
insert into {s}._private_tasks (identifier) values ('a'), ('rare');
insert into {s}._private_jobs (task_id, payload, priority)
  select id, '{"n": 1}', 0 from {s}._private_tasks t, generate_series(1, 300) i where identifier = 'a';
insert into {s}._private_jobs (task_id, payload)
  select id, '{"n": 2}' from {s}._private_tasks where identifier = 'rare';
"""


@pytest.fixture
async def filled(look: Look) -> Look:
    """300 jobs of one priority and run_at, then one that is different."""
    await look.execute(FILL)
    return look


async def test_a_search_stops_at_so_many_rows_and_goes_on(door: Door, filled: Look) -> None:
    limits = ScanLimits(rows=120, timeout=SECONDS)
    rare = await filled.value("select max(id) from {s}._private_jobs")
    async with door.begin() as transaction:
        page: JobPage = await transaction.ask("list_jobs", "payload.n:2", limits=limits)
        assert (page.jobs, page.scanned, page.stopped) == ((), 120, ScanStop.ROWS)
        assert page.previous is None
        page = await transaction.ask("list_jobs", "payload.n:2", cursor=page.next, limits=limits)
        assert (page.jobs, page.stopped) == ((), ScanStop.ROWS)
        page = await transaction.ask("list_jobs", "payload.n:2", cursor=page.next, limits=limits)
        assert [job.id for job in page.jobs] == [rare]
        assert (page.next, page.stopped) == (None, None)
        back = await transaction.ask("list_jobs", "payload.n:2", cursor=page.previous, limits=limits)
        assert (back.jobs, back.stopped) == ((), ScanStop.ROWS)
        assert back.previous is not None
        assert await transaction.ask("count_jobs", "payload.n:2", limits=limits) == Count(0, is_exact=False)
        assert await transaction.ask("count_jobs", "payload.n:2") == Count(1)


async def test_counts_end_at_their_cap(door: Door, filled: Look) -> None:
    async with door.begin() as transaction:
        assert str(await transaction.ask("count_jobs")) == "301"
        assert str(await transaction.ask("count_jobs", most=301)) == "301"
        assert str(await transaction.ask("count_jobs", most=300)) == "300+"
        assert str(await transaction.ask("count_jobs", "state:waiting", most=10)) == "10+"
        assert str(await transaction.ask("count_jobs", "task:rare state:ready", most=10)) == "1"
        assert str(Count(10_000, is_exact=False)) == "10,000+"


@pytest.mark.parametrize("order", list(JobOrder))
async def test_what_comes_and_goes_meanwhile_shifts_no_page(door: Door, filled: Look, order: JobOrder) -> None:
    async def page(cursor: str | None = None) -> JobPage:
        found = await door.ask("list_jobs", "state:waiting", order=order, limit=50, cursor=cursor)
        assert isinstance(found, JobPage)
        return found

    first = await page()
    second = await page(first.next)
    await filled.execute("delete from {s}._private_jobs where id <= $1", first.jobs[24].id)
    await filled.execute("delete from {s}._private_jobs where id = $1", second.jobs[0].id)
    again = await page(first.next)
    assert [job.id for job in again.jobs[:49]] == [job.id for job in second.jobs[1:]]
    back = await page(again.previous)
    assert [job.id for job in back.jobs] == [job.id for job in first.jobs[25:]]


async def test_jobs_that_are_named_are_read_whatever_the_limits(door: Door, filled: Look) -> None:
    rare = await filled.value("update {s}._private_jobs set key = 'k' where id = (select max(id) from "
                              "{s}._private_jobs) returning id")  # fmt: skip
    for text in (f"id:{rare}", "key:k", "key:k state:ready", "key:k payload.n:2"):
        page = await door.ask("list_jobs", text, limits=ScanLimits(rows=1, timeout=SECONDS))
        assert [job.id for job in page.jobs] == [rare]
        page = await door.ask("list_jobs", f"{text} state:waiting" if "state" not in text else text,
                              order=JobOrder.TURN, limits=ScanLimits(rows=1, timeout=SECONDS))  # fmt: skip
        assert [job.id for job in page.jobs] == [rare]


async def test_large_texts_are_not_read_with_a_list(door: Door, filled: Look) -> None:
    await filled.execute(
        "update {s}._private_jobs set last_error = repeat('e', 9000), payload = to_json(array(select md5(i::text) "
        "from generate_series(1, 1000) i)) where id = (select max(id) from {s}._private_jobs)"
    )
    [job] = (await door.ask("list_jobs", descending=True, limit=1)).jobs
    assert not job.has_payload
    assert job.stored_size > 2048
    assert len(job.last_error) == 2000
    with pytest.raises(ValueError, match="get_job reads it"):
        _ = job.payload


@pytest.mark.parametrize("descending", [False, True])
async def test_turns_of_a_large_queue(
    door: Door, filled: Look, monkeypatch: pytest.MonkeyPatch, descending: bool
) -> None:
    """Its jobs are looked for among all turns, from the first of its own on, and not sorted."""
    await filled.execute(
        "insert into {s}._private_job_queues (queue_name) values ('large'), ('other'); "
        "update {s}._private_jobs set job_queue_id = (select min(id) from {s}._private_job_queues) + id % 2"
    )
    monkeypatch.setattr(paths, "_MOST_SORTED", 10)
    seen: list[int] = []
    cursor = None
    while True:
        page = await door.ask(
            "list_jobs", "state:waiting queue:large", order="turn", descending=descending, limit=70, cursor=cursor
        )
        seen += [job.id for job in page.jobs]
        if (cursor := page.next) is None:
            break
    order = await filled.rows(
        "select j.id from {s}._private_jobs j join {s}._private_job_queues q on q.id = j.job_queue_id "
        "where queue_name = 'large' order by priority, run_at, j.id"
    )
    found = [row["id"] for row in order]
    assert seen == (found[::-1] if descending else found)
    assert await door.ask("count_jobs", "state:waiting queue:large") == Count(len(found))
    by_id = await door.ask("list_jobs", "state:waiting queue:large", limit=1000)
    assert [job.id for job in by_id.jobs] == sorted(found)


@pytest.mark.parametrize("run_at", ["infinity", "-infinity", "4000-01-01 BC", "20000-01-01"])
async def test_times_that_python_has_not(door: Door, filled: Look, run_at: str) -> None:
    await filled.execute("update {s}._private_jobs set run_at = '" + run_at + "' where id % 3 = 0")
    seen: list[int] = []
    cursor = None
    while True:
        page = await door.ask("list_jobs", "state:waiting", order=JobOrder.TURN, limit=70, cursor=cursor)
        seen += [job.id for job in page.jobs]
        if (cursor := page.next) is None:
            break
    order = await filled.rows("select id from {s}._private_jobs order by priority, run_at, id")
    assert seen == [row["id"] for row in order]


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"filter": "stat:failed"}, InvalidFilterError, "did you mean 'state'"),
        ({"filter": 7}, InvalidFilterError, "must be a str"),
        ({"order": "turn"}, InvalidFilterError, "only waiting jobs have a turn"),
        ({"order": "turn", "filter": "state:failed"}, InvalidFilterError, "only waiting jobs have a turn"),
        ({"order": "newest"}, InvalidJobError, "order: must be one of id, turn"),
        ({"descending": "yes"}, InvalidJobError, "descending: must be True or False"),
        ({"limit": 0}, InvalidJobError, "limit: must be an int from 1 to 1000"),
        ({"limit": True}, InvalidJobError, "limit: must be an int from 1 to 1000"),
        ({"limits": 7}, InvalidJobError, "limits: must be ScanLimits"),
        ({"cursor": "x"}, InvalidJobError, "cursor: is none of"),
        ({"cursor": 7}, InvalidJobError, "cursor: is none of"),
    ],
)
async def test_bad_arguments(door: Door, options: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        await door.ask("list_jobs", **options)


@pytest.mark.parametrize("most", [0, True, "many", 10**8])
async def test_bad_caps(door: Door, most: Any) -> None:
    with pytest.raises(InvalidJobError, match="most: must be an int"):
        await door.ask("count_jobs", most=most)


@pytest.mark.parametrize(
    "options", [{"rows": 0}, {"rows": True}, {"timeout": timedelta(0)}, {"timeout": 5}, {"timeout": timedelta(hours=2)}]
)
async def test_bad_limits(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidJobError, match="limits: "):
        ScanLimits(**options)


TIMES = ["2026-01-01 00:00:00", "-infinity", "20000-01-01 00:00:00.5", "4000-01-01 00:00:00 BC"]
PLACES = st.builds(Place, st.integers(0, 2**63 - 1), st.integers(-(2**15), 2**15 - 1), st.sampled_from(TIMES))


@given(st.sampled_from(JobOrder), st.booleans(), st.booleans(), PLACES)
def test_a_cursor_is_read_as_it_was_written(order: JobOrder, descending: bool, backwards: bool, place: Place) -> None:
    cursor = Cursor(order, descending, backwards, place if order is JobOrder.TURN else Place(place.id))
    text = write_cursor(cursor)
    assert read_cursor(text, order, descending) == cursor
    with pytest.raises(InvalidJobError, match="go on in that order"):
        read_cursor(text, order, not descending)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidJobError, match="cursor"):
        read_cursor(text, JobOrder.ID, descending=False)


def test_a_cursor_with_a_letter_changed_is_none() -> None:
    text = write_cursor(Cursor(JobOrder.ID, False, False, Place(12345)))
    for index in range(len(text)):
        changed = text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]
        with pytest.raises(InvalidJobError, match="is not whole"):
            read_cursor(changed, JobOrder.ID, descending=False)
