"""What stands before every request: headers that keep a browser from doing harm, and no request from another site.

A request that changes something is refused where the browser says that another site made it: by Sec-Fetch-Site, else
by Origin, whose host must be the one that was asked. Browsers send one of the two with every POST, and no page can keep
them from it; what sends neither is a program, which has the password or has not. So no tokens are needed in forms.
Reading costs the database something: of other sites, a link that somebody follows is answered, but nothing that a page
of theirs asks for by itself (a picture, a frame, a script).
The referrer policy is ``same-origin``: with ``no-referrer``, browsers send ``Origin: null`` with forms.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guards", "OnlyHosts"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


class Guards:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_other_kinds(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        if not (_may_read(headers) if scope["method"] in _SAFE else _is_own(headers)):
            response = PlainTextResponse(
                "This request was made by another site, so nothing was done.\n"
                "Open the dashboard itself, and try there. Behind a proxy: it must pass the Host header on.\n",
                403,
            )
            await response(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


def _is_own(headers: Headers) -> bool:
    """Tell whether one of our own pages, or no browser at all, has made the request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def _may_read(headers: Headers) -> bool:
    """Tell whether it is one of our own pages that asks, no browser, or somebody who has followed a link."""
    is_link = headers.get("sec-fetch-dest") == "document"
    return is_link or headers.get("sec-fetch-site", "none") in {"same-origin", "none"}


async def _refuse_other_kinds(scope: Scope, receive: Receive, send: Send) -> None:
    """Close websockets; a lifespan, of which this application needs none, begins and ends."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class OnlyHosts:
    """Answers only those who ask for one of these hosts, whatever the port.

    Without a password, on the loopback, it keeps other sites out: one whose name is made to point to 127.0.0.1 is, for
    a browser, a site of its own that may read what is there.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                host = urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
            except ValueError:
                host = None
            if host not in self._hosts:
                names = ", ".join(sorted(self._hosts))
                await PlainTextResponse(f"Ask for it by one of these names: {names}.\n", 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)
