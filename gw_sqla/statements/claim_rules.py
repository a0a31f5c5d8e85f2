"""What a claim heeds and how much it takes: the rules that a statement of a claim is filled in with.

A claim takes no more than `MOST_BYTES` of payloads, or one job, however many it may take: they are held in memory, and
a queue of large ones is claimed a few at a time. One half is for as many as the claim may take, each not ``large``; the
other for those that are: ``most_large`` of them (`Bounds`). Adding their sizes up in a window would take more of them,
and makes every claim slower, by 4 % for 24 small jobs. A payload of up to a kilobyte as it is stored counts for
nothing, though compression may have made it 255 times smaller; of others the text is measured. With ``max_size`` a
larger payload is not fetched: it comes as an empty text, which is no JSON.

The time of the lock is the same for all, and comes as a number: a time in each row costs the driver almost a
microsecond.

Task ids are looked up by name in the same statement: no cache of ids can go stale when a peer collects unused tasks.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, SmallInteger
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.type_api import TypeEngine

from gw_sqla.statements.quoting import BIGINTS, EARLIEST, INTEGERS, TEXT, TEXTS, TIMESTAMP, statement

__all__ = ["COLUMNS", "LOCK_JOBS", "MOST_BYTES", "Bounds", "Reach", "Variant", "claim_statement"]

_DUE = """j.is_available = true and j.run_at <= {now}
      and j.task_id = any (
        array(select t.id from __schema__._private_tasks t where t.identifier = any (:task_identifiers))
      )"""

MOST_BYTES = 64 * 2**20
"""How many bytes of payloads one claim fetches, give or take one job's."""

_SMALL = 1024

_SIZE = """case
        when pg_catalog.pg_column_size(j.payload) <= {small} then {small}
        else pg_catalog.octet_length(cast(j.payload as pg_catalog.text))
      end"""

_ALLOWED = """case
        when j.flags is null then true
        when pg_catalog.jsonb_typeof(j.flags) = 'object'
        then j.flags operator(pg_catalog.-) :flag_allowlist operator(pg_catalog.=) pg_catalog.jsonb '{}'
        else false
      end"""

LOCK_JOBS = """
update __schema__._private_jobs j
set attempts = j.attempts + 1, locked_at = pg_catalog.now(), locked_by = :pool_id
from chosen c, __schema__._private_tasks t
where j.id = c.id and t.id = j.task_id
returning
  j.id,
  t.identifier as task_identifier,
  {payload} as payload_text,
  c.queue_name,
  j.priority,
  greatest(j.run_at, {earliest}) as run_at,
  j.attempts, j.max_attempts, j.key,
  cast(j.flags as pg_catalog.text) as flags_text,
  (select cast(extract(epoch from pg_catalog.now()) operator(pg_catalog.*) 1000000 as bigint)) as locked_us,
  c.job_queue_id as queue_id
"""
"""Locks the ``chosen`` jobs, and returns them."""


class Reach(Enum):
    """What a claim looks at.

    ``ONWARD``: jobs without a queue after ``after_priority``, ``after_run_at`` and ``after_id``, jobs in queues after
    the same with ``after_queued_``, and the first of each of ``released_queues``; ``ONWARD_UNQUEUED``: the former only.
    ``AMONG``: jobs ``among_ids``, and no others; one of them is claimed, whatever the count.
    """

    ALL = "all"
    ONWARD = "onward"
    ONWARD_UNQUEUED = "onward, unqueued"
    AMONG = "among"


