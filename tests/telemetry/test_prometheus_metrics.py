"""A worker that is scraped while it works: its figures are those of the database, read by Prometheus' own client."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import (
    AsyncSession,
    ConfigurationError,
    JobContext,
    JobRepository,
    JobSpec,
    RunCounts,
    Runner,
    RunnerSettings,
    Snooze,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.hooks.events import JobsClaimed
from gw_sqla.jobs.claimed_job import ClaimedJob
from gw_sqla.jobs.outcomes import Completed
from gw_sqla.telemetry import FleetFigures, PrometheusMetrics, prometheus_metrics, serve_http
from gw_sqla.telemetry.task_labels import OTHER
from tests.admin.test_explain import worker as register
from tests.repository.look import Look, open_look
from tests.telemetry.asking import ask

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Every sample, by its name and labels; each is there once."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def value(of: Samples, name: str, **labels: str) -> float:
    return of[name, tuple(sorted(labels.items()))]


@pytest.fixture
async def look(engine: AsyncEngine, clean_database: str) -> AsyncIterator[Look]:
    async with open_look(clean_database, "graphile_worker") as opened:
        yield opened


async def test_ten_thousand_jobs(
    engine: AsyncEngine, sessions: Sessions, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scraped all the while; counts only grow, and in the end are what was in the table."""
    monkeypatch.setattr(prometheus_metrics, "_KEPT_SECONDS", 0.0)
    tasks = TaskRegistry()

    @tasks.task("work")
    async def work() -> None:
        pass

    @tasks.task("fail", max_attempts=1)
    async def fail() -> None:
        raise ValueError("as asked")

    @tasks.task("again")
    async def again() -> None:
        raise ValueError("as asked")

    @tasks.task("later")
    async def later() -> None:
        raise Snooze(timedelta(hours=1))

    numbers = {"work": 10_000, "fail": 30, "again": 20, "later": 10}
    async with sessions.begin() as session:
        specs = [JobSpec(task_identifier=task) for task, number in numbers.items() for _ in range(number)]
        specs = [
            JobSpec(task_identifier="fail", max_attempts=1) if spec.task_identifier == "fail" else spec
            for spec in specs
        ]
        await JobRepository().add_jobs(session, specs)
    settings = RunnerSettings(concurrency=8, prefetch=200)
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(settings, registry=registry)
    seen: list[float] = []
    counts = RunCounts(0, 0)
    async with serve_http("127.0.0.1:0", metrics) as port:

        async def scrape(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            task_status.started()
            while True:
                said = await ask(port, "/metrics")
                assert said.headers["content-type"].startswith("text/plain; version=")
                found = samples(said.body)
                seen.append(sum(number for (name, _), number in found.items() if name == "gw_sqla_jobs_total"))
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as scraping:
            await scraping.start(scrape)
            counts = await Runner(engine, tasks, settings, observers=[metrics]).run_once()
            scraping.cancel_scope.cancel()
        metrics._rendered_at = float("-inf")
        said = samples((await ask(port, "/metrics")).body)
    assert (counts.completed, counts.failed, counts.snoozed) == (10_000, 50, 10)
    assert value(said, "gw_sqla_jobs_total", task="work", outcome="completed") == 10_000
    assert value(said, "gw_sqla_jobs_total", task="fail", outcome="failed_permanently") == 30
    assert value(said, "gw_sqla_jobs_total", task="again", outcome="failed") == 20
    assert value(said, "gw_sqla_jobs_total", task="later", outcome="snoozed") == 10
    left = await look.rows("select task_identifier, count(*) from {s}.jobs group by 1 order by 1")
    assert {row["task_identifier"]: row["count"] for row in left} == {"again": 20, "fail": 30, "later": 10}
    for task, number in numbers.items():
        assert value(said, "gw_sqla_job_seconds_count", task=task) == number
        assert value(said, "gw_sqla_job_wait_seconds_count", task=task) == number
        assert 0 < value(said, "gw_sqla_job_seconds_sum", task=task) < 600
        assert value(said, "gw_sqla_job_wait_seconds_sum", task=task) > 0
    assert value(said, "gw_sqla_claim_jobs_sum") == value(said, "gw_sqla_outcome_batch_jobs_sum") == 10_060
    assert value(said, "gw_sqla_claim_seconds_count") == value(said, "gw_sqla_claim_jobs_count") > 0
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert [number for number in seen if 0 < number < 10_060], "it was scraped while it worked"


async def test_gauges(engine: AsyncEngine, sessions: Sessions) -> None:
    tasks = TaskRegistry()
    begun, end = anyio.Event(), anyio.Event()

    @tasks.task("wait")
    async def wait(ctx: JobContext) -> None:
        begun.set()
        await end.wait()

    settings = RunnerSettings(concurrency=1, prefetch=4)
    metrics = PrometheusMetrics(settings, registry=CollectorRegistry())
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [JobSpec(task_identifier="wait")] * 3)
    async with Runner(engine, tasks, settings, observers=[metrics]):
        with anyio.fail_after(20):
            await begun.wait()
        said = samples((await metrics.text()).decode())
        assert value(said, "gw_sqla_slots") == 1
        assert value(said, "gw_sqla_slots_busy") == 1
        assert value(said, "gw_sqla_jobs_prefetched") == 2
        assert 0 <= value(said, "gw_sqla_heartbeat_age_seconds") < 15
        with anyio.fail_after(20):
            while not metrics.is_listening:
                await anyio.lowlevel.checkpoint()
        end.set()
    metrics._rendered_at = float("-inf")
    said = samples((await metrics.text()).decode())
    assert value(said, "gw_sqla_slots") == value(said, "gw_sqla_slots_busy") == 0
    assert value(said, "gw_sqla_jobs_prefetched") == value(said, "gw_sqla_listener_up") == 0


