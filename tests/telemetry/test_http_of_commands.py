"""``worker --http``, alone and with several processes, and ``metrics``, the exporter."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from gw_sqla.cli import supervised_http
from gw_sqla.telemetry import fleet_figures
from tests.cli.command import APP, Started, error_line, fetch, run, run_here, started
from tests.telemetry.test_prometheus_metrics import Samples, samples, value

ADD = "select graphile_worker.add_job($1, $2::text::json)"
both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def until(look: Callable[[], Any], seconds: float = 30) -> Any:
    """Look until what is seen is true; there is nothing else to wait for from outside."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
    return seen


def port_of(running: Started) -> int:
    found = re.search(r"http://[^ ]*:(\d+)/|HTTP at [^ ]*:(\d+):", running.wait_for("at "))
    while found is None:
        found = re.search(r"http://[^ ]*:(\d+)/|HTTP at [^ ]*:(\d+):", running.wait_for("at "))
    return int(found[1] or found[2])


def worker(url: str, backend: str, *more: str) -> tuple[str, ...]:
    options = ("--app", APP, "--database-url", url, "--backend", backend, "--http", "127.0.0.1:0")
    return ("worker", *options, *more)


@both_backends
def test_a_worker(clean_database: str, backend: str) -> None:
    for name in ("Ada", "Bob"):
        fetch(clean_database, ADD, "greet", json.dumps({"name": name}))
    with started(*worker(clean_database, backend)) as running:
        port = port_of(running)
        until(lambda: get(port, "/readyz")[0] == 200)
        assert get(port, "/healthz") == (200, "ok\n")
        running.wait_for("Bob is greeted")

        def both() -> Samples | None:
            said = samples(get(port, "/metrics")[1])
            done = said.get(("gw_sqla_jobs_total", (("outcome", "completed"), ("task", "greet"))))
            return said if done == 2 else None

        said = until(both)
        assert value(said, "gw_sqla_queue_up") == 1
        assert value(said, "gw_sqla_workers_alive") == 1
        assert value(said, "gw_sqla_slots") == 10
        assert any(name.startswith("python_info") for name, _ in said), "the process's own, of the default registry"
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log


@both_backends
def test_several_processes_have_one_port(clean_database: str, backend: str) -> None:
    for number in range(20):
        fetch(clean_database, ADD, "greet", json.dumps({"name": f"guest {number}"}))
    options = worker(clean_database, backend, "--processes", "2", "--concurrency", "1")
    with started(*options) as running:
        port = port_of(running)
        assert get(port, "/healthz")[0] == 200
        until(lambda: get(port, "/readyz")[0] == 200)

        def completed() -> Samples | None:
            said = samples(get(port, "/metrics")[1])
            ended = "gw_sqla_jobs_total"
            done = [
                number
                for (name, labels), number in said.items()
                if name == ended and ("outcome", "completed") in labels
            ]
            return said if sum(done) == 20 else None

        said = until(completed)
        assert value(said, "gw_sqla_processes") == 2
        assert [value(said, "gw_sqla_slots", process=number) for number in ("0", "1")] == [1, 1]
        assert len([name for name, _ in said if name == "gw_sqla_queue_up"]) == 1, "one of them reads the queue's"
        assert [number for (name, _), number in said.items() if name == "gw_sqla_workers_alive"] == [2]

        killed = one_child(running.process.pid)
        os.kill(killed, signal.SIGSTOP)
        status, text = get(port, "/healthz")
        assert status == 503
        assert re.fullmatch(r"process [01]: does not answer\n", text)
        assert value(samples(get(port, "/metrics")[1]), "gw_sqla_processes") == 1
        os.kill(killed, signal.SIGKILL)
        until(lambda: get(port, "/readyz")[0] == 503)
        until(lambda: get(port, "/healthz")[0] == 200)
        until(lambda: get(port, "/readyz")[0] == 200)
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log


def one_child(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/children") as children:  # noqa: PTH123 - procfs
        return int(children.read().split()[0])


def test_a_port_that_is_taken_does_not_end_the_worker(clean_database: str) -> None:
    fetch(clean_database, ADD, "greet", '{"name": "Ada"}')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("worker", "--app", APP, "--database-url", clean_database, "--http", address, "--once")
        assert (done.returncode, done.stdout) == (0, "completed 1, failed 0\n")
        assert done.stderr.count(f"cannot listen for HTTP at {address}") == 1
        failed = run("metrics", "--database-url", clean_database, "--http", address)
        assert error_line(failed, 1) == f"Error: --http: cannot listen at {address}: Address already in use"


@pytest.mark.parametrize("command", ["worker", "metrics"])
def test_no_address(command: str) -> None:
    app = ["--app", APP] if command == "worker" else []
    done = run_here(command, *app, "--database-url", "postgresql://localhost/x", "--http", "9000")
    assert error_line(done, 2).startswith("Error: --http: must be HOST:PORT, such as 127.0.0.1:9000")


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gw_sqla.cli.http_option.find_spec", lambda _: None)
    done = run_here("metrics", "--database-url", "postgresql://localhost/x")
    assert error_line(done, 2) == "Error: --http needs the extra: pip install 'gw-sqla[prometheus]'"


@both_backends
def test_the_exporter(clean_database: str, backend: str) -> None:
    for _ in range(3):
        fetch(clean_database, ADD, "of somebody else", "{}")
    options = ("--database-url", clean_database, "--http", "127.0.0.1:0", "--backend", backend, "--interval", "0")
    with started("metrics", *options) as running:
        port = port_of(running)
        status, text = get(port, "/metrics")
        assert status == 200
        said = samples(text)
        assert value(said, "gw_sqla_queue_jobs", state="ready") == 3
        assert value(said, "gw_sqla_task_workers", task="of somebody else") == 0
        assert get(port, "/readyz") == get(port, "/healthz") == (200, "ok\n")
        fetch(clean_database, "alter table graphile_worker._private_jobs rename to away")
        try:
            assert get(port, "/readyz")[0] == 503
            assert get(port, "/healthz")[0] == 200
            assert value(samples(get(port, "/metrics")[1]), "gw_sqla_queue_up") == 0
        finally:
            fetch(clean_database, "alter table graphile_worker.away rename to _private_jobs")
        assert get(port, "/readyz")[0] == 200
        running.process.terminate()
        code, log = running.end()
    assert code == 0, log
    assert log.count("reading the figures of the queue failed") == 1, log


def test_a_label_of_the_applications_own_is_kept() -> None:
    """Metrics that have a label ``process`` already do not become one series."""
    registry = CollectorRegistry()
    mine = Counter("mine", "Of the application's.", ["process"], registry=registry)
    mine.labels("parse").inc(1)
    mine.labels("send").inc(2)
    text = generate_latest(registry).decode()
    [found] = [family for family in supervised_http._merged({0: text, 1: text}) if family.name == "mine"]
    assert [(one.labels, one.value) for one in found.samples if one.name == "mine_total"] == [
        ({"exported_process": kind, "process": number}, value)
        for number in "01"
        for kind, value in (("parse", 1.0), ("send", 2.0))
    ]


def test_a_process_answers_before_its_supervisor_gives_up() -> None:
    """However long the database takes for the figures of the queue."""
    assert fleet_figures._ANSWER_SECONDS + 0.5 < supervised_http._ANSWER_SECONDS
