"""A real Prometheus scrapes a real worker, and is asked all that the shipped dashboard asks."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.command import APP, fetch, started
from tests.telemetry.test_http_of_commands import until
from tests.telemetry.test_shipped_files import FOLDER, dashboard_expressions, expressions

prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")

MAY_BE_EMPTY = ("failed", "cron_lateness", "topk(10, max by (task) (gw_sqla_task_oldest_ready_seconds")
"""What has nothing to show in a run without failures, a crontab, or jobs that wait."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(folder: Path, target: int) -> Iterator[int]:
    """Prometheus, which scrapes every two seconds."""
    scrape = {"job_name": "jobs-worker", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    configuration = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "scrape_configs": [scrape],
        "rule_files": [str(FOLDER / "alerts.yml")],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["prometheus", *options], cwd=folder, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def ask(port: int, expression: str) -> list[Any] | None:
    """Return the answer; None while Prometheus does not listen yet."""
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 503:
                return None
            raise AssertionError(error.read()) from error
    except urllib.error.URLError:
        return None
    assert said["status"] == "success", said
    result: list[Any] = said["data"]["result"]
    return result


@prometheus
def test_each_panel_has_something_to_show(clean_database: str, tmp_path: Path) -> None:
    target = free_port()
    options = ("--app", APP, "--database-url", clean_database, "--http", f"127.0.0.1:{target}", "--processes", "2")
    payload = "json_build_object('name', 'guest ' || n)"
    add = f"select graphile_worker.add_job('greet', {payload}) from generate_series(1, 50) n"
    with started("worker", *options, "--log-level", "warning") as worker:  # nobody reads its log meanwhile
        with running(tmp_path, target) as port:
            until(lambda: ask(port, "up == 1"), 60)
            end = time.monotonic() + 60
            asked = dict.fromkeys(one for text in dashboard_expressions() for one in expressions(text))
            empty = list(asked)
            while empty and time.monotonic() < end:
                fetch(clean_database, add)
                empty = [one for one in empty if not ask(port, one)]
                if all(any(part in one for part in MAY_BE_EMPTY) for one in empty):
                    break
            assert [one for one in empty if not any(part in one for part in MAY_BE_EMPTY)] == []
            done = 'sum(gw_sqla_jobs_total{outcome="completed"})'
            [row] = fetch(clean_database, "select last_value from graphile_worker.jobs_id_seq1")
            until(lambda: [one["value"][1] for one in ask(port, done) or ()] == [str(row["last_value"])])
            assert ask(port, 'ALERTS{alertstate="firing"}') == []
        worker.process.terminate()
        worker.end()
