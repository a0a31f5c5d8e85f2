"""The program of a handler's process: requests on standard input, answers on standard output, lines of JSON.

A request names a handler, which is imported, or brings a payload, for which the handler named last is called. What
the handler prints goes to standard error, as the answers have standard output for themselves. Signals that stop a
worker are the worker's to heed: a terminal and systemd send them to its processes too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from functools import reduce
from importlib import import_module
from typing import Any, BinaryIO

from gw_sqla.error_texts.error_text import error_text, traceback_text
from gw_sqla.errors import FailPermanently, InvalidPayloadError, Snooze
from gw_sqla.execution.batch_results import failed_items, retry_after, snooze_limit
from gw_sqla.execution.current_job import CurrentJob, look_for_job_by
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.jobs.task import Task

__all__ = ["main"]

_STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2")


def main() -> None:
    """Answer requests until standard input ends, which it does when the worker dies; then exit at once."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _keep_streams_free()
    _be_the_first_to_go()
    for name in _STOP_SIGNALS:
        signal.signal(getattr(signal, name), lambda *_: None)  # not SIG_IGN: what a handler starts would inherit it
    sys.path[:] = json.loads(sys.argv[1])
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, lines), daemon=True).start()
    task: Task[Any] | None = None
    while True:
        request = json.loads(lines.get())
        answer: dict[str, Any] = {}
        try:
            if "handler" in request:
                task = _find(request)
            else:
                assert task is not None
                answer["items"] = _call(task, request["payload"], CurrentJob(*request["job"]))
        except BaseException as error:  # whatever the handler or its module raises is the job's
            text = str(error) if isinstance(error, InvalidPayloadError) else error_text(error)
            permanently = isinstance(error, FailPermanently)
            answer = {
                "error": text,
                "permanently": permanently,
                "retry_after": retry_after(error),
                "snooze_limit": snooze_limit(error),
                "traceback": traceback_text(error),
            }
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _read(requests: BinaryIO, lines: queue.SimpleQueue[bytes]) -> None:
    for line in requests:
        lines.put(line)
    os._exit(1)  # the worker is gone: so must be the handler, which another worker will run


def _keep_streams_free() -> None:
    """Give the handler no standard input, and the worker's standard error for what it prints."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)


def _be_the_first_to_go() -> None:
    """Ask Linux to kill this process rather than the worker when memory runs out."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 - a file of the kernel's
            score.write("500")
    except OSError:
        pass  # another system, or not allowed: then the kernel decides by itself


def _find(request: dict[str, Any]) -> Task[Any]:
    """Import the handler; its name may stand for the task, or for the function where it was not decorated."""
    module, _, name = request["handler"].partition(":")
    found: Any = reduce(getattr, name.split("."), import_module(module))
    if isinstance(found, Task):
        return found
    task: Task[Any] = TaskRegistry().task(request["identifier"], run_in="process", batch=request["batch"])(found)
    return task


def _call(task: Task[Any], payload_text: str, job: CurrentJob) -> list[Any]:
    look_for_job_by(lambda: job)
    arguments = [task.payload_type.load(payload_text)] if task.takes_payload else []
    results = task.call_sync(*arguments)
    if isinstance(results, Snooze):
        raise results
    return failed_items(results, len(json.loads(payload_text))) if task.batch else []
