"""RunnerSettings: how a worker pool claims, runs and stops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from gw_sqla.crontab import CronItem
from gw_sqla.errors import ConfigurationError, InvalidPayloadError
from gw_sqla.jobs.argument_checks import check_schema_name
from gw_sqla.jobs.payload import to_json
from gw_sqla.jobs.payload_size import MAX_PAYLOAD_SIZE, check_max_payload_size, check_payload_size
from gw_sqla.types import DEFAULT_SCHEMA

__all__ = ["RunnerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """Settings of a `gw_sqla.Runner`. Raises ConfigurationError, which names the field, for bad values."""

    schema: str = DEFAULT_SCHEMA
    """Name of the worker schema, unquoted. Defaults to ``graphile_worker``."""

    concurrency: int = 10
    """How many jobs run at once. Raise it for handlers that mostly wait; sync handlers take a thread
    each. The engine's pool needs room for the handlers' own sessions; the worker's own four
    connections are kept outside it. Defaults to 10."""

    prefetch: int = 0
    """How many jobs are claimed beyond ``concurrency`` and wait in this process until a slot is free. For
    many short jobs: a claim then fetches many, and slots do not wait for the database. They are locked
    meanwhile, so no other worker takes them; keep it 0 for long jobs. Graphile Worker calls it the local
    queue. Defaults to 0, off."""

    prefetch_ttl: timedelta = timedelta(minutes=5)
    """How long a prefetched job may wait for a slot. Then it is returned, its attempt given back, for
    another worker to run. Defaults to 5 minutes, as in Graphile Worker."""

    lease_after: timedelta | None = None
    """How long a claimed job is held by a row lock alone, in an open transaction, before a lease is written into its
    row: short jobs never get one, which makes them cheaper. For many jobs of milliseconds, with ``prefetch``; 100 ms is
    a good value. See docs/running.md for what it changes. Up to 10 s. Defaults to None: a claim writes the lease."""

    max_payload_size: int | None = MAX_PAYLOAD_SIZE
    """How many bytes of JSON the payload of a job may have, here and for jobs that handlers add through their context.
    A larger one is never fetched: see ``oversized_jobs``. None is off. Defaults to 16 MiB."""

    oversized_jobs: Literal["fail", "leave"] = "fail"
    """What becomes of a due job whose payload is larger than ``max_payload_size``: it fails, its attempt spent, or it
    is left to workers that have a larger bound. Defaults to ``"fail"``."""

    poll_interval: timedelta = timedelta(seconds=2)
    """How long to wait for a notification before looking for due jobs anyway: bounds how late a
    scheduled job or a retry starts. Shorter costs queries when idle. Defaults to 2 s, as in Graphile
    Worker for Node.js."""

    forbidden_flags: Sequence[str] = ()
    """Jobs that carry one of these flags are left to other workers. Defaults to none."""

    accepted_flags: Sequence[str] = ()
    """Only jobs that carry at least one of these flags are run; those without flags are left to other workers. For
    workers that are there for something: a GPU, a customer. As in Graphile Worker RS. Defaults to none: any job."""

    flag_allowlist: Sequence[str] | None = None
    """Jobs that carry a flag beyond these are left to other workers: a flag that nobody has thought of here keeps its
    jobs away. Those without flags are run. An empty list means jobs without flags only. As in Graphile Worker RS.
    Defaults to None: any flag."""

    crontab: Sequence[CronItem] = ()
    """Whose jobs to add when their minutes come, beside what ``@tasks.cron`` declares; `gw_sqla.read_crontab`
    and `gw_sqla.parse_crontab` make them of a text. Any number of workers may have the same: a job is
    added once. ``run_once`` adds none. Defaults to none."""

    crontab_catch_up: timedelta = timedelta(hours=1)
    """How late the job of a cron item is still added, when the worker, its machine or the database had
    stopped for a while. What is later is left to the item's ``fill``. Defaults to an hour."""

    grace_period: timedelta = timedelta(seconds=30)
    """How long running jobs may go on after a stop is asked for. Then they are cancelled and failed,
    their attempt spent. Keep it below the time that your platform allows. Defaults to 30 s."""

    flush_timeout: timedelta = timedelta(seconds=10)
    """How long the last outcomes may take to be written at the very end of a stop. What is not written
    by then stays locked until recovery. Defaults to 10 s."""

    heartbeat_interval: timedelta = timedelta(seconds=15)
    """How often the worker says that it is alive. Defaults to 15 s."""

    heartbeat_threshold: timedelta = timedelta(seconds=60)
    """After how long without a heartbeat other workers take this one for dead and its jobs are run again.
    Must be two intervals at least. A handler that blocks the event loop for longer than this has it happen
    to a living worker; raise it if yours do. Defaults to 60 s."""

    sweep_interval: timedelta = timedelta(seconds=20)
    """How often this worker looks for dead ones; one cheap query. A dead worker's jobs are unlocked within
    its threshold plus this. Defaults to 20 s."""

    recovery_delay: timedelta = timedelta(seconds=10)
    """How long the jobs of a dead worker wait once they are unlocked. It gives a worker that was only cut
    off the time to notice, and spares the next one when a job kills its worker. Defaults to 10 s."""

    cleanup_interval: timedelta | None = None
    """How often unused tasks and queues are deleted, and failed jobs by ``cleanup_failed_after``; one worker does it
    for all that have this setting. An hour is often enough. None leaves it to you (`gw_sqla.admin.cleanup`).
    Defaults to None."""

    cleanup_failed_after: timedelta | None = None
    """After how long a cleanup deletes a job that has failed permanently. Defaults to None: it keeps them."""

    cleanup_keep_tasks: Sequence[str] = ()
    """Tasks that a cleanup keeps though no job has them. Those of registered workers are kept; workers of Graphile
    Worker for Node.js and Rust do not say what they know, so name theirs. Defaults to none."""

    transaction_pooler: bool = False
    """Set it where a pooler in transaction mode, such as PgBouncer, is between the worker and PostgreSQL.
    The worker then keeps nothing in a session, and polls in place of LISTEN, so jobs start up to
    ``poll_interval`` late. The engine must not cache statements either: see docs/running.md. Defaults to off."""

    use_local_time: bool = False
    """Take this machine's clock, not the database's, to decide which jobs are due. For tests that move
    time, or a database whose clock is wrong; Graphile Worker has it as ``useNodeTime``. Locks, retries and
    recovery go by the database's clock all the same. Defaults to off: database time decides."""

    blocking_threshold: timedelta | None = timedelta(seconds=1)
    """How long a handler may block the event loop, and with it all other jobs, until the log says so and names it.
    Costs a thread and four beats in this time. None is off. Defaults to 1 s."""

    def __post_init__(self) -> None:
        check_schema_name(self.schema)
        self._check_count("concurrency", least=1)
        self._check_count("prefetch")
        check_max_payload_size(self.max_payload_size)
        if self.oversized_jobs not in ("fail", "leave"):
            raise ConfigurationError(f"oversized_jobs: must be 'fail' or 'leave', is {self.oversized_jobs!r}")
        self._check_duration("prefetch_ttl", least=timedelta(milliseconds=1))
        if self.lease_after is not None:
            self._check_duration("lease_after", least=timedelta(milliseconds=1), most=timedelta(seconds=10))
        self._check_duration("poll_interval", least=timedelta(milliseconds=1))
        self._check_duration("crontab_catch_up")
        self._check_duration("grace_period")
        self._check_duration("flush_timeout")
        self._check_duration("heartbeat_interval", least=timedelta(milliseconds=1))
        self._check_duration("heartbeat_threshold", least=timedelta(milliseconds=2))
        self._check_duration("sweep_interval", least=timedelta(milliseconds=1))
        self._check_duration("recovery_delay")
        if self.cleanup_interval is not None:
            self._check_duration("cleanup_interval", least=timedelta(milliseconds=1))
        if self.cleanup_failed_after is not None:
            self._check_duration("cleanup_failed_after")
        keep = self.cleanup_keep_tasks
        if isinstance(keep, str) or not all(isinstance(task, str) and "\0" not in task for task in keep):
            raise ConfigurationError(f"cleanup_keep_tasks: must be a list of task identifiers, is {keep!r}")
        if self.heartbeat_threshold < 2 * self.heartbeat_interval:
            raise ConfigurationError("heartbeat_threshold: must be twice heartbeat_interval or more")
        for field in ("transaction_pooler", "use_local_time"):
            if not isinstance(getattr(self, field), bool):
                raise ConfigurationError(f"{field}: must be True or False, is {getattr(self, field)!r}")
        if not isinstance(self.crontab, Sequence) or not all(isinstance(item, CronItem) for item in self.crontab):
            raise ConfigurationError("crontab: must be a list of CronItem; parse_crontab makes one of a text")
        self._check_cron_payloads()
        if self.blocking_threshold is not None:
            self._check_duration("blocking_threshold", least=timedelta(milliseconds=1))
        self._check_routing()

    def _check_cron_payloads(self) -> None:
        for item in self.crontab:
            payload = item.job_payload(datetime.fromtimestamp(0, UTC), backfilled=False)  # as long as any minute's
            try:
                check_payload_size(to_json(payload), self.max_payload_size)
            except InvalidPayloadError as error:
                raise ConfigurationError(f"crontab: {item.identifier}: {error}") from error

    def _check_routing(self) -> None:
        for field in ("forbidden_flags", "accepted_flags", "flag_allowlist"):
            flags = getattr(self, field)
            if flags is None and field == "flag_allowlist":
                continue
            if isinstance(flags, str):
                raise ConfigurationError(f"{field}: must be a list of flags, not one str")
            if not isinstance(flags, Iterable) or not all(isinstance(flag, str) and "\0" not in flag for flag in flags):
                raise ConfigurationError(f"{field}: must be a list of str without NUL, is {flags!r}")
        admitted = set(self.accepted_flags).difference(self.forbidden_flags)
        if self.flag_allowlist is not None:
            admitted.intersection_update(self.flag_allowlist)
        if self.accepted_flags and not admitted:
            raise ConfigurationError(
                "accepted_flags: each of them is forbidden, or not in flag_allowlist, so no job could be run"
            )

    def _check_count(self, field: str, least: int = 0) -> None:
        value = getattr(self, field)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 10_000:
            raise ConfigurationError(f"{field}: must be {least} to 10000, is {value!r}")

    def _check_duration(
        self, field: str, least: timedelta = timedelta(0), most: timedelta = timedelta(days=365)
    ) -> None:
        value = getattr(self, field)
        if not isinstance(value, timedelta):
            raise ConfigurationError(f"{field}: must be a timedelta, not {type(value).__name__}")
        if not least <= value <= most:
            end = "a year" if most == timedelta(days=365) else f"{most.total_seconds():g} s"
            raise ConfigurationError(f"{field}: must be {least.total_seconds():g} s to {end}, is {value}")
