"""What stands in the way: each is a page that says what happened and what to do, and nothing is half done."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext import asyncio as plain
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import call_asyncio
from gw_sqla.admin import ScanLimits
from gw_sqla.database.session import async_sessionmaker
from gw_sqla.schema.grants import apply_grants
from gw_sqla.web import dashboard, forms
from gw_sqla.web.screens import actions, attention
from tests.repository.look import Look
from tests.schema.roles import Role, temporary_role
from tests.support.proxy import start_proxy
from tests.support.server import Server
from tests.web.conftest import Open

pytestmark = pytest.mark.anyio

PAGES = ["/", "/jobs", "/jobs/1"]


@pytest.fixture
def role(server: Server, clean_database: str) -> Iterator[Role]:
    """A role without any rights."""
    with temporary_role(server, clean_database) as made:
        yield made


def says(page: httpx.Response, status: int, *texts: str) -> None:
    assert page.status_code == status, page.text
    assert "Traceback" not in page.text
    for text in texts:
        assert text in page.text


async def test_a_database_that_goes_away_and_comes_back(
    server: Server, clean_database: str, open_dashboard: Open, look: Look
) -> None:
    job = int(await look.value("select id from {s}.add_job('a')"))
    with start_proxy(sa.make_url(clean_database)) as proxy:
        engine = create_async_engine(proxy.url)
        browser = open_dashboard(sessions=async_sessionmaker(engine))
        try:
            assert (await browser.get("/jobs")).status_code == 200
            proxy.refuse()
            for path in PAGES:
                says(
                    await browser.get(path), 503, "The database cannot be reached", "works again when the database does"
                )
            done = await browser.post(f"/jobs/{job}/act", data={"action": "remove"})
            says(done, 503, "done whole or not at all")
            assert job in await look.jobs()
            proxy.listen()
            assert (await browser.get("/jobs")).status_code == 200
        finally:
            await call_asyncio(engine.dispose)


async def test_connections_that_are_killed(open_dashboard: Open, look: Look) -> None:
    browser = open_dashboard()
    assert (await browser.get("/jobs")).status_code == 200
    await look.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    says(await browser.get("/jobs"), 503, "The database cannot be reached")
    assert (await browser.get("/jobs")).status_code == 200


async def test_a_database_that_does_not_answer(
    open_dashboard: Open, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    await look.execute("select {s}.add_job('a')")
    browser, brief = open_dashboard(), open_dashboard(limits=ScanLimits(1000, timedelta(milliseconds=50)))
    for each in (browser, brief):
        assert (await each.get("/jobs")).is_success
    await look.execute("begin; lock table {s}._private_jobs in access exclusive mode")
    try:
        says(await brief.get("/jobs/1"), 503, "The database was too slow", "no answer within 50 ms")
        with monkeypatch.context() as patched:
            patched.setattr(dashboard, "_SECONDS", 0.5)
            says(await browser.get("/jobs/1"), 503, "The database did not answer in time")
    finally:
        await look.execute("rollback")
    assert (await browser.get("/jobs")).status_code == 200


async def test_no_schema(open_dashboard: Open) -> None:
    for path in PAGES:
        says(
            await open_dashboard(schema="nowhere").get(path),
            503,
            "There is no worker schema here",
            "run: python -m gw_sqla migrate --schema nowhere",
        )


async def test_a_schema_that_is_behind(open_dashboard: Open, look: Look) -> None:
    """What is there can be looked at; the page says what lacks."""
    await look.execute("select {s}.add_job('a')")
    [version] = await look.rows("select version_num from {s}._private_sqla_alembic_version")
    await look.execute("update {s}._private_sqla_alembic_version set version_num = '0004'")
    try:
        for path in ("/", "/jobs"):
            says(
                await open_dashboard().get(path),
                200,
                "Not everything can be shown and done",
                "python -m gw_sqla migrate",
            )
    finally:
        await look.execute("update {s}._private_sqla_alembic_version set version_num = $1", version["version_num"])


async def test_a_schema_of_a_peer(open_dashboard: Open, look: Look) -> None:
    """Without what is gw_sqla's alone: no register of workers, no pauses, no audit."""
    await look.execute("select {s}.add_job('a')")
    await look.execute("alter schema {s} rename to away")
    await look.execute("create schema graphile_worker")
    peers = ("jobs", "job_queues", "tasks", "known_crontabs")
    try:
        for table in peers:
            await look.execute(f"alter table away._private_{table} set schema graphile_worker")
        await look.execute("alter table away.migrations set schema graphile_worker")
        for path in ("/", "/jobs", "/jobs?filter=state:ready&order=turn"):
            says(await open_dashboard().get(path), 200, "gw_sqla has not migrated schema")
        job = await look.value("select min(id) from graphile_worker._private_jobs")
        says(await open_dashboard().get(f"/jobs/{job}"), 200)
        says(await open_dashboard().post(f"/jobs/{job}/act", data={"action": "retry"}), 503, "_private_sqla_audit")
    finally:
        for table in peers:
            await look.execute(f"alter table graphile_worker._private_{table} set schema away")
        await look.execute("alter table graphile_worker.migrations set schema away")
        await look.execute("drop schema graphile_worker")
        await look.execute("alter schema away rename to graphile_worker")


