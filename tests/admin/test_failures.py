"""Failures that are alike are one group: by task and the first line of the error without its values."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla import InvalidFilterError, InvalidJobError
from gw_sqla.admin import Failures, ScanLimits, ScanStop
from gw_sqla.admin.error_lines import normalised
from tests.admin.door import Door
from tests.repository.look import Look

pytestmark = pytest.mark.anyio


async def fail(look: Look, task: str, *errors: str | None, attempts: int = 25) -> list[int]:
    ids = []
    for error in errors:
        job_id = await look.value("select id from {s}.add_job($1)", task)
        await look.execute(
            "update {s}._private_jobs set attempts = $2, last_error = $3 where id = $1", job_id, attempts, error
        )
        ids.append(int(job_id))
    return ids


def told(found: Failures) -> list[tuple[str | None, str, int]]:
    return [(group.task_identifier, group.error, group.jobs) for group in found.groups]


async def test_groups(door: Door, look: Look) -> None:
    ids = await fail(look, "charge", *(f"Timeout: order {n} after {n}.5 s\nTraceback {n}" for n in range(7)))
    await fail(look, "mail", "Timeout: order 9 after 3.5 s", "no such user 'ada'", "no such user 'grace'")
    await fail(look, "mail", None)
    await fail(look, "mail", "will be tried again", attempts=1)
    await look.execute("update {s}._private_jobs set run_at = '2026-01-01 00:00Z' where id = $1", ids[3])
    await look.execute("update {s}._private_jobs set run_at = now() + interval '1 day' where id = $1", ids[4])
    found = await door.ask("list_failures")
    assert told(found) == [
        ("charge", "Timeout: order <n> after <n> s", 7),
        ("mail", "no such user <text>", 2),
        ("mail", "", 1),
        ("mail", "Timeout: order <n> after <n> s", 1),
    ]
    assert (found.left_out, found.stopped) == (0, None)
    first = found.groups[0]
    assert first.sample == ids[-1]
    assert f"{first.first:%Y-%m-%d}" == "2026-01-01"
    assert first.last <= await look.value("select now()"), "no later than now"
    assert first.first < first.last


async def test_the_filter_of_a_group(door: Door, look: Look) -> None:
    await fail(look, "charge", *(f"Timeout: order {n} after {n}.5 s, 'x'" for n in range(3)), "Timeout: another", None)
    await fail(look, "mail", "Timeout: order 1 after 1.5 s, 'x'")
    groups = (await door.ask("list_failures")).groups
    texts = {(group.task_identifier, group.error): str(group.filter()) for group in groups}
    assert texts["charge", "Timeout: order <n> after <n> s, <text>"] == (
        'state:failed task:charge error:"Timeout: order" error:after'
    )
    for group in groups:
        assert (await door.ask("count_jobs", group.filter())).number == group.jobs, group
    await look.execute("delete from {s}._private_tasks")
    [orphans] = (await door.ask("list_failures", most=1)).groups
    assert str(orphans.filter()) == f"id:{orphans.sample}"


async def test_an_error_that_begins_with_empty_lines(door: Door, look: Look) -> None:
    ids = await fail(look, "a", "\n \r\n Timeout\nat line 3", "Timeout")
    assert told(await door.ask("list_failures")) == [("a", "Timeout", 2)]
    assert str(await door.ask("explain_job", ids[0])).endswith("are used up: Timeout")


async def test_a_filter(door: Door, look: Look) -> None:
    await fail(look, "charge", "a", "b")
    await fail(look, "mail", "a")
    await fail(look, "mail", "later", attempts=1)
    await look.execute("update {s}._private_jobs set run_at = now() + interval '1 h' where last_error = 'later'")
    assert told(await door.ask("list_failures", "state:failed task:mail")) == [("mail", "a", 1)]
    assert told(await door.ask("list_failures", "state:failed,retrying task:mail")) == [
        ("mail", "a", 1),
        ("mail", "later", 1),
    ]
    with pytest.raises(InvalidFilterError):
        await door.ask("list_failures", "stat:x")


async def test_the_largest_first(door: Door, look: Look) -> None:
    await fail(look, "t", "alpha", "beta", "beta", "gamma", "gamma", "gamma")
    found = await door.ask("list_failures", most=2)
    assert told(found) == [("t", "gamma", 3), ("t", "beta", 2)]
    assert found.left_out == 1
    with pytest.raises(InvalidJobError, match="most"):
        await door.ask("list_failures", most=0)


async def test_it_ends_at_its_limits(door: Door, look: Look) -> None:
    await fail(look, "t", *("x" for _ in range(10)))
    found = await door.ask("list_failures", limits=ScanLimits(rows=4, timeout=timedelta(seconds=20)))
    assert (told(found), found.scanned, found.stopped) == ([("t", "x", 4)], 4, ScanStop.ROWS)


async def test_a_task_whose_row_is_gone(door: Door, look: Look) -> None:
    await fail(look, "t", "x")
    await look.execute("delete from {s}._private_tasks")
    assert told(await door.ask("list_failures")) == [(None, "x", 1)]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("KeyError: 'order'", "KeyError: <text>"),
        ('no "x y" in `z`', "no <text> in <text>"),
        ("can't find it, don't ask", "can't find it, don't ask"),
        ("took 1.5 s of 3,000 at 12:30:01", "took <n> s of <n> at <n>"),
        ("at 0x7f60d8e8d700", "at <hex>"),
        ("sha deadbeef01 and bad food", "sha <hex> and bad food"),
        ("id 123e4567-e89b-12d3-a456-426614174000 gone", "id <uuid> gone"),
        ("  spaces  ", "spaces"),
        ("", ""),
    ],
)
def test_normalised(line: str, wanted: str) -> None:
    assert normalised(line) == wanted


@given(st.text(max_size=300))
def test_no_number_is_left(line: str) -> None:
    assert not re.search(r"\d", normalised(line))
