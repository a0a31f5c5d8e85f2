"""Resources: given by type, made when a runner starts, closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import AsyncSession, JobContext, ResourceError, RunCounts, Runner, RunnerSettings, TaskRegistry
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio


@dataclass
class Settings:
    url: str


class Client:
    """Something with a life: it has a task of its own, as an HTTP client of anyio has."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.url
        self.is_open = False

    async def get(self, path: str) -> str:
        assert self.is_open
        await anyio.lowlevel.checkpoint()
        return self.url + path


class Broken: ...


class Feed: ...


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def tasks(events: list[str]) -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.resource
    def settings() -> Settings:
        events.append("settings made")
        return Settings("here/")

    @tasks.resource
    async def client(settings: Settings) -> AsyncIterator[Client]:
        client = Client(settings)
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(anyio.sleep_forever)
            client.is_open = True
            events.append("client open")
            yield client
            client.is_open = False
            task_group.cancel_scope.cancel()
        events.append("client closed")

    @tasks.resource
    async def unused() -> dict[str, int]:
        raise AssertionError("no task asks for it")

    return tasks


async def test_handlers_are_given_them(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, events: list[str]
) -> None:
    seen: list[object] = []

    @tasks.task("fetch")
    async def fetch(payload: str, client: Client) -> None:
        seen.append(await client.get(payload))

    @tasks.task("all")
    async def everything(ctx: JobContext, session: AsyncSession, payload: str, *, client: Client, of: Settings) -> None:
        seen.append((ctx.job.payload, session.is_active, payload, client.is_open, of.url))

    @tasks.task("sync")
    def sync(*, of: Settings) -> None:
        seen.append(of)

    await add_job(fetch, "a", priority=0)
    await add_job(everything, "b", priority=1)
    await add_job(sync, priority=2)
    runner = Runner(engine, tasks, RunnerSettings(concurrency=1))
    assert await runner.run_once() == RunCounts(completed=3, failed=0)
    assert seen == ["here/a", ("b", True, "b", True, "here/"), Settings("here/")]
    assert events == ["settings made", "client open", "client closed"]
    await runner.run_once()
    assert events == ["settings made", "client open", "client closed"] * 2


async def test_a_handler_is_tested_by_a_plain_call(tasks: TaskRegistry) -> None:
    @tasks.task("fetch")
    async def fetch(payload: str, client: Client) -> str:
        return await client.get(payload)

    client = Client(Settings("test/"))
    client.is_open = True
    assert await fetch("a", client) == "test/a"


async def test_it_is_closed_when_the_last_job_has_ended(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, events: list[str], recorder: Recorder
) -> None:
    @tasks.task("slow")
    async def slow(ctx: JobContext, *, client: Client) -> None:
        await ctx.stopping.wait()
        events.append(await client.get("still open"))

    await add_job(slow)
    async with Runner(engine, tasks, observers=[recorder]):
        await recorder.until(lambda: recorder.started)
    assert events == ["settings made", "client open", "here/still open", "client closed"]


async def test_what_a_resource_raises_ends_the_start_and_is_named(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, events: list[str]
) -> None:
    @tasks.resource
    async def broken(client: Client) -> AsyncIterator[Broken]:
        raise LookupError("no such host")
        yield Broken()

    @tasks.task("fetch")
    async def fetch(payload: str, broken: Broken) -> None:
        raise AssertionError("never called")

    await add_job(fetch, "a")
    says = r"^Resource\(broken\) could not be made: LookupError: no such host$"
    with pytest.RaisesGroup(pytest.RaisesExc(ResourceError, match=says)) as caught:
        await Runner(engine, tasks).run_once()
    assert isinstance(caught.value.exceptions[0].__cause__, LookupError)
    assert "client closed" not in events, "its task group was cancelled"


async def test_a_resource_that_fails_stops_the_worker(
    engine: AsyncEngine, tasks: TaskRegistry, add_job: AddJob, recorder: Recorder
) -> None:
    fail = anyio.Event()

    async def read() -> None:
        await fail.wait()
        raise ConnectionError("the feed is gone")

    @tasks.resource
    async def feed() -> AsyncIterator[Feed]:
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(read)
            yield Feed()

    @tasks.task("use")
    async def use(*, feed: Feed) -> None: ...

    await add_job(use)
    says = r"^Resource\(feed\) failed: ConnectionError: the feed is gone$"
    with anyio.fail_after(30), pytest.raises(ResourceError, match=says):  # noqa: PT012 - that it is not in a group, too
        async with Runner(engine, tasks, RunnerSettings(grace_period=timedelta(0)), observers=[recorder]):
            await recorder.until(lambda: recorder.completed)
            fail.set()
            await anyio.sleep_forever()
