"""A TCP proxy between a worker and its server, for faults of the network that no server can be asked for."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, make_url

_RESET = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which a close resets the connection."""


@dataclass(eq=False)
class Pair:
    """A connection of a client, and the proxy's own to the server for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    task: asyncio.Task[Any]
    flowing: asyncio.Event


class Proxy:
    """Passes bytes on, until told otherwise. The methods are called from the test's thread and act at once.

    ``delay``: seconds for which every piece of data is held up, in both directions. ``accepted``: how many
    connections were made so far.
    """

    def __init__(self, target: URL) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._listening: asyncio.Server | None = None
        self._pairs: set[Pair] = set()
        self._flowing = _flowing()
        self._port = 0
        self.delay = 0.0
        self.accepted = 0

    @property
    def url(self) -> str:
        """The URL of the target's database, by way of the proxy."""
        url = self._target.difference_update_query(["host"]).set(host="127.0.0.1", port=self._port)
        return url.render_as_string(hide_password=False)

    def cut(self) -> None:
        """Reset every connection; new ones are accepted."""
        self._do(self._reset_all())

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones until `listen`."""
        self._do(self._stop_listening())

    def listen(self) -> None:
        """Accept connections, at the same port as before."""
        self._do(self._start_listening())

    def hold(self) -> None:
        """Pass nothing on, and close nothing: the network is silent until `flow`."""
        self._do(self._set_flowing(asyncio.Event()))

    def flow(self) -> None:
        """Pass on what was held, closed ends included."""
        flowing, self._flowing = self._flowing, _flowing()
        self._loop.call_soon_threadsafe(flowing.set)

    def forget(self) -> None:
        """Be silent for ever on the connections that are there; new ones work."""
        self.hold()
        self._flowing = _flowing()

    def half_close(self, *, to: str) -> None:
        """Tell one end of every connection, ``client`` or ``server``, that the other has nothing more to say."""
        self._do(self._half_close_all(to))

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Run the proxy in a thread of its own, until the end of the block."""
        thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        thread.start()
        try:
            self.listen()
            yield self
        finally:
            self._do(self._stop_listening())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(30)

    async def _start_listening(self) -> None:
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        await self._reset_all()

    async def _reset_all(self) -> None:
        tasks = [pair.task for pair in self._pairs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _set_flowing(self, flowing: asyncio.Event) -> None:
        self._flowing = flowing
        for pair in self._pairs:
            pair.flowing = flowing

    async def _half_close_all(self, to: str) -> None:
        for pair in self._pairs:
            with suppress(OSError, RuntimeError):  # it is closed already
                (pair.client if to == "client" else pair.server).write_eof()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            server_reader, server_writer = await self._connect()
        except OSError:
            _reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        pair = Pair(writer, server_writer, task, self._flowing)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(pair, reader, server_writer))
                both.create_task(self._pass_on(pair, server_reader, writer))
        except* OSError:
            pass  # one end is gone: so is the other now
        except* asyncio.CancelledError:
            pass
        finally:
            self._pairs.discard(pair)
            _reset(writer)
            _reset(server_writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        directory = self._target.query.get("host")
        if directory:
            return await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.{self._target.port or 5432}")
        return await asyncio.open_connection(self._target.host or "localhost", self._target.port or 5432)

    async def _pass_on(self, pair: Pair, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            data = await source.read(65536)
            await asyncio.sleep(self.delay)
            await pair.flowing.wait()
            if not data:
                break
            with suppress(RuntimeError):  # written to after `half_close`: what comes later is lost
                sink.write(data)
            await sink.drain()
        with suppress(OSError, RuntimeError):
            sink.write_eof()


def _flowing() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6} and sock.fileno() != -1:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@contextmanager
def start_proxy(target: URL | str) -> Iterator[Proxy]:
    """Start a proxy to the server of a URL; stop it, and cut what is left, at the end of the block."""
    with Proxy(make_url(target)).running() as proxy:
        yield proxy
