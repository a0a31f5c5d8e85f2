"""The log of a worker that the command line starts: its formats, the job in each line, and who configures it."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from tests.cli.command import fetch, run

ADD = "select graphile_worker.add_job($1, $2::text::json, queue_name => 'q', max_attempts => 1)"


def lines_of(url: str, *options: str, how: str = "", tasks: tuple[str, ...] = ("mail",)) -> list[str]:
    """What a worker logs that runs a job of each task once."""
    for task in tasks:
        fetch(url, ADD, task, '"secret-payload"')
    env = {"GW_SQLA_TEST_LOG": how}
    done = run("worker", "--app", "tests.cli.app_logs:tasks", "--once", "--database-url", url, *options, env=env)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_text_says_of_which_job_the_lines_of_others_are(clean_database: str) -> None:
    lines = lines_of(clean_database, "--log-level", "debug", tasks=("mail", "in_thread"))
    [mail] = [line for line in lines if "mail to" in line]
    assert "INFO    myapp.mail: mail to secret-payload (job " in mail
    assert mail.endswith(", mail)")
    assert [line for line in lines if "from a thread (job " in line]
    [completed] = [line for line in lines if "(mail, attempt 1 of 1) completed in" in line]
    assert "DEBUG   gw_sqla.outcome: job " in completed


def test_json_has_an_object_for_each_line(clean_database: str) -> None:
    options = ("--log-level", "debug", "--log-format", "json")
    records: list[dict[str, Any]] = [
        json.loads(line) for line in lines_of(clean_database, *options, tasks=("mail", "fail"))
    ]
    [mail] = [record for record in records if record["logger"] == "myapp.mail"]
    assert (mail["message"], mail["level"], mail["tenant"]) == ("mail to secret-payload", "info", "a b")
    assert (mail["task_identifier"], mail["queue_name"], mail["attempt"]) == ("mail", "q", 1)
    outcomes = {record["outcome"]: record for record in records if "outcome" in record}
    assert outcomes.keys() == {"completed", "failed permanently"}
    completed, failed = outcomes["completed"], outcomes["failed permanently"]
    assert (completed["job_id"], completed["level"], failed["level"]) == (mail["job_id"], "debug", "error")
    assert failed["max_attempts"] == 1
    for outcome in outcomes.values():
        assert 0 <= outcome["seconds"] < 20
        assert 0 < outcome["wait_seconds"] < 60
    assert not [record for record in records if record["logger"] != "myapp.mail" and "secret-payload" in str(record)]


def test_logfmt_has_a_line_for_each_record(clean_database: str) -> None:
    lines = lines_of(clean_database, "--log-format", "logfmt", tasks=("mail", "fail"))
    fields = [{key: value for key, _, value in (word.partition("=") for word in shlex.split(line))} for line in lines]
    [mail] = [line for line in fields if line["logger"] == "myapp.mail"]
    assert (mail["message"], mail["tenant"], mail["task_identifier"]) == ("mail to secret-payload", "a b", "mail")
    [failed] = [line for line in fields if line.get("outcome")]
    assert failed["outcome"] == "failed permanently"
    assert 'raise ValueError("as asked")' in failed["message"], "the traceback"


def test_a_process_knows_its_job(clean_database: str) -> None:
    lines = lines_of(clean_database, tasks=("in_process",))
    [said] = [line for line in lines if "in a process" in line]
    assert "CurrentJob(job_id=" in said
    assert "task_identifier='in_process', queue_name='q', attempt=1)" in said


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_application_configures_it(clean_database: str, processes: str) -> None:
    lines = lines_of(clean_database, "--processes", processes, how="basic")
    assert "MINE INFO myapp.mail mail to secret-payload" in lines
    assert [line for line in lines if line.startswith("MINE INFO gw_sqla.worker")]
    again = lines_of(clean_database, "--processes", processes, "--log-level", "error", how="basic")
    assert "MINE INFO myapp.mail mail to secret-payload" in again
    assert not [line for line in again if line.startswith("MINE INFO gw_sqla")]


def test_an_application_configures_it_by_a_dictionary(clean_database: str) -> None:
    lines = lines_of(clean_database, "--log-format", "json", how="dict", tasks=("mail", "fail"))
    [mail] = [line for line in lines if "mail to" in line]
    assert mail.startswith("MINE myapp.mail ")
    assert mail.endswith(" mail mail to secret-payload")
    assert [line for line in lines if line.startswith("MINE gw_sqla.outcome")], "our loggers go on"
    assert [line for line in lines if "--log-format is not heeded" in line]


def test_a_warning_at_import_configures_nothing(clean_database: str) -> None:
    lines = lines_of(clean_database, how="warns")
    assert "WARNING:root:said at import" in lines
    assert [line for line in lines if "INFO    gw_sqla.worker" in line]
    assert len([line for line in lines if "mail to" in line]) == 1
