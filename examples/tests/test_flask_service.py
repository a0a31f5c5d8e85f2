"""flask_service.py: requests by a sync session, jobs with async handlers, in the transaction of the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from examples.flask_service import confirm_order, create_app, db
from examples.flask_service import tasks as tasks_of_service
from gw_sqla import TaskRegistry
from gw_sqla.testing import SyncJobTester


@pytest.fixture
def tasks() -> TaskRegistry:
    return tasks_of_service


@pytest.fixture
def client(gw_sqla_database: str) -> Iterator[FlaskClient]:
    """The application, whose sessions join a transaction: Flask-SQLAlchemy's recipe for tests."""
    app = create_app(gw_sqla_database)
    with app.app_context():
        engines: Any = db.engines
        engine = engines[None]
        with engine.connect() as connection:
            connection.begin()
            engines[None] = connection
            db.session.remove()
            db.session.configure(join_transaction_mode="create_savepoint")
            yield app.test_client()
            db.session.remove()
        engines[None] = engine
        engine.dispose()


@pytest.fixture
def session(client: FlaskClient) -> Any:
    """What the fixture sync_jobs works with."""
    return db.session


def test_an_order_is_confirmed(client: FlaskClient, sync_jobs: SyncJobTester) -> None:
    order_id = client.post("/orders", json={"item": "tea", "quantity": 2}).get_json()["id"]
    sync_jobs.assert_added(confirm_order, {"order_id": order_id}, count=1)
    db.session.remove()  # each request has a session of its own; a test with one context for all ends it
    sync_jobs.run_jobs()
    assert client.get(f"/orders/{order_id}").get_json() == {"state": "confirmed"}


def test_a_refused_order_leaves_no_job(client: FlaskClient, sync_jobs: SyncJobTester) -> None:
    assert client.post("/orders", json={"item": "tea", "quantity": 99}).status_code == 409
    sync_jobs.refute_added(confirm_order)
