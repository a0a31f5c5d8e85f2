"""The dashboard: a page that says why a job is not running, and lets people act on it.

`Dashboard` is an ASGI application on Starlette and Jinja2, for asyncio and trio; ``python -m gw_sqla web`` serves it.
docs/dashboard.md shows what it is for, and how it is mounted.

How it is built, for who adds a screen
--------------------------------------
A *screen* is a module in ``screens/``: its ``routes``, a tuple of `gw_sqla.web.screen.Page` (GET) and
`gw_sqla.web.screen.Deed` (POST), listed in ``dashboard.py`` (and in pyproject.toml). Each names a function that gets a
`gw_sqla.web.visit.Visit` and returns a response::

    async def show(visit: Visit) -> Response:
        async with visit.session() as session:                  # its reads are bounded by Admin's limits
            queues = await visit.admin.list_queues(session, after=visit.text("after"))
        return visit.render("queues.html", queues=queues)

    async def pause(visit: Visit) -> Response:                  # the right was looked at before, by the Deed
        form = await visit.form()                               # bounded; plain forms, urlencoded
        async with visit.transaction() as session:              # committed at the end
            await visit.admin.pause(session, queue_name=form.required("name"), actor=visit.actor)
        return visit.go("/queues", "The queue is paused.")      # 303, and the text is shown once

    routes = (Page("/queues", show, "Queues"), Deed("/queues/pause", pause, Right.PAUSE))

- All data goes through `gw_sqla.admin` (and `gw_sqla.health`): no SQL here.
- Whatever a function raises becomes a page that says what happened and what to do (`gw_sqla.web.faults`); it need not
  catch anything, but what it wants to show beside its form.
- GET changes nothing; POST always does: with ``read_only``, and across sites (`gw_sqla.web.guards`), each is refused.
- Links are relative (``visit.url("/jobs", filter=...)``; in templates ``url``), so that it works under any prefix. For
  that, names of tasks and queues stand in the query, never in the path.
- Pages work without JavaScript. Templates extend ``base.html``, have what is repeated from ``macros.html`` (``m``) and
  times by the filter ``when``; escaping is always on, and there is no inline script or style: the
  Content-Security-Policy forbids them.
- What is refreshed by itself is an element with ``data-live`` and an ``id`` (``static/page.js``): the page is asked for
  again, and the elements of these ids are put in place of the old ones. Nothing is asked for while nobody looks.
- What a live page reads, it reads by ``visit.options.shared.get(name, ask)``: once for all who look.
- Tests: ``tests/web/conftest.py`` has ``open_dashboard``, which gives an httpx client of a dashboard on both event
  loops, without a socket; its requests are those of a browser's own page unless the test says otherwise.

Decisions
---------
Live updates are short requests, not server-sent events: these would hold a connection of six for each tab, keep a
server from stopping, and need proxies that do not buffer. What is asked is shared (`gw_sqla.web.shared`): however many
look, the database is asked once in each interval, and not at all when nobody looks. No lifespan, no task of its own.
"""

from __future__ import annotations

from gw_sqla.web.basic_auth import basic_auth
from gw_sqla.web.dashboard import Dashboard
from gw_sqla.web.rights import ALL_RIGHTS, NOBODY, Access, Right, Viewer, reader

__all__ = ["ALL_RIGHTS", "NOBODY", "Access", "Dashboard", "Right", "Viewer", "basic_auth", "reader"]
