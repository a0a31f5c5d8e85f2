"""``quickstart``: a tour of gw_sqla on a PostgreSQL of its own. Read it as an example.

A shop stores orders. Each order needs two jobs: one confirms it, one sends a receipt. The order and its
jobs are added in one transaction, so that there is never one without the other. Every line that the tour
prints is what the database said; where that is not what a reader would expect, the tour ends with an error.
"""

from __future__ import annotations

import importlib.util
import logging
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta

import anyio
import click
from pydantic import BaseModel
from sqlalchemy import URL, func, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gw_sqla import (
    AsyncSession,
    JobContext,
    JobRepository,
    Observer,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
    database_loop,
    migrate,
)
from gw_sqla.cli.options import debug_option
from gw_sqla.database.embedded import embedded_postgres
from gw_sqla.jobs.outcomes import Completed, Failed

__all__ = ["command"]


# The application: a table, the tasks, and a repository to add jobs with.


class Base(DeclarativeBase):
    """The application's models; gw_sqla's own tables are not among them."""


class Order(Base):
    """An order of a customer."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    is_confirmed: Mapped[bool] = mapped_column(default=False)
    receipt_sent: Mapped[bool] = mapped_column(default=False)


class OrderPlaced(BaseModel):
    """The payload of both tasks; it is checked when a job is added and again when it runs."""

    order_id: int


tasks = TaskRegistry()
jobs = JobRepository()


@tasks.task("confirm_order")
async def confirm_order(payload: OrderPlaced, ctx: JobContext) -> None:
    """Confirm the order, in a transaction of the handler's own."""
    async with ctx.session() as session:
        order = await session.get_one(Order, payload.order_id)
        order.is_confirmed = True


@tasks.task("send_receipt", backoff=lambda attempts: timedelta(seconds=attempts))
async def send_receipt(payload: OrderPlaced, ctx: JobContext) -> None:
    """Send the receipt; the first attempt fails. What a handler raises is the reason for its retry."""
    if ctx.job.attempts == 1:
        raise ConnectionError("the mail server did not answer")
    async with ctx.session() as session:
        order = await session.get_one(Order, payload.order_id)
        order.receipt_sent = True


async def place_order(session: AsyncSession, customer: str) -> Order:
    """Add an order and its jobs to the caller's transaction."""
    order = Order(customer=customer)
    session.add(order)
    await session.flush()  # gives the order its id
    await jobs.add_job(session, confirm_order, OrderPlaced(order_id=order.id))
    await jobs.add_job(session, send_receipt, OrderPlaced(order_id=order.id))
    return order


# The tour: the same functions on asyncio and on trio.


async def tour(url: URL) -> None:
    """Place one order, change our mind about another, run the jobs; look at the database after each step."""
    async with database_loop():  # trio needs it for the database driver; on asyncio it does nothing
        engine = create_async_engine(url)
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        try:
            await commit(sessions)
            await roll_back(sessions)
            watcher = Watcher()
            settings = RunnerSettings(poll_interval=timedelta(milliseconds=100))
            with anyio.move_on_after(30):  # what did not happen by then shows in the next look
                async with Runner(engine, tasks, settings, observers=[watcher]):
                    await fail(sessions, watcher)
                    await watcher.all_completed.wait()
            await end(sessions)
        finally:
            await call_asyncio(engine.dispose)


