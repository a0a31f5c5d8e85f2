"""Whatever its arguments and environment are, a command ends with a meaningful exit code and one line."""

from __future__ import annotations

import os
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.command import run_here

NOWHERE = "postgresql://nobody:hunter2secret@127.0.0.1:1/d"

COMMANDS = ("worker", "migrate", "downgrade", "add", "schema")
OPTIONS = {
    "--app": "GW_SQLA_APP",
    "--database-url": "DATABASE_URL",
    "--schema": "GRAPHILE_WORKER_SCHEMA",
    "--concurrency": "GW_SQLA_CONCURRENCY",
    "--prefetch": "GW_SQLA_PREFETCH",
    "--poll-interval": "GW_SQLA_POLL_INTERVAL",
    "--grace-period": "GW_SQLA_GRACE_PERIOD",
    "--heartbeat-interval": "GW_SQLA_HEARTBEAT_INTERVAL",
    "--heartbeat-threshold": "GW_SQLA_HEARTBEAT_THRESHOLD",
    "--sweep-interval": "GW_SQLA_SWEEP_INTERVAL",
    "--recovery-delay": "GW_SQLA_RECOVERY_DELAY",
    "--crontab": "GW_SQLA_CRONTAB",
    "--forbidden-flag": "GW_SQLA_FORBIDDEN_FLAG",
    "--log-level": "GW_SQLA_LOG_LEVEL",
    "--backend": "GW_SQLA_BACKEND",
    "--payload": "GW_SQLA_PAYLOAD",
    "--queue-name": "GW_SQLA_QUEUE_NAME",
    "--run-at": "GW_SQLA_RUN_AT",
    "--max-attempts": "GW_SQLA_MAX_ATTEMPTS",
    "--job-key": "GW_SQLA_JOB_KEY",
    "--job-key-mode": "GW_SQLA_JOB_KEY_MODE",
    "--priority": "GW_SQLA_PRIORITY",
    "--flag": "GW_SQLA_FLAG",
    "--debug": "GW_SQLA_DEBUG",
    "--once": "GW_SQLA_ONCE",
}
NUMBERS = st.sampled_from(
    ["0", "-1", "1e400", "nan", "inf", "-inf", "99999999999999999999", "0x10", "१२", "1_0", " 7 "]
)
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
TEXT = (
    NUMBERS | WORDS | st.sampled_from(["[" * 5000, '{"a":', "null", '"\\u0000"', "2030-01-01T00:00", "a:b", ".", "::"])
)
"""What can be an argument or in a variable: no NUL, and Unicode."""

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
slow_is_fine = settings(max_examples=150, deadline=None, suppress_health_check=SLOW)


def assert_ended_in_order(arguments: list[str]) -> None:
    done = run_here(*arguments)
    assert done.returncode in {0, 1, 2, 57}, done
    assert "Traceback" not in done.stderr or "--debug" in arguments or "GW_SQLA_DEBUG" in os.environ, done
    assert "Error: unexpected" not in done.stderr, done  # what the command line has no words for
    assert "hunter2secret" not in done.stderr + done.stdout, done
    if done.returncode:
        assert done.stderr.startswith("Usage: ") or done.stderr.splitlines()[-1].startswith("Error: "), done


@slow_is_fine
@given(st.lists(TEXT | st.sampled_from([*COMMANDS, *OPTIONS]), max_size=6))
def test_any_arguments(arguments: list[str]) -> None:
    if "quickstart" not in arguments:
        assert_ended_in_order(["--", *arguments] if arguments[:1] == ["--help"] else arguments)


@slow_is_fine
@given(st.sampled_from(COMMANDS), st.dictionaries(st.sampled_from(list(OPTIONS)), TEXT, max_size=4))
def test_any_values_of_options(command: str, values: dict[str, str]) -> None:
    """Unless an option is wrong by itself, nothing answers at the URL."""
    complete = {"--database-url": NOWHERE} | ({"--app": "tests.cli.app:tasks"} if command == "worker" else {}) | values
    flags = {"--once", "--debug"}
    arguments = [part for name, value in complete.items() for part in ([name] if name in flags else [name, value])]
    assert_ended_in_order([command, *arguments, *(["task"] if command == "add" else [])])


@slow_is_fine
@given(st.sampled_from(COMMANDS), st.dictionaries(st.sampled_from(list(OPTIONS)), TEXT, max_size=4))
def test_any_environment(command: str, values: dict[str, str]) -> None:
    complete = {"--database-url": NOWHERE, "--app": "tests.cli.app:tasks"} | values
    with mock.patch.dict(os.environ, {OPTIONS[name]: value for name, value in complete.items()}):
        assert_ended_in_order([command, *(["task"] if command == "add" else [])])
