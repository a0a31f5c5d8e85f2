"""forward.toml: what is forwarded where, for those who write no Python.

    [sinks.shop]                         # a name of yours
    type = "rabbitmq"                    # and the options of that sink
    url = "${RABBITMQ_URL}"
    exchange = "shop"

    [tasks.order_paid]                   # a task's identifier
    sink = "shop"
    topic = "orders.{payload.country}"   # gw_sqla.forwarding.templates
    batch = 500

``${NAME}``, in any text of a sink, is a variable of the environment, ``$${`` stands for ``${``. The values of variables
are in no error. Durations are numbers of seconds. All that is wrong is an error that says where: an unknown key too,
and a sink that no task uses.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from gw_sqla.errors import ConfigurationError, TaskDefinitionError
from gw_sqla.execution.sink import Sink
from gw_sqla.execution.task_registry import TaskRegistry
from gw_sqla.forwarding.templates import Template, message_function

__all__ = ["Configuration", "read_configuration"]

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_FIELD = re.compile(r"\w+: ")


class Configuration(NamedTuple):
    """What a file says: the sinks by their names, and the tasks that go to them."""

    sinks: Mapping[str, Sink]
    tasks: TaskRegistry


def _http(options: dict[str, Any]) -> Sink:
    from gw_sqla.forwarding.http import HttpSink

    return HttpSink(**options)


def _redis(options: dict[str, Any]) -> Sink:
    from gw_sqla.forwarding.redis_streams import RedisStreamSink

    return RedisStreamSink(**options)


def _rabbitmq(options: dict[str, Any]) -> Sink:
    from gw_sqla.forwarding.rabbitmq import RabbitMQSink

    return RabbitMQSink(**options)


def _nats(options: dict[str, Any]) -> Sink:
    from gw_sqla.forwarding.nats_jetstream import NatsSink

    return NatsSink(**options)


def _sqs(options: dict[str, Any]) -> Sink:
    from gw_sqla.forwarding.sqs import SqsSink

    return SqsSink(**options)


def _sns(options: dict[str, Any]) -> Sink:
    from gw_sqla.forwarding.sns import SnsSink

    return SnsSink(**options)


def _kafka(options: dict[str, Any]) -> Sink:
    from gw_sqla.forwarding.kafka import KafkaSink

    return KafkaSink(**options)


class _Kind(NamedTuple):
    """A type of sinks: what makes one, its options with what they must be, and the one that it cannot do without."""

    make: Callable[[dict[str, Any]], Sink]
    options: Mapping[str, type]
    needed: str | None = "url"


_AWS = {"region": str, "endpoint_url": str, "access_key_id": str, "secret_access_key": str, "concurrency": int}


_KINDS: dict[str, _Kind] = {
    "http": _Kind(
        _http,
        {
            "url": str,
            "secret": str,
            "event_source": str,
            "headers": dict,
            "concurrency": int,
            "timeout": timedelta,
            "proxy": str,
        },
    ),
    "redis": _Kind(_redis, {"url": str, "stream": str, "maxlen": int, "create": bool}),
    "rabbitmq": _Kind(_rabbitmq, {"url": str, "exchange": str, "routing_key": str, "priority": int}),
    "nats": _Kind(_nats, {"url": str, "subject": str, "stream": str, "user_credentials": str}),
    "kafka": _Kind(
        _kafka,
        {**dict.fromkeys(("servers", "topic", "username", "password", "mechanism", "compression"), str), "tls": bool},
        needed="servers",
    ),
    "sqs": _Kind(_sqs, {"queue": str, **_AWS}, needed=None),
    "sns": _Kind(_sns, {"topic_arn": str, **_AWS}, needed="topic_arn"),
}
_TASK = {
    "sink": str,
    "topic": str,
    "key": str,
    "headers": dict,
    "batch": int,
    "timeout": timedelta,
    "source": str,
    "keep": timedelta,
}


def read_configuration(file: str | os.PathLike[str], environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read a file; connects to nothing. Raises ConfigurationError, which names the file and the place in it."""
    try:
        return _read(_parsed(Path(file)), environment)
    except (ConfigurationError, TaskDefinitionError) as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(error.strerror or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("is not text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"is not TOML: {error}") from error


def _read(content: dict[str, Any], environment: Mapping[str, str]) -> Configuration:
    _check_keys("", content, ("sinks", "tasks"))
    of_sinks, of_tasks = _table("sinks", content.get("sinks", {})), _table("tasks", content.get("tasks", {}))
    if not of_tasks:
        raise ConfigurationError("tasks: there is none: write [tasks.IDENTIFIER], with a sink")
    sinks = {name: _sink(f"sinks.{name}", table, environment) for name, table in of_sinks.items()}
    tasks = TaskRegistry()
    used = set()
    for identifier, table in of_tasks.items():
        used.add(_forward(tasks, identifier, f"tasks.{identifier}", table, sinks))
    if unused := [name for name in sinks if name not in used]:
        raise ConfigurationError(f"sinks.{unused[0]}: no task goes there")
    return Configuration(sinks, tasks)


def _sink(place: str, table: object, environment: Mapping[str, str]) -> Sink:
    options = _table(place, table)
    kind = options.pop("type", None)
    if kind not in _KINDS:
        raise ConfigurationError(f"{place}.type: must be one of {', '.join(_KINDS)}, is {kind!r}")
    make, wanted, needed = _KINDS[kind]
    _check_keys(place, options, wanted)
    values = {name: _value(f"{place}.{name}", value, wanted[name], environment) for name, value in options.items()}
    if needed is not None and needed not in values:
        raise ConfigurationError(f"{place}.{needed}: is missing")
    try:
        return make(values)
    except ConfigurationError as error:
        field = "." if _FIELD.match(str(error)) else ": "
        raise ConfigurationError(f"{place}{field}{error}") from error


def _forward(tasks: TaskRegistry, identifier: str, place: str, table: object, sinks: Mapping[str, Sink]) -> str:
    """Declare a task; return the name of its sink."""
    options = _table(place, table)
    _check_keys(place, options, _TASK)
    values = {name: _value(f"{place}.{name}", value, _TASK[name], None) for name, value in options.items()}
    sink = values.pop("sink", None)
    if sink not in sinks:
        raise ConfigurationError(f"{place}.sink: must be one of {', '.join(sinks) or '[sinks.NAME]'}, is {sink!r}")
    headers = {
        name: _template(f"{place}.headers.{name}", text) for name, text in dict(values.pop("headers", {})).items()
    }
    templates = {
        name: _template(f"{place}.{name}", values.pop(name)) if name in values else None for name in ("topic", "key")
    }
    message = message_function(templates["topic"], templates["key"], headers)
    tasks.forward(identifier, sinks[sink], message=message, **values)
    return str(sink)


def _template(place: str, text: object) -> Template:
    if not isinstance(text, str):
        raise ConfigurationError(f"{place}: must be a text, is {type(text).__name__}")
    try:
        return Template(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from error


def _value(place: str, value: object, kind: type, environment: Mapping[str, str] | None) -> Any:
    if kind is timedelta:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
            raise ConfigurationError(f"{place}: must be a number of seconds")
        return timedelta(seconds=value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table"}
        raise ConfigurationError(f"{place}: must be {words[kind]}, is {type(value).__name__}")
    if environment is None:
        return value
    if isinstance(value, dict):
        return {name: _value(f"{place}.{name}", text, str, environment) for name, text in value.items()}
    return _filled_in(place, value, environment) if isinstance(value, str) else value


def _filled_in(place: str, text: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            if found[0] == "$${":
                return "${"
            raise ConfigurationError(f"{place}: has a ${{ without its }}")
        if name not in environment:
            raise ConfigurationError(f"{place}: the environment has no {name}")
        return environment[name]

    return _VARIABLE.sub(value, text)


def _table(place: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place}: must be a table, as of [{place}], is {type(value).__name__}")
    return dict(value)


def _check_keys(place: str, table: Mapping[str, Any], known: Mapping[str, Any] | tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigurationError(f"{place}{'.' if place else ''}{name}: is unknown; {hint}")
