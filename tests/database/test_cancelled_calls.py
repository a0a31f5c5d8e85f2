"""A cancellation of a call through the seam: the function is given it once, and cleans up before the caller goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from gw_sqla import call_asyncio, database_loop
from gw_sqla.database.event_loops import call_session, driver_callback

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[call_asyncio, call_session])
def call(request: pytest.FixtureRequest) -> Any:
    """Either way to call, of which a cancellation makes the same."""
    return request.param


class Patient:
    """A function that waits until it is cancelled, then cleans up for a few turns."""

    def __init__(self, ends_with: BaseException | None = None) -> None:
        self.steps: list[str] = []
        self.ends_with = ends_with

    async def run(self, entered: Callable[[], object]) -> str:
        entered()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            self.steps.append("cancelled")
            for _ in range(3):
                await asyncio.sleep(0)
            self.steps.append("cleaned up")
            if self.ends_with is not None:
                raise self.ends_with from cancelled
            raise
        raise AssertionError("nothing sets this event")


async def cancel_after(entered: anyio.Event, scope: anyio.CancelScope) -> None:
    await entered.wait()
    scope.cancel()


async def test_cancellation(anyio_backend: str, call: Any) -> None:
    """The function sees asyncio's, once, and cleans up before the caller goes on."""
    patient = Patient()
    entered = anyio.Event()
    async with database_loop(), anyio.create_task_group() as group:
        group.start_soon(call, partial(patient.run, driver_callback(entered.set)))
        await entered.wait()
        group.cancel_scope.cancel()
    assert patient.steps == ["cancelled", "cleaned up"]


async def test_an_error_of_the_clean_up_passes(anyio_backend: str, call: Any) -> None:
    error = ValueError("cannot clean up")
    patient = Patient(error)
    entered = anyio.Event()

    async with database_loop(), anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel_after, entered, scope)
            with pytest.raises(ValueError, match="cannot clean up") as caught:
                await call(patient.run, driver_callback(entered.set))
            assert caught.value is error
    assert isinstance(error.__cause__, asyncio.CancelledError)


async def test_a_call_that_ends_all_the_same_is_cancelled(anyio_backend: str, call: Any) -> None:
    """A cancellation that comes too late for the function is not lost: its result is."""
    entered = anyio.Event()

    async def stubborn(tell: Callable[[], object]) -> str:
        tell()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "result"
        raise AssertionError("nothing sets this event")

    async with database_loop(), anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel_after, entered, scope)
            await call(stubborn, driver_callback(entered.set))
            pytest.fail("went on")
        assert scope.cancelled_caught


async def test_the_functions_own_bound_holds_for_its_clean_up(anyio_backend: str, call: Any) -> None:
    entered = anyio.Event()
    steps: list[str] = []

    async def hang() -> None:
        in_loop()
        try:
            await asyncio.Event().wait()
        finally:
            try:
                async with asyncio.timeout(0.05):
                    await asyncio.Event().wait()
            except TimeoutError:
                steps.append("given up")

    with anyio.fail_after(10):
        async with database_loop(), anyio.create_task_group() as group:
            in_loop = driver_callback(entered.set)
            group.start_soon(call, hang)
            await entered.wait()
            group.cancel_scope.cancel()
    assert steps == ["given up"]


async def test_a_timeout_in_a_call_is_no_cancellation_of_it(anyio_backend: str, call: Any) -> None:
    """It comes as one, too. A cancellation after it is given to the function all the same."""
    patient = Patient()
    entered = anyio.Event()

    async def late() -> None:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            await patient.run(in_loop)

    async with database_loop(), anyio.create_task_group() as group:
        in_loop = driver_callback(entered.set)
        group.start_soon(call, late)
        await entered.wait()
        group.cancel_scope.cancel()
    assert patient.steps == ["cancelled", "cleaned up"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncios_own_cancellation_is_given_to_the_function(call: Any) -> None:
    patient = Patient()
    entered = asyncio.Event()
    task = asyncio.create_task(call(patient.run, entered.set))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert patient.steps == ["cancelled", "cleaned up"]


async def test_in_a_scope_that_is_cancelled_nothing_is_called(anyio_backend: str) -> None:
    called: list[str] = []

    async def note() -> None:
        called.append("called")

    async with database_loop():
        with anyio.CancelScope() as scope:
            scope.cancel()
            await call_session(note)
    assert called == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_call_of_a_session_takes_no_task() -> None:
    async def whose() -> asyncio.Task[Any] | None:
        await asyncio.sleep(0)
        return asyncio.current_task()

    assert await call_session(whose) is asyncio.current_task()
    assert await call_asyncio(whose) is not asyncio.current_task()
