"""examples/executable_tasks, run by the command that its comment shows."""

from __future__ import annotations

from tests.cli.command import fetch, run


def test_executable_tasks(clean_database: str) -> None:
    add = "select graphile_worker.add_job($1, $2::text::json)"
    fetch(clean_database, add, "word_count", '{"text": "to be or not to be"}')
    fetch(clean_database, add, "mail/send", '{"to": "ada@example.com"}')
    fetch(clean_database, add, "mail/send", '{"from": "ada@example.com"}')
    done = run("worker", "--tasks", "examples/executable_tasks", "--once", "--database-url", clean_database)
    assert (done.returncode, done.stdout) == (0, "completed 2, failed 1 (mail/send: 1)\n"), done.stderr
    assert "7 words of JSON" in done.stderr
    assert "to ada@example.com" in done.stderr
    assert [row["last_error"] for row in fetch(clean_database, "select last_error from graphile_worker.jobs")] == [
        "ExecutableFailedError: send.py exited with code 1; the end of its standard error: the payload has no address"
    ]
