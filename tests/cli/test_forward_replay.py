"""``forward replay`` and ``forward lag``."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from tests.cli.command import error_line, run, run_here
from tests.cli.test_forward import add, client, redis_server
from tests.forwarding.servers import Broker
from tests.support.server import execute

__all__ = ["client", "redis_server"]

CONFIG = """
[sinks.shop]
type = "redis"
url = "${SHOP_REDIS}"

[tasks.order_paid]
sink = "shop"
keep = 3600
"""


@pytest.fixture
def forward(
    tmp_path: Path, redis_server: Broker, client: Redis, clean_database: str
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``forward`` with arguments."""
    file = tmp_path / "forward.toml"
    file.write_text(CONFIG)
    env = {"SHOP_REDIS": f"redis://127.0.0.1:{redis_server.port}", "DATABASE_URL": clean_database}
    return lambda *arguments: run("forward", *arguments, env=env)


def sent(tmp_path: Path, forward: Callable[..., subprocess.CompletedProcess[str]]) -> str:
    done = forward("--config", str(tmp_path / "forward.toml"), "--once")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_replay(
    clean_database: str, client: Redis, tmp_path: Path, forward: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for number in range(3):
        add(clean_database, f'{{"order": {number}}}')
    assert sent(tmp_path, forward) == "completed 3, failed 0\n"
    meant = ("replay", "--task", "order_paid")
    assert forward(*meant, "--dry-run").stdout == "3 jobs of order_paid are kept and meant\n"
    assert forward(*meant, "--until", "1h", "--yes").stdout == "0 jobs of order_paid are kept and meant\n"
    some = forward(*meant, "--since", "1h", "--payload", '{"order": 1}', "--yes", "--actor", "ada")
    assert some.stdout == "1 jobs of order_paid added anew\n", some.stderr
    assert sent(tmp_path, forward) == "completed 1, failed 0\n"
    assert client.xlen("order_paid") == 4


def test_bad_options() -> None:
    meant = ("forward", "replay", "--task", "order_paid", "--database-url", "postgresql://localhost:1/none")
    assert error_line(run_here(*meant, "--since", "yesterday"), 2).startswith("Error: Invalid value for '--since'")
    assert "is not JSON" in error_line(run_here(*meant, "--payload", "{"), 2)


def test_lag(clean_database: str, forward: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert forward("lag").stderr == "no task is forwarded\n"
    add(clean_database, "1")
    table = "graphile_worker._private_jobs"
    asyncio.run(execute(clean_database, f"update {table} set run_at = now() - interval '90 s'"))
    done = forward("lag", "--task", "order_paid", "--task", "unknown", "--json")
    [late, unknown] = json.loads(done.stdout)
    assert (late["task"], late["waiting"], late["failed"]) == ("order_paid", 1, 0)
    assert 90 <= late["seconds"] < 200
    assert unknown == {"task": "unknown", "waiting": 0, "failed": 0, "seconds": 0}
