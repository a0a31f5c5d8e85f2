"""The jobs of a session on their way to the database: one for each key, one add_jobs call for all.

The same key more than once in a transaction is as if they were added one after another: the last replaces
the others, PRESERVE_RUN_AT keeps the earlier run_at, two lists are joined, UNSAFE_DEDUPE changes nothing. (A job
added by UNSAFE_DEDUPE is replaced whole, lists included: nobody knows yet whether it would be added at all.)
One statement would refuse them: SQLSTATE 21000. The modes other than REPLACE cost a statement of their own.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from gw_sqla.calls.adding import add_jobs, add_jobs_deduplicating
from gw_sqla.jobs.job_spec import JobSpec
from gw_sqla.types import JobKeyMode
from gw_sqla.unit_of_work.pending_job import Wanted

__all__ = ["send"]

_DEDUPE = JobKeyMode.UNSAFE_DEDUPE
_PRESERVE = JobKeyMode.PRESERVE_RUN_AT


def send(session: Session, wanted: Sequence[Wanted]) -> None:
    """Add the jobs in the session's transaction; each then has its row."""
    groups: dict[tuple[str, JobKeyMode | None], list[_Merged]] = {}
    for merged in _merge(wanted):
        mode = merged.mode if merged.mode in {_DEDUPE, _PRESERVE} else None
        groups.setdefault((merged.all[0].schema, mode), []).append(merged)
    for (schema, mode), group in groups.items():
        if mode is _DEDUPE:
            group.sort(key=lambda merged: merged.spec.job_key or "")
            rows = add_jobs_deduplicating(session, schema, [merged.spec for merged in group])
        else:
            specs = [merged.spec for merged in group]
            rows = add_jobs(session, schema, specs, mode is _PRESERVE, max_payload_size=None)
        for merged, row in zip(group, rows, strict=True):
            for one in merged.all:
                one.row = row


@dataclass(slots=True)
class _Merged:
    """What becomes one job."""

    spec: JobSpec
    mode: JobKeyMode | None
    all: list[Wanted]

    def follow(self, later: JobSpec, mode: JobKeyMode | None) -> None:
        """Let another job with the same key be added after this one."""
        if mode is _DEDUPE:
            return
        if self.mode is _DEDUPE:
            self.spec, self.mode = later, mode
            return
        payload = later.payload
        if isinstance(payload, list) and isinstance(self.spec.payload, list):
            payload = self.spec.payload + payload
        if mode is _PRESERVE:
            self.spec = replace(later, payload=payload, run_at=self.spec.run_at)
        else:
            self.spec, self.mode = replace(later, payload=payload), mode


def _merge(wanted: Sequence[Wanted]) -> list[_Merged]:
    jobs: list[_Merged] = []
    by_key: dict[tuple[str, str], _Merged] = {}
    origins: set[Hashable] = set()
    for one in wanted:
        if one.spec is None or one.origin in origins:
            continue
        if one.origin is not None:
            origins.add(one.origin)
        key = one.spec.job_key
        merged = None if key is None else by_key.get((one.schema, key))
        if merged is not None:
            merged.follow(one.spec, one.mode)
            merged.all.append(one)
            continue
        merged = _Merged(one.spec, one.mode, [one])
        jobs.append(merged)
        if key is not None:
            by_key[one.schema, key] = merged
    return jobs
