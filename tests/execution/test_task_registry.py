"""Tasks are checked where they are declared: what could not work is refused, in words that say what to do."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from gw_sqla import JobContext, TaskDefinitionError, TaskRegistry
from gw_sqla.jobs.task import Source


async def plain(payload: int) -> None: ...


def sync(payload: int) -> None: ...


async def nothing() -> None: ...


def generator(payload: int) -> Iterator[int]:
    yield payload


async def async_generator(payload: int) -> AsyncIterator[int]:
    yield payload


async def keyword(*, payload: int) -> None: ...


async def three(payload: int, ctx: JobContext, other: str) -> None: ...


async def two_contexts(ctx: JobContext, other: JobContext) -> None: ...


async def default_payload(payload: int = 1) -> None: ...


async def default_payload_beside_context(ctx: JobContext, payload: dict[str, Any] | None = None) -> None: ...


async def default_context(payload: int, ctx: JobContext | None = None) -> None: ...


async def keyword_context(payload: int, *, ctx: JobContext = None) -> None: ...  # type: ignore[assignment]


async def unknown(payload: Unknown) -> None: ...  # type: ignore[name-defined] # noqa: F821


async def unusable(payload: Callable[[], TaskRegistry]) -> None: ...


class Mailer:
    """What people decorate methods of."""

    async def send(self, payload: int) -> None: ...

    async def make(cls, payload: int) -> None: ...  # noqa: N805


@functools.wraps(plain)
def passed_on(payload: int) -> Any:
    return plain(payload)


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (int, "must be a function"),
        ("text", "must be a function"),
        (generator, "is a generator"),
        (async_generator, "is a generator"),
        (keyword, "by position"),
        (three, "one payload and one JobContext"),
        (two_contexts, "one payload and one JobContext"),
        (default_payload, "'payload' has a default, and would never be given the payload"),
        (default_payload_beside_context, "'payload' has a default, and would never be given the payload"),
        (default_context, "'ctx' has a default, and would never be given the JobContext"),
        (keyword_context, "'ctx' has a default, and would never be given the JobContext"),
        (Mailer.send, "is a method, whose 'self' nothing provides"),
        (Mailer.make, "is a method, whose 'cls' nothing provides"),
        (TaskRegistry().task("other")(plain), r"is a task already, Task\('other'\): decorate the function itself"),
        (passed_on, "is async, but wrapped by a function that is not: make the wrapper async def"),
        (unknown, "cannot be resolved: name 'Unknown' is not defined"),
    ],
)
def test_handler_that_cannot_work(handler: Any, says: str) -> None:
    tasks = TaskRegistry()
    with pytest.raises(TaskDefinitionError, match=says) as caught:
        tasks.task("charge")(handler)
    assert str(caught.value).startswith("task 'charge': ")
    assert not tasks


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch": "yes"}, "batch must be True or False, not 'yes'"),
        ({"timeout": 5}, "timeout must be a timedelta, not 5"),
        ({"timeout": timedelta(0)}, "timeout must be longer than 0"),
        ({"backoff": timedelta(1)}, "backoff must be a function"),
    ],
)
def test_bad_options_are_refused_before_the_handler_is_seen(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=f"^task 'charge': {says}"):
        TaskRegistry().task("charge", **options)


@pytest.mark.parametrize(
    ("identifier", "says"), [("", "1 to 128"), ("x" * 129, "1 to 128"), ("a\0", "NUL"), (7, "must be a str, not int")]
)
def test_bad_identifiers(identifier: Any, says: str) -> None:
    with pytest.raises(TaskDefinitionError, match=f"^task identifier .*{says}"):
        TaskRegistry().task(identifier)


def test_forgotten_parentheses() -> None:
    with pytest.raises(TaskDefinitionError, match=r'write @tasks.task\("identifier"\)'):
        TaskRegistry().task(plain)  # type: ignore[arg-type]


def test_a_timeout_needs_an_async_handler() -> None:
    with pytest.raises(TaskDefinitionError, match="make the handler async"):
        TaskRegistry().task("convert", timeout=timedelta(seconds=1))(sync)


@pytest.mark.parametrize("handler", [nothing, plain])
def test_a_batch_takes_a_list(handler: Any) -> None:
    with pytest.raises(TaskDefinitionError, match="annotated as a list"):
        TaskRegistry().task("notify", batch=True)(handler)


def test_declared_twice() -> None:
    tasks = TaskRegistry()
    tasks.task("charge")(plain)
    with pytest.raises(TaskDefinitionError, match="declared twice"):
        tasks.task("charge")(nothing)
    assert tasks["charge"].handler is plain


async def reversed_order(ctx: JobContext, payload: int) -> None: ...


async def unannotated(payload, ctx) -> None: ...  # type: ignore[no-untyped-def]


async def further(payload: int, retries: int = 3, *, url: str = "") -> None: ...


async def only_keywords(*, url: str = "") -> None: ...


class Handler:
    async def __call__(self, payload: int) -> None: ...


@pytest.mark.parametrize(
    ("handler", "is_async", "payload", "context", "context_first"),
    [
        (nothing, True, False, False, False),
        (plain, True, True, False, False),
        (sync, False, True, False, False),
        (reversed_order, True, True, True, True),
        (unannotated, True, True, True, False),
        (further, True, True, False, False),
        (only_keywords, True, False, False, False),
        (functools.partial(further, url="x"), True, True, False, False),
        (Handler(), True, True, False, False),
    ],
)
def test_what_a_handler_takes(handler: Any, is_async: bool, payload: bool, context: bool, context_first: bool) -> None:
    task = TaskRegistry().task("charge")(handler)
    sources = [argument.source for argument in task.arguments]
    taken = (task.run_in == "loop", task.takes_payload, Source.CONTEXT in sources, sources[:1] == [Source.CONTEXT])
    assert taken == (is_async, payload, context, context_first)


class Client:
    """A resource."""


def registry(*names: str, cron: str = "", resource: bool = False) -> TaskRegistry:
    tasks = TaskRegistry()
    for name in names:
        task = tasks.task(name)(nothing)
        if cron:
            tasks.cron("0 4 * * *", id=cron)(task)
    if resource:

        @tasks.resource
        def client() -> Client:
            return Client()

    return tasks


def test_include() -> None:
    """Tasks, cron items and resources; a task of the one may ask for a resource of the other."""
    shop, mails = registry("charge", cron="daily charge"), registry("mail", cron="daily mail", resource=True)
    shop.include(mails)
    assert list(shop) == ["charge", "mail"]
    assert [item.identifier for item in shop.cron_items] == ["daily charge", "daily mail"]

    @shop.task("ask")
    async def ask(client: Client) -> None: ...

    assert not ask.takes_payload
    shop.include(mails)  # the same again is no other
    assert len(shop.cron_items) == 2


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (registry("charge"), "task 'charge' is declared in both registries"),
        (registry("other", cron="daily charge"), "cron item 'daily charge' is declared in both registries"),
        (registry("other", resource=True), f"resource {Client!r} is declared in both registries"),
        (None, "must be a TaskRegistry, not None"),
        ({"mail": nothing}, "must be a TaskRegistry, not {"),
    ],
)
def test_include_is_all_or_nothing(other: Any, problem: str) -> None:
    shop = registry("charge", cron="daily charge", resource=True)
    before = dict(shop), shop.cron_items
    with pytest.raises(TaskDefinitionError, match="^include: " + re.escape(problem)):
        shop.include(other)
    assert (dict(shop), shop.cron_items) == before


def test_the_method_of_an_object_is_a_handler() -> None:
    assert TaskRegistry().task("send")(Mailer().send).takes_payload


def test_an_async_wrapper_is_async() -> None:
    @functools.wraps(sync)
    async def wrapper(payload: int) -> None:
        sync(payload)

    assert TaskRegistry().task("wrapped")(wrapper).run_in == "loop"


def test_a_selection() -> None:
    """It has the tasks that were chosen, and all cron items; the registry is as it was."""
    tasks = TaskRegistry()
    for name in ("a", "b", "c"):
        tasks.cron("0 4 * * *")(tasks.task(name)(nothing))
    assert set(tasks.selection(["a", "b"])) == {"a", "b"}
    assert set(tasks.selection(without=["a"])) == {"b", "c"}
    assert set(tasks.selection(["a", "b"], without=["b"])) == {"a"}
    assert tasks.selection(["a"]).cron_items == tasks.cron_items
    assert set(tasks) == {"a", "b", "c"}
    with pytest.raises(TaskDefinitionError, match="there is no task 'd': there are a, b, c"):
        tasks.selection(["d"])
    with pytest.raises(TaskDefinitionError, match="no task is left"):
        tasks.selection(without=["a", "b", "c"])
