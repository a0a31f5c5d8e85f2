"""JSON Lines of jobs: each line an object with what one job is like. They are read twice, so that bad ones add nothing.

What cannot be read twice (standard input, a pipe) is copied to a temporary file first.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gw_sqla.cli.job_input import at_time, make_spec, parse_json, parse_time
from gw_sqla.errors import ConfigurationError, InvalidJobError, InvalidPayloadError
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.payload_size import MAX_PAYLOAD_SIZE, check_payload_size

__all__ = ["JobLines", "Line", "open_lines"]

_FIELDS = ("task", "payload", "queue_name", "run_at", "max_attempts", "job_key", "priority", "flags")


class Line(NamedTuple):
    """A line that is a job: its number from 1, its length in bytes, and the job."""

    number: int
    size: int
    spec: JobSpec


class JobLines:
    """The jobs of a file.

    ``task`` and ``options`` are for lines that do not say otherwise; ``first`` is the number of the first line that
    counts.
    """

    def __init__(
        self,
        name: str,
        file: BinaryIO,
        tasks: TaskRegistry | None,
        task: str | None,
        options: dict[str, Any],
        first: int,
    ) -> None:
        self.name = name
        self._file = file
        self._tasks = tasks
        self._task = task
        self._options = options
        self._first = first

    def check(self, on_line: Callable[[int], object]) -> int:
        """Return the number of jobs; raises ConfigurationError, which names the line, for the first that is none.

        ``on_line`` is called with the bytes of each line. A key that occurs twice is refused too.
        """
        seen: dict[str, int] = {}
        count = 0
        for line in self.read(datetime.now(UTC)):
            on_line(line.size)
            count += 1
            try:
                check_payload_size(to_json(line.spec.payload), MAX_PAYLOAD_SIZE)
            except InvalidJobError as error:
                raise self._fault(line.number, error) from error
            key = line.spec.job_key
            if key is not None and seen.setdefault(key, line.number) != line.number:
                raise ConfigurationError(
                    f"{self.name}, line {line.number}: job_key: line {seen[key]} has it too: one job per key"
                )
        return count

    def read(self, now: datetime) -> Iterator[Line]:
        """Yield the jobs; durations of theirs count from ``now``."""
        self._file.seek(0)
        for number, text in enumerate(self._file, 1):
            if number < self._first or not text.strip():
                continue
            try:
                yield Line(number, len(text), self._spec(text, now))
            except (InvalidJobError, ConfigurationError) as error:
                raise self._fault(number, error) from error

    def _fault(self, number: int, error: Exception) -> ConfigurationError:
        return ConfigurationError(f"{self.name}, line {number}: {error}")

    def _spec(self, text: bytes, now: datetime) -> JobSpec:
        try:
            fields = parse_json(text)
        except InvalidPayloadError as error:
            raise ConfigurationError(error.problem) from error
        if not isinstance(fields, dict):
            raise ConfigurationError('must be an object such as {"payload": {"n": 1}, "priority": 5}')
        for name in fields:
            if name not in _FIELDS:
                near = get_close_matches(name, _FIELDS, 1)
                raise ConfigurationError(
                    f"there is no {name[:50]!r}: "
                    + (f"did you mean {near[0]}?" if near else f"there are {', '.join(_FIELDS)}")
                )
        if fields.get("payload", {}) is None:
            raise InvalidPayloadError("is null, which the queue stores as {}: leave it out, or give it a value")
        job = self._options | {name: value for name, value in fields.items() if value is not None}
        task = job.pop("task", self._task)
        if not isinstance(task, str):
            raise ConfigurationError("has no task: name it in the line, or as TASK for all of them")
        if fields.get("run_at") is not None:
            job["run_at"] = parse_time(fields["run_at"])
        job["run_at"] = at_time(job.get("run_at"), now)
        return make_spec(self._tasks, task, job.pop("payload", None), job)


@contextmanager
def open_lines(name: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, or standard input for ``-``, to be read twice; yield it and its size in bytes.

    Raises ConfigurationError for a file that cannot be read.
    """
    with ExitStack() as files:
        try:
            file: BinaryIO = sys.stdin.buffer if name == "-" else files.enter_context(Path(name).open("rb"))
            if name == "-" or not file.seekable():
                copy = files.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, copy)
                file = copy
            size = file.seek(0, os.SEEK_END)
        except OSError as error:
            raise ConfigurationError(f"{name}: {error.strerror}") from error
        yield file, size
