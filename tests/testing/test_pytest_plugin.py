"""The plugin as a user has it: in a pytest of its own, with each plugin that runs async tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

SHOP = """
    from gw_sqla import AsyncSession, TaskRegistry

    tasks = TaskRegistry()

    class Mailer:
        def __init__(self):
            self.sent = []

    @tasks.resource
    def mailer() -> Mailer:
        raise AssertionError("the tests give another")

    @tasks.task("mail")
    async def mail(payload: str, mailer: Mailer) -> None:
        mailer.sent.append(payload)
"""

CONFTEST = """
    <imports>
    import pytest
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine
    from gw_sqla import call_asyncio, database_loop
    from gw_sqla.testing import rolled_back_session, rolled_back_sync_session
    from shop import Mailer

    URL = "<url>"

    @<fixture>
    async def db():
        async with database_loop():
            engine = create_async_engine(URL)
            async with rolled_back_session(engine) as session:
                yield session
            await call_asyncio(engine.dispose)

    @pytest.fixture
    def sync_db():
        engine = create_engine(URL.replace("asyncpg", "psycopg"))
        with rolled_back_sync_session(engine) as session:
            yield session
        engine.dispose()

    @pytest.fixture
    def fake_mailer():
        return Mailer()

    @pytest.fixture
    def job_tester_options(fake_mailer):
        return {"resources": {Mailer: fake_mailer}}
"""

INI = """
    [pytest]
    gw_sqla_session = db
    gw_sqla_sync_session = sync_db
    gw_sqla_tasks = shop:tasks
    filterwarnings = error
"""

TESTS = """
    <imports>
    from gw_sqla import JobRepository
    from shop import mail

    <mark>
    async def test_jobs(db, jobs, fake_mailer):
        await JobRepository().add_job(db, mail, "ada")
        await jobs.assert_added(mail, "ada", count=1)
        await jobs.run_jobs()
        assert fake_mailer.sent == ["ada"]

    <mark>
    async def test_nothing_is_left(db, jobs):
        await jobs.refute_added(mail)
        assert await JobRepository().list_jobs(db) == []

    <mark>
    async def test_forgets_to_await(jobs):
        jobs.assert_added(mail, "never")

    <mark>
    async def test_fails(db, jobs):
        await JobRepository().add_job(db, mail, "ada")
        await jobs.assert_added(mail, "grace")
"""

SYNC_TESTS = """
    from gw_sqla import SyncJobRepository
    from shop import mail

    def test_sync(sync_db, sync_jobs, fake_mailer):
        SyncJobRepository().add_job(sync_db, mail, "grace")
        sync_jobs.run_jobs()
        assert fake_mailer.sent == ["grace"]
