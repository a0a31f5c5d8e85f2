"""A text that the next page shows, once: in a cookie of its own, which no script can read and no site can set.

Not in the address, where a link of somebody else's could make the dashboard say anything.
"""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["forget_flash", "read_flash", "write_flash"]

_COOKIE = "gw_sqla_said"
_LONGEST = 700
"""Characters: browsers drop a cookie of over 4,096 bytes."""


def write_flash(response: Response, text: str) -> None:
    """Let the next page show the text."""
    value = base64.urlsafe_b64encode(text[:_LONGEST].encode()).decode()
    response.set_cookie(_COOKIE, value, max_age=60, httponly=True, samesite="strict")


def read_flash(request: Request) -> str | None:
    """Return the text that is to be shown, if there is one."""
    value = request.cookies.get(_COOKIE)
    if value is None:
        return None
    try:
        return base64.urlsafe_b64decode(value).decode()[:_LONGEST]
    except (binascii.Error, ValueError):
        return None


def forget_flash(response: Response) -> None:
    """Let no further page show it."""
    response.delete_cookie(_COOKIE, httponly=True, samesite="strict")
