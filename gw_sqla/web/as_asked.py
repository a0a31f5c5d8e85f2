"""Puts right what some frameworks do to the path of an application that they mount, so that links stay relative.

Litestar puts a slash behind each path, and takes the prefix alone, without one, for the same as with one: then links
that are relative to a page would lead beside the prefix. What was asked for is in ASGI's ``raw_path``.
"""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gw_sqla.web.visit import path_inside

__all__ = ["AsAsked"]


class AsAsked:
    """An ASGI application around another, which gets the path without a slash that nobody asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = bytes(scope.get("raw_path") or b"").partition(b"?")[0] if scope["type"] == "http" else b""
        if raw and not raw.endswith(b"/"):
            path = str(scope["path"])
            if path_inside(scope) == "/":
                query = bytes(scope.get("query_string") or b"")
                last = raw.rpartition(b"/")[2] + b"/" + (b"?" + query if query else b"")
                await RedirectResponse(f"./{last.decode('ascii', 'replace')}", 307)(scope, receive, send)
                return
            if path.endswith("/"):
                scope = {**scope, "path": path.rstrip("/")}
        await self._app(scope, receive, send)
