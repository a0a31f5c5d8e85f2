"""Handlers that run in processes; their modules must be importable there, so they are not in the tests."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from gw_sqla import FailPermanently, RetryAfter, Snooze, TaskRegistry

tasks = TaskRegistry()


def later(_attempts: int) -> timedelta:
    """Not within a test, however slow the machine."""
    return timedelta(hours=1)


class Note(BaseModel):
    file: Path
    text: str = ""


@tasks.task("note", run_in="process", backoff=later)
def note(payload: Note) -> None:
    print("what a handler prints is not an answer")
    print(payload.text, os.getpid(), file=payload.file.open("a"))


def plain(payload: Note) -> None:
    print(payload.text, os.getpid(), file=payload.file.open("a"))


undecorated = tasks.task("undecorated", run_in="process", backoff=later)(plain)


def cycle() -> ValueError:
    error = ValueError("round and round")
    error.__cause__ = error
    return error


@tasks.task("fail", run_in="process", backoff=later)
def fail(payload: str) -> None:
    class UnpicklableError(Exception):
        pass

    raise {
        "ValueError": ValueError("no \0 \ud800"),
        "FailPermanently": FailPermanently("never"),
        "SystemExit": SystemExit(3),
        "Unpicklable": UnpicklableError("local"),
        "long": ValueError("x" * 10_000),
        "cycle": cycle(),
    }[payload]


@tasks.task("die", run_in="process", backoff=later)
def die(payload: str) -> None:
    if payload == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL if payload == "kill" else signal.SIGRTMIN + 6)


@tasks.task("leave_a_child", run_in="process", backoff=later)
def leave_a_child(payload: Path) -> None:
    """Die while a forked child, which holds the pipes of its parent, goes on."""
    child = os.fork()
    if child == 0:
        while not payload.with_suffix(".stop").exists():
            time.sleep(0.01)
        os._exit(0)
    payload.write_text(str(child))
    os.kill(os.getpid(), signal.SIGKILL)


@tasks.task("fork_and_hang", run_in="process", timeout=timedelta(milliseconds=300), backoff=later)
def fork_and_hang(payload: Path) -> None:
    child = os.fork()
    if child == 0:
        while not payload.with_suffix(".stop").exists():
            time.sleep(0.01)
        os._exit(0)
    hang(payload)


@tasks.task("come_again", run_in="process", backoff=lambda _: timedelta(0))
def come_again() -> None:
    raise RetryAfter(timedelta(minutes=10))


@tasks.task("come_again_in_part", run_in="process", batch=True, backoff=lambda _: timedelta(0))
def come_again_in_part(payload: list[int]) -> list[Exception | None]:
    return [RetryAfter(timedelta(minutes=10)), None]


@tasks.task("snooze", run_in="process", backoff=later)
def snooze(payload: str) -> Snooze:
    found = Snooze(timedelta(minutes=10), "not there yet", limit=1)
    if payload == "raise":
        raise found
    return found


@tasks.task("snooze_in_part", run_in="process", batch=True, backoff=later)
def snooze_in_part(payload: list[int]) -> list[Exception | None]:
    return [Snooze(timedelta(minutes=item)) if item else None for item in payload]


@tasks.task("recurse", run_in="process", backoff=later)
def recurse() -> None:
    def deeper(depth: int) -> int:
        return deeper(depth + 1) + 1

    deeper(0)


@tasks.task("batch", run_in="process", batch=True, backoff=later)
def batch(payload: list[int]) -> list[Exception | None]:
    return [ValueError("odd") if item % 2 else None for item in payload]


@tasks.task("tell_pid_and_hang", run_in="process", backoff=later)
def tell_pid_and_hang(payload: Path) -> None:
    hang(payload)


@tasks.task("time_out", run_in="process", timeout=timedelta(milliseconds=300), backoff=later)
def time_out(payload: Path) -> None:
    hang(payload)


def hang(file: Path) -> None:
    signal.raise_signal(signal.SIGTERM)  # as a terminal or systemd sends it to all of a worker's processes
    file.with_suffix(".part").write_text(str(os.getpid()))
    file.with_suffix(".part").rename(file)
    while True:
        time.sleep(0.01)
