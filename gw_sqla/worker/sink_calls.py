"""SinkCalls: the calls to one sink, bounded in time, and what their exceptions mean.

Of the connection's kind: `UNREACHABLE`. The same befalls a message that makes the other side end the connection, or
that it never confirms. It is told apart where messages are sent alone: when that has failed three times in a row, each
time after the sink was opened without a fault, the last is to blame. Where the sink says itself that it is unavailable,
none is.

The task's timeout bounds how long a confirmation is waited for. Opening has ten seconds at least: it resolves names,
shakes hands, logs in, and a client may read its own description of a service first (botocore: half a second and more on
a busy machine). With the timeout alone a sink whose confirmations are quick might never be opened.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio

from gw_sqla.error_texts.error_text import error_text
from gw_sqla.errors import SinkUnavailableError
from gw_sqla.execution.sink import Message, Sink

__all__ = ["UNREACHABLE", "Blamed", "SinkCalls"]

log = logging.getLogger(__name__)

UNREACHABLE = (SinkUnavailableError, OSError)
"""What says that the other side is out of reach; a TimeoutError is an OSError."""

_OPEN_SECONDS = 10
_CLOSE_SECONDS = 5
_BLAMED_AFTER = 3


class Blamed(NamedTuple):
    """The result of a message that is to blame for what it does to the connection."""

    fault: BaseException


class SinkCalls:
    """To be used by one task at a time. ``name``: its class."""

    def __init__(self, sink: Sink, timeout: float) -> None:
        self._sink = sink
        self._timeout = timeout
        self._failed_alone = 0
        self.name = type(sink).__name__

    async def open(self) -> None:
        """Open the sink; raises what it raises, and a TimeoutError when it takes too long."""
        seconds = max(self._timeout, _OPEN_SECONDS)
        with anyio.move_on_after(seconds) as patience:
            await self._sink.open()
        if patience.cancelled_caught:
            raise TimeoutError(f"it could not be opened within {seconds:g} s")

    async def close(self) -> None:
        """Close the sink; shielded, and not longer than some seconds. A fault in it is logged."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            try:
                await self._sink.close()
            except Exception as fault:  # whatever a sink raises: it is gone either way
                log.debug("closing %s: %s", self.name, error_text(fault))

    async def send(self, messages: Sequence[Message]) -> tuple[Sequence[Any], BaseException | None]:
        """Send; return a result for each message, and the fault if the sink is out of reach."""
        fault: BaseException | None
        results: Sequence[Any] = ()
        try:
            with anyio.move_on_after(self._timeout) as patience:
                results = await self._sink.send(messages)
            if patience.cancelled_caught:
                fault = TimeoutError(f"not confirmed within {self._timeout:g} s")
            elif len(results) != len(messages):
                raise ValueError(f"the sink returned {len(results)} results for {len(messages)} messages")
            else:
                fault = next((result for result in results if isinstance(result, UNREACHABLE)), None)
                return self._judged(results, messages, fault), fault
        except UNREACHABLE as error:
            fault = error
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -float("inf"):
                raise
            fault = ConnectionError("the sink was cancelled, by nobody here")
        except Exception as error:  # of the sink's own: all of them fail with it
            return [error] * len(messages), None
        return self._judged([fault] * len(messages), messages, fault), fault

    def _judged(
        self, results: Sequence[Any], messages: Sequence[Message], fault: BaseException | None
    ) -> Sequence[Any]:
        """Return the results; after some that have failed alone in a row, that of the last is its own fault."""
        if fault is None or isinstance(fault, SinkUnavailableError) or len(messages) > 1:
            self._failed_alone = 0
            return results
        self._failed_alone += 1
        return results if self._failed_alone < _BLAMED_AFTER else [Blamed(fault)]
