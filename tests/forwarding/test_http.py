"""Webhooks, against a real HTTP server on a loopback port."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobRepository,
    RunCounts,
    Runner,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.forwarding import HttpSink, Message
from tests.forwarding.receiver import Receiver, Request, receiving
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def test_cloud_event_and_signature(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, receiver: Receiver
) -> None:
    key = b"0123456789abcdef"
    secret = f"whsec_{base64.b64encode(key).decode()}"
    sink = HttpSink(receiver.url, secret=secret, event_source="/shop", headers={"Authorization": "Bearer x"})
    tasks.forward("order paid", sink)
    job = await add_job("order paid", {"a": "ü"}, queue_name="größe")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=0)
    [request] = receiver.requests
    headers = request.headers
    assert request.body == '{"a":"ü"}'.encode()
    assert request.path == "/hook?token=hidden"
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer x"
    assert (headers["ce-specversion"], headers["ce-source"], headers["ce-type"], headers["ce-id"]) == (
        "1.0",
        "/shop",
        "order%20paid",
        str(job.id),
    )
    assert headers["queue"] == "gr%C3%B6%C3%9Fe"
    sent = int(headers["webhook-timestamp"])
    assert abs(sent - time.time()) < 60
    digest = hmac.new(key, f"{job.id}.{sent}.".encode() + request.body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["webhook-id"] == str(job.id)


async def test_answers(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, receiver: Receiver, sessions: Sessions, log: Log
) -> None:
    tasks.forward("out", HttpSink(receiver.url), backoff=lambda _: timedelta(hours=1))

    def answer(request: Request) -> tuple[int, dict[str, str]]:
        status = int(request.body.split(b'"')[1])
        return status, {"retry-after": "36000"} if status in (429, 503) else {"location": "/elsewhere"}

    receiver.answer = answer
    for status in (200, 202, 302, 400, 410, 429, 500, 503):
        await add_job("out", f"{status}")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=2, failed=6)
    assert len(receiver.requests) == 8
    async with sessions() as session:
        left = {job.payload: job for job in await JobRepository().list_jobs(session)}
    errors = {status: job.last_error for status, job in left.items()}
    assert errors["302"] == "WebhookError: 127.0.0.1 answered with status 302"
    assert errors["500"] == "WebhookError: 127.0.0.1 answered with status 500"
    assert left["410"].attempts == left["410"].max_attempts
    assert left["429"].run_at - left["400"].run_at > timedelta(hours=8)
    assert left["503"].run_at - left["400"].run_at > timedelta(hours=8)
    assert "hidden" not in "".join([*log.lines, *map(str, errors.values())])


async def test_outage_loses_nothing_and_spends_nothing(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, recorder: Recorder, log: Log
) -> None:
    receiver = Receiver()
    with receiving(receiver):
        sink = HttpSink(receiver.url)
    tasks.forward("out", sink)
    await add_job("out", 1)
    async with Runner(engine, tasks, observers=[recorder]):
        await log.until(lambda: log.about("forwarding to HttpSink"))
        with receiving(receiver):
            await recorder.until(lambda: recorder.completed)
    assert recorder.completed[0].job.attempts == 1
    assert "hidden" not in "".join(log.lines)


async def test_gateway_without_its_server_is_an_outage(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, receiver: Receiver, recorder: Recorder
) -> None:
    statuses = [503, 502, 504]
    receiver.answer = lambda _: (statuses.pop(0), {}) if len(receiver.requests) < 3 else (204, {})
    tasks.forward("out", HttpSink(receiver.url))
    await add_job("out")
    assert await Runner(engine, tasks, observers=[recorder]).run_once() == RunCounts(completed=1, failed=0)
    assert len(recorder.returned) == 2


async def test_key_is_in_order_and_others_are_side_by_side(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, receiver: Receiver
) -> None:
    def keyed(payload: dict[str, Any], message: Message) -> Message:
        message.key = payload["key"]
        return message

    tasks.forward("out", HttpSink(receiver.url, concurrency=8), message=keyed)
    for number in range(30):
        await add_job("out", {"key": f"k{number % 3}", "n": number})
    await Runner(engine, tasks).run_once()
    for key in (b"k0", b"k1", b"k2"):
        bodies = [request.body for request in receiver.requests if key in request.body]
        assert bodies == sorted(bodies, key=lambda body: int(body.rsplit(b":", 1)[1][:-1]))
        assert len(bodies) == 10


async def test_receiver_of_one_message_holds_up_no_other(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, receiver: Receiver, sessions: Sessions
) -> None:
    def to(payload: str, message: Message) -> Message:
        message.topic = payload
        return message

    tasks.forward("out", HttpSink(receiver.url), message=to)
    await add_job("out", receiver.url)
    await add_job("out", "http://127.0.0.1:1/dead?token=hidden")
    await add_job("out", "file:///etc/hidden")
    await add_job("out", "http://[hidden")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=1, failed=3)
    async with sessions() as session:
        errors = [str(job.last_error) for job in await JobRepository().list_jobs(session)]
    assert errors[0] == "RuntimeError: 127.0.0.1: ConnectError"
    assert "hidden" not in "".join(errors)


def test_options_that_cannot_be() -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("url", {"url": "ftp://x"}),
        ("url", {"url": "no url"}),
        ("url", {"url": None}),
        ("url", {"url": "http://[hidden"}),
        ("proxy", {"proxy": "socks4://x"}),
        ("secret", {"secret": ""}),
        ("base64", {"secret": "whsec_hidden!"}),
        ("concurrency", {"concurrency": 0}),
        ("timeout", {"timeout": timedelta(0)}),
    ]
    for problem, options in bad:
        arguments: Any = {"url": "https://example.com/x"} | options
        with pytest.raises(ConfigurationError, match=problem) as caught:
            HttpSink(**arguments)
        assert "hidden" not in str(caught.value)
