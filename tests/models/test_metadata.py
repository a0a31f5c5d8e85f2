"""The models keep to themselves: a user's MetaData and autogenerate never meet them."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column

from gw_sqla import AsyncSession, async_sessionmaker
from gw_sqla.models import Job, JobQueue, JobView, KnownCrontab, Task, WorkerBase
from gw_sqla.types import DEFAULT_SCHEMA


class Base(DeclarativeBase):
    """The application's own models."""


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


def test_a_users_metadata_does_not_hold_ours() -> None:
    configure_mappers()
    assert set(Base.metadata.tables) == {"orders"}
    assert set(WorkerBase.metadata.tables) == {
        f"{DEFAULT_SCHEMA}.{model.__tablename__}" for model in (Job, JobQueue, JobView, KnownCrontab, Task)
    }


@pytest.mark.anyio
async def test_autogenerate_sees_nothing_to_do(sessions: async_sessionmaker[AsyncSession]) -> None:
    def compare(session: Any) -> Any:
        return compare_metadata(MigrationContext.configure(session.connection()), Base.metadata)

    async with sessions() as session:
        assert await session.run_sync(compare) == []
