"""A small HTTP server for those who monitor: a few paths, GET only, one request a connection.

It runs in the event loop of the worker, asyncio's or trio's, so that an answer proves that this turns. Whatever clients
do costs little: a request's head, and the time of a connection, are bounded, and so is the number of connections: one
more ends the oldest of those that have asked nothing yet or, where all have, that of those that are slow to take their
answer. So a thousand idle or slow ones do not keep a probe out.

Of h11 and anyio. Rejected: Hypercorn, which runs on both loops too, but bounds neither the number of connections nor
the time for a request's head, brings five packages, and puts an ASGI application between; ``prometheus_client``'s own
server, a thread for each connection, which answers that all is well while the event loop stands still.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

import anyio
import h11
from anyio.abc import SocketListener, SocketStream, TaskStatus

from gw_sqla.error_texts.error_text import error_text, traceback_text
from gw_sqla.telemetry.addresses import Address, listen, port_of

__all__ = ["Answer", "Route", "serve", "serve_patiently"]

log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 100
_LONGEST_HEAD = 16 * 1024
_SECONDS = 10.0
"""For which a connection may last, whatever it does."""
_CHUNK = 16 * 1024
_PIECE = 64 * 1024
_RETRY_SECONDS = 5.0
_SAY_AGAIN_SECONDS = 60.0
_ACCEPT_PAUSE = 0.1

_BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
"""What a stream raises when the client or the network has ended it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route answers."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Route: TypeAlias = Callable[[], Awaitable[Answer]]


async def serve_patiently(address: Address | str, routes: Mapping[str, Route], *, ready: TaskStatus[int]) -> None:
    """Serve until cancelled; an address that cannot be had is said once and tried again every few seconds.

    ``ready`` is told the port once it listens, or 0 when it does not at the first try: what is monitored goes on.
    """
    listeners: Sequence[SocketListener] | None = None
    is_said = False
    while listeners is None:
        try:
            listeners = await listen(address)
        except OSError as error:
            if not is_said:
                is_said = True
                text = error_text(error)
                log.error("cannot listen for HTTP at %s, will be tried again until it works: %s", address, text)
                ready.started(0)
            await anyio.sleep(_RETRY_SECONDS)
    port = 0
    if isinstance(address, Address):
        port = port_of(listeners)
        log.info("HTTP at %s: %s", Address(address.host, port), ", ".join(routes))
    if not is_said:
        ready.started(port)
    await serve(listeners, routes)


async def serve(listeners: Sequence[SocketListener], routes: Mapping[str, Route]) -> None:
    """Serve until cancelled; the listeners are closed then."""
    server = _Server(routes)
    try:
        async with anyio.create_task_group() as serving:
            for listener in listeners:
                serving.start_soon(server.accept, listener, name="gw_sqla HTTP")
    finally:
        with anyio.CancelScope(shield=True):
            for listener in listeners:
                await listener.aclose()


class _Server:
    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._waiting: dict[anyio.CancelScope, None] = {}  # that have asked nothing yet, the oldest first
        self._taking: dict[anyio.CancelScope, None] = {}  # that take their answers
        self._connections = 0
        self._silent_until: dict[str, float] = {}

    async def accept(self, listener: SocketListener) -> None:
        async with anyio.create_task_group() as connections:
            while True:
                try:
                    stream = await listener.accept()
                except (OSError, anyio.BrokenResourceError) as error:  # no descriptors are left; or it has just ended
                    self._say("accepting an HTTP connection", error)
                    await anyio.sleep(_ACCEPT_PAUSE)
                    continue
                if self._connections >= _MOST_CONNECTIONS and not self._end_oldest():
                    await anyio.aclose_forcefully(stream)
                    continue
                self._connections += 1
                connections.start_soon(self._serve, stream, name="gw_sqla HTTP connection")

    def _end_oldest(self) -> bool:
        """End the oldest connection that has asked nothing yet, or takes its answer; tell whether there is one."""
        for slow in (self._waiting, self._taking):
            for oldest in slow:
                del slow[oldest]
                oldest.cancel()
                return True
        return False

    async def _serve(self, stream: SocketStream) -> None:
        scope = anyio.CancelScope(deadline=anyio.current_time() + _SECONDS)
        self._waiting[scope] = None
        try:
            async with stream:
                with scope:
                    await self._converse(stream, scope)
        except _BROKEN:
            pass
        finally:
            self._waiting.pop(scope, None)
            self._taking.pop(scope, None)
            self._connections -= 1

    async def _converse(self, stream: SocketStream, scope: anyio.CancelScope) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
        try:
            request = await _request(connection, stream)
        except h11.RemoteProtocolError as error:
            if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await _send(connection, stream, Answer(error.error_status_hint, b"that is no HTTP request\n"), b"GET")
            return
        if request is None:
            return
        self._waiting.pop(scope, None)
        answer = await self._answer(request)
        self._taking[scope] = None
        await _send(connection, stream, answer, request.method)

    async def _answer(self, request: h11.Request) -> Answer:
        path = request.target.partition(b"?")[0].decode("ascii", "replace")
        route = self._routes.get(path)
        if route is None:
            known = "".join(f"{one}\n" for one in self._routes)
            return Answer(404, f"nothing is here; there are:\n{known}".encode())
        if request.method not in (b"GET", b"HEAD"):
            return Answer(405, b"GET only\n")
        try:
            return await route()
        except Exception as error:  # whatever a collector of the user's raises
            self._say(f"answering {path}", error)
            return Answer(500, b"it failed; the log says why\n")

    def _say(self, doing: str, error: Exception) -> None:
        """Log the error, now and then: it may come with each request."""
        if monotonic() >= self._silent_until.get(doing, 0.0):
            self._silent_until[doing] = monotonic() + _SAY_AGAIN_SECONDS
            text = error_text(error) if isinstance(error, OSError) else traceback_text(error)
            log.warning("%s failed: %s", doing, text)


async def _request(connection: h11.Connection, stream: SocketStream) -> h11.Request | None:
    """Read the head of a request; None where the client has gone."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        try:
            connection.receive_data(await stream.receive(_CHUNK))
        except anyio.EndOfStream:
            return None


async def _send(connection: h11.Connection, stream: SocketStream, answer: Answer, method: bytes) -> None:
    headers = [
        ("content-type", answer.content_type),
        ("content-length", str(len(answer.body))),
        ("cache-control", "no-store"),
        ("connection", "close"),
    ]
    await stream.send(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
    if method != b"HEAD":  # in pieces, so that what slow clients have not taken yet is one text, and not one of each
        for start in range(0, len(answer.body), _PIECE):
            await stream.send(answer.body[start : start + _PIECE])
    await stream.send_eof()
