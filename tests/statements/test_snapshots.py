"""What each builder makes, read as SQL; see `tests.statements.snapshot` for how to rewrite it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.sql.base import Executable

from gw_sqla.admin import JobFilter
from gw_sqla.models import Job
from gw_sqla.statements import (
    audit,
    claim,
    claim_rules,
    cleanup,
    crontab,
    fleet,
    following_claim,
    forward_lag,
    health,
    holds,
    job_actions,
    job_conditions,
    job_details,
    job_pages,
    job_queries,
    job_ranges,
    job_reports,
    kept_jobs,
    orphaned_locks,
    outcomes,
    pauses,
    read_settings,
    register,
    rust_tables,
    schema_functions,
    snoozes,
    stale_locks,
    workers,
)
from gw_sqla.statements.job_ranges import Place, Range
from gw_sqla.types import DEFAULT_SCHEMA, JobState
from tests.statements.snapshot import FOLDER, check, compiled

SCHEMAS = {"default": DEFAULT_SCHEMA, "quoted": 'we"ird: 50% Schema'}

UNFILTERED = {"task_identifier": None, "queue_name": None, "state": None, "job_key": None, "after": None}

FILTER = JobFilter.parse(
    "state:failed,ready -task:a queue:b -key:* -locked-by:* priority:<5 attempts:>1 flag:c -flag:d created:>-1d "
    "run-at:<2026-01-01 -error:e error:f payload.g.0:7 -payload.h:* id:>7"
)
START = Place(7, 0, "2026-01-01 00:00:00")
END = Place(9, 1, "infinity")
BY_ID = Range(False, True, ((),), Place(9), Place(7))
LANES: Any = tuple(
    (Job.is_available, is_without) for is_without in (Job.job_queue_id.is_(None), Job.job_queue_id.is_not(None))
)
BY_TURN = Range(True, False, LANES, START, END)


def filtered(_: str) -> Executable:
    return sa.select(Job.id).where(*job_conditions.conditions(FILTER))


BUILDERS: dict[str, Callable[[str], Executable]] = {
    "claim": claim.claim,
    "claim forbidding_flags": lambda schema: claim.claim(schema, claim_rules.Variant(forbidding_flags=True)),
    "claim routing": lambda schema: claim.claim(schema, claim_rules.Variant(accepting_flags=True, allowlisting=True)),
    "claim sized": lambda schema: claim.claim(schema, claim_rules.Variant(sized=True, leaving=True)),
    "claim by_clock": lambda schema: claim.claim(schema, claim_rules.Variant(by_clock=True)),
    "claim onward": lambda schema: claim.claim(schema, claim_rules.Variant(reach=claim_rules.Reach.ONWARD)),
    "claim onward_unqueued": lambda schema: claim.claim(
        schema, claim_rules.Variant(reach=claim_rules.Reach.ONWARD_UNQUEUED)
    ),
    "claim_following": following_claim.claim_following,
    "claim_following sized": lambda schema: following_claim.claim_following(schema, claim_rules.Variant(sized=True)),
    "hold": lambda schema: claim.hold(schema, claim_rules.Variant()),
    "hold sized": lambda schema: claim.hold(
        schema, claim_rules.Variant(sized=True, reach=claim_rules.Reach.ONWARD_UNQUEUED)
    ),
    **{name: getattr(holds, name) for name in holds.__all__},
    "get_job": lambda _: job_queries.get_job(7),
    "list_jobs": lambda _: job_queries.list_jobs(**UNFILTERED, limit=100),
    "list_jobs filtered": lambda _: job_queries.list_jobs(
        task_identifier="t", queue_name="q", state=JobState.READY, job_key="k", after=7, limit=100
    ),
    "jobs_of_transaction": job_queries.jobs_of_transaction,
    "lock_queues": job_queries.lock_queues,
    "count_by_state": lambda _: job_queries.count_by_state(),
    "register_tasks": job_queries.register_tasks,
    **{name: getattr(workers, name) for name in workers.__all__ if name != "deregister"},
    "find_stale": stale_locks.find_stale,
    "find_stale beside_rust": lambda schema: stale_locks.find_stale(schema, beside_rust=True),
    "unlock_stale": stale_locks.unlock_stale,
    "candidates": lambda schema: claim.candidates(schema, claim_rules.Variant(by_clock=True, refusing=True)),
    "claim among": lambda schema: claim.claim(
        schema, claim_rules.Variant(refusing=True, reach=claim_rules.Reach.AMONG)
    ),
    "deregister": lambda schema: workers.deregister(schema, beside_rust=False),
    "deregister beside_rust": lambda schema: workers.deregister(schema, beside_rust=True),
    **{name: getattr(outcomes, name) for name in outcomes.__all__ if name not in ("give_back", "snooze")},
    **{name: getattr(orphaned_locks, name) for name in orphaned_locks.__all__ if name != "release_jobs"},
    "complete around_locks": lambda schema: outcomes.complete(schema, around_locks=True),
    "fail around_locks": lambda schema: outcomes.fail(schema, around_locks=True),
    "fail by_clock": lambda schema: outcomes.fail(schema, by_clock=True),
    "give_back": lambda schema: outcomes.give_back(schema, heeding_retirements=False),
    "give_back around_locks": lambda schema: outcomes.give_back(schema, heeding_retirements=True, around_locks=True),
    "snooze": lambda schema: outcomes.snooze(schema, heeding_retirements=False),
    "snooze by_clock": lambda schema: outcomes.snooze(schema, heeding_retirements=False, by_clock=True),
    "snooze around_locks": lambda schema: outcomes.snooze(schema, heeding_retirements=True, around_locks=True),
    "claim pausing_queues": lambda schema: claim.claim(schema, claim_rules.Variant(pausing_queues=True)),
    **{name: getattr(pauses, name) for name in pauses.__all__ if name[0].islower()},
    **{name: getattr(cleanup, name) for name in cleanup.__all__},
    "find_snoozes": snoozes.find_snoozes,
    "forget_snoozes": snoozes.forget_snoozes,
    **{name: getattr(kept_jobs, name) for name in kept_jobs.__all__},
    "forward_lag": forward_lag.forward_lag,
    "forward_lag registered": lambda schema: forward_lag.forward_lag(schema, registered=True),
    "complete_and_keep around_locks": lambda schema: kept_jobs.complete_and_keep(schema, around_locks=True),
    "release_jobs": lambda schema: orphaned_locks.release_jobs(schema, heeding_retirements=False),
    "release_jobs heeding_retirements": lambda schema: orphaned_locks.release_jobs(schema, heeding_retirements=True),
    "conditions": filtered,
    "ids": lambda _: job_pages.ids(BY_ID, (), 1000),
    "lock_free": lambda _: job_actions.lock_free([7, 9], job_conditions.conditions(JobFilter.parse("task:a"))),
    **{name: getattr(job_actions, name) for name in job_actions.__all__ if name != "lock_free"},
    **{name: getattr(audit, name) for name in audit.__all__},
    "complete_jobs only_ids": lambda schema: schema_functions.complete_jobs(schema, only_ids=True),
    "permanently_fail_jobs only_ids": lambda schema: schema_functions.permanently_fail_jobs(schema, only_ids=True),
    "reschedule_jobs only_ids": lambda schema: schema_functions.reschedule_jobs(schema, only_ids=True),
    "in_states": lambda _: sa.select(Job.id).where(job_conditions.in_states(frozenset(JobState))),
    "details": lambda _: job_details.details(),
    "edge": lambda _: job_pages.edge(BY_ID, 4000),
    "edge by_turn": lambda _: job_pages.edge(BY_TURN, 4000),
    "page": lambda _: job_pages.page(BY_ID, job_conditions.conditions(FILTER), 101),
    "page by_turn": lambda _: job_pages.page(BY_TURN, (), 101),
    "count": lambda _: job_pages.count(BY_ID, (), 10_001),
    "count by_turn": lambda _: job_pages.count(BY_TURN, (), 10_001),
    "head": lambda _: job_pages.head(LANES[1], descending=True),
    "size_of_lane": lambda _: job_pages.size_of_lane(LANES[1], 4001),
    "place_of": lambda _: job_pages.place_of(7),
    "within": lambda _: sa.select(Job.id).where(*job_ranges.within(BY_ID, ())),
    "key_of": lambda _: sa.select(*job_ranges.key_of(BY_TURN)),
    "parts": lambda _: sa.select(Job.id).where(*job_ranges.parts(BY_ID, ())[0]),
    "parts by_turn": lambda _: sa.union_all(
        *(sa.select(Job.id).where(*part) for part in job_ranges.parts(BY_TURN, LANES[0]))
    ),
    "time_of_place": lambda _: sa.select(job_ranges.time_of_place(Job.run_at)),
    "error_lines": lambda _: job_reports.error_lines(BY_ID, ()),
    "list_queues": lambda schema: job_reports.list_queues(schema, only_locked=False),
    "list_queues only_locked": lambda schema: job_reports.list_queues(schema, only_locked=True),
    "tasks_failed": lambda schema: job_reports.tasks_failed(schema, seeking=False),
    "tasks_failed seeking": lambda schema: job_reports.tasks_failed(schema, seeking=True),
    **{name: getattr(job_reports, name) for name in ("list_tasks", "now", "queue_of", "tasks_locked", "tasks_waiting")},
    **{name: getattr(register, name) for name in register.__all__},
    "set_up": lambda _: read_settings.set_up(),
    "find_table": lambda schema: rust_tables.find_table(schema, "_private_workers"),
    **{name: getattr(schema_functions, name) for name in schema_functions.__all__},
    **{name: getattr(crontab, name) for name in crontab.__all__},
    **{name: getattr(health, name) for name in health.__all__},
    **{name: getattr(fleet, name) for name in fleet.__all__},
}


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("name", BUILDERS)
def test_snapshot(name: str, kind: str) -> None:
    schema = SCHEMAS[kind]
    check(f"{kind}/{name.replace(' ', '_')}", compiled(BUILDERS[name](schema), schema))


def test_every_builder_has_a_snapshot() -> None:
    modules = (
        claim,
        cleanup,
        audit,
        crontab,
        fleet,
        following_claim,
        forward_lag,
        health,
        holds,
        job_actions,
        job_conditions,
        job_details,
        job_pages,
        job_queries,
        job_ranges,
        job_reports,
        kept_jobs,
        orphaned_locks,
        outcomes,
        pauses,
        read_settings,
        register,
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


OF_CORE = {
    *job_queries.__all__,
    *job_conditions.__all__,
    *job_details.__all__,
    *job_pages.__all__,
    *job_ranges.__all__,
    "error_lines",
    "lock_free",
    "set_up",
}
"""Builders that return what SQLAlchemy compiles, and caches, itself."""


@pytest.mark.parametrize("name", [name for name in BUILDERS if name.split()[0] not in OF_CORE])
def test_builders_of_text_are_made_once(name: str) -> None:
    build = BUILDERS[name]
    assert build("a") is build("a")
    assert build("a") is not build("b")
