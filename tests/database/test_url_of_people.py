"""`parse_url`: what people write, what the driver takes, and no password in any error."""

from __future__ import annotations

import pytest

from gw_sqla.database.url import parse_url
from gw_sqla.errors import ConfigurationError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_the_usual_schemes(scheme: str) -> None:
    url = parse_url(f" {scheme}://u:p%40ss@h:5433/d?host=/run/x\n")
    assert (url.drivername, url.password, url.port) == ("postgresql+asyncpg", "p@ss", 5433)
    assert dict(url.query) == {"host": "/run/x"}


def test_sslmode_is_translated() -> None:
    assert dict(parse_url("postgres://h/d?sslmode=require").query) == {"ssl": "require"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a URL such as"),
        ("localhost/secret", "is not a URL such as"),
        ("postgresql://u:secret@h:54x/d", "is not a URL such as"),
        ("postgresql://u:sec@secret/ret@h/d", "more than one @"),
        ("mysql://u:secret@h/d", "begins with mysql://"),
        ("postgresql+psycopg2://u:secret@h/d", "the driver psycopg2"),
        ("postgresql+secret@h/d", "is not a URL such as"),
        ("postgresql://h/d?require_auth=scram-sha-256&hostaddr=::1", "(hostaddr, require_auth)"),
    ],
)
def test_what_cannot_work(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(text, "DATABASE_URL")
    assert says in str(caught.value)
    assert str(caught.value).startswith("DATABASE_URL ")
    assert "secret" not in str(caught.value)
