"""A shop that is always busy, to look at in the dashboard: ``quickstart --serve`` runs it. Read it as an example.

Its jobs succeed, fail and are tried again, fail for good, wait for their queue or their hour, repeat by cron, take
their time, are paused; of one task, nobody runs them. What happens is drawn by lot, alike each time.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import anyio
from pydantic import BaseModel, Field
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import (
    AsyncSession,
    CronItem,
    JobContext,
    JobRepository,
    JobSpec,
    Runner,
    RunnerSettings,
    TaskRegistry,
    async_sessionmaker,
    call_asyncio,
    database_loop,
)
from gw_sqla.admin import Admin
from gw_sqla.web import ALL_RIGHTS, Dashboard, Viewer
from gw_sqla.web.guards import OnlyHosts
from gw_sqla.web.serving import serve

__all__ = ["CRONTAB", "keep_busy", "open_shop", "show_shop", "tasks"]

_NAMES = frozenset({"localhost", "127.0.0.1"})

tasks = TaskRegistry()
jobs = JobRepository()
_lot = random.Random(7)  # noqa: S311 - for a demonstration


class Size(StrEnum):
    """Of a picture."""

    THUMBNAIL = "thumbnail"
    PAGE = "page"
    PRINT = "print"


class Address(BaseModel):
    """Where something is sent."""

    street: str
    city: str
    country: Annotated[str, Field(pattern="^[A-Z]{2}$", description="Two letters, such as FR")] = "FR"


class Shipment(BaseModel):
    """A parcel to be sent."""

    order_id: Annotated[int, Field(ge=1, description="The order that is sent")]
    to: Address
    express: bool = False
    not_before: date | None = None
    weight_kg: Annotated[float, Field(gt=0, le=30)] = 1.0
    labels: list[str] = []


class Charge(BaseModel):
    """Money to be taken from a card."""

    order_id: int
    cents: Annotated[int, Field(gt=0)]


class Picture(BaseModel):
    """A picture to be made smaller."""

    name: str
    size: Size = Size.PAGE


class Customer(BaseModel):
    """A customer whose data has changed."""

    customer_id: int


@tasks.task("charge_card", backoff=lambda attempts: timedelta(seconds=20 * attempts))
async def charge_card(payload: Charge) -> None:
    """Take the money. The bank is slow at times, and some cards are refused."""
    await anyio.sleep(_lot.uniform(0.05, 0.4))
    if payload.order_id % 6 == 0:
        raise TimeoutError(f"the bank did not answer for order {payload.order_id} within 3.0 s")
    if payload.order_id % 35 == 0:
        raise PermissionError(f"card of order {payload.order_id} refused: code 51")


@tasks.task("send_receipt", backoff=lambda attempts: timedelta(seconds=5 * attempts))
async def send_receipt(payload: Charge, ctx: JobContext) -> None:
    """Send the receipt; the first attempt fails for some."""
    await anyio.sleep(0.1)
    if ctx.job.attempts == 1 and payload.order_id % 4 == 0:
        raise ConnectionError("the mail server closed the connection")


@tasks.task("resize_picture", timeout=timedelta(seconds=30))
async def resize_picture(payload: Picture) -> None:
    """Make a picture smaller, which takes some seconds."""
    await anyio.sleep(_lot.uniform(2, 6))


@tasks.task("sync_customer")
async def sync_customer(payload: Customer) -> None:
    """Tell other systems of a customer; one customer's jobs run one at a time, in a queue."""
    await anyio.sleep(_lot.uniform(0.5, 2))


@tasks.task("ship_order")
async def ship_order(payload: Shipment) -> None:
    """Print the label and call the carrier."""
    await anyio.sleep(0.3)


@tasks.task("daily_report")
async def daily_report(payload: dict[str, object]) -> None:
    """Add up what was sold."""
    await anyio.sleep(1)


CRONTAB = (
    CronItem("daily_report", "*/2 * * * *", id="sales_by_minute", payload={"of": "sales"}),
    CronItem("daily_report", "30 6 * * *", id="morning_report", tz="Europe/Paris", payload={"of": "stock"}),
    CronItem("daily_report", "0 3 * * 0", id="weekly_report", fill=timedelta(days=1)),
)


def _order(number: int) -> Iterator[JobSpec]:
    """The jobs of an order."""
    charge = Charge(order_id=number, cents=_lot.randrange(500, 20_000))
    address = Address(street=f"{number} rue des Lilas", city=_lot.choice(("Lyon", "Nantes", "Lille")))
    yield charge_card.spec(charge, max_attempts=3)
    yield send_receipt.spec(charge)
    yield sync_customer.spec(Customer(customer_id=number % 5), queue_name=f"customer:{number % 5}")
    shipment = Shipment(order_id=number, to=address, express=number % 3 == 0)
    yield ship_order.spec(shipment, run_at=datetime.now(UTC) + timedelta(hours=number % 48 + 1), priority=number % 3)
    if number % 2 == 0:
        yield resize_picture.spec(Picture(name=f"order-{number}.png"), flags=["slow"])


async def open_shop(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Add what is there when the shop opens: orders, failures of yesterday, a task that nobody runs, pauses."""
    admin = Admin()
    async with sessions.begin() as session:
        for number in range(1, 41):
            await jobs.add_jobs(session, list(_order(number)))
        lost = [JobSpec(task_identifier="export_to_erp", payload={"order_id": number}) for number in range(1, 13)]
        await jobs.add_jobs(session, lost)
        for number in range(1, 41):
            for task, error in _errors_of_yesterday(number):
                job = await jobs.add_job(session, task, {"order_id": number, "cents": 100 * number})
                await jobs.permanently_fail_jobs(session, [job.id], error)
        until = await admin.now(session) + timedelta(hours=2)
        await admin.pause(session, task=ship_order, reason="the carrier is on strike", paused_by="ada")
        await admin.pause(
            session, queue_name="customer:3", until=until, reason="two accounts are merged", paused_by="bob"
        )


def _errors_of_yesterday(number: int) -> Iterator[tuple[str, str]]:
    if number % 2 == 0:
        yield "charge_card", f"TimeoutError: the bank did not answer for order {number} within 3.0 s"
    if number % 7 == 0:
        yield "charge_card", f"PermissionError: card of order {number} refused: code 51"
    if number % 9 == 0:
        yield "send_receipt", f"ValueError: 'customer-{number}@example' is no address"


async def keep_busy(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Place an order every second or two, until cancelled."""
    number = 100
    while True:
        async with sessions.begin() as session:
            await jobs.add_jobs(session, list(_order(number)))
        number += 1
        await anyio.sleep(_lot.uniform(0.5, 2))


async def show_shop(url: URL, listener: socket.socket, tell: Callable[[], object], backend: str = "asyncio") -> None:
    """Serve the dashboard of a shop that is open, at a schema that was migrated, until a signal.

    Without a password: what is shown is made up, and the application answers to names of this machine only.
    """
    everybody = Viewer(ALL_RIGHTS, "you")
    settings = RunnerSettings(concurrency=6, crontab=CRONTAB, grace_period=timedelta(seconds=2))
    async with database_loop():
        engine = create_async_engine(url)
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        dashboard = Dashboard(
            sessions, access=lambda _: everybody, tasks=tasks, crontab=CRONTAB, interval=timedelta(seconds=2)
        )
        try:
            await open_shop(sessions)
            async with Runner(engine, tasks, settings), anyio.create_task_group() as group:
                group.start_soon(keep_busy, sessions)
                tell()
                await serve(OnlyHosts(dashboard, _NAMES), listener, backend)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await call_asyncio(engine.dispose)