async def commit(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Commit an order and its jobs together."""
    async with sessions.begin() as session:
        order = await place_order(session, "Ada")
    seen = await look(sessions)
    tell(f"{order.customer}'s order and its jobs were committed together. The database has: {seen}.")
    expect(seen, Seen(orders=1, confirmed=0, receipts=0, jobs=2))


async def roll_back(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Add another order with its jobs, and roll the transaction back."""
    async with sessions() as session:
        order = await place_order(session, "Bob")
        inside = await count(session)
        await session.rollback()
    after = await look(sessions)
    tell(
        f"{order.customer}'s order and its jobs were rolled back together. "
        f"Inside the transaction: {inside}; after it: {after}."
    )
    expect(inside, Seen(orders=2, confirmed=0, receipts=0, jobs=4))
    expect(after, Seen(orders=1, confirmed=0, receipts=0, jobs=2))


async def fail(sessions: async_sessionmaker[AsyncSession], watcher: Watcher) -> None:
    """Wait until a worker has tried to send the receipt, and read what it left in the job."""
    await watcher.receipt_failed.wait()
    async with sessions() as session:
        found = await jobs.list_jobs(session, task=send_receipt)
    for job in found:
        tell(
            f"A worker started. {job.task_identifier} failed: {job.last_error}. "
            f"Attempt {job.attempts} of {job.max_attempts}; the next is at {job.run_at:%H:%M:%S}."
        )
    expect([(job.attempts, job.last_error) for job in found], [(1, "ConnectionError: the mail server did not answer")])


async def end(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Look at what is left when the jobs are done."""
    seen = await look(sessions)
    tell(f"{send_receipt.identifier} was tried again. The worker has stopped. The database has: {seen}.")
    expect(seen, Seen(orders=1, confirmed=1, receipts=1, jobs=0))


class Watcher(Observer):
    """Is told by the worker what became of jobs, after the commit of each."""

    def __init__(self) -> None:
        self.receipt_failed = anyio.Event()
        self.all_completed = anyio.Event()
        self._left = set(tasks)

    async def job_failed(self, outcome: Failed) -> None:
        """Note that the receipt could not be sent."""
        if outcome.job.task_identifier == send_receipt.identifier:
            self.receipt_failed.set()

    async def job_completed(self, outcome: Completed) -> None:
        """Note the last of the two."""
        self._left.discard(outcome.job.task_identifier)
        if not self._left:
            self.all_completed.set()


@dataclass(frozen=True)
class Seen:
    """What the database has."""

    orders: int
    confirmed: int
    receipts: int
    jobs: int

    def __str__(self) -> str:
        return f"orders {self.orders}, confirmed {self.confirmed}, receipts sent {self.receipts}, jobs {self.jobs}"


async def look(sessions: async_sessionmaker[AsyncSession]) -> Seen:
    """Count in a new transaction, which sees what is committed."""
    async with sessions() as session:
        return await count(session)


async def count(session: AsyncSession) -> Seen:
    """Count orders and jobs as this transaction sees them."""
    confirmed = func.count().filter(Order.is_confirmed)
    receipts = func.count().filter(Order.receipt_sent)
    row = (await session.execute(select(func.count(), confirmed, receipts).select_from(Order))).one()
    by_state = await jobs.count_jobs_by_state(session)
    return Seen(orders=row[0], confirmed=row[1], receipts=row[2], jobs=sum(by_state.values()))


def tell(sentence: str) -> None:
    """Print one step of the tour."""
    click.echo(f"  - {sentence}")


def expect(seen: object, expected: object) -> None:
    """End the tour, with an error, when something else happened than what a reader would expect."""
    if seen != expected:
        raise click.ClickException(f"this is not what should have happened: expected {expected}, found {seen}")


# The command: a server, a schema, and the tour on both event loops.


@click.command()
@click.option(
    "--serve",
    is_flag=True,
    help="No tour: open a shop that is always busy, with the dashboard, for everybody on this machine, until Ctrl-C.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, metavar="N", help="Where --serve listens.")
@debug_option
def command(serve: bool, port: int) -> None:
    """Take a tour, on a PostgreSQL of its own.

    Commits an order and its jobs together, rolls another back, runs the jobs, and lets one fail and be
    retried: on asyncio and on trio. Takes some seconds and leaves nothing behind. Needs the extras:
    pip install 'gw-sqla[embedded,trio]'; and for --serve: pip install 'gw-sqla[embedded,web]'
    """
    if serve:
        open_the_shop(port)
        return
    logging.basicConfig(format="    log of the worker: %(message)s", stream=sys.stdout)
    for name in {"SIGTERM", "SIGHUP"}.intersection(signal.Signals.__members__):
        # As Ctrl-C, which the event loops turn into a cancellation: an exception out of nowhere could get lost in them.
        signal.signal(signal.Signals[name], lambda *_: signal.raise_signal(signal.SIGINT))
    with embedded_postgres() as url:
        for backend in ("asyncio", "trio"):
            if backend == "trio" and importlib.util.find_spec("trio") is None:
                click.echo("\nOn trio: left out, it needs the extra: pip install 'gw-sqla[trio]'")
                continue
            click.echo(f"\nOn {backend}:")
            anyio.run(prepare, url)
            anyio.run(tour, url, backend=backend)
    click.echo("\nAll of it happened as it should. The code of this tour: gw_sqla/cli/quickstart.py")


def open_the_shop(port: int) -> None:
    """Serve the dashboard of ``gw_sqla.cli.demo``'s shop, on a loopback address."""
    if importlib.util.find_spec("starlette") is None:
        raise click.UsageError("--serve needs the extras: pip install 'gw-sqla[embedded,web]'")
    from gw_sqla.cli.demo import show_shop
    from gw_sqla.web.serving import open_socket

    logging.basicConfig(level=logging.CRITICAL)  # its jobs fail on purpose: the dashboard shows it
    with open_socket("127.0.0.1", port) as listener, embedded_postgres() as url:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def tell_address() -> None:
            click.echo(f"A shop is open, and busy. Its dashboard: {address}   (Ctrl-C ends it; nothing is left behind)")
            click.echo("Its code: gw_sqla/cli/demo.py")
            sys.stdout.flush()

        anyio.run(prepare, url)
        anyio.run(show_shop, url, listener, tell_address)


async def prepare(url: URL) -> None:
    """Migrate the worker schema, as ``python -m gw_sqla migrate`` does, and make an empty table of orders."""
    engine = create_async_engine(url)
    report = await migrate(engine)
    async with engine.begin() as connection:
        version = await connection.scalar(text("show server_version"))
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    tell(f"PostgreSQL {version} is running; {report}.")
