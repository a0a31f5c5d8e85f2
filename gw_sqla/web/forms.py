"""The body of a form: read up to a limit, and no longer than somebody sends it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from urllib.parse import parse_qsl

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gw_sqla.errors import InvalidJobError

__all__ = ["Form", "read_form"]

_MOST_FIELDS = 2_000
_SECONDS = 15.0
"""For which somebody may send a form: less than a request may take, so that nobody takes it for the database's."""


class Form:
    """What was filled in: each field may come several times."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def all(self, name: str) -> list[str]:
        """Return what is not empty of this name."""
        return [value for key, value in self._pairs if key == name and value]

    def text(self, name: str) -> str | None:
        """Return the first that is not empty, None where there is none."""
        return next(iter(self.all(name)), None)

    def required(self, name: str) -> str:
        """Return the first; raises InvalidJobError where there is none."""
        value = self.text(name)
        if value is None:
            raise InvalidJobError(name, "is missing: fill it in")
        return value

    def integer(self, name: str) -> int | None:
        """Return a number, None where there is none; raises InvalidJobError for what is no number."""
        value = self.text(name)
        return None if value is None else as_integer(name, value)


def as_integer(name: str, value: str) -> int:
    """Return a number of at most 19 digits; raises InvalidJobError for what is none."""
    digits = value.strip().removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 19:
        raise InvalidJobError(name, f"must be a whole number, is {value[:40]!r}")
    return int(value)


async def read_form(request: Request, most_bytes: int) -> Form:
    """Read a urlencoded form.

    Raises HTTPException: 413 for more than ``most_bytes``, 415 for another kind, 400 for what is no form, 408 where it
    does not come in time.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Send a form: application/x-www-form-urlencoded.")
    body = bytearray()
    with anyio.move_on_after(_SECONDS) as scope:
        async with aclosing(request.stream()) as parts:
            async for part in parts:
                body += part
                if len(body) > most_bytes:
                    raise HTTPException(413, f"That is too much: a form here has {most_bytes:,} bytes at most.")
    if scope.cancelled_caught:
        raise HTTPException(408, f"The form did not come within {_SECONDS:.0f} seconds. Nothing was done.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(400, "That is no form that can be read.") from error
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs])