async def test_a_schema_that_is_too_new(open_dashboard: Open, look: Look) -> None:
    await look.execute("insert into {s}.migrations (id, breaking) values (99, true)")
    try:
        for path in PAGES:
            says(await open_dashboard().get(path), 503, "newer than this version", "upgrade gw_sqla")
    finally:
        await look.execute("delete from {s}.migrations where id = 99")


async def test_a_role_that_may_only_read(role: Role, clean_database: str, open_dashboard: Open, look: Look) -> None:
    job = int(await look.value("select id from {s}.add_job('a')"))
    engine = role.engine(clean_database)
    owner = create_async_engine(clean_database)
    try:
        browser = open_dashboard(sessions=async_sessionmaker(engine))
        says(await browser.get("/jobs"), 403, "The database role lacks a right", "python -m gw_sqla grants")
        await apply_grants(owner, role.name, as_="reader")
        says(await browser.get("/jobs"), 200)
        says(await browser.get(f"/jobs/{job}"), 200)
        before = await look.jobs()
        for action in ("retry", "remove", "copy"):
            says(
                await browser.post(f"/jobs/{job}/act", data={"action": action}),
                403,
                "The database role lacks a right",
                "Nothing was done.",
            )
        assert await look.jobs() == before
    finally:
        await call_asyncio(engine.dispose)
        await call_asyncio(owner.dispose)


async def test_a_standby(clean_database: str, open_dashboard: Open, look: Look) -> None:
    job = int(await look.value("select id from {s}.add_job('a')"))
    settings = {"server_settings": {"default_transaction_read_only": "on"}}
    engine = create_async_engine(clean_database, connect_args=settings)
    try:
        browser = open_dashboard(sessions=async_sessionmaker(engine))
        for path in ("/", "/jobs", f"/jobs/{job}"):
            says(await browser.get(path), 200)
        says(
            await browser.post(f"/jobs/{job}/act", data={"action": "remove"}),
            403,
            "The database takes no changes here",
            "Connect the dashboard to the primary",
        )
        assert job in await look.jobs()
    finally:
        await call_asyncio(engine.dispose)


async def test_what_nobody_expected(
    open_dashboard: Open, look: Look, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the log, under a number; the page has the number, and nothing of it."""
    browser = open_dashboard()

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("geheim")

    monkeypatch.setattr("gw_sqla.admin.Admin.list_jobs", broken)
    with caplog.at_level(logging.ERROR, "gw_sqla.web"):
        page = await browser.get("/jobs")
    says(page, 500, "Something unexpected happened")
    assert "geheim" not in page.text
    number = page.text.partition("as error ")[2][:8]
    assert number in caplog.text
    assert "RuntimeError: geheim" in caplog.text


async def test_a_clock_that_is_wrong(open_dashboard: Open, look: Look) -> None:
    """The database's own time says what is due; what is far away or endless has a page all the same."""
    await look.execute("select {s}.add_job('a')")
    for moment in ("infinity", "-infinity", "294275-01-01", "4713-01-01 BC", "9999-12-31 23:59:59Z"):
        await look.execute(f"update {{s}}._private_jobs set run_at = '{moment}'")
        if "infinity" in moment:
            await look.execute(f"update {{s}}._private_jobs set created_at = '{moment}'")
        job = await look.value("select max(id) from {s}._private_jobs")
        for path in ("/", "/jobs?column=created_at&column=run_at", f"/jobs/{job}", "/jobs.csv"):
            says(await open_dashboard().get(path), 200)


async def test_a_clock_of_this_machine_that_is_wrong(
    open_dashboard: Open, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for how long, and when "in ten minutes" is, goes by the database's clock."""

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=1)

    for module in (actions, attention):
        monkeypatch.setattr(module, "datetime", Tomorrow)
    job = await look.value("select id from {s}.add_job('a')")
    browser = open_dashboard()
    assert "The oldest ready job" not in (await browser.get("/")).text
    for path, form in ((f"/jobs/{job}/act", {}), ("/jobs/act", {"ids": str(job)})):
        done = await browser.post(path, data={"action": "reschedule", "run_at": "10m", **form})
        assert done.status_code == 303
        wait = await look.value("select run_at - now() from {s}._private_jobs")
        assert timedelta(0) < wait <= timedelta(minutes=10)


async def test_a_form_that_does_not_come(open_dashboard: Open, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "_SECONDS", 0.1)

    async def body() -> AsyncIterator[bytes]:
        yield b"reason="
        await anyio.sleep_forever()

    kind = {"content-type": "application/x-www-form-urlencoded"}
    dashboard = open_dashboard()
    says(await dashboard.post("/workers/pause", content=body(), headers=kind), 408, "did not come within")


async def test_somebody_who_leaves(open_dashboard: Open, look: Look) -> None:
    """A request that is cancelled gives its connection back, and those who wait for the same value have it."""
    browser = open_dashboard()
    await look.execute("begin; lock table {s}._private_jobs in access exclusive mode")
    with anyio.move_on_after(0.3):
        await browser.get("/")
    await look.execute("rollback")
    assert (await browser.get("/")).status_code == 200


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_plain_session_of_sqlalchemy(open_dashboard: Open, clean_database: str) -> None:
    engine = create_async_engine(clean_database)
    try:
        says(await open_dashboard(sessions=plain.async_sessionmaker(engine)).get("/jobs"), 200)
    finally:
        await engine.dispose()
