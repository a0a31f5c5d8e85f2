"""Amazon's services for the tests, by moto's server: clients of it, and fixtures for those who import them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.forwarding.servers import Broker, moto_command, running

__all__ = ["ACCOUNT", "access", "amazon", "client_of"]

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def amazon() -> Iterator[Broker]:
    with running(moto_command) as broker:
        yield broker


@pytest.fixture
def access(amazon: Broker) -> dict[str, Any]:
    """The options of a sink that goes there."""
    return {
        "region": "eu-west-1",
        "endpoint_url": f"http://127.0.0.1:{amazon.port}",
        "access_key_id": "key",
        "secret_access_key": "hidden",
    }


def client_of(service: str, amazon: Broker) -> Any:
    """Return a blocking client."""
    return boto3.client(
        service,
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{amazon.port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
