"""examples/flask_service.py: requests in process, jobs by a worker as a user runs it."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url

from examples.flask_service import create_app, db
from tests.examples.support import ROOT, environment, program, read_until, rows


@pytest.fixture
def client(clean_database: str) -> Iterator[FlaskClient]:
    hosted = make_url(clean_database).update_query_dict({"sslmode": "prefer", "connect_timeout": "10"})
    app = create_app(hosted.render_as_string(hide_password=False))
    with app.app_context():
        yield app.test_client()
        db.session.remove()
        db.engine.dispose()


def work(url: str) -> str:
    """Run what is ready, and return what the worker says of it."""
    done = subprocess.run(
        [sys.executable, "-m", "gw_sqla", "worker", "--app", "examples.flask_service:tasks", "--once"],
        env=environment(url),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def test_an_order_and_its_job_are_committed_together(client: FlaskClient, clean_database: str) -> None:
    answer = client.post("/orders", json={"item": "tea", "quantity": 2})
    assert answer.status_code == 201, answer.text
    order = answer.get_json()["id"]
    assert client.get(f"/orders/{order}").get_json() == {"state": "received"}
    db.session.remove()
    assert work(clean_database) == "completed 1, failed 0\n"
    assert client.get(f"/orders/{order}").get_json() == {"state": "confirmed"}


def test_a_refused_order_leaves_no_job(client: FlaskClient, clean_database: str) -> None:
    answer = client.post("/orders", json={"item": "tea", "quantity": 99})
    assert (answer.status_code, "only 10 of tea are left" in answer.text) == (409, True)
    assert work(clean_database) == "completed 0, failed 0\n"
    assert asyncio.run(rows(clean_database, "select id from flask_orders where quantity = 99")) == []
    assert client.get("/orders/999999").status_code == 404


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_as_a_program(clean_database: str) -> None:
    async with program("flask_service.py", clean_database) as process:
        found = re.search(r"http://[\d.:]+", await read_until(process, "Running on"))
        assert found
        async with httpx.AsyncClient(base_url=found.group(), trust_env=False) as client:
            answer = await client.post("/orders", json={"item": "tea", "quantity": 2})
            assert answer.status_code == 201, answer.text
        process.send_signal(signal.SIGINT)
    assert await rows(clean_database, "select task_identifier from graphile_worker.jobs") == [("confirm_order",)]
