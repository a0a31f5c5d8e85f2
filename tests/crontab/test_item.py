"""CronItem from Python: checked when it is made, and declared beside a task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from gw_sqla import ConfigurationError, CronItem, JobKeyMode, TaskDefinitionError, TaskRegistry


class Report(BaseModel):
    """A payload that knows nothing of _cron and takes no more than it has."""

    model_config = ConfigDict(extra="forbid")

    to: str


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", ""),
        ("task", "a" * 129),
        ("task", 5),
        ("schedule", 5),
        ("schedule", "* * * *"),
        ("schedule", "* * * * 9"),
        ("schedule", "@reboot"),
        ("payload", [1]),
        ("payload", {"a": float("nan")}),
        ("fill", 60),
        ("fill", timedelta(seconds=-1)),
        ("fill", timedelta(seconds=0.5)),
        ("fill", timedelta(days=40_000)),
        ("id", ""),
        ("tz", "Mars/Olympus"),
        ("queue_name", ""),
        ("max_attempts", 0),
        ("job_key", ""),
        ("job_key_mode", JobKeyMode.UNSAFE_DEDUPE),
        ("job_key_mode", "other"),
        ("priority", 40_000),
        ("flags", "one"),
    ],
)
def test_refused(field: str, value: Any) -> None:
    arguments: dict[str, Any] = {"task": "a", "schedule": "* * * * *", "job_key": "k", field: value}
    with pytest.raises(ConfigurationError, match=rf"\b{field}: "):
        CronItem(**arguments)


def test_a_mode_needs_a_key() -> None:
    with pytest.raises(ConfigurationError, match="job_key_mode: has no effect without job_key"):
        CronItem("a", "* * * * *", job_key_mode=JobKeyMode.REPLACE)


def test_it_holds_plain_values_of_its_own() -> None:
    payload = {"report": Report(to="x"), "list": [1]}
    item = CronItem("a", " 0\t4 *  * * ", payload=payload, flags=["f"])
    payload["list"].append(2)  # type: ignore[attr-defined]
    assert (item.schedule, item.payload, item.flags) == ("0 4 * * *", {"report": {"to": "x"}, "list": [1]}, ("f",))
    assert (item.identifier, CronItem("a", "@daily", id="b").identifier) == ("a", "b")


def test_the_payload_of_a_job_has_milliseconds_and_keeps_cron_for_itself() -> None:
    item = CronItem("a", "* * * * *", payload={"_cron": 1, "b": 2})
    minute = datetime(2026, 5, 7, 1, 2, tzinfo=UTC)
    assert item.job_payload(minute, backfilled=True) == {
        "_cron": {"ts": "2026-05-07T01:02:00.000Z", "backfilled": True},
        "b": 2,
    }


def test_declared_beside_a_task() -> None:
    tasks = TaskRegistry()

    @tasks.cron("0 5 * * *", id="early", payload={"to": "b"}, tz="Europe/Paris")
    @tasks.cron("0 4 * * *", fill=timedelta(days=1), payload={"to": "a"})
    @tasks.task("report")
    async def report(payload: Report) -> None: ...

    assert report.identifier == "report"
    assert tasks.cron_items == (
        CronItem("report", "0 4 * * *", fill=timedelta(days=1), payload={"to": "a"}),
        CronItem("report", "0 5 * * *", id="early", payload={"to": "b"}, tz="Europe/Paris"),
    )


def test_declarations_that_cannot_work() -> None:
    tasks = TaskRegistry()

    @tasks.task("report")
    async def report(payload: Report) -> None: ...

    @tasks.task("many", batch=True)
    async def many(payload: list[int]) -> None: ...

    @tasks.task("none")
    async def none() -> None: ...

    with pytest.raises(TaskDefinitionError, match="payload: does not fit its task: to: Field required"):
        tasks.cron("0 4 * * *")(report)
    with pytest.raises(TaskDefinitionError, match="'many' is a batch task"):
        tasks.cron("0 4 * * *")(many)
    with pytest.raises(TaskDefinitionError, match="hour: 24 is not one of 0 to 23"):
        tasks.cron("0 24 * * *")(none)
    with pytest.raises(TaskDefinitionError, match=r"write it above @tasks\.task"):
        tasks.cron("0 4 * * *")(none.handler)  # type: ignore[arg-type]
    tasks.cron("0 4 * * *")(none)
    with pytest.raises(TaskDefinitionError, match="'none' is declared already: give this one another id"):
        tasks.cron("0 5 * * *")(none)
    assert len(tasks.cron_items) == 1
