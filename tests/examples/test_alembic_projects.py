"""examples/alembic_*: three ways to live with a user's Alembic, each run as a user runs it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla.schema.check import check_schema
from gw_sqla.schema.migrations import migrate
from gw_sqla.schema.supported_revisions import HEAD
from tests.examples.support import ROOT, environment, rows
from tests.schema.catalog import Catalog, read_at
from tests.support.forks import run_program
from tests.support.server import Server, execute

JOBS = "select task_identifier, queue_name from graphile_worker.jobs order by id"


@dataclass(frozen=True)
class Project:
    """A copy of an example, and a new database."""

    folder: Path
    url: str

    @property
    def way(self) -> str:
        """Which example it is."""
        return self.folder.name.removeprefix("alembic_")

    def run(self, *command: str) -> str:
        """Run ``python -m ...`` in the project and return what it printed."""
        done = run_program(*command, env=environment(self.url), cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def upgrade(self) -> None:
        """Bring queue and application to their newest revisions, as the example says."""
        if self.way == "separate":
            self.run("gw_sqla", "migrate")
        self.run("alembic", "upgrade", "heads")

    def execute(self, sql: str) -> None:
        asyncio.run(execute(self.url, sql))

    def catalogs(self) -> tuple[Catalog, Catalog]:
        """The worker schema and the application's."""
        return asyncio.run(read_at(self.url)), asyncio.run(read_at(self.url, "public"))


@pytest.fixture(params=["separate", "linear", "branch"])
def project(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Project]:
    name = f"alembic_{request.param}"
    folder = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    url = server.create_database()
    yield Project(folder, url)
    server.drop_database(url)


def test_up_and_down(project: Project) -> None:
    project.upgrade()
    project.execute("insert into orders (item) values ('tea'), ('nothing')")
    assert asyncio.run(rows(project.url, JOBS)) == [("process_order", "orders of tea")]
    project.execute("delete from graphile_worker._private_jobs")
    project.run("alembic", "downgrade", "base")
    if project.way == "separate":
        project.run("gw_sqla", "downgrade", "--yes")
    worker, application = project.catalogs()
    assert worker == Catalog()
    assert set(application.relations) == {"alembic_version"}


def test_autogenerate_is_clean(project: Project) -> None:
    project.upgrade()
    project.run("alembic", "check")
    project.execute("do $$ begin execute format('alter database %I set search_path = public, graphile_worker', "
                    "current_database()); end $$")  # fmt: skip
    project.run("alembic", "check")
    head = ["--head", "orders@head"] if project.way == "branch" else []
    project.run("alembic", "revision", "--autogenerate", "--rev-id", "orders_99", "-m", "nothing", *head)
    written = (project.folder / "versions" / "orders_99_nothing.py").read_text()
    assert written.count("    pass\n") == 2


def test_offline_is_the_same(project: Project, server: Server) -> None:
    script = project.run("alembic", "upgrade", "heads", "--sql")
    if project.way == "separate":
        script = project.run("gw_sqla", "migrate", "--sql") + script
    project.execute(script)
    project.run("alembic", "check")
    offline = project.catalogs()
    other = Project(project.folder, server.create_database())
    try:
        other.upgrade()
        assert offline == other.catalogs()
    finally:
        server.drop_database(other.url)


def test_a_worker_finds_what_it_needs(project: Project) -> None:
    if project.way == "linear":  # as after an upgrade of gw_sqla, if the example's history is older than that
        project.run("gw_sqla", "revision")
    project.upgrade()

    async def check() -> str | None:
        return (await check_schema(create_async_engine(project.url, poolclass=NullPool))).version

    assert asyncio.run(check()) == HEAD


def test_a_pinned_history_leads_to_the_same_schema_for_ever(project: Project, server: Server) -> None:
    if project.way != "linear":
        pytest.skip("follows gw_sqla's newest revision")
    project.run("alembic", "upgrade", "orders_03")  # what the history was before gw_sqla's revision 0003
    url = server.create_database()
    asyncio.run(migrated(url))
    try:
        assert project.catalogs()[0] == asyncio.run(read_at(url))
    finally:
        server.drop_database(url)


async def migrated(url: str) -> None:
    await migrate(create_async_engine(url, poolclass=NullPool), revision="0002")
