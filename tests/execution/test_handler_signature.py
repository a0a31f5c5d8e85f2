"""What a handler asks for, and where it runs: combinations that cannot work are refused at the declaration."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemySession
from sqlalchemy.orm import Session

from gw_sqla import AsyncSession, JobContext, TaskDefinitionError, TaskRegistry
from gw_sqla.jobs.task import Source


class Client: ...


class Other: ...


async def in_session(payload: int, session: AsyncSession) -> None: ...


async def plain(payload: int) -> None: ...


async def nothing_provides(payload: int, other: Other) -> None: ...


async def nothing_provides_by_keyword(*, other: Other) -> None: ...


async def given_twice(first: Client, second: Client) -> None: ...


async def default_session(payload: int, session: AsyncSession | None = None) -> None: ...


async def default_client(payload: int, client: Client = Client()) -> None: ...  # noqa: B008


async def sync_session(payload: int, session: Session) -> None: ...


async def any_keywords(payload: int, **options: Any) -> None: ...


async def batch_in_session(payload: list[int], session: AsyncSession) -> None: ...


def sync(payload: int) -> None: ...


def sync_in_session(payload: int, session: AsyncSession) -> None: ...


def sync_with_context(payload: int, ctx: JobContext) -> None: ...


def sync_with_client(payload: int, client: Client) -> None: ...


def local() -> Any:
    def handler(payload: int) -> None: ...

    return handler


def of_main(payload: int) -> None: ...


of_main.__module__ = "__main__"


@pytest.fixture
def tasks() -> TaskRegistry:
    tasks = TaskRegistry()

    @tasks.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()

    return tasks


@pytest.mark.parametrize(
    ("handler", "options", "says"),
    [
        (nothing_provides, {}, "nothing provides 'other': declare a resource of its type, above the task"),
        (nothing_provides_by_keyword, {}, "nothing provides its handler's parameter 'other'"),
        (given_twice, {}, "each once"),
        (default_session, {}, "'session' has a default, and would never be given the AsyncSession"),
        (default_client, {}, "'client' has a default, and would never be given the Client"),
        (sync_session, {}, "asks for a Session: workers have an AsyncSession"),
        (any_keywords, {}, "'options' would be given nothing"),
        (sync_in_session, {}, "make the handler async"),
        (plain, {"transactional": True}, "takes an AsyncSession"),
        (plain, {"transactional": 1}, "transactional must be True or False"),
        (batch_in_session, {"transactional": True, "batch": True}, "cannot be transactional"),
        (plain, {"run_in": "thread"}, "run_in is for sync handlers"),
        (plain, {"run_in": "process"}, "run_in is for sync handlers"),
        (sync, {"run_in": "elsewhere"}, "run_in must be 'thread' or 'process'"),
        (sync, {"run_in": "thread", "timeout": timedelta(1)}, "run it in a process"),
        (sync_with_context, {"run_in": "process"}, "its payload and nothing else: 'ctx'"),
        (sync_with_client, {"run_in": "process"}, "its payload and nothing else: 'client'"),
        (local(), {"run_in": "process"}, "a function at the top of a module"),
        (lambda _: None, {"run_in": "process"}, "a function at the top of a module"),
        (functools.partial(sync), {"run_in": "process"}, "a function at the top of a module"),
        (of_main, {"run_in": "process"}, "move it from the main program to a module"),
    ],
)
def test_refused(tasks: TaskRegistry, handler: Any, options: Any, says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=says) as caught:
        tasks.task("charge", **options)(handler)
    assert str(caught.value).startswith("task 'charge': ")
    assert not tasks


async def all_of_it(session: SqlalchemySession, payload: int, ctx: JobContext, *, client: Client) -> None: ...


def test_what_a_handler_is_given(tasks: TaskRegistry) -> None:
    arguments = tasks.task("charge", transactional=True)(all_of_it).arguments
    assert [argument.source for argument in arguments[:3]] == [Source.SESSION, Source.PAYLOAD, Source.CONTEXT]
    assert str(arguments[3].source) == "Resource(client)"
    assert [argument.by_keyword for argument in arguments] == [False, False, False, True]


async def untyped() -> AsyncIterator[Any]:
    yield 1


async def unannotated():  # type: ignore[no-untyped-def]
    yield 1


async def not_a_generator():  # type: ignore[no-untyped-def]
    return 1


def sync_generator() -> Iterator[Other]:
    yield Other()


@asynccontextmanager
async def decorated() -> AsyncIterator[Other]:
    yield Other()


async def a_session() -> AsyncIterator[AsyncSession]:
    raise NotImplementedError
    yield


async def another_client() -> Client:
    return Client()


async def needs_other(other: Other) -> AsyncIterator[list[int]]:
    yield [1]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Client, "is made by a function"),
        (untyped, "must be the type that handlers ask for"),
        (unannotated, "write 'async def unannotated"),
        (not_a_generator, "must be the type that handlers ask for"),
        (sync_generator, "make it async"),
        (decorated, "without another decorator"),
        (a_session, "handlers are given a AsyncSession by the worker itself"),
        (another_client, r"Resource\(client\) provides this type already"),
        (needs_other, "nothing provides its parameter 'other'"),
    ],
)
def test_resources_that_cannot_work(tasks: TaskRegistry, make: Any, says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=says):
        tasks.resource(make)


def test_a_resource_is_declared_above_the_tasks_that_take_it(tasks: TaskRegistry) -> None:
    @tasks.task("charge")
    async def charge(payload: dict[str, int]) -> None: ...

    def prices() -> dict[str, int]:
        return {}

    with pytest.raises(TaskDefinitionError, match="declared below task 'charge', which takes its type for a payload"):
        tasks.resource(prices)
