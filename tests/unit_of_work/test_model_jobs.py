"""ModelJobs: what is inserted, changed and deleted adds jobs, in one round trip for all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from gw_sqla import ConfigurationError, InvalidJobError, InvalidPayloadError, JobKeyMode, JobRepository, ModelJobs
from tests.repository.look import Look
from tests.unit_of_work.application import Customer, Order, ProcessOrder, process_order, tick
from tests.unit_of_work.conftest import Run

pytestmark = pytest.mark.anyio


@pytest.fixture
def rules(repo: JobRepository) -> Iterator[ModelJobs]:
    made = ModelJobs(repo)
    yield made
    made.remove()


async def added(look: Look) -> list[tuple[str, Any]]:
    """Task and payload of every job."""
    rows = await look.rows(
        "select task_identifier, payload::text from {s}.jobs join {s}._private_jobs using (id) order by id"
    )
    return [(row["task_identifier"], json.loads(row["payload"])) for row in rows]


async def test_inserts(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_insert(Order, process_order, lambda order: ProcessOrder(order_id=order.id, placed_at=order.placed_at))
    rules.on_insert(Order, "index", ["id", Order.item, "placed_at"], options={"queue_name": "index"})
    rules.on_insert(Order, tick)

    def body(session: Session) -> None:
        session.add_all([Order(item=f"item {number}") for number in range(50)])
        engine: Any = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
        session.flush()
        session.add(Order(item="one more"))
        session.commit()

    sent: list[str] = []
    async with look.notifications() as heard:
        await run(body)
    assert [notice["count"] for notice in heard] == [3 * 51]
    assert len([sql for sql in sent if "add_jobs" in sql]) == 1
    orders = await look.rows("select *, to_json(placed_at)->>0 as text from orders order by id")
    jobs = await added(look)
    processed = [ProcessOrder.model_validate(payload) for task, payload in jobs if task == "process_order"]
    assert processed == [ProcessOrder(order_id=order["id"], placed_at=order["placed_at"]) for order in orders]
    indexed = [payload for task, payload in jobs if task == "index"]
    assert [(one["id"], one["item"]) for one in indexed] == [(order["id"], order["item"]) for order in orders]
    assert all(one.keys() == {"id", "item", "placed_at"} for one in indexed)
    assert [payload for task, payload in jobs if task == "tick"] == [{}] * 51
    assert await look.value("select count(*) from {s}.jobs where queue_name = 'index'") == 51


async def test_changes_of_given_columns(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_update(Customer, "verify_email", ["id", "email"], columns=[Customer.email])
    rules.on_update(Customer, "any", ["name"])

    def body(session: Session) -> None:
        ada, grace = Customer(email="ada@a", name="Ada"), Customer(email="grace@a", name="Grace")
        session.add_all([ada, grace])
        session.commit()
        ada.name = "Ada L."
        grace.email = "grace@a"  # as it was
        session.commit()
        grace.email = "grace@b"
        session.flush()
        grace.email = "grace@c"
        session.commit()
        grace.orders.append(Order(item="tea"))
        session.commit()

    await run(body, expire_on_commit=False)
    assert await added(look) == [
        ("any", {"name": "Ada L."}),
        ("verify_email", {"id": 2, "email": "grace@c"}),
        ("any", {"name": "Grace"}),
    ]


async def test_a_value_that_was_not_loaded(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_update(Customer, "verify_email", ["email"], columns=["email"])

    def body(session: Session) -> None:
        session.add(Customer(email="ada@a"))
        session.commit()
        session.expire_all()
        [ada] = session.query(Customer)
        session.expire(ada)
        ada.email = "ada@b"
        session.commit()

    await run(body)
    assert await added(look) == [("verify_email", {"email": "ada@b"})]


async def test_deletes(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_delete(Order, "forget", ["id", "item"])
    rules.on_delete(Order, process_order, lambda order: ProcessOrder(order_id=order.id, placed_at=order.placed_at))

    def body(session: Session) -> None:
        session.add_all([Order(item="tea"), Order(item="coffee")])
        session.commit()
        for order in session.query(Order).order_by(Order.id):
            session.expire(order)
            session.delete(order)
        session.commit()

    await run(body)
    jobs = await added(look)
    assert [payload for task, payload in jobs if task == "forget"] == [
        {"id": 1, "item": "tea"},
        {"id": 2, "item": "coffee"},
    ]
    assert [payload["order_id"] for task, payload in jobs if task == "process_order"] == [1, 2]


async def test_what_is_undone_in_the_transaction(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_insert(Order, "inserted", ["item"])
    rules.on_delete(Order, "deleted", ["item"])

    def body(session: Session) -> None:
        session.add(tea := Order(item="tea"))
        savepoint = session.begin_nested()
        session.add(Order(item="rolled back"))
        session.flush()
        session.delete(tea)
        session.flush()
        savepoint.rollback()
        session.add(gone := Order(item="gone"))
        session.flush()
        session.delete(gone)
        session.commit()
        session.add(Order(item="never"))
        session.flush()
        session.rollback()
        session.commit()

    await run(body)
    assert await added(look) == [("inserted", {"item": "tea"}), ("deleted", {"item": "gone"})]


async def test_options_of_the_object(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_update(
        Customer,
        "greet",
        ["name"],
        options=lambda customer: {"job_key": f"greet-{customer.id}", "priority": customer.id},
        job_key_mode=JobKeyMode.PRESERVE_RUN_AT,
    )

    def body(session: Session) -> None:
        session.add(ada := Customer(name="Ada"))
        session.commit()
        for name in ("A", "B"):
            ada.name = name
            session.commit()

    await run(body)
    [job] = (await look.jobs()).values()
    assert (job["key"], job["priority"], job["revision"], job["payload"]) == ("greet-1", 1, 1, '{"name":"B"}')


async def test_a_payload_that_does_not_fit(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_insert(Order, process_order, ["item"])

    def body(session: Session) -> None:
        session.add(Order(item="tea"))
        with pytest.raises(InvalidPayloadError, match="order_id"):
            session.commit()
        session.rollback()

    await run(body)
    assert await look.value("select count(*) from orders") == 0


async def test_what_goes_past_the_unit_of_work(run: Run, rules: ModelJobs, look: Look) -> None:
    rules.on_update(Customer, "a")

    def body(session: Session) -> None:
        session.add(Customer(name="Ada"))
        session.flush()
        session.execute(update(Customer).values(name="Grace"))
        session.commit()

    await run(body)
    assert await added(look) == []


async def test_rules_that_cannot_be(rules: ModelJobs) -> None:
    bad: Any = rules
    with pytest.raises(ConfigurationError, match="'mail' is no column of Customer"):
        bad.on_insert(Customer, "a", ["mail"])
    with pytest.raises(ConfigurationError, match="'orders' is no column of Customer"):
        bad.on_update(Customer, "a", columns=[Customer.orders])
    with pytest.raises(ConfigurationError, match=r"give a list of names, \['email'\]"):
        bad.on_update(Customer, "a", columns="email")
    with pytest.raises(ConfigurationError, match="is not a mapped class"):
        bad.on_insert(ProcessOrder, "a")
    with pytest.raises(InvalidJobError, match=r"^priority"):
        bad.on_insert(Order, "a", options={"priority": "high"})
    with pytest.raises(InvalidJobError, match=r"^job_key_mode"):
        bad.on_insert(Order, "a", job_key_mode=JobKeyMode.REPLACE)
