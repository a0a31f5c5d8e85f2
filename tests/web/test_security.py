"""The dashboard speaks HTTP with strangers: who is let in, what is refused, what browsers are told."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from gw_sqla import ConfigurationError
from gw_sqla.web import ALL_RIGHTS, NOBODY, Dashboard, Right, Viewer, basic_auth, reader
from tests.repository.look import Look
from tests.web.conftest import Browser, Open

pytestmark = pytest.mark.anyio

PAGES = ["/", "/jobs", "/jobs.csv", "/jobs.json", "/jobs/1", "/jobs/1/edit", "/jobs/1/payload.json"]
NOWHERE = [
    "/nothing",
    "/jobs/x",
    "/jobs/1/x",
    "/static/../dashboard.py",
    "/static/%2e%2e/dashboard.py",
    "/jobs/" + "9" * 5000,
]


async def add(look: Look, payload: str = "{}") -> int:
    return int(await look.value("select id from {s}.add_job('send_email', $1::json)", payload))


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_password(open_dashboard: Open, path: str) -> None:
    browser = open_dashboard(access=basic_auth("ada", "geheim"))
    page = await browser.get(path)
    assert page.status_code == 401
    assert page.headers["www-authenticate"] == 'Basic realm="gw_sqla", charset="UTF-8"'
    assert "<nav" in page.text
    assert 'href="jobs"' not in page.text  # nothing of what is there


@pytest.mark.parametrize(
    "header",
    [
        "Basic " + base64.b64encode(b"ada:falsch").decode(),
        "Basic " + base64.b64encode(b"eve:geheim").decode(),
        "Basic " + base64.b64encode(b"ada:geheim ").decode(),
        "Basic " + base64.b64encode(b"ada").decode(),
        "Basic",
        "Basic ???",
        "Basic \xff",
        "Bearer " + base64.b64encode(b"ada:geheim").decode(),
        base64.b64encode(b"ada:geheim").decode(),
        "Basic " + "A" * 100_000,
    ],
)
async def test_with_a_wrong_one(open_dashboard: Open, header: str) -> None:
    browser = open_dashboard(access=basic_auth("ada", "geheim"))
    page = await browser.get("/jobs", headers={b"authorization": header.encode("latin-1")})
    assert page.status_code == 401


async def test_with_the_right_one(open_dashboard: Open) -> None:
    browser = open_dashboard(access=basic_auth("ada", "geheim:mit ä"))
    assert (await browser.get("/jobs", auth=httpx.BasicAuth("ada", "geheim:mit ä"))).status_code == 200


async def test_an_access_that_waits_and_one_that_refuses(open_dashboard: Open) -> None:
    async def known(request: Any) -> Viewer:
        if request.headers.get("x-user") != "ada":
            raise HTTPException(401, "Log in first.", {"x-log-in": "/log-in"})
        return reader("ada")

    browser = open_dashboard(access=known)
    page = await browser.get("/jobs")
    assert (page.status_code, page.headers["x-log-in"]) == (401, "/log-in")
    assert "Log in first." in page.text
    assert (await browser.get("/jobs", headers={"x-user": "ada"})).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_somebody_without_rights(open_dashboard: Open, look: Look, path: str) -> None:
    await add(look)
    for viewer in (NOBODY, Viewer(ALL_RIGHTS - {Right.READ})):
        page = await open_dashboard(access=lambda _, viewer=viewer: viewer).get(path)
        assert page.status_code == 403
        assert "send_email" not in page.text


DEEDS = {
    "retry": Right.RETRY,
    "reschedule": Right.RESCHEDULE,
    "complete": Right.COMPLETE,
    "fail": Right.FAIL,
    "remove": Right.REMOVE,
    "copy": Right.COPY,
    "edit": Right.EDIT,
}
FIELDS = {"priority": "3", "payload": "[1]", "filter": "id:>=0"}


@pytest.mark.parametrize("action", DEEDS)
async def test_each_right_that_lacks(open_dashboard: Open, look: Look, action: str) -> None:
    job = await add(look)
    before = await look.jobs()
    without = Viewer(ALL_RIGHTS - {DEEDS[action]}, "tester")
    browser = open_dashboard(access=lambda _: without)
    for path in (f"/jobs/{job}/act", "/jobs/act"):
        page = await browser.post(path, data={"action": action, **FIELDS})
        assert page.status_code == 403, path
        assert f"You lack the right to {action}" in page.text
    assert (await browser.get(f"/jobs/act?action={action}&filter=id:1")).status_code == 403
    assert f'value="{action}"' not in (await browser.get(f"/jobs/{job}")).text
    assert f'value="{action}"' not in (await browser.get("/jobs")).text
    assert await look.jobs() == before
    only = Viewer(frozenset({Right.READ, DEEDS[action]}), "tester")
    done = await open_dashboard(access=lambda _: only).post(f"/jobs/{job}/act", data={"action": action, **FIELDS})
    assert done.status_code == 303
    assert await look.jobs() != before


@pytest.mark.parametrize("action", DEEDS)
async def test_read_only(open_dashboard: Open, look: Look, action: str) -> None:
    job = await add(look)
    before = await look.jobs()
    browser = open_dashboard(read_only=True)
    for path in (f"/jobs/{job}/act", "/jobs/act"):
        page = await browser.post(path, data={"action": action, **FIELDS})
        assert page.status_code == 403
        assert "read-only" in page.text
    shown = await browser.get(f"/jobs/{job}")
    assert shown.status_code == 200
    assert 'method="post"' not in shown.text
    assert await look.jobs() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://dashboard.test"},
        {"sec-fetch-site": "", "origin": "http://dashboard.test"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "http://dashboard.test.evil.test"},
        {"origin": "http://dashboard.test:8080"},
        {"origin": "http://[::1"},
        {"origin": ""},
    ],
)
async def test_a_post_of_another_site(browser: httpx.AsyncClient, look: Look, headers: dict[str, str]) -> None:
    job = await add(look)
    before = await look.jobs()
    del browser.headers["sec-fetch-site"]
    refused = await browser.post(f"/jobs/{job}/act", data={"action": "remove"}, headers=headers)
    assert refused.status_code == 403
    assert "another site" in refused.text
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert await look.jobs() == before


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "same-origin"}, {"origin": "http://dashboard.test"}, {"origin": "https://DASHBOARD.test"}, {}],
)
async def test_a_post_of_its_own(browser: httpx.AsyncClient, look: Look, headers: dict[str, str]) -> None:
    """Behind a proxy with TLS the scheme is another one; a program sends neither header."""
    job = await add(look)
    del browser.headers["sec-fetch-site"]
    done = await browser.post(f"/jobs/{job}/act", data={"action": "remove"}, headers=headers)
    assert done.status_code == 303
    assert await look.jobs() == {}


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("cross-site", "navigate", "document", 200),
        ("same-site", "navigate", "document", 200),
        ("none", "navigate", "document", 200),
        ("same-origin", "cors", "empty", 200),
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "cors", "empty", 403),
        ("cross-site", "no-cors", "script", 403),
    ],
)
async def test_what_pages_of_other_sites_may_ask_for(
    browser: httpx.AsyncClient, site: str, mode: str, dest: str, status: int
) -> None:
    """Links lead here; their pages cannot have the database count for them."""
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert (await browser.get("/jobs?count=1", headers=headers)).status_code == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods(browser: httpx.AsyncClient, method: str) -> None:
    assert (await browser.request(method, "/jobs")).status_code == 405


@pytest.mark.parametrize("path", [*PAGES, "/static/style.css", "/static/page.js", "/nothing"])
async def test_headers(browser: httpx.AsyncClient, look: Look, path: str) -> None:
    page = await browser.get(path)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    is_static = path.startswith("/static/")
    assert ("immutable" in page.headers["cache-control"]) is is_static
    assert is_static or page.headers["cache-control"] == "no-store"
    if "html" in page.headers["content-type"]:
        assert " style=" not in page.text
        assert "<style" not in page.text
        assert "javascript:" not in page.text
        assert " onclick" not in page.text
        assert page.text.count("<script") == page.text.count('" defer></script>')


@pytest.mark.parametrize("path", NOWHERE)
async def test_what_is_not_there(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.get(path)
    assert page.status_code == 404
    assert "Traceback" not in page.text


HOSTILE = '<script>alert("x")</script>'


async def test_everything_is_escaped(browser: httpx.AsyncClient, look: Look) -> None:
    await look.execute(
        "select {s}.add_job($1, json_build_object($1::text, $1::text), $1, null, 1, $1, 0, array[$1])", HOSTILE
    )
    await look.execute("update {s}._private_jobs set last_error = $1, attempts = 1", HOSTILE)
    [job] = await look.jobs()
    columns = "&".join(f"column={name}" for name in ("task", "queue", "error", "payload", "key", "flags"))
    paths = ["/", f"/jobs?{columns}", f"/jobs/{job}", f"/jobs/{job}/edit", "/jobs/act?action=retry&filter=id:>0"]
    paths += [
        f"/jobs?filter={quote(HOSTILE)}",
        f"/jobs?filter={quote('error:' + HOSTILE)}",
        f"/jobs?cursor={quote(HOSTILE)}",
    ]
    paths += [f"/jobs?cursor={quote(HOSTILE)}", f"/jobs/act?action={quote(HOSTILE)}"]
    paths += [f"/jobs?order={quote(HOSTILE)}&size={quote(HOSTILE)}"]
    for path in paths:
        page = await browser.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "<script>alert" not in page.text, path
    assert "&lt;script&gt;" in (await browser.get(f"/jobs/{job}")).text


async def test_no_header_can_be_put_in(browser: httpx.AsyncClient, look: Look) -> None:
    """Neither by what is sent nor by what is stored; and no link has the host that the request named."""
    job = await add(look)
    evil = "x\r\nset-cookie: a=b"
    done = await browser.post(f"/jobs/{job}/act", data={"action": "fail", "message": evil})
    assert done.status_code == 303
    assert "a=b" not in done.headers.get("set-cookie", "")
    moved = await browser.get("/jobs", params={"controls": "1", "task": evil, "order": evil})
    assert moved.status_code == 303
    assert "\r" not in moved.headers["location"]
    page = await browser.get("/jobs", headers={"host": "evil.test", "x-forwarded-host": "evil.test"})
    assert "evil.test" not in page.text
    assert "evil.test" not in str(
        (await browser.post(f"/jobs/{job}/act", data={"action": "retry"}, headers={"host": "evil.test"})).headers
    )


async def test_what_is_said_once(browser: httpx.AsyncClient, look: Look) -> None:
    """In a cookie that no script reads; not in the address, where anybody could say anything."""
    job = await add(look)
    done = await browser.post(f"/jobs/{job}/act", data={"action": "retry"})
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    shown = await browser.get(f"/jobs/{job}")
    assert f"Job {job} was retried." in shown.text
    assert "was retried" not in (await browser.get(f"/jobs/{job}")).text
    browser.cookies.set("gw_sqla_said", "not base64!", domain="dashboard.test")
    assert (await browser.get("/jobs")).status_code == 200


SQL = [
    "'; drop table jobs; --",
    "' or 1=1 --",
    '" or ""="',
    "%_%",
    "\\",
    "$$;select 1;$$",
    "\x00",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
]


@pytest.mark.parametrize("text", SQL)
async def test_sql_in_filters(browser: httpx.AsyncClient, look: Look, text: str) -> None:
    await add(look)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    for field in ("task", "queue", "key", "error", "payload.a", "locked-by", "flag"):
        page = await browser.get("/jobs", params={"filter": f'{field}:"{quoted}"'})
        assert page.status_code in {200, 400}
        assert "send_email" not in page.text.partition("<tbody>")[2]
    page = await browser.get("/jobs", params={"controls": "1", "task": text})
    assert page.status_code in {303, 400}
    for name in ("cursor", "order", "sort", "size", "column", "count"):
        assert (await browser.get("/jobs", params={name: text})).status_code in {200, 400}
    assert len(await look.jobs()) == 1


@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object ByteStream")  # httpx's, refused early
async def test_huge_input(browser: httpx.AsyncClient, open_dashboard: Open, look: Look) -> None:
    job = await add(look)
    page = await browser.get("/jobs", params={"filter": "x" * 10_000})
    assert page.status_code == 400
    assert "a filter has 4,000 characters at most here, this one 10,000" in page.text
    assert (await browser.get("/jobs", params={"filter": "x" * 20_000})).status_code == 414
    assert (await browser.post("/jobs/act", data={"action": "retry", "filter": "x" * 300_000})).status_code == 413
    assert (await browser.post("/jobs/act", data={"action": "retry", "filter": "x" * 10_000})).status_code == 400
    assert (await browser.post("/jobs/act", data={"action": "retry", "ids": ",".join(["7"] * 2000)})).status_code == 400
    many = "&".join(f"a{index}=1" for index in range(3000))
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await browser.post("/jobs/act", content=many, headers=form)).status_code == 400
    assert (await browser.post("/jobs/act", content="a=%ff", headers=form)).status_code == 400
    assert (await browser.post("/jobs/act", json={"action": "retry"})).status_code == 415
    deep = "[" * 100_000
    assert (await browser.post(f"/jobs/{job}/act", data={"action": "edit", "payload": deep})).status_code == 400
    assert (await browser.get(f"/jobs/{2**63}")).status_code == 400
    big = {"action": "edit", "payload": f'"{"x" * 17 * 2**20}"'}
    assert (await browser.post(f"/jobs/{job}/act", data=big)).status_code == 400
    no_editor = open_dashboard(access=lambda _: Viewer(ALL_RIGHTS - {Right.EDIT}))
    assert (await no_editor.post(f"/jobs/{job}/act", data=big)).status_code == 413
    assert len(await look.jobs()) == 1


@pytest.mark.parametrize("prefix", ["", "/admin", "/a/b/c", "/a b/é+&"])
async def test_under_a_prefix(open_dashboard: Open, sessions: Any, look: Look, prefix: str) -> None:
    job = await add(look)
    dashboard = Dashboard(sessions, access=lambda _: Viewer(ALL_RIGHTS, "tester"))
    app = Starlette(routes=[Mount(prefix, dashboard)]) if prefix else dashboard
    async with Browser(app) as browser:
        for path in ("/", "/jobs", f"/jobs/{job}", f"/jobs/{job}/edit"):
            page = await browser.get(f"{prefix}{path}")
            assert page.status_code == 200
            here = httpx.URL(f"http://dashboard.test{prefix}{path}")
            style = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
            assert (await browser.get(here.join(style))).status_code == 200
            jobs = (
                page.text.partition('<li><a href="')[2]
                .partition("Overview")[2]
                .partition('href="')[2]
                .partition('"')[0]
            )
            assert here.join(jobs).path == f"{prefix}/jobs"
        done = await browser.post(f"{prefix}/jobs/{job}/act", data={"action": "retry"})
        assert done.status_code == 303
        assert httpx.URL(str(done.request.url)).join(done.headers["location"]).path == f"{prefix}/jobs/{job}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"access": None},
        {"access": "everybody"},
        {"tasks": {}},
        {"read_only": "yes"},
        {"mask": 1},
        {"limits": 5},
        {"interval": 5},
        {"schema": ""},
        {"sessions": None},
    ],
)
async def test_options_that_cannot_work(sessions: Any, wrong: dict[str, Any]) -> None:
    given = {"sessions": sessions, "access": lambda _: NOBODY} | wrong
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Dashboard(given.pop("sessions"), **given)


def test_access_is_no_option_to_forget(anyio_backend: str) -> None:
    with pytest.raises(TypeError, match="access"):
        Dashboard(None)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    "wrong", [{"rights": ["fly"]}, {"rights": None}, {"name": ""}, {"name": "a\nb"}, {"name": "x" * 201}]
)
def test_a_viewer_that_is_none(anyio_backend: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Viewer(**wrong)


async def test_an_access_that_returns_something_else(open_dashboard: Open, caplog: pytest.LogCaptureFixture) -> None:
    page = await open_dashboard(access=lambda _: True).get("/jobs")
    assert page.status_code == 500
    assert "Traceback" not in page.text
    assert "must return a gw_sqla.web.Viewer, has returned a bool" in caplog.text


async def test_the_actor_is_the_viewer(open_dashboard: Open, look: Look) -> None:
    job = await add(look)
    browser = open_dashboard(access=lambda _: Viewer(ALL_RIGHTS, "ada"))
    await browser.post(f"/jobs/{job}/act", data={"action": "retry"})
    await browser.post("/jobs/act", data={"action": "remove", "filter": "id:>=0"})
    lines = await look.rows("select actor, action from {s}._private_sqla_audit order by id")
    assert lines == [{"actor": "ada", "action": "retry"}, {"actor": "ada", "action": "remove"}]
