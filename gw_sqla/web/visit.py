"""A visit: one request, who makes it, and what a screen needs to answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from gw_sqla.admin import Admin
from gw_sqla.web.flash import forget_flash, read_flash, write_flash
from gw_sqla.web.forms import Form, as_integer, read_form
from gw_sqla.web.options import Options
from gw_sqla.web.rights import NOBODY, Right
from gw_sqla.web.templates import environment

__all__ = ["Visit", "path_inside", "relative"]

_LONGEST_FORM = 256 * 1024


class Visit:
    """What a screen's function gets. Until it is known who comes, it is nobody, and there is nowhere to go."""

    def __init__(self, request: Request, options: Options) -> None:
        self.request = request
        self.options = options
        self.viewer = NOBODY
        self.links: tuple[tuple[str, str], ...] = ()
        self.warning: str | None = None

    @property
    def admin(self) -> Admin:
        """The core: everything that is read and done goes through it."""
        return self.options.admin

    @property
    def actor(self) -> str:
        """Who acts, for the audit and for pauses."""
        return self.viewer.name

    @property
    def path(self) -> str:
        """The path inside the dashboard, such as ``/jobs``."""
        return path_inside(self.request.scope)

    @property
    def is_live(self) -> bool:
        """Whether a page that somebody has open refreshes itself: what is shared will do."""
        return "x-live" in self.request.headers

    def session(self) -> AsyncSession:
        """Return a session to read in, for ``async with``; what it does is rolled back."""
        return self.options.sessions()

    def transaction(self) -> Any:
        """Return a session in a transaction, for ``async with``: committed at the end, rolled back on an error."""
        return self.options.sessions.begin()

    def text(self, name: str) -> str | None:
        """Return a value of the query that is not empty, or None."""
        return self.request.query_params.get(name) or None

    def texts(self, name: str) -> list[str]:
        """Return all values of the query of this name that are not empty."""
        return [value for value in self.request.query_params.getlist(name) if value]

    def integer(self, name: str) -> int | None:
        """Return a number of the query, or None; raises InvalidJobError for what is no number."""
        value = self.text(name)
        return None if value is None else as_integer(name, value)

    def path_integer(self, name: str) -> int:
        """Return a number of the path; raises HTTPException (404) for what is no number."""
        value = str(self.request.path_params[name])
        if not value.isascii() or not value.isdecimal() or len(value) > 19:
            raise HTTPException(404)
        return int(value)

    async def form(self, most_bytes: int = _LONGEST_FORM) -> Form:
        """Read the form that was posted, up to ``most_bytes``."""
        return await read_form(self.request, most_bytes)

    def may(self, right: Right | str) -> bool:
        """Tell whether this viewer may do that here."""
        allowed = Right(right) in self.viewer.rights
        return allowed and (right == Right.READ or not self.options.read_only)

    def require(self, right: Right) -> None:
        """Raise HTTPException (403) unless this viewer may do that here."""
        if not self.may(right):
            why = "This dashboard is read-only." if self.options.read_only else f"You lack the right to {right}."
            raise HTTPException(403, f"{why} Nothing was done.")

    def url(self, path: str, **query: object) -> str:
        """Return a link to a path inside the dashboard, relative to this page.

        None and empty values are left out, of a list there is one pair for each."""
        return relative(self.path, path, query)

    def here(self, **changes: object) -> str:
        """Return a link to this page with other values in its query; None takes one out."""
        pairs = [(key, value) for key, value in self.request.query_params.multi_items() if key not in changes]
        pairs += [(key, str(value)) for key, value in changes.items() if value is not None]
        return relative(self.path, self.path, {}) + (f"?{urlencode(pairs)}" if pairs else "")

    def render(self, template: str, status: int = 200, /, **context: Any) -> Response:
        """Return a page made of a template; it has ``visit``, ``url``, ``may`` and what is given here."""
        said = read_flash(self.request)
        values: Mapping[str, Any] = {
            "visit": self,
            "url": self.url,
            "may": self.may,
            "links": self.links,
            "said": said,
            "interval": self.options.interval.total_seconds(),
            "mask": self.options.mask,
            **context,
        }
        response = HTMLResponse(environment.get_template(template).render(values), status)
        if said is not None:
            forget_flash(response)
        return response

    def go(self, path: str, said: str | None = None, /, **query: object) -> Response:
        """Return a redirect to a page, on which a text is shown once."""
        response = RedirectResponse(self.url(path, **query), 303)
        if said is not None:
            write_flash(response, said)
        return response


def path_inside(scope: Scope) -> str:
    """Return the path behind the prefix that the application is mounted under (ASGI's root_path)."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    inside = path.removeprefix(prefix) if path == prefix or path.startswith(f"{prefix}/") else path
    return inside or "/"


def relative(here: str, path: str, query: Mapping[str, object]) -> str:
    """Return the link from one path inside the dashboard to another."""
    link = "../" * (here.count("/") - 1) + path.removeprefix("/")
    pairs: list[tuple[str, str]] = []
    for key, value in query.items():
        pairs += [(key, str(one)) for one in (value if isinstance(value, list) else [value]) if one not in (None, "")]
    return (link or "./") + (f"?{urlencode(pairs)}" if pairs else "")
