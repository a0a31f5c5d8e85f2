"""Cron items: what was given beside what the database knows; the job of one now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gw_sqla import CronItem, InvalidJobError, JobKeyMode
from gw_sqla.admin import CronItemInfo
from tests.admin.door import Door
from tests.repository.look import Look

pytestmark = pytest.mark.anyio

HOURLY = CronItem("report", "0 * * * *")


async def know(look: Look, identifier: str, last: str = "null", since: str = "now()") -> None:
    await look.execute(
        "insert into {s}._private_known_crontabs (identifier, known_since, last_execution) "
        f"values ($1, {since}, {last})",
        identifier,
    )


async def only(door: Door, *items: CronItem) -> CronItemInfo:
    [found] = await door.ask("list_cron_items", items)
    assert isinstance(found, CronItemInfo)
    return found


async def test_what_only_the_database_knows(door: Door, look: Look) -> None:
    await know(look, "theirs", "'2026-01-01 00:00Z'")
    found = await only(door)
    assert (found.identifier, found.item, found.is_late, found.due_since, found.following) == (
        "theirs", None, False, None, (),
    )  # fmt: skip
    assert found.known is not None
    assert found.known.last_execution == datetime(2026, 1, 1, tzinfo=UTC)


async def test_what_nobody_has_made_known(door: Door, look: Look) -> None:
    found = await only(door, HOURLY)
    assert (found.item, found.known, found.is_late) == (HOURLY, None, True)
    assert len(found.following) == 5
    assert {after - before for before, after in zip(found.following, found.following[1:], strict=False)} == {
        timedelta(hours=1)
    }
    assert found.following[0] > datetime.now(UTC) - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("last", "since", "is_due", "is_late"),
    [
        ("date_trunc('hour', now(), 'UTC')", "now()", False, False),
        ("now() - interval '3 hours'", "now()", True, True),
        ("null", "now() - interval '3 hours'", True, True),
        ("now() + interval '1 day'", "now()", False, False),
        ("'infinity'", "now()", False, False),
    ],
)
async def test_late_ones(door: Door, look: Look, last: str, since: str, is_due: bool, is_late: bool) -> None:
    await know(look, "report", last, since)
    found = await only(door, HOURLY)
    assert (found.due_since is not None, found.is_late) == (is_due, is_late)


async def test_due_and_not_late_yet(door: Door, look: Look) -> None:
    await know(look, "often", "date_trunc('minute', now()) - interval '2 minutes'")
    found = await only(door, CronItem("often", "* * * * *"))
    assert found.due_since is not None
    assert not found.is_late


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages(door: Door, look: Look, limit: int) -> None:
    for identifier in ("b", "Z", "é", "d", "e"):
        await know(look, identifier)
    given = [CronItem("any", "@daily", id=name) for name in ("a", "b", "c", "z", "zz")]
    found: list[str] = []
    while page := await door.ask("list_cron_items", given, after=found[-1] if found else None, limit=limit):
        assert len(page) <= limit
        found += [one.identifier for one in page]
    assert found == sorted({"a", "b", "c", "d", "e", "z", "zz", "Z", "é"})
    back: list[str] = []
    while page := await door.ask("list_cron_items", given, before=back[0] if back else "\U0010ffff", limit=limit):
        assert len(page) <= limit
        back = [*(one.identifier for one in page), *back]
    assert back == found


async def test_the_job_of_an_item_now(door: Door, look: Look) -> None:
    item = CronItem(
        "report", "@daily", id="nightly", payload={"of": 7}, queue_name="q", priority=3, job_key="k",
        job_key_mode=JobKeyMode.REPLACE, max_attempts=2, flags=["f"],
    )  # fmt: skip
    job = await door.ask("run_cron_item", item, actor="ada")
    assert (job.task_identifier, job.priority, job.key, job.max_attempts, job.flags) == (
        "report", 3, "k", 2, {"f": True},
    )  # fmt: skip
    cron = job.payload["_cron"]
    assert job.payload == {"of": 7, "_cron": {"ts": cron["ts"], "backfilled": False}}
    assert abs(datetime.fromisoformat(cron["ts"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert await look.value("select count(*) from {s}._private_known_crontabs") == 0
    [line] = await door.ask("list_audit")
    assert (line.actor, line.action, line.detail, line.subject, line.jobs) == (
        "ada", "cron", "item=nightly", f"id:{job.id}", 1,
    )  # fmt: skip


async def test_adding_by_hand(door: Door, look: Look) -> None:
    job = await door.ask("add_job", "charge", {"token": "secret"}, actor="ada", queue_name="q", priority=2)
    await door.ask("add_job", "charge", job_key="k")
    [line] = await door.ask("list_audit")
    assert (line.actor, line.action, line.detail, line.subject) == ("ada", "add", "task=charge", f"id:{job.id}")
    rows = await look.rows("select payload, priority, key from {s}._private_jobs order by id")
    assert [(json.loads(row["payload"]), row["priority"], row["key"]) for row in rows] == [
        ({"token": "secret"}, 2, None),
        ({}, 0, "k"),
    ]


@pytest.mark.parametrize(
    ("method", "arguments", "options", "why"),
    [
        ("list_cron_items", (["x"],), {}, "items: must be CronItems, has a str"),
        ("list_cron_items", (), {"limit": 0}, "limit"),
        ("list_cron_items", (), {"after": 7}, "after"),
        ("run_cron_item", ("x",), {}, "items: must be CronItems"),
        ("add_job", ("a",), {"actor": ""}, "actor"),
    ],
)
async def test_bad_arguments(
    door: Door, look: Look, method: str, arguments: tuple[Any, ...], options: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidJobError, match=why):
        await door.ask(method, *arguments, **options)


async def test_the_system(door: Door, look: Look) -> None:
    found = await door.ask("look_at_system")
    assert found.version == await look.value("select version_num from {s}._private_sqla_alembic_version")
    assert [line.id for line in found.ledger] == list(range(19, 0, -1))
    assert [line.id for line in found.ledger if line.breaking] == [19, 16, 14, 13, 11, 3, 1]
    assert found.server_version == await look.value("show server_version")
    assert abs(found.now - datetime.now(UTC)) < timedelta(minutes=5)
    sizes = {one.name: one for one in found.relations}
    assert not sizes["_private_jobs"].is_index
    assert sizes["jobs_main_index"].is_index
    assert [one.bytes for one in found.relations] == sorted((one.bytes for one in found.relations), reverse=True)


async def test_the_system_of_a_schema_that_a_peer_made(door: Door, look: Look) -> None:
    await look.execute("alter table {s}._private_sqla_alembic_version rename to away")
    try:
        found = await door.ask("look_at_system")
        assert (found.version, len(found.ledger)) == (None, 19)
    finally:
        await look.execute("alter table {s}.away rename to _private_sqla_alembic_version")


async def test_the_time(door: Door, look: Look) -> None:
    before = await look.value("select clock_timestamp()")
    assert before <= await door.ask("now") <= await look.value("select clock_timestamp()")
