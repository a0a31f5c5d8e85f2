"""Crontab lines mean here what they mean to Graphile Worker for Node.js, and workers of both kinds share one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from random import Random
from typing import Any

from gw_sqla import CronItem
from gw_sqla.crontab import scan_crontab
from gw_sqla.types import JobKeyMode
from tests.interop.conftest import Environment
from tests.interop.crontab_lines import random_line, random_schedule

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEDULES = 1500
LINES = 2000
WINDOW = 4 * 60
"""Minutes that are compared one by one for each schedule."""


def ask_node(environment: Mapping[str, str], cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give all cases to one Node process."""
    script = Path(__file__).with_name("crontab.cjs")
    done = subprocess.run(
        ["node", script],
        input=json.dumps(cases).encode(),
        env=environment,
        capture_output=True,
        check=True,
        timeout=120,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def number(minute: datetime) -> int:
    """Count minutes from 1970."""
    return (minute - EPOCH) // MINUTE


def upcoming(item: CronItem, start: int) -> Iterator[int]:
    return map(number, item.fires(EPOCH + start * MINUTE))


def test_schedules_fire_at_the_same_minutes(environment: Environment) -> None:
    """In a window of hours each, and at the next times after it, however far, with the minutes beside them."""
    random = Random(19)
    first, last = number(datetime(2020, 1, 1, tzinfo=UTC)), number(datetime(2040, 1, 1, tzinfo=UTC))
    cases: list[dict[str, Any]] = []
    ours: list[tuple[list[int], list[bool]]] = []
    for _ in range(SCHEDULES):
        schedule, start = random_schedule(random), random.randrange(first, last)
        item = CronItem("a", schedule)
        fires = upcoming(item, start)
        within = list(takewhile(lambda minute, end=start + WINDOW: minute < end, fires))  # type: ignore[misc]
        later = list(islice(upcoming(item, start + WINDOW), 4))
        beside = [minute + offset for minute in later[:3] for offset in (-1, 0, 1) if minute + offset >= start + WINDOW]
        cases.append({"line": f"{schedule} a", "start": start, "length": WINDOW, "at": beside})
        ours.append((within, [minute in later for minute in beside]))
    node = ask_node(environment, cases)
    differ = [
        (case["line"], case["start"])
        for case, answer, mine in zip(cases, node, ours, strict=True)
        if (answer.get("fires"), answer.get("at")) != mine
    ]
    assert differ == []
    assert sum(len(within) for within, _ in ours) > 5 * SCHEDULES
    assert sum(not within for within, _ in ours) > SCHEDULES // 4


def test_lines_are_read_alike(environment: Environment) -> None:
    """What Node reads means the same here, and what is refused here without Node's refusal would only fail later."""
    random = Random(42)
    lines = [random_line(random) for _ in range(LINES)]
    answers = ask_node(environment, [{"line": line, "start": 0, "length": 0, "at": []} for line in lines])
    read = 0
    for line, answer in zip(lines, answers, strict=True):
        reading = scan_crontab(line)
        if "error" in answer:
            foreign = [problem for problem in reading.problems if "Node.js does not" in problem.text]
            assert reading.errors or foreign, (line, answer)
            continue
        if reading.errors:
            assert all(_fails_later(problem.text) for problem in reading.errors), (line, reading.errors)
            continue
        read += 1
        [item], options = reading.items, answer["item"]["options"]
        if "jobKey" not in options:
            options.pop("jobKeyMode", None)  # has no effect, and a warning here
        assert as_node(item) == answer["item"], line
    assert read > LINES // 10


def _fails_later(text: str) -> bool:
    """What Node takes from a crontab although no job can be added for it."""
    return (
        "must be 1 to 32767" in text or "must be -32768 to 32767" in text or text.startswith("jobKey: must have 1 to")
    )


def as_node(item: CronItem) -> dict[str, Any]:
    """The item as Node's parser returns it, but its matcher."""
    mode = item.job_key_mode or (JobKeyMode.REPLACE if item.job_key else None)
    options = {
        "backfillPeriod": item.fill // timedelta(milliseconds=1),
        "maxAttempts": item.max_attempts,
        "queueName": item.queue_name,
        "priority": item.priority,
        "jobKey": item.job_key,
        "jobKeyMode": mode,
    }
    return {
        "task": item.task,
        "identifier": item.identifier,
        "options": {name: value for name, value in options.items() if value is not None},
        "payload": item.payload,
    }
