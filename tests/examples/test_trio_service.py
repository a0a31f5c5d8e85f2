"""examples/trio_service.py: under trio.run, and as a user runs it."""

from __future__ import annotations

import asyncio
import re
import signal
from functools import partial

import anyio
import pytest
import trio
from sqlalchemy.ext.asyncio import create_async_engine

from examples.trio_service import serve
from tests.examples.support import program, read_until, rows
from tests.support.recorder import Recorder


def test_an_address_and_its_job_are_committed_together_or_not_at_all(clean_database: str) -> None:
    recorder = Recorder()
    answers: list[bytes | bytearray] = []

    async def scenario() -> None:
        stop = trio.Event()
        engine = create_async_engine(clean_database)
        async with trio.open_nursery() as nursery:
            port = await nursery.start(partial(serve, engine, stop, observers=[recorder]))
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"not an address\nada@example.com\nada@example.com\n")
                await stream.send_eof()
                answers.extend([data async for data in stream])
            await recorder.until(lambda: recorder.completed)
            stop.set()

    trio.run(scenario)
    assert b"".join(answers) == b"not an address\nsigned up\nsigned up already\n"
    assert [job.payload for job in recorder.started] == [{"address": "ada@example.com"}]
    welcomed = asyncio.run(rows(clean_database, "select welcomed from trio_members where address like 'ada@%'"))
    assert welcomed == [(True,)]
    assert asyncio.run(rows(clean_database, "select from graphile_worker._private_jobs")) == []


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_as_a_program(clean_database: str, number: signal.Signals) -> None:
    async with program("trio_service.py", clean_database) as process:
        found = re.search(r"port (\d+)", await read_until(process, "signing up on port"))
        assert found
        async with await anyio.connect_tcp("127.0.0.1", int(found.group(1))) as stream:
            await stream.send(f"{number.name}@example.com\n".encode())
            assert await stream.receive() == b"signed up\n"
        process.send_signal(number)
    assert process.returncode == 0
    assert await rows(clean_database, "select from graphile_worker._private_jobs where locked_at is not null") == []
