"""``schema``: JSON Schemas on standard output and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import APP, error_line, run


def test_it_prints_the_schema_of_each_payload() -> None:
    done = run("schema", "--app", APP)
    assert (done.returncode, done.stderr) == (0, "")
    schemas = json.loads(done.stdout)
    assert list(schemas) == ["greet", "fail", "polite", "stubborn", "deaf", "meet", "linger", "die", "event_loop"]
    assert schemas["greet"]["properties"] == {"name": {"title": "Name", "type": "string"}}
    assert schemas["greet"]["required"] == ["name"]
    assert schemas["fail"] == {}


def test_what_the_application_prints_does_not_get_into_the_json(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("from gw_sqla import TaskRegistry\nprint('hello')\ntasks = TaskRegistry()\n")
    done = run("schema", "--app", "loud:tasks", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "hello\n")


def test_a_payload_type_without_a_schema_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "from collections.abc import Callable\nfrom gw_sqla import TaskRegistry\ntasks = TaskRegistry()\n"
        "@tasks.task('odd')\nasync def odd(payload: Callable[[], int]) -> None: ...\n"
    )
    line = error_line(run("schema", "--app", "odd:tasks", cwd=tmp_path), 2)
    assert "task 'odd': its payload type has no JSON Schema" in line
