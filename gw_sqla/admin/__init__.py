"""Looking at a queue, and acting on it, for the command line, a dashboard and the user's own code alike.

`Admin` works through an AsyncSession, `SyncAdmin` through a Session. docs/operating.md shows what they are for.
"""

from __future__ import annotations

from gw_sqla.admin.acted import Acted, LeftOut, Preview, Unlocked, WhyLeftOut
from gw_sqla.admin.actions import Action, Complete, EditPayload, Fail, Remove, Reschedule, Retry, RunCopy
from gw_sqla.admin.admin import Admin
from gw_sqla.admin.audit import AuditLine
from gw_sqla.admin.chosen import Jobs
from gw_sqla.admin.cleaning import Cleaned
from gw_sqla.admin.crontabs import CronItemInfo
from gw_sqla.admin.failures import FailureGroup, Failures
from gw_sqla.admin.fleet import Fleet, ForwardedTask, ReadyTask
from gw_sqla.admin.lag import ForwardLag
from gw_sqla.admin.listings import QueueInfo, TaskInfo
from gw_sqla.admin.pausing import Pausing, SyncPausing
from gw_sqla.admin.reasons import (
    AttemptsUsedUp,
    DueLater,
    Explanation,
    FlagsRefused,
    JobGone,
    Paused,
    QueueLocked,
    Reason,
    Running,
    Snoozes,
    TaskUnknown,
    Waiting,
)
from gw_sqla.admin.replaying import ForwardedJobs, Replayed
from gw_sqla.admin.sync_admin import SyncAdmin
from gw_sqla.admin.system import LedgerLine, Relation, System
from gw_sqla.admin.turnover import Rates, Turnover
from gw_sqla.admin.upkeep import cleanup, preview_cleanup
from gw_sqla.admin.values import Count, JobOrder, JobPage, ScanLimits, ScanStop
from gw_sqla.admin.workers import LockOwner, Worker
from gw_sqla.crontab.known_crontabs import KnownCrontab
from gw_sqla.filters.fields import Choice, PayloadTest
from gw_sqla.filters.job_filter import JobFilter
from gw_sqla.filters.ranges import NumberRange, TimeRange
from gw_sqla.jobs.pause import Pause, PauseSeen
from gw_sqla.jobs.stored_job import ListedJob

__all__ = [
    "Acted",
    "Action",
    "Admin",
    "AttemptsUsedUp",
    "AuditLine",
    "Choice",
    "Cleaned",
    "Complete",
    "Count",
    "CronItemInfo",
    "DueLater",
    "EditPayload",
    "Explanation",
    "Fail",
    "FailureGroup",
    "Failures",
    "FlagsRefused",
    "Fleet",
    "ForwardLag",
    "ForwardedJobs",
    "ForwardedTask",
    "JobFilter",
    "JobGone",
    "JobOrder",
    "JobPage",
    "Jobs",
    "KnownCrontab",
    "LedgerLine",
    "LeftOut",
    "ListedJob",
    "LockOwner",
    "NumberRange",
    "Pause",
    "PauseSeen",
    "Paused",
    "Pausing",
    "PayloadTest",
    "Preview",
    "QueueInfo",
    "QueueLocked",
    "Rates",
    "ReadyTask",
    "Reason",
    "Relation",
    "Remove",
    "Replayed",
    "Reschedule",
    "Retry",
    "RunCopy",
    "Running",
    "ScanLimits",
    "ScanStop",
    "Snoozes",
    "SyncAdmin",
    "SyncPausing",
    "System",
    "TaskInfo",
    "TaskUnknown",
    "TimeRange",
    "Turnover",
    "Unlocked",
    "Waiting",
    "WhyLeftOut",
    "Worker",
    "cleanup",
    "preview_cleanup",
]
