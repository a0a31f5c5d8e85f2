"""Messages that a function, or a template, has made wrong: each fails its own job, before any sink sees it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import ConfigurationError, RunCounts, Runner, TaskDefinitionError, TaskRegistry
from gw_sqla.forwarding import HttpSink, Message
from tests.forwarding.sinks import KeptSink
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

HALF = "\ud800"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "surrogate in topic": ({"topic": f"a{HALF}"}, "topic"),
    "surrogate in key": ({"key": HALF}, "key"),
    "surrogate in header": ({"headers": {"a": HALF}}, "headers"),
    "topic no text": ({"topic": 5}, "topic"),
    "key no text": ({"key": b"x"}, "key"),
    "id no text": ({"id": 7}, "id"),
    "id empty": ({"id": ""}, "id"),
    "headers no mapping": ({"headers": [("a", "b")]}, "headers"),
    "header no text": ({"headers": {"a": 1}}, "headers"),
    "header's name no text": ({"headers": {1: "a"}}, "headers"),
    "header's name with a line": ({"headers": {"a\r\nNats-Msg-Id": "b"}}, "headers"),
    "header's name empty": ({"headers": {"": "b"}}, "headers"),
    "content type with a line": ({"content_type": "text/plain\r\nx: y"}, "content_type"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_one_fails_alone(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, recorder: Recorder, name: str
) -> None:
    fields, problem = WRONG[name]

    def make(payload: Any, message: Message) -> Message:
        for field, value in fields.items() if payload == "wrong" else ():
            setattr(message, field, value)
        return message

    sink = KeptSink()
    tasks.forward("out", sink, message=make)
    for payload in ("first", "wrong", "last"):
        await add_job("out", payload)
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=2, failed=1)
    assert sink.payloads == ["first", "last"]
    [failed] = recorder.failed
    assert problem in failed.message
    assert "ud800" not in failed.message


def test_function_that_is_async_is_refused(tasks: TaskRegistry) -> None:
    async def make(_payload: Any, message: Message) -> Message:
        return message

    wrong: Any = make
    with pytest.raises(TaskDefinitionError, match="message must not be async"):
        tasks.forward("out", KeptSink(), message=wrong)


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer hidden\n"}, {"a b": "c"}, {"": "c"}, {"a": 1}, {"a": "ü\0"}]
)
def test_headers_of_requests_that_cannot_be(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="headers: ") as caught:
        HttpSink("http://localhost", headers=headers)
    assert "hidden" not in str(caught.value)
