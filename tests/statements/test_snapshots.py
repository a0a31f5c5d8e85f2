"""What each builder makes, read as SQL; see `tests.statements.snapshot` for how to rewrite it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.sql.base import Executable

from gw_sqla.statements import (
    claim,
    crontab,
    following_claim,
    job_queries,
    orphaned_locks,
    outcomes,
    rust_tables,
    schema_functions,
    snoozes,
    stale_locks,
    workers,
)
from gw_sqla.types import DEFAULT_SCHEMA, JobState
from tests.statements.snapshot import FOLDER, check, compiled

SCHEMAS = {"default": DEFAULT_SCHEMA, "quoted": 'we"ird: 50% Schema'}

UNFILTERED = {"task_identifier": None, "queue_name": None, "state": None, "job_key": None, "after": None}

BUILDERS: dict[str, Callable[[str], Executable]] = {
    "claim": claim.claim,
    "claim forbidding_flags": lambda schema: claim.claim(schema, claim.Variant(forbidding_flags=True)),
    "claim routing": lambda schema: claim.claim(schema, claim.Variant(accepting_flags=True, allowlisting=True)),
    "claim sized": lambda schema: claim.claim(schema, claim.Variant(sized=True, leaving=True)),
    "claim by_clock": lambda schema: claim.claim(schema, claim.Variant(by_clock=True)),
    "claim in_order": lambda schema: claim.claim(schema, claim.Variant(in_order=True)),
    "claim_following": following_claim.claim_following,
    "claim_following sized": lambda schema: following_claim.claim_following(schema, claim.Variant(sized=True)),
    "get_job": lambda _: job_queries.get_job(7),
    "list_jobs": lambda _: job_queries.list_jobs(**UNFILTERED, limit=100),
    "list_jobs filtered": lambda _: job_queries.list_jobs(
        task_identifier="t", queue_name="q", state=JobState.READY, job_key="k", after=7, limit=100
    ),
    "count_by_state": lambda _: job_queries.count_by_state(),
    "register_tasks": job_queries.register_tasks,
    **{name: getattr(workers, name) for name in workers.__all__ if name != "deregister"},
    "find_stale": stale_locks.find_stale,
    "find_stale beside_rust": lambda schema: stale_locks.find_stale(schema, beside_rust=True),
    "unlock_stale": stale_locks.unlock_stale,
    "candidates": lambda schema: claim.candidates(schema, claim.Variant(by_clock=True, refusing=True)),
    "claim among": lambda schema: claim.claim(schema, claim.Variant(refusing=True, among=True)),
    "deregister": lambda schema: workers.deregister(schema, beside_rust=False),
    "deregister beside_rust": lambda schema: workers.deregister(schema, beside_rust=True),
    **{name: getattr(outcomes, name) for name in outcomes.__all__ if name not in ("give_back", "snooze")},
    **{name: getattr(orphaned_locks, name) for name in orphaned_locks.__all__ if name != "release_jobs"},
    "complete around_locks": lambda schema: outcomes.complete(schema, around_locks=True),
    "fail around_locks": lambda schema: outcomes.fail(schema, around_locks=True),
    "give_back": lambda schema: outcomes.give_back(schema, heeding_retirements=False),
    "give_back around_locks": lambda schema: outcomes.give_back(schema, heeding_retirements=True, around_locks=True),
    "snooze": lambda schema: outcomes.snooze(schema, heeding_retirements=False),
    "snooze around_locks": lambda schema: outcomes.snooze(schema, heeding_retirements=True, around_locks=True),
    "forget_snoozes": snoozes.forget_snoozes,
    "release_jobs": lambda schema: orphaned_locks.release_jobs(schema, heeding_retirements=False),
    "release_jobs heeding_retirements": lambda schema: orphaned_locks.release_jobs(schema, heeding_retirements=True),
    "find_table": lambda schema: rust_tables.find_table(schema, "_private_workers"),
    **{name: getattr(schema_functions, name) for name in schema_functions.__all__},
    **{name: getattr(crontab, name) for name in crontab.__all__},
}


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("name", BUILDERS)
def test_snapshot(name: str, kind: str) -> None:
    schema = SCHEMAS[kind]
    check(f"{kind}/{name.replace(' ', '_')}", compiled(BUILDERS[name](schema), schema))


def test_every_builder_has_a_snapshot() -> None:
    modules = (
        claim,
        crontab,
        following_claim,
        job_queries,
        orphaned_locks,
        outcomes,
        rust_tables,
        schema_functions,
        snoozes,
        stale_locks,
        workers,
    )
    public = {name for module in modules for name in module.__all__ if name[0].islower()}
    assert {name.split()[0] for name in BUILDERS} == public


def test_no_snapshot_is_left_over() -> None:
    wanted = {f"{kind}/{name.replace(' ', '_')}.sql" for kind in SCHEMAS for name in BUILDERS}
    assert {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.sql")} == wanted


@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in job_queries.__all__ and " f" not in name])
def test_builders_of_text_are_made_once(name: str) -> None:
    build = BUILDERS[name]
    assert build("a") is build("a")
    assert build("a") is not build("b")
