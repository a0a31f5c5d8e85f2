"""orm_events.py: jobs that follow objects of a sync session, in a schema of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from gw_sqla import RunnerSettings, TaskRegistry, migrate
from gw_sqla.testing import SyncJobTester, rolled_back_sync_session


@pytest.fixture(scope="module")
def application(gw_sqla_database: str) -> Any:
    """The example, which reads its URL when it is imported, and its schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", gw_sqla_database)
        module = import_module("examples.orm_events")

    async def make_schema() -> None:
        engine = create_async_engine(gw_sqla_database)
        await migrate(engine, schema=module.SCHEMA)
        await engine.dispose()

    asyncio.run(make_schema())
    yield module
    module.rules.remove()


@pytest.fixture
def tasks(application: Any) -> TaskRegistry:
    tasks: TaskRegistry = application.tasks
    return tasks


@pytest.fixture
def job_tester_options(application: Any) -> dict[str, Any]:
    return {"settings": RunnerSettings(schema=application.SCHEMA)}


@pytest.fixture
def session(gw_sqla_database: str, application: Any) -> Iterator[Session]:
    engine = create_engine(make_url(gw_sqla_database).set(drivername="postgresql+psycopg"))
    with rolled_back_sync_session(engine) as session:
        application.Base.metadata.create_all(session.connection())
        session.commit()
        yield session
    engine.dispose()


def test_users_are_asked_whose_address_it_is(
    session: Session, sync_jobs: SyncJobTester, application: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = application.User(email="ada@example.com")
    session.add(ada)
    session.commit()
    sync_jobs.assert_added("verify_email", {"user_id": ada.id, "email": "ada@example.com"}, count=1)
    sync_jobs.run_jobs()
    assert capsys.readouterr().out == f"user {ada.id}: is ada@example.com yours?\n"

    ada.logins += 1
    session.commit()
    sync_jobs.refute_added("verify_email")
    ada.email = "oops"
    session.flush()
    session.rollback()
    sync_jobs.refute_added("verify_email")
