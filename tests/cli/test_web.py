"""``web``: the dashboard, served by Hypercorn on both event loops."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.cli.command import Started, error_line, run_here, started

URL = re.compile(r"http://\S+/")


@contextmanager
def served(database: str, *arguments: str, backend: str = "asyncio", password: str | None = None) -> Iterator[Started]:
    env = {"DATABASE_URL": database} | ({"GW_SQLA_WEB_PASSWORD": password} if password else {})
    with started("web", "--port", "0", "--backend", backend, *arguments, env=env) as command:
        yield command


def address(command: Started) -> str:
    found = URL.search(command.wait_for("The dashboard is at", "stdout"))
    assert found is not None
    return found[0]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_generated_password(clean_database: str, backend: str) -> None:
    with served(clean_database, backend=backend) as command:
        url = address(command)
        password = command.wait_for("Password:", "stdout").split("Password: ")[1].strip()
        assert len(password) >= 20
        assert url.startswith("http://127.0.0.1:")
        refused = httpx.get(url)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert httpx.get(url, auth=("admin", "wrong")).status_code == 401
        page = httpx.get(url, auth=("admin", password))
        assert page.status_code == 200
        assert "Overview" in page.text
        command.process.send_signal(signal.SIGTERM)
        code, rest = command.end()
        assert (code, rest) == (0, "")


def test_a_password_of_the_environment_is_not_printed(clean_database: str) -> None:
    with served(clean_database, "--user", "ada", "--read-only", password="geheim") as command:
        url = address(command)
        assert "geheim" not in command.wait_for("User: ada", "stdout")
        assert httpx.get(url, auth=("ada", "geheim")).status_code == 200
        done = httpx.post(f"{url}jobs/1/act", auth=("ada", "geheim"), data={"action": "retry"})
        assert done.status_code == 403
        assert "read-only" in done.text


def test_without_a_password_only_by_names_of_the_loopback(clean_database: str) -> None:
    """A site whose name points to 127.0.0.1 would be allowed by browsers to read what it gets there."""
    with served(clean_database, "--no-auth") as command:
        url = address(command)
        assert httpx.get(url).status_code == 200
        port = url.rsplit(":", 1)[1].rstrip("/")
        assert httpx.get(url, headers={"host": f"localhost:{port}"}).status_code == 200
        assert httpx.get(url, headers={"host": "evil.example"}).status_code == 421
        assert httpx.get(url, headers={"host": f"127.0.0.1.evil.example:{port}"}).status_code == 421


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_no_password_is_for_the_loopback(host: str) -> None:
    result = run_here("web", "--database-url", "postgresql://localhost/x", "--no-auth", "--host", host)
    assert "can be reached by others" in error_line(result, 2)


def test_an_address_that_is_taken(clean_database: str) -> None:
    with served(clean_database, "--no-auth") as command:
        port = address(command).rsplit(":", 1)[1].rstrip("/")
        result = run_here("web", "--database-url", clean_database, "--port", port)
        assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in error_line(result, 2)


def test_half_of_tls() -> None:
    result = run_here("web", "--database-url", "postgresql://localhost/x", "--tls-cert", "cert.pem")
    assert "give both of --tls-cert and --tls-key" in error_line(result, 2)
