"""Jobs of executable files: what a program is given, how its end becomes the job's, and that nothing of it is left."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ExecutableFailedError,
    Failed,
    Runner,
    RunnerSettings,
    async_sessionmaker,
    load_executable_tasks,
)
from tests.execution.conftest import Jobs, MakeTester
from tests.support.recorder import Recorder
from tests.worker.conftest import AddJob

pytestmark = pytest.mark.anyio

AddProgram = Callable[[str, str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    return folder


@pytest.fixture
def program(folder: Path) -> AddProgram:
    """Write an executable file."""

    def write(name: str, script: str) -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
        return path

    return write


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def texts(folder: Path, kind: str) -> list[str]:
    return [path.read_text() for path in folder.glob(f"*.{kind}")]


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.01)


async def test_what_a_program_is_given(
    tester: MakeTester,
    program: AddProgram,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Graphile Worker's variables beside the worker's own; a payload arrives as it is stored, any number too."""
    monkeypatch.setenv("GRAPHILE_WORKER_JOB_KEY", "of the worker that runs this worker")
    monkeypatch.setenv("OF_THE_WORKER", "yes")
    program("deep/look.sh", f'#!/bin/sh\ncat > {tmp_path}/$$.in\nenv -0 > {tmp_path}/$$.env\necho "$#" "$PWD"\n')
    run_at = datetime(2024, 2, 3, 4, 5, 6, 789123, tzinfo=UTC)
    payload = {"n": 12345678901234567890, "text": "Zoë"}
    jobs = tester(load_executable_tasks(folder))
    ended = await jobs.run("deep/look", payload, job_key="k", priority=-3, max_attempts=7, run_at=run_at)
    assert texts(tmp_path, "in") == ['{"payload":{"n":12345678901234567890,"text":"Zoë"}}']
    [variables] = texts(tmp_path, "env")
    environment = dict(pair.split("=", 1) for pair in variables.split("\0") if pair)
    assert {name: value for name, value in environment.items() if name.startswith("GRAPHILE_WORKER_")} == {
        "GRAPHILE_WORKER_PAYLOAD_FORMAT": "json",
        "GRAPHILE_WORKER_TASK_IDENTIFIER": "deep/look",
        "GRAPHILE_WORKER_JOB_ID": str(ended.job.id),
        "GRAPHILE_WORKER_JOB_KEY": "k",
        "GRAPHILE_WORKER_JOB_ATTEMPTS": "1",
        "GRAPHILE_WORKER_JOB_MAX_ATTEMPTS": "7",
        "GRAPHILE_WORKER_JOB_PRIORITY": "-3",
        "GRAPHILE_WORKER_JOB_RUN_AT": "2024-02-03T04:05:06.789Z",
    }
    assert environment["OF_THE_WORKER"] == "yes"
    await jobs.run("deep/look")
    assert any("GRAPHILE_WORKER_JOB_KEY" not in variables for variables in texts(tmp_path, "env"))


ENDS = {
    "silent": ("exit 3", "exited with code 3"),
    "talks": (
        "echo on; echo 'no such host' >&2; exit 1",
        "exited with code 1; the end of its standard error: no such host",
    ),
    "odd": (r"printf 'a\377\000b' >&2; exit 1", "the end of its standard error: a\ufffd\\0b"),
    "killed": ("kill -9 $$", "was killed by SIGKILL, perhaps for want of memory"),
    "masked": ("echo 'password=hunter2 postgresql://u:hunter3@h/d' >&2; exit 1", "password=*** postgresql://u:***@h/d"),
    "detail": (
        "echo 'ERROR:  dup\nDETAIL:  Key (a)=(secret)' >&2; exit 1",
        "the end of its standard error: ERROR:  dup",
    ),
    "long": ("seq 100000 >&2; exit 1", "99999\n100000"),
    "one_line": ("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", "exited with code 1"),
}


