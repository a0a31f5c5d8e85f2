"""``add``: one job, its id printed; bad input adds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import APP, error_line, fetch, run, run_here

JOBS = (
    "select jobs.id, identifier, payload::text, queue_name, to_json(run_at at time zone 'utc')#>>'{}' as run_at, "
    "max_attempts, key, priority, flags::text from graphile_worker._private_jobs as jobs "
    "join graphile_worker._private_tasks as tasks on tasks.id = task_id "
    "left join graphile_worker._private_job_queues as queues on queues.id = job_queue_id"
)


def test_it_prints_the_id_and_hands_every_option_over(clean_database: str) -> None:
    done = run(
        *("add", "task_of_a_node_worker", "--payload", '{"n": 1}', "--queue-name", "mail"),
        *("--run-at", "2030-01-31T08:00:00+02:00", "--max-attempts", "3", "--job-key", "k", "--priority", "-5"),
        *("--job-key-mode", "preserve_run_at", "--flag", "a", "--database-url", clean_database),
    )
    [job] = fetch(clean_database, JOBS)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{job.pop('id')}\n", "")
    assert job == {
        "identifier": "task_of_a_node_worker",
        "payload": '{"n":1}',
        "queue_name": "mail",
        "run_at": "2030-01-31T06:00:00",
        "max_attempts": 3,
        "key": "k",
        "priority": -5,
        "flags": '{"a": true}',
    }


def test_the_payload_can_come_from_standard_input(clean_database: str) -> None:
    done = run("add", "greet", "--payload", "-", stdin='{"name": "Zoë"}', env={"DATABASE_URL": clean_database})
    assert done.returncode == 0, done.stderr
    assert [job["payload"] for job in fetch(clean_database, JOBS)] == ['{"name":"Zoë"}']


def test_the_payload_can_come_from_a_file(clean_database: str, tmp_path: Path) -> None:
    """Checked by the application's task; the time counts from the database's."""
    file = tmp_path / "payload.json"
    file.write_text('{"name": "Zoë"}')
    options = ("--payload-file", str(file), "--run-at", "1h30m", "--app", APP)
    done = run("add", "greet", *options, env={"DATABASE_URL": clean_database})
    assert done.returncode == 0, done.stderr
    assert [job["payload"] for job in fetch(clean_database, JOBS)] == ['{"name":"Zoë"}']
    late = "select run_at - created_at = interval '90 minutes' as fits from graphile_worker.jobs"
    assert [row["fits"] for row in fetch(clean_database, late)] == [True]


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("greet", "--payload", "{bad"), b"", "payload: is not JSON: "),
        (("greet", "--payload", "NaN"), b"", "payload: is not JSON: "),
        (("greet", "--payload", '"\\u0000"'), b"", "NUL character"),
        (("greet", "--payload", "null"), b"", "payload: is null"),
        (("greet", "--payload", "1", "--payload-file", "f"), b"", "leave one of them out"),
        (("greet", "--payload-file", "no/such/file"), b"", "--payload-file no/such/file: No such file"),
        (("greet", "--payload-file", "."), b"", "--payload-file .: Is a directory"),
        (("greet", "--run-at", "999999999w"), b"", "'999999999w' from now is beyond the year 9999"),
        (("greet", "--run-at", "999999w"), b"", "from now is beyond the year 9999"),
        (("greet", "--run-at", "10y"), b"", "nor a duration such as 10m"),
        (("greet", "--from-line", "3"), b"", "--from-line goes with --jobs"),
        (("greet", "--app", APP), b"", "payload: does not fit its task: name: Field required"),
        (("greet", "--app", APP, "--payload", '{"name": 5}'), b"", "payload: does not fit its task: name: Input"),
        (("polite", "--app", APP, "--payload", "5"), b"", "payload: is given, but"),
        (("gret", "--app", APP), b"", "--app has no task 'gret': did you mean 'greet'?"),
        (("greet", "--app", "no_such_module:tasks"), b"", "there is no module no_such_module"),
        (("greet", "--payload", "-"), b"\xff", "payload: is not JSON: "),
        (("greet", "--payload", "-"), b"[" * 100_000, "nested too deeply"),
        (("greet", "--run-at", "tomorrow"), b"", "is not an ISO 8601 time"),
        (("greet", "--run-at", "2030-01-31T08:00:00"), b"", "has no time zone"),
        (("greet", "--priority", "40000"), b"", "priority: must be -32768 to 32767"),
        (("greet", "--job-key-mode", "replace"), b"", "job_key_mode: has no effect without job_key"),
        (("greet", "--job-key-mode", "other", "--job-key", "k"), b"", "'--job-key-mode'"),
        (("",), b"", "task_identifier: must have 1 to 128 characters"),
        ((), b"", "Missing argument 'TASK'"),
        (("greet", "postgresql://u:secret@h/d"), b"", "unexpected extra argument"),
    ],
)
def test_bad_input_adds_nothing(clean_database: str, arguments: tuple[str, ...], stdin: bytes, says: str) -> None:
    line = error_line(run_here("add", "--database-url", clean_database, *arguments, stdin=stdin), 2)
    assert says in line
    assert "secret" not in line
    assert fetch(clean_database, JOBS) == []
