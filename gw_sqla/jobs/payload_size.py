"""How large a payload may be: where a job is added, and where it is claimed.

A payload is held whole, several times over, by whoever adds, stores, claims and parses it: one of hundreds of megabytes
ends the worker that fetches it, and the next one, while the jobs behind it wait. So both sides have a bound, and a
worker does not fetch what is beyond its own: Node, Rust and SQL add jobs too.
"""

from __future__ import annotations

from gw_sqla.errors import ConfigurationError, InvalidPayloadError

__all__ = ["MAX_PAYLOAD_SIZE", "check_max_payload_size", "check_payload_size"]

MAX_PAYLOAD_SIZE = 16 * 2**20
"""The default, in bytes of JSON text in UTF-8."""

_LARGEST = 2**30
"""PostgreSQL holds no larger value."""


def check_max_payload_size(value: int | None) -> None:
    """Raise ConfigurationError for what is no bound."""
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 1024 <= value <= _LARGEST:
        raise ConfigurationError(f"max_payload_size: must be 1024 to {_LARGEST} bytes, or None, is {value!r}")


def check_payload_size(text: str, most: int | None) -> None:
    """Raise InvalidPayloadError for JSON text of more bytes."""
    if most is None or len(text) * 4 <= most:
        return
    size = len(text.encode())
    if size > most:
        raise InvalidPayloadError(
            f"is {size} bytes of JSON, and max_payload_size is {most}: store it elsewhere, and in the payload where"
        )
