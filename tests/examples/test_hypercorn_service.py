"""examples/hypercorn_service.py: under trio.run, and as a user runs it."""

from __future__ import annotations

import asyncio
import re
import signal

import httpx
import pytest
import trio
from sqlalchemy.ext.asyncio import create_async_engine

from examples.hypercorn_service import create_app, run
from tests.examples.support import program, read_until, rows
from tests.support.recorder import Recorder


def test_a_member_and_the_job_are_committed_together_or_not_at_all(clean_database: str) -> None:
    recorder = Recorder()
    answers: list[httpx.Response] = []

    async def scenario() -> None:
        stop = trio.Event()
        app = create_app(create_async_engine(clean_database), [recorder])
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(run, app, "127.0.0.1:0", stop)
            async with httpx.AsyncClient(base_url=urls[0], trust_env=False) as client:
                answers.append(await client.post("/members", json={"address": "not an address"}))
                answers.append(await client.post("/members", json={"address": "ada@example.com"}))
            await recorder.until(lambda: recorder.completed)
            stop.set()

    trio.run(scenario)
    refused, accepted = answers
    assert (refused.status_code, refused.json()) == (422, {"detail": "not an address"})
    assert accepted.status_code == 201, accepted.text
    # Had the refused member's job been there, it would have been claimed first.
    assert [job.payload for job in recorder.started] == [{"member_id": accepted.json()["id"]}]
    members = asyncio.run(rows(clean_database, "select address, welcomed from hypercorn_members"))
    assert members == [("ada@example.com", True)]
    assert asyncio.run(rows(clean_database, "select id from graphile_worker._private_jobs")) == []


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_as_a_program(clean_database: str, number: signal.Signals) -> None:
    async with program("hypercorn_service.py", clean_database) as process:
        found = re.search(r"http://[\d.:]+", await read_until(process, "serving on"))
        assert found
        async with httpx.AsyncClient(base_url=found.group(), trust_env=False) as client:
            answer = await client.post("/members", json={"address": "ada@example.com"})
            assert answer.status_code == 201, answer.text
        process.send_signal(number)
    assert process.returncode == 0
    assert await rows(clean_database, "select id from graphile_worker._private_jobs where locked_at is not null") == []
