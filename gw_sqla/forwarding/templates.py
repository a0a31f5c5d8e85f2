"""Templates: texts with fields of a job in them, such as ``orders.{payload.country}``, for those who write no Python.

Fields: ``{payload}`` and ``{payload.a.b}`` (a number is an index of a list), ``{task}``, ``{queue}``, ``{job_key}``,
``{job_id}``, ``{priority}``. ``{{`` and ``}}`` stand for braces. A text is taken as it is, anything else as JSON. A
field that a job has not fails the job: a message must not go to a place that nobody meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from gw_sqla.errors import ConfigurationError, InvalidPayloadError
from gw_sqla.execution.sink import Message

__all__ = ["Template", "message_function"]

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_FIELDS: dict[str, Callable[[Message], Any]] = {
    "task": lambda message: message.job.task_identifier,
    "queue": lambda message: message.job.queue_name,
    "job_key": lambda message: message.job.key,
    "job_id": lambda message: message.job.id,
    "priority": lambda message: message.job.priority,
}


class Template:
    """One text; raises ConfigurationError, which names the field, for one that cannot be."""

    def __init__(self, text: str) -> None:
        self._parts: list[str | tuple[str, ...]] = []
        end = 0
        for found in _PART.finditer(text):
            self._parts.append(text[end : found.start()])
            end = found.end()
            if found[1] is None:
                if found[0] in "{}":
                    raise ConfigurationError(f"has a lone {found[0]}: write {found[0] * 2}")
                self._parts.append(found[0][0])
            else:
                self._parts.append(_path(found[1]))
        self._parts.append(text[end:])

    def fill(self, payload: Any, message: Message) -> str:
        """Return the text for a job; raises InvalidPayloadError for a field that it has not."""
        return "".join(part if isinstance(part, str) else _value(part, payload, message) for part in self._parts)


def message_function(
    topic: Template | None, key: Template | None, headers: Mapping[str, Template]
) -> Callable[[Any, Message], Message] | None:
    """Return the ``message`` of a task that fills these in; None where there are none."""
    if topic is None and key is None and not headers:
        return None

    def make(payload: Any, message: Message) -> Message:
        if topic is not None:
            message.topic = topic.fill(payload, message)
        if key is not None:
            message.key = key.fill(payload, message)
        if headers:
            message.headers = {name: template.fill(payload, message) for name, template in headers.items()}
        return message

    return make


def _path(field: str) -> tuple[str, ...]:
    path = tuple(field.split("."))
    if path[0] != "payload" and (path[0] not in _FIELDS or len(path) > 1):
        raise ConfigurationError(f"there is no {{{field}}}: write {{payload.name}}, or one of {', '.join(_FIELDS)}")
    if not all(path):
        raise ConfigurationError(f"{{{field}}} has an empty name in it")
    return path


def _value(path: tuple[str, ...], payload: Any, message: Message) -> str:
    if path[0] != "payload":
        value = _FIELDS[path[0]](message)
        if value is None:
            raise InvalidPayloadError(f"has nothing for {{{path[0]}}}: the job has none")
        return str(value)
    value = payload
    for name in path[1:]:
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InvalidPayloadError(f"has no {'.'.join(path[1:])}, which a template asks for") from error
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
