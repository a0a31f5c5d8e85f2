"""forward.toml: every fault is named, with its place; nothing of a secret is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gw_sqla import ClaimedJob, ConfigurationError, InvalidPayloadError
from gw_sqla.execution.forwarded_tasks import forwarding_of, make_message
from gw_sqla.forwarding.configuration import read_configuration
from gw_sqla.forwarding.templates import Template

ENVIRONMENT = {"REDIS_URL": "redis://:hidden@localhost", "BAD_URL": "hidden://x"}

GOOD = """
[sinks.streams]
type = "redis"
url = "${REDIS_URL}"
stream = "orders$${x}"
maxlen = 1000

[sinks.hooks]
type = "http"
url = "https://example.com/x"
timeout = 2.5
headers = { Authorization = "Bearer ${REDIS_URL}" }

[tasks.order_paid]
sink = "streams"
batch = 250
timeout = 12
topic = "orders.{payload.address.country}"
key = "{payload.lines.0.id}"
headers = { kind = "{task}/{queue}/{{x}}" }
source = "shop/"

[tasks."order sent"]
sink = "hooks"
"""

REDIS = '[sinks.a]\ntype = "redis"\nurl = "redis://localhost"\n'
TASK = '[tasks.t]\nsink = "a"\n'


def job(payload: str, **more: Any) -> ClaimedJob:
    fields: dict[str, Any] = {"queue_name": "q", "key": None} | more
    queue, key = fields["queue_name"], fields["key"]
    return ClaimedJob(7, "order_paid", payload, queue, 3, datetime.now(UTC), 1, 25, key, None, 0, None)


def write(folder: Path, text: str) -> Path:
    file = folder / "forward.toml"
    file.write_text(text)
    return file


def test_good_file(tmp_path: Path) -> None:
    sinks, tasks = read_configuration(write(tmp_path, GOOD), ENVIRONMENT)
    assert list(sinks) == ["streams", "hooks"]
    assert list(tasks) == ["order_paid", "order sent"]
    forwarding = forwarding_of(tasks["order_paid"])
    assert (forwarding.batch, forwarding.timeout.total_seconds(), forwarding.sink) == (250, 12, sinks["streams"])
    message = make_message(tasks["order_paid"], job('{"address":{"country":"de"},"lines":[{"id":42}]}'))
    assert (message.id, message.topic, message.key) == ("shop/7", "orders.de", "42")
    assert message.headers == {"kind": "order_paid/q/{x}"}
    assert vars(sinks["streams"])["_stream"] == "orders${x}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "tasks: there is none"),
        ("x = ", "is not TOML"),
        ("[sink.a]", "sink: is unknown; did you mean sinks?"),
        ("sinks = 1\n" + TASK, "sinks: must be a table"),
        (REDIS + "[tasks]\nt = 1", "tasks.t: must be a table"),
        ("[sinks.a]\ntype = 'redsi'\n" + TASK, "sinks.a.type: must be one of http, redis"),
        ("[sinks.a]\ntype = 'redis'\n" + TASK, "sinks.a.url: is missing"),
        (REDIS + "strem = 'x'\n" + TASK, "sinks.a.strem: is unknown; did you mean stream?"),
        (REDIS + "maxlen = '1'\n" + TASK, "sinks.a.maxlen: must be a whole number, is str"),
        (REDIS + "maxlen = true\n" + TASK, "sinks.a.maxlen: must be a whole number, is bool"),
        (REDIS + "maxlen = 0\n" + TASK, "sinks.a.maxlen: must be 1 or more"),
        (REDIS + "stream = '${UNSET}'\n" + TASK, "sinks.a.stream: the environment has no UNSET"),
        (REDIS + "stream = '${UNSET'\n" + TASK, "sinks.a.stream: has a ${ without its }"),
        (REDIS.replace("redis://localhost", "${BAD_URL}") + TASK, "sinks.a.url: must be such as redis://"),
        (REDIS + TASK + "batch = 0", "task 't': batch must be 1 to 10000"),
        (REDIS + TASK + "timeout = -1", "tasks.t.timeout: must be a number of seconds"),
        (REDIS + TASK + "topics = 'x'", "tasks.t.topics: is unknown; did you mean topic?"),
        (REDIS + TASK + "topic = '{payload.a'", "tasks.t.topic: has a lone {"),
        (REDIS + TASK + "topic = '{paylod.a}'", "tasks.t.topic: there is no {paylod.a}"),
        (REDIS + TASK + "topic = '{payload..a}'", "tasks.t.topic: {payload..a} has an empty name"),
        (REDIS + TASK + "headers = { a = 1 }", "tasks.t.headers.a: must be a text"),
        (REDIS + "[tasks.t]\nsink = 'b'", "tasks.t.sink: must be one of a, is 'b'"),
        (REDIS + "[tasks.t]\nbatch = 5", "tasks.t.sink: must be one of a, is None"),
        (REDIS + REDIS.replace("sinks.a", "sinks.b") + TASK, "sinks.b: no task goes there"),
    ],
)
def test_faults(tmp_path: Path, text: str, problem: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(file, ENVIRONMENT)
    assert str(caught.value).startswith(f"{file}: ")
    assert problem in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_configuration(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "payload", "filled"),
    [
        ("{payload}", "text", "text"),
        ("{payload}", {"a": [1, None, True]}, '{"a":[1,null,true]}'),
        ("{payload.a.1}", {"a": ["x", 1.5]}, "1.5"),
        ("{job_id}:{priority}", None, "7:3"),
        ("plain", None, "plain"),
    ],
)
def test_templates(text: str, payload: Any, filled: str) -> None:
    from gw_sqla.execution.sink import message_of

    assert Template(text).fill(payload, message_of(job("{}"), "")) == filled


@pytest.mark.parametrize("text", ["{payload.a}", "{payload.0}", "{job_key}", "{payload.b.c}"])
def test_fields_that_a_job_has_not(text: str) -> None:
    from gw_sqla.execution.sink import message_of

    with pytest.raises(InvalidPayloadError) as caught:
        Template(text).fill({"b": "hidden"}, message_of(job("{}"), ""))
    assert "hidden" not in str(caught.value)
