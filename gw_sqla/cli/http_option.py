"""``--http HOST:PORT``: where to answer those who monitor."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import click

from gw_sqla.cli.options import option
from gw_sqla.errors import ConfigurationError

__all__ = ["http_option", "require_prometheus"]

F = TypeVar("F", bound=Callable[..., Any])


def _checked(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        require_prometheus("--http")
        from gw_sqla.telemetry.addresses import Address

        Address.parse(value, "--http")
    return value


def http_option(*, default: str | None = None) -> Callable[[F], F]:
    """Declare ``--http``."""
    return option(
        "--http",
        default=default,
        metavar="HOST:PORT",
        callback=_checked,
        help="Where to answer /metrics, /healthz and /readyz: 127.0.0.1:9000, or 0.0.0.0:9000 for all networks; one "
        "port for all processes.",
    )


def require_prometheus(what: str) -> None:
    """Raise ConfigurationError where the extra is missing."""
    if not find_spec("prometheus_client") or not find_spec("h11"):
        raise ConfigurationError(f"{what} needs the extra: pip install 'gw-sqla[prometheus]'")
