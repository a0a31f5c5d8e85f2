"""examples/observed_service.py, as its comment says: orders are added, a worker of the command line is scraped."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.command import fetch, started
from tests.examples.support import ROOT, environment
from tests.telemetry.test_http_of_commands import get, port_of, until

ORDERS = "select payload::text from graphile_worker._private_jobs where payload::text like '%cents%'"
TOO_MUCH = """update graphile_worker._private_jobs set payload = jsonb_set(payload::jsonb, '{cents}', '200000')
where id = (select min(id) from graphile_worker._private_jobs)"""
APP = "examples.observed_service:application"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_observed_service(clean_database: str, backend: str) -> None:
    program = [sys.executable, str(ROOT / "examples/observed_service.py"), "20"]
    added = subprocess.run(program, env=environment(clean_database), capture_output=True, check=True, timeout=170)
    assert added.stdout == b"added 20 orders\n"
    found = fetch(clean_database, ORDERS)
    assert all(len(json.loads(row["payload"])["_trace"]["trace_id"]) == 32 for row in found)
    fetch(clean_database, TOO_MUCH)
    options = ("--app", APP, "--database-url", clean_database, "--http", "127.0.0.1:0", "--backend", backend)
    with started("worker", *options) as worker:
        port = port_of(worker)

        def counts() -> dict[tuple[str, str], float]:
            families = text_string_to_metric_families(get(port, "/metrics")[1])
            return {
                (sample.labels["task"], sample.labels["outcome"]): sample.value
                for family in families
                for sample in family.samples
                if sample.name == "gw_sqla_jobs_total"
            }

        alarm = worker.wait_for("ALARM")
        until(lambda: sum(number for (task, _), number in counts().items() if task == "charge") >= 20)
        until(lambda: counts().get(("receipt", "completed")) == counts()["charge", "completed"] == 17)
        assert (counts()["charge", "failed"], counts()["charge", "failed_permanently"]) == (2, 1)
        assert get(port, "/readyz")[0] == get(port, "/healthz")[0] == 200
        worker.process.terminate()
        assert worker.end()[0] == 0
    assert "(charge) is given up: " in alarm
    assert "too much for a card" in alarm
    left = fetch(
        clean_database, "select payload::text from graphile_worker._private_jobs where payload::text like '%cents%'"
    )
    assert len(left) == 3
