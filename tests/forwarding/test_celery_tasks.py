"""Celery: a real worker runs what was forwarded to its broker, a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anyio.to_thread
import pytest
from celery import Celery
from redis import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import ConfigurationError, RunCounts, Runner, TaskRegistry
from gw_sqla.forwarding import CelerySink
from tests.forwarding.servers import Broker, redis_command, running
from tests.support.log import Log
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Broker]:
    with running(redis_command) as broker:
        yield broker


@pytest.fixture
def app(redis_server: Broker) -> Celery:
    return Celery("forwarding", broker=f"redis://127.0.0.1:{redis_server.port}")


@pytest.fixture(scope="module")
def worker(redis_server: Broker) -> Iterator[None]:
    environment = os.environ | {"CELERY_TEST_REDIS": f"redis://127.0.0.1:{redis_server.port}"}
    command = [sys.executable, "-m", "celery", "-A", "tests.forwarding.celery_app", "worker", "--pool", "solo"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def test_worker_runs_them(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, app: Celery, redis_server: Broker, worker: None
) -> None:
    tasks.forward("out", CelerySink(app, "note"))
    ids = [str((await add_job("out", payload)).id) for payload in ([1, "ü"], {"a": 1}, "text")]
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=3, failed=0)
    with Redis(port=redis_server.port) as client:

        def noted() -> list[Any]:
            found: Any = [client.blpop(["noted"], timeout=30) for _ in ids]
            return [json.loads(value) for _, value in found]

        assert await anyio.to_thread.run_sync(noted) == [
            [ids[0], [1, "ü"], {}],
            [ids[1], [], {"a": 1}],
            [ids[2], ["text"], {}],
        ]


async def test_broker_that_is_away(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    add_job: AddJob,
    app: Celery,
    redis_server: Broker,
    recorder: Recorder,
    log: Log,
) -> None:
    tasks.forward("out", CelerySink(app, "elsewhere", queue="other"))
    async with Runner(engine, tasks, observers=[recorder]):
        await anyio.to_thread.run_sync(redis_server.kill)
        await add_job("out", 1)
        await log.until(lambda: log.about("forwarding to CelerySink (out)"))
        await anyio.to_thread.run_sync(redis_server.start)
        await recorder.until(lambda: recorder.completed, 60)
    assert recorder.completed[0].job.attempts == 1
    with Redis(port=redis_server.port) as client:
        assert client.llen("other") >= 1


async def test_rabbitmq_without_confirmations_is_an_error_at_the_start(engine: AsyncEngine) -> None:
    tasks = TaskRegistry()
    tasks.forward("out", CelerySink(Celery("forwarding", broker="amqp://guest:hidden@127.0.0.1:1")))
    with pytest.raises(ConfigurationError, match="confirm_publish") as caught:
        await Runner(engine, tasks).run_once()
    assert "hidden" not in str(caught.value)


def test_options_that_cannot_be(app: Celery) -> None:
    bad: list[tuple[str, dict[str, Any]]] = [("app", {"app": "x"}), ("task", {"task": ""}), ("queue", {"queue": 1})]
    for problem, options in bad:
        arguments: Any = {"app": app} | options
        with pytest.raises(ConfigurationError, match=problem):
            CelerySink(**arguments)