class Variant(NamedTuple):
    """What a claim heeds beyond its tasks; each has a parameter.

    ``forbidding_flags``: jobs that have one of ``forbidden_flags`` stay; ``accepting_flags``: those that have none of
    ``accepted_flags``; ``allowlisting``: those that have one that is not of ``flag_allowlist``. What Graphile Worker RS
    answers, of flags that only SQL can write too: for the first two an array has its strings as flags, and a string is
    one; for the allowlist what is neither null nor an object stays. Their values are not looked at.

    ``by_clock``: a job is due by the time ``now``, not by the database's; locks have the database's time all the same.
    ``sized``: a payload of more than ``max_size`` bytes is not fetched; ``leaving``: and its job stays. ``refusing``:
    jobs ``refused_ids`` stay; ``pausing_queues``: those of ``paused_queues``.
    ``reach``: what it looks at.
    """

    forbidding_flags: bool = False
    accepting_flags: bool = False
    allowlisting: bool = False
    by_clock: bool = False
    sized: bool = False
    leaving: bool = False
    refusing: bool = False
    pausing_queues: bool = False
    reach: Reach = Reach.ALL


class Bounds(NamedTuple):
    """Parameters of a claim: of payloads that have more than ``large`` bytes it takes ``most_large``."""

    large: int
    most_large: int

    @classmethod
    def of(cls, count: int, max_size: int | None) -> Bounds:
        """Return those of a claim of up to ``count`` jobs."""
        half = MOST_BYTES // 2
        return cls(large=max(_SMALL, half // count), most_large=max(1, half // max_size) if max_size else 1)


COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "task_identifier": TEXT,
    "payload_text": TEXT,
    "queue_name": TEXT,
    "priority": SmallInteger(),
    "run_at": TIMESTAMP,
    "attempts": SmallInteger(),
    "max_attempts": SmallInteger(),
    "key": TEXT,
    "flags_text": TEXT,
    "locked_us": BigInteger(),
    "queue_id": Integer(),
}
"""Those of ClaimedJob."""


def claim_statement(
    text: str, schema: str, variant: Variant, **more: TypeEngine[Any] | type[TypeEngine[Any]]
) -> TextClause:
    """Return a statement of a claim's, its text filled in and its parameters typed."""
    due = _DUE.format(now=":now" if variant.by_clock else "pg_catalog.now()")
    small = f"least({_SMALL}, :max_size / 256)" if variant.sized else str(_SMALL)
    size = _SIZE.format(small=small)
    conditions: list[tuple[bool, str, str, TypeEngine[Any]]] = [
        (variant.forbidding_flags, "(j.flags ?| :forbidden_flags) is not true", "forbidden_flags", TEXTS),
        (variant.accepting_flags, "j.flags ?| :accepted_flags", "accepted_flags", TEXTS),
        (variant.allowlisting, _ALLOWED, "flag_allowlist", TEXTS),
        (variant.leaving, f"{size} <= :max_size", "max_size", Integer()),
        (variant.refusing, "j.id <> all (:refused_ids)", "refused_ids", BIGINTS),
    ]
    for is_heeded, condition, name, kind in conditions:
        if is_heeded:
            due += f"\n      and {condition}"
            more[name] = kind
    if variant.by_clock:
        more["now"] = TIMESTAMP
    large, payload = "size > :large", "cast(j.payload as pg_catalog.text)"
    if variant.sized:
        more["max_size"] = Integer
        large = "(size > :large and size <= :max_size)"
        payload = f"case when c.size <= :max_size then {payload} else '' end"
    if variant.pausing_queues:
        more["paused_queues"] = TEXTS
    is_open = " and q.queue_name <> all (:paused_queues)" if variant.pausing_queues else ""
    kinds: dict[str, TypeEngine[Any] | type[TypeEngine[Any]]] = {
        "task_identifiers": TEXTS,
        "count": Integer,
        "large": Integer,
        "most_large": Integer,
        "after_priority": Integer,
        "after_run_at": TIMESTAMP,
        "after_id": BigInteger,
        "after_queued_priority": Integer,
        "after_queued_run_at": TIMESTAMP,
        "after_queued_id": BigInteger,
        "released_queues": INTEGERS,
        "among_ids": BIGINTS,
    }
    text = text.format(open=is_open, due=due, earliest=EARLIEST, size=size, large=large, payload=payload)
    named = {name: kind for name, kind in (kinds | more).items() if re.search(rf":{name}\b", text)}
    return statement(text, schema, **named)
