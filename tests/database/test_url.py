"""URLs as people write them; no error shows a password."""

from __future__ import annotations

from traceback import format_exception
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla import ConfigurationError
from gw_sqla.database.url import parse_url

PASSWORD = "hunter2secret"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_schemes(scheme: str) -> None:
    url = parse_url(f" {scheme}://user:{PASSWORD}@host:5433/name?sslmode=require\n")
    assert url.drivername == "postgresql+asyncpg"
    assert (url.username, url.password, url.host, url.port, url.database) == ("user", PASSWORD, "host", 5433, "name")
    assert dict(url.query) == {"ssl": "require"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a URL"),
        ("host/name", "not a URL"),
        (f"mysql://u:{PASSWORD}@h/d", "needs PostgreSQL"),
        (f"postgresql+psycopg://u:{PASSWORD}@h/d", "psycopg"),
        (f"postgresql://u:{PASSWORD}@x@h/d", "more than one @"),
        (f"postgresql://u:{PASSWORD}@h:port/d", "not a URL"),
        (f"postgresql://a/b:{PASSWORD}@h/d", "not a URL"),
        (f"postgresql://u:1?{PASSWORD}=@h:x/d", "not a URL"),
        (f"postgresql://u:{PASSWORD}@h/d?zzz=a&application_name=w&yyy=b", r"\(yyy, zzz\)"),
        (f"postgresql://u:{PASSWORD}\n@h/d", "a line break"),
        (f"postgresql://u:{PASSWORD}%00@h/d", "a character that no URL can have"),
        (f"postgresql://u:{PASSWORD}@h:99999/d", "ports are 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@/d?host=a&port=x", "ports are 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@/d?host=a,b,c&port=1,2", "each has its port"),
        (f"postgresql://u:{PASSWORD}@h/d?prepared_statement_cache_size=x", "number that cannot be used"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        parse_url(text, "DATABASE_URL")
    assert str(caught.value).startswith("DATABASE_URL")
    assert PASSWORD not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("given", "says"), [(None, "DATABASE_URL is None: is it set?"), (b"postgresql://h/d", "DATABASE_URL is a bytes")]
)
def test_what_is_no_text(given: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_url(given, "DATABASE_URL")


def test_what_is_after_the_question_mark_wins() -> None:
    url = parse_url(f"postgresql://u:p@h/d?user=user&password={PASSWORD}&dbname=name")
    assert (url.username, url.password, url.database) == ("user", PASSWORD, "name")
    assert PASSWORD not in str(url)
    assert not url.query


@given(st.text(max_size=30))
def test_rubbish_is_a_clear_error_or_a_url(text: str) -> None:
    for whole in (text, f"postgresql://{text}", f"postgresql://u@h/{text}"):
        try:
            assert parse_url(whole).drivername == "postgresql+asyncpg"
        except ConfigurationError as error:
            assert str(error).startswith("the database URL")  # noqa: PT017 - either outcome is right


PIECES = st.text(alphabet="@:/?#&=%,[]+ a1\n", max_size=4)


@given(
    before=PIECES,
    after=PIECES,
    scheme=st.sampled_from(["postgres", "postgresql+psycopg", "mysql"]),
    user=PIECES,
    rest=st.sampled_from(["h/d", "h:1,h2/d", "h:x/d", "", "/d?sslmode=x", "h/d?zzz=1", "h/d?application_name=a"]),
    name=st.sampled_from(["password", "sslpassword"]),
)
def test_no_password_is_shown(before: str, after: str, scheme: str, user: str, rest: str, name: str) -> None:
    """Not encoded as it should be, by itself or as a parameter; neither in an error nor in a printed URL."""
    password = f"{before}{PASSWORD}{after}"
    parameter = f"{name}={quote(password)}"
    for text in (
        f"{scheme}://{user}:{password}@{rest}",
        f"{scheme}://u:{quote(password)}@{rest}",
        f"{scheme}://{rest}{'&' if '?' in rest else '?'}{parameter}",
    ):
        try:
            shown = str(parse_url(text))
        except ConfigurationError as error:
            shown = "".join(format_exception(error))
        assert PASSWORD not in shown
