"""Applications whose jobs log, one of which configures the log by itself: GW_SQLA_TEST_LOG says how."""

from __future__ import annotations

import logging
import logging.config
import os
import sys

from gw_sqla import JobLogFilter, TaskRegistry, current_job

HOW = os.environ.get("GW_SQLA_TEST_LOG")
tasks = TaskRegistry()

if HOW == "basic":
    logging.basicConfig(format="MINE %(levelname)s %(name)s %(message)s", level="INFO", stream=sys.stderr)
elif HOW == "dict":
    logging.config.dictConfig(
        {
            "version": 1,
            "filters": {"job": {"()": JobLogFilter}},
            "formatters": {"mine": {"format": "MINE %(name)s %(job_id)s %(task_identifier)s %(message)s"}},
            "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "mine", "filters": ["job"]}},
            "root": {"level": "INFO", "handlers": ["err"]},
        }
    )
elif HOW == "warns":
    logging.warning("said at import")

log = logging.getLogger("myapp.mail")  # a dictConfig disables those that are there


@tasks.task("mail")
async def mail(payload: str) -> None:
    """Log as an application does."""
    log.info("mail to %s", payload, extra={"tenant": "a b", "odd": object})


@tasks.task("in_thread")
def in_thread() -> None:
    """Log from a thread."""
    log.info("from a thread")


@tasks.task("in_process", run_in="process")
def in_process() -> None:
    """Say in a process which job it is."""
    job = current_job()
    sys.stderr.write(f"in a process: {job}\n")


@tasks.task("fail")
async def fail() -> None:
    """Fail."""
    raise ValueError("as asked")
