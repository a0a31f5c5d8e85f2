"""``top``: what its live view shows and does, without a terminal; and the command on one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta

import anyio.to_thread
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gw_sqla.admin import Admin, ScanLimits
from gw_sqla.database.session import async_sessionmaker
from gw_sqla.repository import JobRepository
from tests.cli.command import ROOT, environment, error_line, fetch, run_here
from tests.cli.on_terminal import LONGEST
from tests.cli.test_jobs import FAIL, add
from tests.cli.test_reports import FACTS, LOCK, REGISTER

pytest.importorskip("textual")

from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from gw_sqla.cli.live_view import LiveView

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Textual runs on asyncio."""
    return "asyncio"


@pytest.fixture
def failed(clean_database: str) -> list[int]:
    """A worker with a job, and three jobs of a task that failed alike, with text that would be markup."""
    fetch(clean_database, REGISTER, "pool-alive", "1 s", FACTS)
    running, *failed = [add(clean_database) for _ in range(4)]
    fetch(clean_database, LOCK, running, "pool-alive", "1 s")
    fetch(clean_database, FAIL, failed)
    fetch(
        clean_database,
        "update graphile_worker._private_jobs "
        "set last_error = '[red]order ' || id || e' timed out\\x1b[2J\\x1b]0;x\\x07' where id = any ($1)",
        failed,
    )
    return failed


@pytest.fixture
async def view(engine: AsyncEngine) -> LiveView:
    """It looks when it begins, and once an hour."""
    return LiveView(async_sessionmaker(engine), Admin(limits=ScanLimits(timeout=timedelta(seconds=30))), 3600, "ada")


@pytest.fixture
async def pilot(failed: list[int], view: LiveView) -> AsyncIterator[Pilot[None]]:
    async with view.run_test(size=(160, 50)) as pilot:
        await view.workers.wait_for_complete()
        yield pilot


def rows(view: LiveView, table: str) -> list[list[str]]:
    shown = view.query_one(f"#{table}", DataTable)
    return [[str(cell) for cell in shown.get_row_at(at)] for at in range(shown.row_count)]


def told(view: LiveView, name: str = "told") -> str:
    return str(view.query_one(f"#{name}", Static).render())


async def test_what_it_shows(failed: list[int], view: LiveView, pilot: Pilot[None]) -> None:
    assert told(view, "head").startswith(
        "locked 1   failed 3   ready 0   retrying 0   scheduled 0   workers 1, slots 4"
    )
    assert rows(view, "workers") == [["pool-alive", "alive", "box", "7", "4"]]
    [running] = rows(view, "running")
    assert (running[1], running[3], running[5]) == ("charge", "1", "pool-alive")
    [group] = rows(view, "failures")
    assert group[:3] == ["3", "charge", r"[red]order <n> timed out\x1b[<n>J\x1b]<n>;x\x07"]


async def test_failures_are_retried_when_it_is_confirmed(
    clean_database: str, failed: list[int], view: LiveView, pilot: Pilot[None]
) -> None:
    await pilot.press("r")
    question = str(view.screen.query_one("#question", Static).render())
    assert "Retry state:failed task:charge error:" in question
    assert "\x1b" not in question
    await pilot.press("n")
    await pilot.press("r")
    await pilot.press("y")
    await view.workers.wait_for_complete()
    assert told(view, "head").startswith("locked 1   failed 0   ready 3")
    assert rows(view, "failures") == []
    assert await audited(clean_database) == [("ada", "retry")]
    await pilot.press("r")
    assert told(view) == "there are no failures"


async def audited(url: str) -> list[tuple[str, str]]:
    lines = await anyio.to_thread.run_sync(
        fetch, url, "select actor, action from graphile_worker._private_sqla_audit order by id"
    )
    return [(line["actor"], line["action"]) for line in lines]


async def test_a_task_is_paused_and_resumed(
    clean_database: str, failed: list[int], view: LiveView, pilot: Pilot[None]
) -> None:
    await pilot.press("p", "y")
    await view.workers.wait_for_complete()
    assert told(view, "head").endswith("paused: task 'charge', by ada: from top")
    await pilot.press("p")
    assert "Resume 'charge'?" in str(view.screen.query_one("#question", Static).render())
    await pilot.press("y")
    await view.workers.wait_for_complete()
    assert "paused" not in told(view, "head")
    assert await audited(clean_database) == [("ada", "pause"), ("ada", "resume")]


async def test_it_freezes(view: LiveView, pilot: Pilot[None]) -> None:
    await pilot.press("f")
    assert told(view) == "frozen: f goes on"
    await pilot.press("f")
    await view.workers.wait_for_complete()
    assert told(view) == ""


async def test_a_database_that_goes_away(failed: list[int], clean_database: str) -> None:
    """It says so, and is there still."""
    engine = create_async_engine("postgresql+asyncpg://127.0.0.1:1/d")
    view = LiveView(async_sessionmaker(engine), Admin(), 3600)
    async with view.run_test() as pilot:
        await view.workers.wait_for_complete()
        assert told(view).endswith("; trying again")
        await pilot.press("q")
    assert view.return_code == 0


@pytest.mark.parametrize("first", ["f", "r"])
async def test_ctrl_c_ends_it(view: LiveView, pilot: Pilot[None], first: str) -> None:
    """Also where it asks something."""
    await pilot.press(first, "ctrl+c")
    assert view.return_code == 0


async def test_two_that_act_at_once(clean_database: str, failed: list[int], view: LiveView, pilot: Pilot[None]) -> None:
    """What somebody else has retried meanwhile is not retried again."""
    await pilot.press("r")
    async with view._sessions.begin() as session:
        await JobRepository().retry_jobs(session, failed)
    await pilot.press("y")
    await view.workers.wait_for_complete()
    assert told(view, "head").startswith("locked 1   failed 0   ready 3")


def test_it_wants_a_terminal() -> None:
    line = error_line(run_here("top", "--database-url", "postgresql://127.0.0.1:1/d"), 2)
    assert "top needs a terminal: for programs there is stats --watch --json" in line


def test_without_the_extra() -> None:
    program = "import sys; sys.modules['textual'] = None; from gw_sqla.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "top", "--database-url", "postgresql://127.0.0.1:1/d"],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "top needs the extra: pip install 'gw-sqla[top]'" in error_line(done, 2)


def test_on_a_terminal(clean_database: str, failed: list[int]) -> None:
    """It shows itself, and ends with q."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminals here: {error}")
    process = subprocess.Popen(
        [sys.executable, "-m", "gw_sqla", "top", "--database-url", clean_database],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment({"TERM": "xterm-256color"}),
        cwd=ROOT,
    )
    os.close(theirs)
    watchdog = threading.Timer(LONGEST, process.kill)
    watchdog.start()
    shown = b""
    try:
        while b"pool-alive" not in shown:
            shown += os.read(ours, 65536)
        os.write(ours, b"q")
        while True:
            try:
                if not os.read(ours, 65536):
                    break
            except OSError:  # the other end is closed
                break
        assert process.wait(timeout=60) == 0
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        os.close(ours)
