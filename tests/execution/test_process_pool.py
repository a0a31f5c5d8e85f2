"""Sync handlers in processes of their own: what dies there fails one job, and the worker goes on."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    Failed,
    JobRepository,
    JobState,
    Observer,
    RunCounts,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.execution import process_pool
from tests.execution import process_tasks
from tests.execution.conftest import Jobs
from tests.execution.process_tasks import Note, tasks
from tests.support.forks import Program
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.01)


def start_worker(url: str, backend: str) -> Program:
    options = ["--app", f"{process_tasks.__name__}:tasks", "--database-url", url, "--backend", backend]
    return Program("gw_sqla", "worker", *options, env=os.environ, cwd=ROOT)


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"  # nobody has waited for it yet


def handlers_processes() -> list[int]:
    """Return those of this process that have not ended."""
    children = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if is_handlers(path)]
    return [int(child.name) for child in children if not has_ended(int(child.name))]


def is_handlers(command_line: Path) -> bool:
    try:
        parent = int(command_line.with_name("stat").read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and b"gw_sqla.execution.handler_process" in command_line.read_bytes()
    except OSError:  # it has ended meanwhile
        return False


async def test_a_process_is_used_again_and_gone_at_the_end(
    engine: AsyncEngine, add_job: AddJob, tmp_path: Path
) -> None:
    for task in (process_tasks.note, process_tasks.undecorated, process_tasks.note):
        await add_job(task, Note(file=tmp_path / "notes", text="done"))
    counts = await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    assert counts == RunCounts(completed=3, failed=0)
    words = (tmp_path / "notes").read_text().split()
    assert words[::2] == ["done"] * 3
    [pid] = {int(pid) for pid in words[1::2]}
    assert pid != os.getpid()
    assert has_ended(pid)


FAULTS: list[tuple[str, object, str]] = [
    ("fail", "ValueError", "ValueError: no \\0 \\ud800"),
    ("fail", "FailPermanently", "FailPermanently: never"),
    ("fail", "SystemExit", "SystemExit: 3"),
    ("fail", "Unpicklable", "UnpicklableError: local"),
    ("fail", "long", "ValueError: xxx"),
    ("fail", "cycle", "ValueError: round and round"),
    ("fail", {"not": "text"}, "payload: does not fit its task: value: Input should be"),
    ("recurse", None, "RecursionError: maximum recursion depth exceeded"),
    ("batch", [1, 2, 3, 4], "2 of 4 items failed, the first with ValueError: odd"),
    ("die", "exit", "ProcessDied: the handler's process ended before the handler did: it exited with code 7"),
    ("die", "kill", "it was killed by SIGKILL, perhaps for want of memory"),
    ("die", "a signal without a name", "it was killed by signal 40"),
]


async def test_what_goes_wrong_fails_one_job(engine: AsyncEngine, add_job: AddJob, jobs: Jobs, tmp_path: Path) -> None:
    """The same process runs the next job, unless this one killed it."""
    priorities = count()
    await add_job(process_tasks.note, Note(file=tmp_path / "notes"), priority=next(priorities))
    for task, payload, _ in FAULTS:
        await add_job(task, payload, priority=next(priorities))
        await add_job(process_tasks.note, Note(file=tmp_path / "notes"), priority=next(priorities))
    counts = await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
    assert counts == RunCounts(completed=len(FAULTS) + 1, failed=len(FAULTS))
    failed = {job.priority: job for job in await jobs()}
    pids = [line.split()[-1] for line in (tmp_path / "notes").read_text().splitlines()]
    for priority, (task, payload, says), before, after in zip(count(1, 2), FAULTS, pids, pids[1:], strict=False):
        job = failed.pop(priority)
        assert says in str(job.last_error)
        assert len(str(job.last_error)) <= 4000
        assert job.payload == ([1, 3] if task == "batch" else payload or {}), says
        assert job.state is (JobState.FAILED if payload == "FailPermanently" else JobState.RETRYING), says
        assert (before == after) == (task != "die"), says
    assert not failed
    assert all(has_ended(int(pid)) for pid in pids)


async def test_a_timeout_kills_the_process(engine: AsyncEngine, add_job: AddJob, jobs: Jobs, tmp_path: Path) -> None:
    await add_job(process_tasks.time_out, tmp_path / "pid")
    assert await Runner(engine, tasks).run_once() == RunCounts(completed=0, failed=1)
    [job] = await jobs()
    assert job.last_error == "TimeoutError: the task's timeout of 0:00:00.300000 has passed"
    assert has_ended(int((tmp_path / "pid").read_text()))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # anyio below 4.15 leaves the pipes
async def test_a_process_whose_child_holds_its_pipes(
    engine: AsyncEngine, add_job: AddJob, jobs: Jobs, tmp_path: Path
) -> None:
    """Its end is noticed all the same, and neither the next job nor the stop waits for the child."""
    says = {
        "leave_a_child": "it was killed by SIGKILL",
        "fork_and_hang": "TimeoutError: the task's timeout of 0:00:00.300000 has passed",
    }
    try:
        for priority, task in enumerate(says):
            await add_job(task, tmp_path / task, priority=priority)
        await add_job(process_tasks.note, Note(file=tmp_path / "notes"), priority=2)
        with anyio.fail_after(30):
            counts = await Runner(engine, tasks, RunnerSettings(concurrency=1)).run_once()
        assert counts == RunCounts(completed=1, failed=2)
        for job in await jobs():
            assert says.pop(str(job.task_identifier)) in str(job.last_error)
        assert not says
    finally:
        for task in ("leave_a_child", "fork_and_hang"):
            (tmp_path / f"{task}.stop").touch()


async def test_an_import_that_hangs(
    engine: AsyncEngine, add_job: AddJob, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails the job, in our words, and the process is gone."""
    (tmp_path / "hanging_import.py").write_text(
        f"import os, time\ndef work(): ...\nif os.getpid() != {os.getpid()}:\n    time.sleep(1000)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(process_pool, "_IMPORT_TIMEOUT", 2)
    registry = TaskRegistry()
    registry.task("work", run_in="process", backoff=process_tasks.later)(importlib.import_module("hanging_import").work)
    monkeypatch.delitem(sys.modules, "hanging_import")
    await add_job("work")
    assert await Runner(engine, registry).run_once() == RunCounts(completed=0, failed=1)
    assert [job.last_error for job in await jobs()] == [
        "the import of hanging_import in the handler's process took longer than 2 s"
    ]
    assert handlers_processes() == []


async def test_a_process_that_owes_an_answer_gets_no_other_job(
    engine: AsyncEngine, add_job: AddJob, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to an import that took too long would be taken for the next job's, and so on with every job."""
    go_on = tmp_path / "go on"
    (tmp_path / "slow_import.py").write_text(
        "import os, pathlib, time\ndef work(): ...\n"
        f"while os.getpid() != {os.getpid()} and not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.01)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry = TaskRegistry()
    registry.task("work", run_in="process", backoff=process_tasks.later)(importlib.import_module("slow_import").work)
    monkeypatch.delitem(sys.modules, "slow_import")
    monkeypatch.setattr(process_pool, "_IMPORT_TIMEOUT", 5)

    class GoOn(Observer):
        async def job_failed(self, outcome: Failed) -> None:
            if outcome.job.task_identifier == "work":
                go_on.touch()

    await add_job("work", priority=-1)
    for text in ("first", "second"):
        await add_job(process_tasks.note, Note(file=tmp_path / "notes", text=text))
    registry.include(tasks)
    counts = await Runner(engine, registry, RunnerSettings(concurrency=1), observers=[GoOn()]).run_once()
    assert [str(job.last_error)[:13] for job in await jobs()] == ["the import of"]
    assert counts == RunCounts(completed=2, failed=1)
    assert [line.split()[0] for line in (tmp_path / "notes").read_text().splitlines()] == ["first", "second"]


def test_it_is_an_interpreter_like_the_workers() -> None:
    program = """
import subprocess, sys
from gw_sqla.execution.interpreter_flags import interpreter_flags
program = "import sys; print(repr(sys.flags), sys.warnoptions, sys._xoptions)"
exec(program)
sys.stdout.flush()
subprocess.run([sys.executable, *interpreter_flags(), "-P", "-c", program], check=True)
"""
    flags = ["-P", "-OO", "-b", "-B", "-Wignore", "-X", "utf8", "-X", "importtime=0"]
    ran = subprocess.run([sys.executable, *flags, "-c", program], capture_output=True, text=True, check=True)
    ours, childs = ran.stdout.splitlines()
    assert ours == childs
    assert "optimize=2" in ours


def test_what_lies_in_the_current_directory_is_not_taken_for_the_standard_librarys(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('planted')")
    program = process_pool._PROGRAM.replace("main()", "print('imported')")
    command = [sys.executable, "-P", "-c", program, json.dumps(["", *sys.path])]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "imported\n"), ran.stderr


async def test_the_end_of_the_grace_period_kills_the_process(
    engine: AsyncEngine, add_job: AddJob, jobs: Jobs, recorder: Recorder, tmp_path: Path
) -> None:
    await add_job(process_tasks.tell_pid_and_hang, tmp_path / "pid")
    async with Runner(engine, tasks, RunnerSettings(grace_period=timedelta(0)), observers=[recorder]):
        await until((tmp_path / "pid").exists)
    assert has_ended(int((tmp_path / "pid").read_text()))
    assert [job.last_error for job in await jobs()] == ["the worker was shut down before the job ended"]


async def test_a_handlers_process_ends_with_its_worker(
    sessions: async_sessionmaker[AsyncSession], clean_database: str, anyio_backend: str, tmp_path: Path
) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_job(session, process_tasks.tell_pid_and_hang, tmp_path / "pid")
    worker = start_worker(clean_database, anyio_backend)
    try:
        await until((tmp_path / "pid").exists)
    finally:
        worker.kill()
    assert await anyio.to_thread.run_sync(worker.wait) == -signal.SIGKILL
    await until(lambda: has_ended(int((tmp_path / "pid").read_text())))
