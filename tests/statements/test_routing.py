"""Which jobs a worker takes by their flags: the cases of Graphile Worker RS, and JSON that only SQL can write."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import pytest

from tests.statements.conftest import Add
from tests.statements.pool import Pool

pytestmark = pytest.mark.anyio

SPECIAL = "label' $4 \\ unicode-é"

NONE, EMPTY, LINUX, MACOS, WINDOWS, GPU, RESILIENT, OTHER, STRANGE, UPPER = range(10)
FLAGS: dict[int, list[str] | None] = {
    NONE: None,
    EMPTY: [],
    LINUX: ["linux"],
    MACOS: ["macos", "other"],
    WINDOWS: ["windows"],
    GPU: ["linux", "gpu"],
    RESILIENT: ["linux", "infrastructure_resilient"],
    OTHER: ["other"],
    STRANGE: [SPECIAL],
    UPPER: ["LINUX"],
}
ALL = set(FLAGS)
UNFLAGGED = {NONE, EMPTY}

CASES: list[tuple[list[str], list[str], list[str] | None, set[int]]] = [
    ([], [], None, ALL),
    (["linux", "macos"], ["gpu"], None, {LINUX, MACOS, RESILIENT}),
    (["linux"], [], None, {LINUX, GPU, RESILIENT}),
    (["linux"], ["linux"], None, set()),
    ([], ["gpu"], None, ALL - {GPU}),
    ([], ["linux"], None, ALL - {LINUX, GPU, RESILIENT}),
    (["windows"], ["gpu"], None, {WINDOWS}),
    (["LINUX"], [], None, {UPPER}),
    ([SPECIAL], [], None, {STRANGE}),
    ([], [], ["linux"], {LINUX} | UNFLAGGED),
    ([], [], ["linux", "linux", "gpu"], {LINUX, GPU} | UNFLAGGED),
    (["linux", "windows"], [], ["linux"], {LINUX}),
    (["linux"], [], ["linux", "infrastructure_resilient"], {LINUX, RESILIENT}),
    ([], ["gpu"], ["linux", "gpu"], {LINUX} | UNFLAGGED),
    ([], [], [], UNFLAGGED),
    (["linux"], [], [], set()),
    ([], [], [SPECIAL], {STRANGE} | UNFLAGGED),
]


async def claimed(
    pool: Pool, forbidden: Sequence[str], accepted: Sequence[str], allowlist: Sequence[str] | None
) -> set[int]:
    """Claim all that these rules let through, undo it, and return the numbers in the jobs' payloads."""
    jobs = await pool.claim(forbidden=forbidden, accepted=accepted, allowlist=allowlist)
    await pool.connection.rollback()
    return {int(job.payload) for job in jobs}


@pytest.mark.parametrize("with_queues", [False, True])
async def test_the_cases_of_rust(pool: Pool, add: Add, db: asyncpg.Connection, with_queues: bool) -> None:
    """For jobs without a queue, and for the first job of a queue."""
    for number, flags in FLAGS.items():
        await add(payload=str(number), flags=flags, **({"queue_name": f"q{number}"} if with_queues else {}))
    await db.execute("update graphile_worker._private_jobs set flags = '{}' where payload::text = $1", str(EMPTY))
    for accepted, forbidden, allowlist, expected in CASES:
        found = await claimed(pool, forbidden, accepted, allowlist)
        assert found == expected, (accepted, forbidden, allowlist)


async def test_a_job_that_stays_holds_up_no_other_of_its_queue(pool: Pool, add: Add) -> None:
    await add(payload="1", queue_name="q", flags=["windows"])
    await add(payload="2", queue_name="q", flags=["linux"])
    assert await claimed(pool, [], ["linux"], None) == {2}
    assert await claimed(pool, [], [], ["linux"]) == {2}


@pytest.mark.parametrize(
    ("flags", "accepted", "allowed", "forbidden"),
    [
        ("null", False, False, True),
        ("true", False, False, True),
        ("7", False, False, True),
        ('"linux"', True, False, False),
        ("[]", False, False, True),
        ('["linux"]', True, False, False),
        ('[["linux"]]', False, False, True),
        ('{"linux": false}', True, True, False),
        ('{"linux": null}', True, True, False),
        ('{"linux": {"gpu": true}}', True, True, False),
        ('{"gpu": true}', False, False, True),
    ],
)
async def test_odd_flags(
    pool: Pool, add: Add, db: asyncpg.Connection, flags: str, accepted: bool, allowed: bool, forbidden: bool
) -> None:
    """Of a JSON that is no object, and of values other than true. ``forbidden``: whether it is run where linux is."""
    await add(payload="1")
    await db.execute("update graphile_worker._private_jobs set flags = $1", flags)
    assert bool(await claimed(pool, [], ["linux"], None)) is accepted
    assert bool(await claimed(pool, [], [], ["linux"])) is allowed
    assert bool(await claimed(pool, ["linux"], [], None)) is forbidden
