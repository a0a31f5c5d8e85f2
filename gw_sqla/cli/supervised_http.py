"""One port for all processes of a supervisor: it asks each over a Unix socket of its own, and answers for all.

Each process serves what it would serve alone, at a socket in a folder that only this user can enter; the variable
`SOCKET_VARIABLE` names it. Metrics get the label ``process``, the number of its place among them: a process that is
replaced has its predecessor's, so that there are never more series, and its counters begin anew, which Prometheus sees.

Rejected: prometheus_client's multiprocess mode, whose files of processes that have died stay for good, and which costs
each count a write to a mapped file; and the lifeline, which carries one last word, and would need order and frames.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from prometheus_client import Metric

    from gw_sqla.telemetry.http_server import Answer, Route

__all__ = ["SOCKET_VARIABLE", "ProcessSockets", "inherited_socket"]

SOCKET_VARIABLE = "GW_SQLA_HTTP_SOCKET"
"""The environment variable that tells a worker process where to serve, in place of ``--http``."""

_ANSWER_SECONDS = 4.0
"""For which one process may let the others wait; probes give up soon."""

_OF_THEIRS = "exported_process"
"""For a label ``process`` of the application's own metrics; so Prometheus calls what is in its way."""


def inherited_socket() -> str | None:
    """Return where this process is to serve. To be called once, at the start: its own children must not inherit it."""
    return os.environ.pop(SOCKET_VARIABLE, None)


class ProcessSockets:
    """The sockets of ``count`` processes; ``is_running`` tells whether there is one at a place now."""

    def __init__(self, folder: Path, count: int) -> None:
        self._paths = [folder / str(number) for number in range(count)]
        self.is_running = [False] * count

    @classmethod
    def opened(cls, count: int) -> AbstractContextManager[ProcessSockets]:
        """Make the folder; it is removed at the end of the block."""

        @contextmanager
        def folder() -> Iterator[ProcessSockets]:
            with tempfile.TemporaryDirectory(prefix="gw_sqla-", ignore_cleanup_errors=True) as path:
                yield cls(Path(path), count)

        return folder()

    @contextmanager
    def of(self, number: int) -> Iterator[dict[str, str]]:
        """Give the environment of the process that runs in the block."""
        path = self._paths[number]
        with suppress(FileNotFoundError):
            path.unlink()
        self.is_running[number] = True
        try:
            yield {SOCKET_VARIABLE: str(path)}
        finally:
            self.is_running[number] = False

    def routes(self) -> dict[str, Route]:
        """Return what the supervisor answers."""
        from gw_sqla.telemetry.worker_endpoints import verdict

        async def healthz() -> Answer:
            """Those that run are alive; one that has ended, or begins, is the supervisor's business."""
            return verdict(_problems(await self._ask("/healthz"), starting=None))

        async def readyz() -> Answer:
            """All run, and are ready."""
            return verdict(_problems(await self._ask("/readyz"), starting="does not run yet"))

        return {"/metrics": self._metrics, "/healthz": healthz, "/readyz": readyz}

    async def _metrics(self) -> Answer:
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST
        from prometheus_client.registry import Collector

        from gw_sqla.telemetry.http_server import Answer

        texts = {
            number: body.decode() for number, (status, body) in (await self._ask("/metrics")).items() if status == 200
        }
        families = _merged(texts)

        class AllProcesses(Collector):
            def collect(self) -> Iterator[Metric]:
                return iter(families)

        registry = CollectorRegistry(auto_describe=False)
        registry.register(AllProcesses())
        return Answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)

    async def _ask(self, target: str) -> dict[int, tuple[int, bytes]]:
        """Ask all at once; status 0 is one that does not serve (yet), 504 one that has not answered in time."""
        answers: dict[int, tuple[int, bytes]] = dict.fromkeys(range(len(self._paths)), (0, b""))

        async def ask(number: int) -> None:
            from gw_sqla.telemetry.http_client import get

            with anyio.move_on_after(_ANSWER_SECONDS) as patience:
                with suppress(OSError):
                    answers[number] = await get(str(self._paths[number]), target)
            if patience.cancelled_caught:
                answers[number] = (504, b"does not answer\n")

        async with anyio.create_task_group() as asking:
            for number in range(len(self._paths)):
                if self.is_running[number]:
                    asking.start_soon(ask, number)
        return answers


def _problems(answers: dict[int, tuple[int, bytes]], *, starting: str | None) -> list[str]:
    problems: list[str] = []
    for number, (status, body) in answers.items():
        if status == 0 and starting is not None:
            problems.append(f"process {number}: {starting}")
        elif status not in (0, 200):
            problems += [f"process {number}: {line}" for line in body.decode(errors="replace").splitlines()]
    return problems


def _merged(texts: dict[int, str]) -> list[Metric]:
    """Return the families of all texts, each sample with the number of its process."""
    from prometheus_client import Metric
    from prometheus_client.parser import text_string_to_metric_families

    families: dict[str, Metric] = {}
    for number, text in texts.items():
        for family in text_string_to_metric_families(text):
            merged = families.get(family.name)
            if merged is None:
                merged = families[family.name] = Metric(family.name, family.documentation, family.type)
            for sample in family.samples:
                labels = {_OF_THEIRS if name == "process" else name: value for name, value in sample.labels.items()}
                merged.add_sample(sample.name, {**labels, "process": str(number)}, sample.value)
    return [*families.values(), _running(len(texts))]


def _running(count: int) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return GaugeMetricFamily("gw_sqla_processes", "Worker processes of this supervisor that answered.", count)
