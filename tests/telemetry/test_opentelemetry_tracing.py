"""Spans for adding and running, linked across the queue, collected by OpenTelemetry's own in-memory exporter."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from gw_sqla import (
    AsyncSession,
    FailPermanently,
    JobContext,
    JobRepository,
    JobSpec,
    Runner,
    Snooze,
    SyncJobRepository,
    TaskRegistry,
    async_sessionmaker,
)
from gw_sqla.telemetry import OpenTelemetryTracing, trace_setting
from tests.repository.look import Look, open_look
from tests.telemetry.test_trace_field import RUST, TRACE

pytestmark = pytest.mark.anyio

Sessions = async_sessionmaker[AsyncSession]
SECRET = "a secret of a payload"


class Item(BaseModel):
    """Of a batch; it forbids extra fields."""

    model_config = ConfigDict(extra="forbid")
    a: int


class Mail(BaseModel):
    """A payload that forbids extra fields."""

    model_config = ConfigDict(extra="forbid")
    to: str


class Spans:
    """A provider, and what its spans were."""

    def __init__(self, **options: Any) -> None:
        self.provider = TracerProvider(**options)
        self.memory = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.tracing = OpenTelemetryTracing(tracer_provider=self.provider)
        self.tracer = self.provider.get_tracer("of the application")

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.memory.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span


@pytest.fixture
def spans() -> Iterator[Spans]:
    found = Spans()
    yield found
    found.provider.shutdown()


@pytest.fixture
async def look(engine: AsyncEngine, clean_database: str) -> AsyncIterator[Look]:
    async with open_look(clean_database, "graphile_worker") as opened:
        yield opened


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


async def test_a_job_from_one_end_to_the_other(
    engine: AsyncEngine, sessions: Sessions, spans: Spans, look: Look
) -> None:
    tasks = TaskRegistry()
    seen: list[int] = []

    @tasks.task("mail")
    async def mail(payload: dict[str, Any], ctx: JobContext) -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)
        with spans.tracer.start_as_current_span("inside"):
            await anyio.lowlevel.checkpoint()

    with spans.tracer.start_as_current_span("a request"):
        async with sessions.begin() as session:
            job = await JobRepository(interceptors=[spans.tracing]).add_job(session, mail, {"to": "Ada"})
    producer = spans.one("add_job mail")
    assert (producer.kind, producer.parent) == (SpanKind.PRODUCER, spans.one("a request").context)
    assert dict(producer.attributes or {}) == {
        "messaging.system": "graphile-worker",
        "messaging.operation.name": "add_job",
        "messaging.operation.type": "create",
        "messaging.destination.name": "mail",
    }
    [row] = await look.rows("select payload::text as payload from {s}._private_jobs")
    trace_id, span_id = ids(producer)
    flags = int(producer.context.trace_flags) if producer.context else None
    field = f'{{"flags":{flags},"trace_id":"{trace_id:032x}","span_id":"{span_id:016x}"}}'
    assert json.loads(row["payload"]) == {"to": "Ada", "_trace": json.loads(field)}
    assert field in row["payload"], "byte by byte as Graphile Worker RS documents it"

    counts = await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    assert counts.completed == 1
    consumer = spans.one("run_job mail")
    assert (consumer.kind, consumer.parent) == (SpanKind.CONSUMER, None)
    assert links(consumer) == [ids(producer)]
    assert dict(consumer.attributes or {}) == {
        "messaging.system": "graphile-worker",
        "messaging.operation.name": "run_job",
        "messaging.operation.type": "process",
        "messaging.destination.name": "mail",
        "messaging.message.id": str(job.id),
        "gw_sqla.job.attempt": 1,
        "gw_sqla.job.max_attempts": 25,
    }
    assert consumer.status.status_code is StatusCode.UNSET
    assert seen == [ids(consumer)[1]]
    assert spans.one("inside").parent == consumer.context


async def test_parent(engine: AsyncEngine, sessions: Sessions, spans: Spans) -> None:
    tasks = TaskRegistry()

    @tasks.task("mail")
    async def mail(payload: Any) -> None:
        pass

    async with sessions.begin() as session:
        repository = JobRepository(interceptors=[spans.tracing])
        await repository.add_job(session, mail, {})
        await repository.add_job(session, mail, 7)
    tracing = OpenTelemetryTracing(tracer_provider=spans.provider, parent=True)
    await Runner(engine, tasks, interceptors=[tracing]).run_once()
    child, alone = spans.named("run_job mail")
    assert child.parent is not None
    assert (child.parent.span_id, child.parent.is_remote) == (ids(spans.named("add_job mail")[0])[1], True)
    assert links(child) == []
    assert (alone.parent, links(alone)) == (None, []), "a scalar payload says nothing"


async def test_a_job_of_a_rust_worker(engine: AsyncEngine, look: Look, spans: Spans) -> None:
    """And one whose _trace the user has put there."""
    tasks = TaskRegistry()

    @tasks.task("mail")
    async def mail(payload: Any) -> None:
        pass

    await look.execute("select {s}.add_job('mail', $1::text::json)", f'{{"a":1,"_trace":{RUST}}}')
    await look.execute("select {s}.add_job('mail', $1::text::json)", '{"_trace": "mine"}')
    await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    of_rust, of_user = spans.named("run_job mail")
    assert links(of_rust) == [(TRACE.trace_id, TRACE.span_id)]
    assert links(of_user) == []


async def test_a_trace_that_is_there_stays(sessions: Sessions, look: Look, spans: Spans) -> None:
    async with sessions.begin() as session:
        await JobRepository(interceptors=[spans.tracing]).add_job(session, "mail", {"_trace": "mine"})
    assert await look.value("select payload->>'_trace' from {s}._private_jobs") == "mine"


async def test_each_item_of_a_batch_is_linked(
    engine: AsyncEngine, sessions: Sessions, look: Look, spans: Spans
) -> None:
    tasks = TaskRegistry()

    got: list[Any] = []

    @tasks.task("batch", batch=True)
    async def batch(items: list[Item]) -> list[Exception | None]:
        got.extend(items)
        return [None, ValueError(SECRET)]

    repository = JobRepository(interceptors=[spans.tracing])
    for number in (1, 2):
        async with sessions.begin() as session:
            await repository.add_job(session, "batch", [{"a": number}], job_key="k")
    await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    assert got == [Item(a=1), Item(a=2)], "a type that forbids extra fields does not see _trace"
    span = spans.one("run_job batch")
    assert links(span) == [ids(producer) for producer in spans.named("add_job batch")]
    attributes = dict(span.attributes or {})
    assert (attributes["messaging.batch.message_count"], attributes["error.type"]) == (2, "ValueError")
    assert span.status.status_code is StatusCode.ERROR


async def test_a_type_that_forbids_extra_fields(engine: AsyncEngine, sessions: Sessions, spans: Spans) -> None:
    tasks = TaskRegistry()

    got: list[Mail] = []

    @tasks.task("mail")
    async def mail(payload: Mail) -> None:
        got.append(payload)

    async with sessions.begin() as session:
        await JobRepository(interceptors=[spans.tracing]).add_job(session, mail, Mail(to="Ada"))
    await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    assert got == [Mail(to="Ada")]


async def test_errors_are_recorded_by_their_type(engine: AsyncEngine, sessions: Sessions, spans: Spans) -> None:
    """Never with payload values, which their messages may have."""
    tasks = TaskRegistry()

    @tasks.task("fail")
    async def fail(payload: dict[str, Any]) -> None:
        raise FailPermanently(payload["secret"]) from ValueError(payload["secret"])

    @tasks.task("later")
    async def later() -> None:
        raise Snooze(timedelta(hours=1))

    async with sessions.begin() as session:
        await JobRepository().add_job(session, "fail", {"secret": SECRET})
        await JobRepository().add_job(session, "later")
    await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    span = spans.one("run_job fail")
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "gw_sqla.errors.FailPermanently"
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("exception", {"exception.type": "gw_sqla.errors.FailPermanently"})
    ]
    assert SECRET not in span.to_json()
    later_span = spans.one("run_job later")
    assert later_span.status.status_code is StatusCode.UNSET
    assert dict(later_span.attributes or {})["gw_sqla.job.snoozed"] is True


async def test_what_is_not_sampled_says_so(sessions: Sessions, look: Look) -> None:
    spans = Spans(sampler=ALWAYS_OFF)
    async with sessions.begin() as session:
        await JobRepository(interceptors=[spans.tracing]).add_job(session, "mail")
    assert int(await look.value("select payload->'_trace'->>'flags' from {s}._private_jobs")) & 1 == 0


async def test_without_an_sdk_nothing_is_changed(sessions: Sessions, look: Look) -> None:
    tracing = OpenTelemetryTracing(tracer_provider=trace.NoOpTracerProvider())
    async with sessions.begin() as session:
        await JobRepository(interceptors=[tracing]).add_jobs(
            session, [JobSpec(task_identifier="mail", payload={"a": 1})]
        )
    assert await look.value("select payload::text from {s}._private_jobs") == '{"a":1}'


async def test_the_sync_repository(clean_database: str, look: Look, spans: Spans) -> None:
    def add() -> None:
        engine = sa.create_engine(sa.make_url(clean_database).set(drivername="postgresql+psycopg"))
        with Session(engine) as session:
            SyncJobRepository(interceptors=[spans.tracing]).add_job(session, "mail", {"a": 1})
            session.commit()
        engine.dispose()

    await anyio.to_thread.run_sync(add)
    trace_id, _ = ids(spans.one("add_job mail"))
    assert await look.value("select payload->'_trace'->>'trace_id' from {s}._private_jobs") == f"{trace_id:032x}"


async def test_what_a_handler_adds_is_a_child_of_its_run(engine: AsyncEngine, sessions: Sessions, spans: Spans) -> None:
    tasks = TaskRegistry()

    @tasks.task("first")
    async def first(ctx: JobContext) -> None:
        await ctx.add_job("second")

    @tasks.task("second")
    async def second() -> None:
        pass

    async with sessions.begin() as session:
        await JobRepository().add_job(session, "first")
    await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    assert spans.one("add_job second").parent == spans.one("run_job first").context
    assert links(spans.one("run_job second")) == [ids(spans.one("add_job second"))]


async def test_triggers_carry_it(engine: AsyncEngine, sessions: Sessions, look: Look, spans: Spans) -> None:
    from gw_sqla.operations import JobTrigger

    await look.execute("create table orders (id int)")
    try:
        for statement in JobTrigger("orders", "ordered", payload=["id"]).create_sql():
            await look.execute(statement)
        async with sessions.begin() as session:
            with spans.tracer.start_as_current_span("a request"):
                await session.execute(trace_setting())
            await session.execute(sa.text("insert into orders values (1)"))
        async with sessions.begin() as session:
            await session.execute(trace_setting())
            await session.execute(sa.text("insert into orders values (2)"))
    finally:
        await look.execute("drop table orders; drop function gw_sqla_orders_ordered")
    tasks = TaskRegistry()

    @tasks.task("ordered")
    async def ordered(payload: dict[str, Any]) -> None:
        pass

    await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    linked, alone = spans.named("run_job ordered")
    assert (links(linked), links(alone)) == ([ids(spans.one("a request"))], [])


@pytest.fixture
def instrumented(spans: Spans) -> Iterator[None]:
    instrumentors: list[Any] = [SQLAlchemyInstrumentor(), AsyncPGInstrumentor()]  # type: ignore[no-untyped-call]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=spans.provider)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


async def test_beside_the_instrumentations_of_the_database(
    spans: Spans, instrumented: None, clean_database: str, anyio_backend: str
) -> None:
    """Statements of a handler's session are children of its run."""
    from sqlalchemy.ext.asyncio import create_async_engine

    from gw_sqla.database.event_loops import call_asyncio, database_loop

    tasks = TaskRegistry()

    @tasks.task("mail")
    async def mail(session: AsyncSession) -> None:
        await session.execute(sa.text("select 1 as of_the_handler"))

    async with database_loop():
        engine = create_async_engine(clean_database)
        async with async_sessionmaker(engine).begin() as session:
            await JobRepository(interceptors=[spans.tracing]).add_job(session, mail)
        counts = await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
        await call_asyncio(engine.dispose)
    assert counts.completed == 1
    run = spans.one("run_job mail")
    inside = [span for span in spans.memory.get_finished_spans() if "of_the_handler" in span.to_json()]
    assert inside
    assert {ids(span)[0] for span in inside} == {ids(run)[0]}