async def test_how_a_program_ends(
    tester: MakeTester, program: AddProgram, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each end becomes a text that is bounded, and without secrets; the log has what was said."""
    for name, (script, _) in ENDS.items():
        program(name, f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    jobs = tester(load_executable_tasks(folder))
    caplog.set_level(logging.INFO, "gw_sqla")
    codes = {}
    for name, (_, says) in ENDS.items():
        failed = await jobs.run(name, errors="record")
        assert isinstance(failed, Failed)
        assert failed.message.startswith(f"ExecutableFailedError: {name} "), failed.message
        assert failed.message.endswith(says), failed.message
        assert len(failed.message) < 3_200
        assert isinstance(failed.exception, ExecutableFailedError)
        codes[name] = failed.exception.exit_code
    assert (codes["silent"], codes["killed"]) == (3, -signal.SIGKILL)
    said = "\n".join(caplog.messages)
    assert "attempt 1: no such host" in said
    assert "hunter" not in said


async def test_a_program_need_not_read(tester: MakeTester, program: AddProgram, folder: Path) -> None:
    """A payload that no pipe holds is no reason to fail, and nothing hangs."""
    program("deaf", "#!/bin/sh\nexit 0\n")
    program("closes", "#!/bin/sh\nexec 0<&- 1>&- 2>&-\nexit 0\n")
    program("no_first_line", "cat > /dev/null; exit 0\n")
    jobs = tester(load_executable_tasks(folder))
    for name in ("deaf", "closes", "no_first_line"):
        with anyio.fail_after(60):
            await jobs.run(name, ["x" * 1_000_000])


async def test_what_cannot_be_started(tester: MakeTester, program: AddProgram, folder: Path) -> None:
    """It fails its job, in words that name the file."""
    gone = program("gone", "#!/bin/sh\n")
    program("no_interpreter", "#!/no/such/interpreter\n")
    forbidden = program("forbidden", "#!/bin/sh\n")
    tasks = load_executable_tasks(folder)
    gone.unlink()
    forbidden.chmod(0o644)
    jobs = tester(tasks)
    missing = r"No such file or directory \(the file, or what its first line names\)"
    for path, why in (
        (gone, missing),
        (folder / "no_interpreter", missing),
        (forbidden, "Permission denied"),
    ):
        with pytest.raises(ExecutableFailedError, match=f"^{path} could not be started: {why}"):
            await jobs.run(path.name)


async def test_a_timeout_ends_the_whole_group(
    tester: MakeTester, program: AddProgram, folder: Path, tmp_path: Path
) -> None:
    """SIGTERM first, whose last words are kept; what ignores it is killed, and so is what it has started."""
    program("hears", "#!/bin/sh\ntrap 'echo bye >&2; exit 0' TERM\necho on >&2\nsleep 1000 & wait\n")
    program(
        "ignores",
        f"#!/bin/sh\ntrap '' TERM\nsh -c 'echo $$ > {tmp_path}/child; exec sleep 1000' &\n"
        f"echo $$ > {tmp_path}/pid\nwait\n",
    )
    tasks = load_executable_tasks(folder, timeout=timedelta(seconds=0.5), kill_delay=timedelta(seconds=0.5))
    jobs = tester(tasks)
    with anyio.fail_after(60):
        with pytest.raises(ExecutableFailedError) as heard:
            await jobs.run("hears")
        with pytest.raises(ExecutableFailedError) as ignored:
            await jobs.run("ignores")
    ran = "ran for longer than its timeout of 0:00:00.500000"
    assert str(heard.value) == f"hears {ran}; the end of its standard error: on\nbye"
    assert str(ignored.value) == f"ignores {ran}"
    for name in ("pid", "child"):
        assert is_gone(int((tmp_path / name).read_text()))


async def test_a_stop(
    engine: AsyncEngine, add_job: AddJob, jobs: Jobs, program: AddProgram, folder: Path, tmp_path: Path
) -> None:
    """A program that ends within the grace period is done; at its end SIGTERM, then SIGKILL end the other."""
    program("polite", f"#!/bin/sh\ntouch {tmp_path}/polite\nuntil test -e {tmp_path}/stop; do sleep 0.01; done\n")
    program("stubborn", f"#!/bin/sh\ntrap '' TERM\necho $$ > {tmp_path}/pid\nsleep 1000\n")
    for name in ("polite", "stubborn"):
        await add_job(name)
    recorder = Recorder()
    tasks = load_executable_tasks(folder, kill_delay=timedelta(seconds=0.2))
    settings = RunnerSettings(grace_period=timedelta(hours=1))
    runner = Runner(engine, tasks, settings, observers=[recorder])
    with anyio.fail_after(60):
        async with runner:
            await until(lambda: (tmp_path / "polite").exists() and (tmp_path / "pid").exists())
            runner.stop()
            (tmp_path / "stop").touch()
            await recorder.until(lambda: recorder.completed)
            runner.stop(at_once=True)
    assert [outcome.job.task_identifier for outcome in recorder.completed] == ["polite"]
    [job] = await jobs()
    assert job.last_error == "the worker was shut down before the job ended"
    assert is_gone(int((tmp_path / "pid").read_text()))


async def test_a_lost_lock_ends_it(
    engine: AsyncEngine,
    sessions: async_sessionmaker[AsyncSession],
    add_job: AddJob,
    program: AddProgram,
    folder: Path,
    tmp_path: Path,
) -> None:
    program("long", f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    await add_job("long")
    recorder = Recorder()
    settings = RunnerSettings(heartbeat_interval=timedelta(seconds=0.2))
    with anyio.fail_after(60):
        async with Runner(engine, load_executable_tasks(folder), settings, observers=[recorder]):
            await until((tmp_path / "pid").exists)
            async with sessions.begin() as session:
                await session.execute(
                    text("update graphile_worker._private_jobs set locked_by = 'another', locked_at = now()")
                )
            await recorder.until(lambda: recorder.lost)
            assert is_gone(int((tmp_path / "pid").read_text()))


async def test_what_a_program_leaves_behind(
    tester: MakeTester,
    program: AddProgram,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What still writes is waited for; what holds the streams is killed in the end; what let go of them lives on."""
    monkeypatch.setattr("gw_sqla.execution.program._LEFT_BEHIND_TIMEOUT", 0.5)
    program("holds", f"#!/bin/sh\nsh -c 'echo $$ > {tmp_path}/holds; exec sleep 1000' &\n")
    program(
        "lets_go", f"#!/bin/sh\nsh -c 'echo $$ > {tmp_path}/lets_go; exec sleep 1000' < /dev/null > /dev/null 2>&1 &\n"
    )
    jobs = tester(load_executable_tasks(folder))
    for name in ("holds", "lets_go"):
        with anyio.fail_after(60):
            await jobs.run(name)
    await until((tmp_path / "lets_go").exists)
    assert is_gone(int((tmp_path / "holds").read_text()))
    survivor = int((tmp_path / "lets_go").read_text())
    assert not is_gone(survivor)
    os.kill(survivor, signal.SIGKILL)


async def test_lines(tester: MakeTester, program: AddProgram, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lines are logged as they end, long ones in parts; what a worker's log holds is bounded line by line."""
    program("talk", "#!/bin/sh\ncat > /dev/null\nprintf 'one\\n\\ntwo'\nhead -c 9000 /dev/zero | tr '\\0' y >&2\n")
    caplog.set_level(logging.INFO, "gw_sqla")
    await tester(load_executable_tasks(folder)).run("talk")
    said = [message.partition("attempt 1: ")[2] for message in caplog.messages if "attempt 1: " in message]
    assert [line for line in said if "y" not in line] == ["one", "two"]
    assert sum(line.count("y") for line in said) == 9000
    assert max(map(len, said)) == 4000
