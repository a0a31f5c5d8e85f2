"""A test kit: the jobs of a test run inside the test's own transaction, which is rolled back.

`JobTester` for an AsyncSession, `SyncJobTester` for a Session; the fixtures ``jobs`` and ``sync_jobs`` of the pytest
plugin make them. The SQL, the claim, the executor and the outcomes are those of a worker: nothing is a fake. A name's
module is imported when the name is used first, as in `gw_sqla`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gw_sqla.testing.end_to_end import JobOutcomes, run_until_idle, running_worker
    from gw_sqla.testing.expectations import within
    from gw_sqla.testing.job_report import JobReport
    from gw_sqla.testing.job_tester import JobTester
    from gw_sqla.testing.recording_sink import RecordingSink
    from gw_sqla.testing.rolled_back import rolled_back_session, rolled_back_sync_session
    from gw_sqla.testing.sync_job_tester import SyncJobTester

__all__ = [
    "JobOutcomes",
    "JobReport",
    "JobTester",
    "RecordingSink",
    "SyncJobTester",
    "rolled_back_session",
    "rolled_back_sync_session",
    "run_until_idle",
    "running_worker",
    "within",
]

_HOMES = {
    "JobOutcomes": "end_to_end",
    "JobReport": "job_report",
    "JobTester": "job_tester",
    "RecordingSink": "recording_sink",
    "SyncJobTester": "sync_job_tester",
    "rolled_back_session": "rolled_back",
    "rolled_back_sync_session": "rolled_back",
    "run_until_idle": "end_to_end",
    "running_worker": "end_to_end",
    "within": "expectations",
}


if not TYPE_CHECKING:  # to a type checker it would make every name one of this module

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'gw_sqla.testing' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(f"gw_sqla.testing.{_HOMES[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
