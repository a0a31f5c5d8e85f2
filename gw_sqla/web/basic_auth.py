"""HTTP Basic authentication, as an ``access``: one name and password."""

from __future__ import annotations

import base64
import binascii
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import Request

from gw_sqla.errors import ConfigurationError
from gw_sqla.web.rights import ALL_RIGHTS, Access, Right, Viewer

__all__ = ["basic_auth"]

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="gw_sqla", charset="UTF-8"'}


def basic_auth(name: str, password: str, rights: frozenset[Right] = ALL_RIGHTS) -> Access:
    """Return an access that lets in who knows the name and password, with these rights.

    Use it behind TLS or on the loopback only: the password is sent with every request, as it is.
    Raises ConfigurationError for a name with a colon, and for an empty password.
    """
    if ":" in name:
        raise ConfigurationError("name: Basic authentication cannot tell where a name with a colon ends")
    if not password:
        raise ConfigurationError("password: must not be empty")
    viewer = Viewer(rights, name)
    expected = f"{name}:{password}".encode()

    def access(request: Request) -> Viewer:
        if not secrets.compare_digest(_given(request), expected):
            raise HTTPException(401, "Name and password, please.", _CHALLENGE)
        return viewer

    return access


def _given(request: Request) -> bytes:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
