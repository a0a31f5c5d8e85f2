"""The application that the tests of this folder stand for: its models, its tasks, its payload types."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import BigInteger, DateTime, ForeignKey, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship

from gw_sqla import TaskRegistry
from gw_sqla.models import Job

TABLES = """
create table customers (id integer generated always as identity primary key, email text unique, name text);
create table orders (
  id integer generated always as identity primary key,
  item text not null unique,
  placed_at timestamptz not null default now(),
  customer_id integer references customers,
  job_id bigint
);
"""


class Base(DeclarativeBase):
    """The application's own models."""


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(Text)
    placed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped[Customer | None] = relationship(back_populates="orders")
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    job: Mapped[Job | None] = relationship(Job, primaryjoin=lambda: foreign(Order.job_id) == Job.id, viewonly=True)


class ProcessOrder(BaseModel):
    order_id: int
    placed_at: datetime | None = None


tasks = TaskRegistry()


@tasks.task("process_order")
async def process_order(payload: ProcessOrder) -> None:
    """Nothing to do: only added here."""


@tasks.task("tick")
async def tick() -> None:
    """Takes no payload."""
