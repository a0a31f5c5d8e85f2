"""Observers: all of a worker's, by what each of them hears of.

``at_once`` are the worker's own, which are known to return soon: they are called where the event happens, and miss
none.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import groupby
from typing import Any, TypeAlias

import anyio

from gw_sqla.error_texts.error_text import error_text, traceback_text
from gw_sqla.errors import ConfigurationError
from gw_sqla.hooks.channels import LoopChannel, ThreadChannel
from gw_sqla.hooks.events import METHODS, DatabaseFault, DatabaseFaultOver, Event, JobStarted, LockLost
from gw_sqla.hooks.observer import Observer, PromptObserver
from gw_sqla.jobs.outcomes import Completed, Failed, Outcome, Returned, Snoozed

__all__ = ["NOBODY", "Observers", "check_observers"]

log = logging.getLogger(__name__)

_Tell: TypeAlias = Callable[[Sequence[Any]], object]
"""Tells one observer of events of one type."""


def check_observers(observers: Iterable[Observer]) -> tuple[Observer, ...]:
    """Return them; raises ConfigurationError for what is none."""
    found = tuple(observers)
    for observer in found:
        if not isinstance(observer, Observer):
            what = f"{observer.__name__}()" if isinstance(observer, type) else "a subclass of gw_sqla.Observer"
            raise ConfigurationError(f"observers: {observer!r} is no Observer: give {what}")
    return found


class Observers:
    """Those of one run of a worker, told inside ``async with observers.delivering():``."""

    def __init__(self, observers: Sequence[Observer], *, at_once: Sequence[Observer] = ()) -> None:
        self._tells: dict[type, list[_Tell]] = {}
        self._threads: list[ThreadChannel] = []
        self._loops: list[LoopChannel] = []
        for observer in (*at_once, *observers):
            if isinstance(observer, PromptObserver) or observer in at_once:
                self._add(observer, lambda method: partial(_call, method))
            else:
                self._add(observer, self._by_channel(observer))
        self.hear_of_jobs = self.hear_of(JobStarted, Completed, Failed, Snoozed)

    def hear_of(self, *events: type) -> bool:
        """Tell whether anybody hears of any of these."""
        return any(event in self._tells for event in events)

    def tell(self, event: Event) -> None:
        """Tell those who hear of it; raises nothing, and waits for nobody."""
        for tell in self._tells.get(type(event), ()):
            tell((event,))

    def written(self, outcomes: Iterable[Outcome]) -> None:
        """Tell of outcomes after their commit; of those of one type that follow each other at once."""
        if self.hear_of_jobs or Returned in self._tells:
            for kind, of_kind in groupby(outcomes, type):
                if tells := self._tells.get(kind):
                    events = tuple(of_kind)
                    for tell in tells:
                        tell(events)

    def lost(self, outcomes: Iterable[Outcome]) -> None:
        """Tell of outcomes that were not written."""
        for outcome in outcomes:
            self.tell(LockLost(outcome=outcome))

    def fault(self, doing: str, fault: BaseException) -> None:
        """Tell that an outage begins; for `gw_sqla.database.outage`."""
        self.tell(DatabaseFault(doing=doing, reason=error_text(fault)))

    def fault_over(self, doing: str, faults: int, seconds: float) -> None:
        """Tell that an outage is over."""
        self.tell(DatabaseFaultOver(doing=doing, faults=faults, seconds=seconds))

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Tell the observers in the background of the block; at its end they have some seconds for what waits."""
        if not (self._threads or self._loops):
            yield
            return
        left: BaseException | None = None
        for thread in self._threads:
            thread.start()
        try:
            async with anyio.create_task_group() as telling:
                for loop in self._loops:
                    telling.start_soon(loop.run, name="gw_sqla observer")
                try:
                    yield
                except anyio.get_cancelled_exc_class():
                    raise
                except BaseException as error:  # must not come out in a group
                    left = error
                finally:
                    for loop in self._loops:
                        loop.close()
        finally:
            for thread in self._threads:
                thread.close()
            with anyio.CancelScope(shield=True):
                for thread in self._threads:
                    await thread.wait_until_ended()
        if left is not None:
            raise left

    def _add(self, observer: Observer, told_by: Callable[[Callable[..., Any]], _Tell]) -> None:
        for event, name in METHODS.items():
            if getattr(type(observer), name) is not getattr(Observer, name) or name in vars(observer):
                self._tells.setdefault(event, []).append(told_by(getattr(observer, name)))

    def _by_channel(self, observer: Observer) -> Callable[[Callable[..., Any]], _Tell]:
        name = type(observer).__name__
        channels: dict[bool, ThreadChannel | LoopChannel] = {}

        def told_by(method: Callable[..., Any]) -> _Tell:
            is_async = inspect.iscoroutinefunction(method)
            if is_async not in channels:
                if is_async:
                    channels[True] = loop = LoopChannel(name)
                    self._loops.append(loop)
                else:
                    channels[False] = thread = ThreadChannel(name)
                    self._threads.append(thread)
            return partial(channels[is_async].put, method)

        return told_by


NOBODY = Observers(())
"""For parts that nobody observes."""


def _call(method: Callable[[Any], object], events: Sequence[Any]) -> None:
    for event in events:
        try:
            method(event)
        except Exception as error:  # one of ours is broken: no reason for a job to be
            log.error("an observer failed:\n%s", traceback_text(error))
