"""URLs as people write them; no error shows a password."""

from __future__ import annotations

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
        (f"postgresql://u:{PASSWORD}@h/d?application_name=a&zzz=b", "application_name, zzz"),
        (f"postgresql://u:{PASSWORD}@h:99999/d", "ports are 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@/d?host=a&port=x", "ports are 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@/d?host=a&host=b:1", "each has its port"),
        (f"postgresql://u:{PASSWORD}@h/d?prepared_statement_cache_size=x", "number that cannot be used"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        parse_url(text, "DATABASE_URL")
    assert str(caught.value).startswith("DATABASE_URL")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "rest", ["h:65535/d", "h/d", "[::1]:1/d", "/d", "/d?host=a:1&host=b:2", "/d?host=a,b&port=1,2", "/d?host=/run/x"]
)
def test_hosts_and_ports(rest: str) -> None:
    parse_url(f"postgresql://u@{rest}")


@given(st.text(max_size=30))
def test_rubbish_is_a_clear_error_or_a_url(text: str) -> None:
    for whole in (text, f"postgresql://{text}", f"postgresql://u@h/{text}"):
        try:
            assert parse_url(whole).drivername == "postgresql+asyncpg"
        except ConfigurationError as error:
            assert str(error).startswith("the database URL")  # noqa: PT017 - either outcome is right
