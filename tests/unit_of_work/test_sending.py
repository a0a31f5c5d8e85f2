"""Job keys and their modes, within one transaction and against what is there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from gw_sqla import JobKeyMode, JobRepository
from tests.repository.look import Look
from tests.unit_of_work.conftest import Run

pytestmark = pytest.mark.anyio

EARLY, LATE = datetime(2100, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
R, P, D = JobKeyMode.REPLACE, JobKeyMode.PRESERVE_RUN_AT, JobKeyMode.UNSAFE_DEDUPE


@pytest.fixture(params=["asyncio+asyncpg", "sync+psycopg2"])
def kind(request: pytest.FixtureRequest) -> str:
    """Two are enough: what a key does is decided before the driver."""
    return str(request.param)


@pytest.mark.parametrize(
    ("first", "second", "run_at", "payload"),
    [
        (None, None, LATE, 2),
        (R, R, LATE, 2),
        (R, P, EARLY, 2),
        (P, R, LATE, 2),
        (P, P, EARLY, 2),
        (R, D, EARLY, 1),
        (P, D, EARLY, 1),
        (D, D, EARLY, 1),
        (D, R, LATE, 2),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
async def test_the_same_key_twice(
    run: Run,
    repo: JobRepository,
    look: Look,
    first: JobKeyMode | None,
    second: JobKeyMode | None,
    run_at: datetime,
    payload: int,
    apart: bool,
) -> None:
    """In one transaction it gives what two transactions give."""

    def body(session: Session) -> None:
        one = repo.add_job_on_commit(session, "a", 1, job_key="k", run_at=EARLY, job_key_mode=first)
        if apart:
            session.commit()
        two = repo.add_job_on_commit(session, "a", 2, job_key="k", run_at=LATE, job_key_mode=second)
        session.commit()
        assert one.job.id == two.job.id

    await run(body)
    [job] = (await look.jobs()).values()
    assert (job["payload"], job["run_at"], job["key"]) == (str(payload), run_at, "k")


@pytest.mark.parametrize("apart", [True, False])
async def test_lists_are_joined(run: Run, repo: JobRepository, look: Look, apart: bool) -> None:
    def body(session: Session) -> Any:
        for payload in ([1], [2, 3], [4]):
            handle = repo.add_job_on_commit(session, "a", payload, job_key="k")
            if apart:
                session.commit()
        session.commit()
        return handle.job.payload

    assert await run(body) == [1, 2, 3, 4]
    assert len(await look.jobs()) == 1


async def test_every_mode_against_what_is_there(run: Run, repo: JobRepository, look: Look) -> None:
    def add(session: Session, number: int) -> None:
        handles = [
            repo.add_job_on_commit(session, "a", [number, mode], job_key=f"{mode}", run_at=run_at, job_key_mode=mode)
            for mode in (D, P, R)
        ]
        handles.append(repo.add_job_on_commit(session, "a", number))
        session.commit()
        assert [handle.job.key for handle in handles] == [D, P, R, None]

    run_at = EARLY
    await run(lambda session: add(session, 1))
    await look.execute("update {s}._private_jobs set payload = '{}'")
    run_at = LATE
    await run(lambda session: add(session, 2))
    jobs = {job["key"]: (job["payload"], job["run_at"]) for job in (await look.jobs()).values() if job["key"]}
    assert jobs == {
        "unsafe_dedupe": ("{}", EARLY),
        "preserve_run_at": ('[2,"preserve_run_at"]', EARLY),
        "replace": ('[2,"replace"]', LATE),
    }
    assert len(await look.jobs()) == 5


async def test_one_key_in_two_schemas_is_two_jobs(run: Run, repo: JobRepository) -> None:
    def body(session: Session) -> None:
        repo.add_job_on_commit(session, "a", job_key="k")
        JobRepository("elsewhere").add_job_on_commit(session, "a", job_key="k")
        with pytest.raises(Exception, match="elsewhere"):
            session.commit()

    await run(body)
