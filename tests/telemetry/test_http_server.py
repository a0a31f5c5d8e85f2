"""The HTTP server of those who monitor, with clients that are slow, many, or speak something else."""

from __future__ import annotations

import gc
import logging
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from gw_sqla import ConfigurationError
from gw_sqla.telemetry import http_server
from gw_sqla.telemetry.addresses import Address, listen, port_of
from gw_sqla.telemetry.http_server import Answer, serve, serve_patiently
from tests.telemetry.asking import ask, raw

pytestmark = pytest.mark.anyio

HERE = Address("127.0.0.1", 0)


async def hello() -> Answer:
    return Answer(200, b"hello\n")


async def broken() -> Answer:
    raise ValueError("a collector is broken")


LONG = b"x" * 20_000_000


async def long() -> Answer:
    return Answer(200, LONG)


ROUTES = {"/hello": hello, "/broken": broken, "/long": long}


@pytest.fixture
async def port(anyio_backend: str) -> AsyncIterator[int]:
    listeners = await listen(HERE)
    async with anyio.create_task_group() as serving:
        serving.start_soon(serve, listeners, ROUTES)
        yield port_of(listeners)
        serving.cancel_scope.cancel()


async def test_it_answers(port: int) -> None:
    said = await ask(port, "/hello?a=b")
    assert (said.status, said.body) == (200, "hello\n")
    assert said.headers["content-length"] == "6"
    assert said.headers["connection"] == "close"
    said = await ask(port, "/hello", "HEAD")
    assert (said.status, said.body, said.headers["content-length"]) == (200, "", "6")


async def test_what_is_not_there(port: int) -> None:
    said = await ask(port, "/")
    assert (said.status, said.body) == (404, "nothing is here; there are:\n/hello\n/broken\n/long\n")
    assert (await ask(port, "/hello", "POST")).status == 405


async def test_a_broken_route_is_said_once_and_breaks_nothing(port: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        said = await ask(port, "/broken")
        assert (said.status, said.body) == (500, "it failed; the log says why\n")
    assert caplog.text.count("answering /broken failed") == 1
    assert "a collector is broken" in caplog.text
    assert (await ask(port, "/hello")).status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS?\r\n\r\n", b"400"),
        (b"GET /hello\r\n\r\n", b"400"),
        (b"GET /hello HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"431"),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (bytes(range(256)) * 4, b"400"),
    ],
    ids=["tls", "no version", "no host", "long", "negative length", "bytes"],
)
async def test_garbage(port: int, data: bytes, status: bytes) -> None:
    heard = await raw(port, data)
    assert heard == b"" or heard.split()[1] == status  # the answer may be lost where more is sent than is read
    assert (await ask(port, "/hello")).status == 200


async def test_a_client_that_goes_away(port: int) -> None:
    for data in (b"", b"GET /hel"):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(data)
    assert (await ask(port, "/hello")).status == 200


async def test_a_thousand_slow_connections_do_not_keep_a_probe_out(port: int) -> None:
    async with AsyncExitStack() as stack:
        streams: list[SocketStream] = []
        for _ in range(300):
            streams.append(await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port)))
            await streams[-1].send(b"GET /hello HTTP/1.1\r\nX-Slow: ")
        for _ in range(3):
            assert (await ask(port, "/hello")).status == 200
        with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await streams[0].receive()


async def test_slow_readers_do_not_keep_a_probe_out_nor_fill_memory(port: int) -> None:
    """A hundred connections that have asked, and do not take the answer: the kernel's buffers are full, no more."""
    tracemalloc.start()
    try:
        async with AsyncExitStack() as stack:
            for _ in range(120):
                stream = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
                await stream.send(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
                assert b"200" in await stream.receive()
            for _ in range(3):
                assert (await ask(port, "/hello")).status == 200
            assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


async def test_a_long_answer_arrives_whole(port: int) -> None:
    assert (await ask(port, "/long")).body == LONG.decode()


async def test_a_slow_connection_is_ended(port: int, monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> None:
    monkeypatch.setattr(http_server, "_SECONDS", 0.2)
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"GET /hello HTTP/1.1\r\n")
        with anyio.fail_after(10), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


async def test_many_at_once(port: int) -> None:
    statuses: list[int] = []

    async def one() -> None:
        statuses.append((await ask(port, "/hello")).status)

    async with anyio.create_task_group() as asking:
        for _ in range(80):
            asking.start_soon(one)
    assert statuses == [200] * 80


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # anyio before 4.12 leaves sockets
async def test_a_port_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, anyio_backend: str
) -> None:
    """It is said once, the start goes on, and the port is had when it is free."""
    monkeypatch.setattr(http_server, "_RETRY_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with anyio.create_task_group() as serving:
            with anyio.fail_after(10):
                assert await serving.start(start, Address("127.0.0.1", port)) == 0
            taken.close()
            with anyio.fail_after(10):
                while "INFO" not in caplog.text:
                    await anyio.lowlevel.checkpoint()
            assert (await ask(port, "/hello")).status == 200
            serving.cancel_scope.cancel()
    gc.collect()
    assert caplog.text.count("cannot listen for HTTP") == 1


async def start(address: Address | str, *, task_status: anyio.abc.TaskStatus[int]) -> None:
    await serve_patiently(address, ROUTES, ready=task_status)


async def test_a_unix_socket(tmp_path: Path, anyio_backend: str) -> None:
    async with anyio.create_task_group() as serving:
        await serving.start(start, str(tmp_path / "socket"))
        async with await anyio.connect_unix(str(tmp_path / "socket")) as stream:
            await stream.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        serving.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9000", Address("127.0.0.1", 9000)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:9000", Address("::1", 9000)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "9000", ":9000", "a", "a:", "a:x", "a:70000", "::1:9000", "[::x]:9", "a b:1", "a:٣"]
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^http: "):
        Address.parse(text)
