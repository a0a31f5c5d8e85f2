"""What each kind of role needs in the worker schema: the one list behind grants, checks, errors and tests.

    adder      adds jobs, itself or as the owner of a ``security definer`` function
    reader     reads jobs, payloads included, cron items and workers
    worker     runs jobs, and adds them: by cron and by its handlers
    admin      reads, completes, fails, reschedules, edits, copies, removes and unlocks jobs, pauses, cleans up
    cleaner    deletes unused tasks and queues, and failed jobs: for a worker with ``cleanup_interval``, beside its own
    migrator   owns what is in the schema (`gw_sqla.schema.grants`): no list of privileges would do, for only owners
               may index a table or replace a function, and a later migration may do either

Decisions:

* A worker gets what cron and adding take too, for that opens nothing: whoever may update a job can make another of it.
* It may not delete tasks and queues: others go by their ids. Who cleans up takes that on top (``cleaner``).
* Nobody but the migrator writes ``migrations``: a row of it stops all workers. Nobody truncates: row level security
  does not cover it.
* Privileges of whole tables. With some columns only, an adder could not lock jobs, but it could still spend their
  attempts or change their payload; and the peers' functions write other columns than ours.
* The right to execute the functions is everybody's, unless somebody has taken it away, and they run with the caller's
  rights: it is granted for such a database.
* Sequences are not named: an identity column asks for no right to its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gw_sqla.schema.supported_revisions import VERSION_TABLE

__all__ = ["MIGRATOR", "ON_START", "RIGHTS", "Rights", "RoleKind", "has_policy"]

RoleKind: TypeAlias = Literal["adder", "reader", "worker", "admin", "cleaner", "migrator"]
MIGRATOR: RoleKind = "migrator"


@dataclass(frozen=True, slots=True)
class Rights:
    """Privileges by table, functions to execute, and privileges for tables that not every schema has.

    Those are Graphile Worker RS's own, and ours where nothing of gw_sqla's but the repository is used.
    """

    tables: Mapping[str, tuple[str, ...]]
    functions: tuple[str, ...] = ()
    if_there: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_READ = {
    "jobs": ("SELECT",),
    "_private_jobs": ("SELECT",),
    "_private_job_queues": ("SELECT",),
    "_private_tasks": ("SELECT",),
    "_private_known_crontabs": ("SELECT",),
}
_READ_IF_THERE = {
    "_private_sqla_workers": ("SELECT",),
    "_private_sqla_snoozes": ("SELECT",),
    "_private_sqla_pauses": ("SELECT",),
    "_private_sqla_audit": ("SELECT",),
    "_private_sqla_forwarded": ("SELECT",),
}

ON_START: Mapping[str, tuple[str, ...]] = {
    "migrations": ("SELECT",),
    VERSION_TABLE: ("SELECT",),
    "_private_jobs": ("SELECT", "UPDATE", "DELETE"),
    "_private_job_queues": ("SELECT", "UPDATE"),
    "_private_tasks": ("SELECT", "INSERT"),
    "_private_sqla_workers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "_private_sqla_snoozes": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "_private_sqla_pauses": ("SELECT",),
    "_private_sqla_forwarded": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "_private_sqla_holds": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}
"""Without these no worker starts. Adding jobs and cron take more; they say so when they run."""

_CLEANUP: Mapping[str, tuple[str, ...]] = {
    "_private_sqla_upkeep": ("SELECT", "INSERT", "UPDATE"),
    "_private_sqla_removed": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}

RIGHTS: Mapping[RoleKind, Rights] = {
    "adder": Rights(
        {
            "_private_jobs": ("SELECT", "INSERT", "UPDATE"),
            "_private_job_queues": ("SELECT", "INSERT"),
            "_private_tasks": ("SELECT", "INSERT"),
        },
        ("add_job", "add_jobs"),
        {"_private_job_retirements": ("INSERT",)},
    ),
    "reader": Rights(_READ, if_there=_READ_IF_THERE),
    "worker": Rights(
        {
            **ON_START,
            "_private_jobs": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "_private_job_queues": ("SELECT", "INSERT", "UPDATE"),
            "_private_known_crontabs": ("SELECT", "INSERT", "UPDATE"),
        },
        ("add_job", "add_jobs", "sqla_complete_job"),
        {
            "_private_workers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "_private_job_retirements": ("SELECT", "INSERT"),
        },
    ),
    "admin": Rights(
        {
            **_READ,
            "_private_jobs": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "_private_job_queues": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "_private_tasks": ("SELECT", "INSERT", "UPDATE", "DELETE"),
        },
        (
            "complete_jobs",
            "permanently_fail_jobs",
            "reschedule_jobs",
            "remove_job",
            "force_unlock_workers",
            "add_job",
            "add_jobs",
        ),
        {
            **_READ_IF_THERE,
            "_private_sqla_audit": ("SELECT", "INSERT", "DELETE"),
            "_private_sqla_pauses": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "_private_sqla_removed": _CLEANUP["_private_sqla_removed"],
            "_private_sqla_forwarded": ("SELECT", "UPDATE", "DELETE"),
            "_private_job_retirements": ("SELECT", "INSERT", "DELETE"),
        },
    ),
    "cleaner": Rights(
        {
            "_private_jobs": ("SELECT", "UPDATE", "DELETE"),
            "_private_job_queues": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "_private_tasks": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "_private_sqla_workers": ("SELECT",),
            "_private_sqla_forwarded": ("SELECT", "UPDATE", "DELETE"),
            **_CLEANUP,
        }
    ),
}


def has_policy(table: str) -> bool:
    """Tell whether row level security hides the rows of this one of our tables from who has no policy."""
    return table.startswith("_private_")
