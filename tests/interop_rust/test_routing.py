"""Rules for flags: the same jobs are run by Rust and by us, whatever their flags are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gw_sqla import RunCounts, Runner, RunnerSettings, TaskRegistry
from tests.interop.conftest import Fetch
from tests.interop_rust.conftest import Environment
from tests.interop_rust.rust import run_once
from tests.support.recorder import Recorder

pytestmark = pytest.mark.anyio

FLAGS: Sequence[str | None] = [
    None,
    "{}",
    '{"linux": true}',
    '{"macos": true, "other": true}',
    '{"windows": true}',
    '{"linux": true, "gpu": true}',
    '{"linux": true, "resilient": true}',
    '{"LINUX": true}',
    '{"linux": false}',
    '{"linux": null, "gpu": {"linux": true}}',
    "null",
    "true",
    "7",
    '"linux"',
    '["linux"]',
    '["linux", "gpu"]',
    '[["linux"]]',
    "[]",
]
RULES: Sequence[tuple[list[str], list[str], list[str] | None]] = [
    ([], [], None),
    (["gpu"], [], None),
    ([], ["linux"], None),
    ([], ["linux", "macos"], None),
    (["gpu"], ["linux"], None),
    ([], [], ["linux"]),
    ([], [], ["linux", "gpu", "resilient"]),
    ([], [], []),
    ([], ["gpu"], ["linux", "gpu"]),
    (["resilient"], ["linux"], ["linux", "resilient"]),
]
ADD = """
    select graphile_worker.add_job('pass', to_json(n), priority := n)
    from generate_series(0, cardinality($1::text[]) - 1) n
"""
SET_FLAGS = """
    update graphile_worker._private_jobs set flags = ($1::text[])[payload::text::int + 1]::jsonb returning id
"""


async def _fill(fetch: Fetch) -> None:
    await fetch("delete from graphile_worker._private_jobs")
    await fetch(ADD, FLAGS)
    assert len(await fetch(SET_FLAGS, FLAGS)) == len(FLAGS)


@pytest.mark.parametrize(("forbidden", "accepted", "allowlist"), RULES)
async def test_the_same_jobs_are_run(
    engine: AsyncEngine,
    tasks: TaskRegistry,
    recorder: Recorder,
    environment: Environment,
    fetch: Fetch,
    forbidden: list[str],
    accepted: list[str],
    allowlist: list[str] | None,
) -> None:
    @tasks.task("pass")
    async def nothing() -> None: ...

    await _fill(fetch)
    rules = {"forbidden_flags": forbidden, "accepted_flags": accepted, "flag_allowlist": allowlist}
    seen = await run_once(environment, ["pass"], rules)
    by_rust = {FLAGS[event["payload"]] for event in seen}
    await _fill(fetch)
    settings = RunnerSettings(forbidden_flags=forbidden, accepted_flags=accepted, flag_allowlist=allowlist)
    counts = await Runner(engine, tasks, settings, observers=[recorder]).run_once()
    assert {FLAGS[job.payload] for job in recorder.started} == by_rust
    assert counts == RunCounts(len(by_rust), 0)
    assert by_rust, "each of these rules admits something"