class Unreachable(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise ConnectionRefusedError("no collector is there")


async def test_an_exporter_that_cannot_be_reached(engine: AsyncEngine, sessions: Sessions, spans: Spans) -> None:
    """The worker goes on: exporters are the SDK's, in threads of its own."""
    spans.provider.add_span_processor(BatchSpanProcessor(Unreachable(), schedule_delay_millis=10))
    tasks = TaskRegistry()

    @tasks.task("mail")
    async def mail() -> None:
        pass

    async with sessions.begin() as session:
        await JobRepository(interceptors=[spans.tracing]).add_jobs(session, [JobSpec(task_identifier="mail")] * 200)
    counts = await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    assert counts.completed == 200


@pytest.mark.parametrize("field", ['{"trace_id": 1}', '"' + "a" * 100_000 + '"', "[[[[]]]]", "null", "1e400"])
async def test_a_hostile_trace(engine: AsyncEngine, look: Look, spans: Spans, field: str) -> None:
    tasks = TaskRegistry()

    @tasks.task("mail")
    async def mail(payload: Any) -> None:
        pass

    await look.execute("select {s}.add_job('mail', $1::text::json)", f'{{"_trace": {field}}}')
    counts = await Runner(engine, tasks, interceptors=[spans.tracing]).run_once()
    assert counts.completed == 1
    assert links(spans.one("run_job mail")) == []
