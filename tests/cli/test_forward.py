"""``forward`` and ``forward check``, with a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.cli.command import error_line, fetch, run, run_here, started
from tests.forwarding.servers import Broker, redis_command, running
from tests.support.server import execute

CONFIG = """
[sinks.shop]
type = "redis"
url = "${SHOP_REDIS}"

[tasks.order_paid]
sink = "shop"
topic = "orders.{payload.country}"
"""


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Broker]:
    with running(redis_command) as broker:
        yield broker


@pytest.fixture
def client(redis_server: Broker) -> Iterator[Redis]:
    with Redis(port=redis_server.port, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "forward.toml"
    file.write_text(CONFIG)
    return str(file)


def add(url: str, payload: str) -> None:
    asyncio.run(execute(url, f"select graphile_worker.add_job('order_paid', '{payload}')"))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_once(clean_database: str, client: Redis, redis_server: Broker, config: str, backend: str) -> None:
    add(clean_database, '{"country": "de", "order": 1}')
    add(clean_database, '{"order": 2}')
    env = {"DATABASE_URL": clean_database, "SHOP_REDIS": f"redis://127.0.0.1:{redis_server.port}"}
    done = run("forward", "--config", config, "--once", "--backend", backend, env=env)
    assert (done.returncode, done.stdout) == (0, "completed 1, failed 1 (order_paid: 1)\n"), done.stderr
    assert client.xlen("orders.de") == 1
    assert "payload: has no country, which a template asks for" in done.stderr


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_once_gives_up_what_is_out_of_reach(
    clean_database: str, client: Redis, redis_server: Broker, config: str, backend: str
) -> None:
    """What other sinks take is sent before."""
    other = '[sinks.other]\ntype = "redis"\nurl = "redis://:hidden@127.0.0.1:1"\n[tasks.far]\nsink = "other"\n'
    Path(config).write_text(CONFIG + other)
    add(clean_database, '{"country": "de"}')
    asyncio.run(execute(clean_database, "select graphile_worker.add_job('far')"))
    env = {"DATABASE_URL": clean_database, "SHOP_REDIS": f"redis://127.0.0.1:{redis_server.port}"}
    options = ["--config", config, "--once", "--give-up-after", "5", "--backend", backend]
    done = run("forward", *options, "--log-level", "error", env=env)
    assert done.stdout == "completed 1, failed 0\n"
    line = error_line(done, 1)
    assert line.startswith("Error: forwarding to RedisStreamSink (far) was not possible for 5 s: ConnectionError")
    assert line.endswith("; what was not confirmed waits in the queue")
    assert "hidden" not in line
    [job] = fetch(clean_database, "select task_identifier, attempts, locked_by from graphile_worker.jobs")
    assert job == {"task_identifier": "far", "attempts": 0, "locked_by": None}


def test_once_waits_for_what_comes_back(clean_database: str, client: Redis, redis_server: Broker, config: str) -> None:
    add(clean_database, '{"country": "de"}')
    env = {"DATABASE_URL": clean_database, "SHOP_REDIS": f"redis://127.0.0.1:{redis_server.port}"}
    client.config_set("maxmemory", 1)
    try:
        with started("forward", "--config", config, "--once", env=env) as program:
            program.wait_for("forwarding to RedisStreamSink (order_paid) failed")
            client.config_set("maxmemory", 0)
            code, rest = program.end()
    finally:
        client.config_set("maxmemory", 0)
    assert code == 0, rest
    assert client.xlen("orders.de") == 1


def test_until_a_signal(clean_database: str, client: Redis, redis_server: Broker, config: str) -> None:
    env = {"DATABASE_URL": clean_database, "SHOP_REDIS": f"redis://127.0.0.1:{redis_server.port}"}
    with started("forward", "--config", config, env=env) as program:
        program.wait_for("forwarding to RedisStreamSink (order_paid)")
        add(clean_database, '{"country": "fr"}')
        assert client.xread({"orders.fr": "0"}, block=20_000)
        program.process.terminate()
        code, rest = program.end()
    assert code == 0, rest


def test_check(redis_server: Broker, config: str) -> None:
    done = run("forward", "check", "--config", config, env={"SHOP_REDIS": f"redis://127.0.0.1:{redis_server.port}"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"shop: reached\n{config}: sinks: 1, tasks: 1; no errors\n"


def test_payloads_are_in_no_log(clean_database: str, client: Redis, redis_server: Broker, config: str) -> None:
    """Nor what clients log of each try to connect: the worker says it, once."""
    add(clean_database, '{"country": "hidden"}')
    env = {"DATABASE_URL": clean_database, "SHOP_REDIS": f"redis://127.0.0.1:{redis_server.port}"}
    done = run("forward", "--config", config, "--once", "--log-level", "debug", env=env)
    assert client.xlen("orders.hidden") == 1, done.stderr
    assert "hidden" not in done.stderr
    file = Path(config)
    file.write_text(CONFIG.replace('"redis"', '"rabbitmq"'))
    done = run("forward", "check", "--config", config, env={"SHOP_REDIS": "amqp://u:hidden@127.0.0.1:1/"})
    assert error_line(done, 1).startswith("Error: sink shop cannot be reached: ConnectionError: RabbitMQ")


def test_check_of_what_cannot_be_reached(config: str) -> None:
    done = run("forward", "check", "--config", config, env={"SHOP_REDIS": "redis://:hidden@127.0.0.1:1"})
    line = error_line(done, 1)
    assert line.startswith("Error: sink shop cannot be reached: ConnectionError: Redis: ")
    assert "hidden" not in line


def test_faults(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_REDIS", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    line = error_line(run_here("forward", "check", "--config", config), 2)
    assert line == f"Error: {config}: sinks.shop.url: the environment has no SHOP_REDIS"
    assert "--database-url" in error_line(run_here("forward", "--config", config), 2)
    monkeypatch.chdir(tmp_path / "..")
    assert "forward.toml: No such file" in error_line(run_here("forward", "check"), 2)
