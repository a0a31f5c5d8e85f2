"""Sinks: where `gw_sqla.TaskRegistry.forward` sends the jobs of a task. docs/forwarding.md tells the whole of it.

A name's module is imported when the name is used first: each needs its own extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gw_sqla.execution.sink import Message, Sink, standard_headers
    from gw_sqla.forwarding.celery_tasks import CelerySink
    from gw_sqla.forwarding.http import HttpSink
    from gw_sqla.forwarding.kafka import KafkaSink
    from gw_sqla.forwarding.nats_jetstream import NatsSink
    from gw_sqla.forwarding.rabbitmq import RabbitMQSink
    from gw_sqla.forwarding.redis_streams import RedisStreamSink
    from gw_sqla.forwarding.refusal import RefusedError
    from gw_sqla.forwarding.sns import SnsSink
    from gw_sqla.forwarding.sqs import SqsSink

__all__ = [
    "CelerySink",
    "HttpSink",
    "KafkaSink",
    "Message",
    "NatsSink",
    "RabbitMQSink",
    "RedisStreamSink",
    "RefusedError",
    "Sink",
    "SnsSink",
    "SqsSink",
    "standard_headers",
]

_HOMES = {
    "CelerySink": "gw_sqla.forwarding.celery_tasks",
    "HttpSink": "gw_sqla.forwarding.http",
    "KafkaSink": "gw_sqla.forwarding.kafka",
    "Message": "gw_sqla.execution.sink",
    "NatsSink": "gw_sqla.forwarding.nats_jetstream",
    "RabbitMQSink": "gw_sqla.forwarding.rabbitmq",
    "RedisStreamSink": "gw_sqla.forwarding.redis_streams",
    "RefusedError": "gw_sqla.forwarding.refusal",
    "Sink": "gw_sqla.execution.sink",
    "SnsSink": "gw_sqla.forwarding.sns",
    "SqsSink": "gw_sqla.forwarding.sqs",
    "standard_headers": "gw_sqla.execution.sink",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'gw_sqla.forwarding' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