"""


class Suite:
    """A suite in a folder of its own, run in a process of its own."""

    def __init__(self, pytester: pytest.Pytester, url: str) -> None:
        self.pytester = pytester
        self.url = url
        self.write("shop", SHOP)
        self.pytester.makeini(textwrap.dedent(INI))

    def write(self, name: str, text: str, **values: str) -> None:
        for token, value in values.items():
            text = text.replace(f"<{token}>", value)
        self.pytester.makepyfile(**{name: textwrap.dedent(text)})

    def run(self, *arguments: str, plugin: str = "anyio") -> pytest.RunResult:
        """Run it with one plugin that runs async tests."""
        left_out = [part for other in ("anyio", "asyncio", "trio") if other != plugin for part in ("-p", f"no:{other}")]
        if plugin == "asyncio":
            left_out += ["-o", "asyncio_default_fixture_loop_scope=function"]
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *left_out, *arguments, timeout=120)


@pytest.fixture
def suite(pytester: pytest.Pytester, clean_database: str, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Suite(pytester, clean_database)


@pytest.mark.parametrize(
    ("plugin", "imports", "fixture"),
    [
        ("anyio", "import pytest", "pytest.fixture"),
        ("asyncio", "import pytest, pytest_asyncio", "pytest_asyncio.fixture"),
        ("trio", "import pytest", "pytest.fixture"),
    ],
)
def test_each_plugin_of_async_tests(suite: Suite, plugin: str, imports: str, fixture: str) -> None:
    suite.write("conftest", CONFTEST, url=suite.url, fixture=fixture, imports=imports)
    suite.write("test_shop", TESTS, imports=imports, mark=f"@pytest.mark.{plugin}")
    suite.write("test_sync_shop", SYNC_TESTS)
    result = suite.run(plugin=plugin)
    shown = result.stdout.str()
    if plugin == "trio":  # whose fixtures are a part of the test
        result.assert_outcomes(passed=2 + 1, failed=2)
    else:
        loops = 2 if plugin == "anyio" else 1
        result.assert_outcomes(passed=3 * loops + 1, failed=loops, errors=loops)
        assert "gw_sqla/testing/kit.py" not in shown  # the failure is shown where the test asserts
        assert "event_loops.py" not in shown
    assert "JobTesterError: assert_added(...), called at" in shown
    assert "test_shop.py:" in shown
    assert "payload: expected 'grace', is 'ada'" in shown


def test_nothing_is_imported_until_a_fixture_is_used(suite: Suite) -> None:
    suite.write(
        "test_nothing",
        """
        import sys

        def test_nothing():
            assert "gw_sqla.testing.pytest_plugin" in sys.modules
            assert not {"sqlalchemy", "pydantic", "gw_sqla.errors", "gw_sqla.testing.kit"} & set(sys.modules)
        """,
    )
    suite.run().assert_outcomes(passed=1)


def test_fixtures_are_described(suite: Suite) -> None:
    shown = suite.run("--fixtures").stdout.str()
    assert "jobs -- " in shown
    assert "Tester of the jobs of a test, in its AsyncSession's transaction" in shown


def test_a_fixture_of_tasks(suite: Suite) -> None:
    """The defaults: fixtures named session and tasks."""
    suite.pytester.makeini("[pytest]")
    suite.write(
        "test_default",
        f"""
        import pytest
        from sqlalchemy import create_engine
        from gw_sqla import SyncJobRepository, TaskRegistry
        from gw_sqla.testing import rolled_back_sync_session

        @pytest.fixture
        def session():
            engine = create_engine({suite.url!r}.replace("asyncpg", "psycopg"))
            with rolled_back_sync_session(engine) as session:
                yield session
            engine.dispose()

        @pytest.fixture
        def tasks():
            return TaskRegistry()

        def test_it(session, sync_jobs):
            SyncJobRepository().add_job(session, "of_node")
            sync_jobs.assert_added("of_node")
            assert len(sync_jobs.run_jobs().left) == 1
        """,
    )
    suite.run().assert_outcomes(passed=1)


def test_what_is_not_there_is_named(suite: Suite) -> None:
    """By the setting that names it."""
    suite.write("test_nothing", "def test_nothing(sync_jobs): ...")
    suite.pytester.makeini("[pytest]\ngw_sqla_tasks = shop:tusks")
    shown = suite.run().stdout.str()
    assert "fixture 'session' not found" in shown
    assert "needs the fixtures that gw_sqla_session" in shown
    suite.write("conftest", CONFTEST.replace("sync_db", "session"), url=suite.url, fixture="pytest.fixture", imports="")
    shown = suite.run().stdout.str()
    assert "gw_sqla_tasks = shop:tusks: cannot be imported: module 'shop' has no attribute 'tusks'" in shown


def test_a_database_for_each_worker_of_xdist(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """One server, a database each; the server is gone at the end, and its files."""
    suite.write(
        "test_databases",
        """
        import os
        from pathlib import Path
        import pytest
        from sqlalchemy import create_engine, make_url, text
        from gw_sqla import SyncJobRepository
        from sqlalchemy.orm import Session

        @pytest.mark.parametrize("number", range(6))
        def test_a_database(gw_sqla_database, number):
            url = make_url(gw_sqla_database)
            engine = create_engine(url.set(drivername="postgresql+psycopg"))
            with Session(engine) as session:
                SyncJobRepository().add_job(session, "a")
                session.commit()
                assert session.scalar(text("show fsync")) == "off"
            engine.dispose()
            place = Path(os.environ["NOTES"], f"{number}")
            place.write_text(f"{os.environ['PYTEST_XDIST_WORKER']} {url.database} {url.query['host']}")
        """,
    )
    notes = suite.pytester.mkdir("notes")
    monkeypatch.setenv("NOTES", str(notes))
    suite.run("-n", "3", "--dist", "load").assert_outcomes(passed=6)
    found = [note.read_text("utf-8").split() for note in notes.iterdir()]
    assert len({database for _, database, _ in found}) == len({worker for worker, _, _ in found}) > 1
    [host] = {host for _, _, host in found}
    assert not Path(host).exists()