async def test_the_figures_of_the_queue(engine: AsyncEngine, sessions: Sessions, look: Look) -> None:
    async with sessions.begin() as session:
        await JobRepository().add_jobs(session, [JobSpec(task_identifier="a")] * 3)
    await look.execute(
        "update {s}._private_jobs set created_at = now() - interval '1 hour', run_at = now() - interval '1 hour'"
    )
    await register(look, tasks=["a", "sent"], forwarded=["sent"])
    fleet = FleetFigures(engine)
    try:
        said = samples((await PrometheusMetrics(registry=CollectorRegistry(), fleet=fleet).text()).decode())
    finally:
        await fleet.close()
    assert value(said, "gw_sqla_queue_up") == 1
    assert value(said, "gw_sqla_queue_jobs", state="ready") == 3
    assert value(said, "gw_sqla_queue_jobs_exact", state="ready") == 1
    assert 3600 <= value(said, "gw_sqla_queue_oldest_ready_seconds") < 3700
    assert 3600 <= value(said, "gw_sqla_task_oldest_ready_seconds", task="a") < 3700
    assert value(said, "gw_sqla_task_ready_jobs", task="a") == 3
    assert value(said, "gw_sqla_task_workers", task="a") == value(said, "gw_sqla_workers_alive") == 1
    assert value(said, "gw_sqla_forward_lag_seconds", task="sent") == 0
    for name in ("workers_dead", "foreign_lock_owners"):
        assert value(said, f"gw_sqla_{name}") == 0


async def test_one_reads_at_a_time(engine: AsyncEngine) -> None:
    """And the next, when it has ended."""
    now = timedelta(0)
    first, second, exporter = (
        FleetFigures(engine, interval=now),
        FleetFigures(engine, interval=now),
        FleetFigures(engine, alone=True),
    )
    try:
        for fleet in (first, second, first, exporter):
            await fleet.refresh()
        assert (first.is_up, second.is_up, exporter.is_up) == (True, None, True)
        assert list(second.collect()) == []
        await exporter.close()
        await first.close()
        await second.refresh()
        assert second.is_up
    finally:
        for fleet in (first, second, exporter):
            await fleet.close()


async def test_a_million_questions_are_one(engine: AsyncEngine, look: Look) -> None:
    """However many ask, and whenever: the database is asked once an interval, the text made once a second."""
    fleet = FleetFigures(engine)
    metrics = PrometheusMetrics(registry=CollectorRegistry(), fleet=fleet)
    texts: list[bytes] = []

    async def question() -> None:
        texts.append(await metrics.text())

    try:
        async with anyio.create_task_group() as asking:
            for _ in range(100):
                asking.start_soon(question)
        read_at = fleet._read_at
        for _ in range(20_000):
            await metrics.text()
        assert fleet._read_at == read_at
        assert len(set(map(id, texts))) == 1
    finally:
        await fleet.close()


async def test_a_database_that_does_not_answer(
    engine: AsyncEngine, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; the worker's own figures come, those of the queue are gone."""
    fleet = FleetFigures(engine, "elsewhere", interval=timedelta(0))
    metrics = PrometheusMetrics(registry=CollectorRegistry(), fleet=fleet)
    try:
        for _ in range(3):
            metrics._rendered_at = float("-inf")
            said = samples((await metrics.text()).decode())
            assert value(said, "gw_sqla_queue_up") == value(said, "gw_sqla_slots") == 0
            assert ("gw_sqla_workers_alive", ()) not in said
    finally:
        await fleet.close()
    assert caplog.text.count("reading the figures of the queue failed") == 1


def job(task: str) -> ClaimedJob:
    return ClaimedJob(1, task, "{}", None, 0, datetime.now(UTC), 1, 25, None, None, 0, None)


def test_ten_thousand_task_names(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry, most_tasks=50)
    for number in range(10_000):
        metrics.job_completed(Completed(job(f"task {number}")))
    found: Samples = {}
    for family in registry.collect():
        found |= {(s.name, tuple(sorted(s.labels.items()))): s.value for s in family.samples}
    tasks = {dict(labels)["task"] for name, labels in found if name == "gw_sqla_jobs_total"}
    assert len(tasks) == 51
    assert found["gw_sqla_jobs_total", (("outcome", "completed"), ("task", OTHER))] == 9950
    assert len(found) < 51 * 40
    assert caplog.text.count("more than 50 tasks") == 1
    assert len(metrics._children) <= 51 * 3


def test_no_other_labels() -> None:
    """Names of queues, keys and payloads are often tenants."""
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry)
    metrics.job_completed(Completed(job("a")))
    metrics.jobs_claimed(JobsClaimed(count=1, wanted=1, seconds=0.1))
    labels = {label for family in registry.collect() for sample in family.samples for label in sample.labels}
    assert labels == {"task", "outcome", "le", "backfilled"} - {"backfilled"}


def test_a_registry_has_them_once() -> None:
    registry = CollectorRegistry()
    Counter("own", "An application's own.", registry=registry)
    PrometheusMetrics(registry=registry)
    with pytest.raises(ConfigurationError, match="registry: has gw_sqla's metrics already"):
        PrometheusMetrics(registry=registry)


@pytest.mark.parametrize("most", [0, 10_001, True, "7"])
def test_bad_settings(most: Any) -> None:
    with pytest.raises(ConfigurationError, match="most_tasks: must be 1 to 10000"):
        PrometheusMetrics(registry=CollectorRegistry(), most_tasks=most)
